"""Chooses among the published builds: the newest that runs on a machine as described."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec

from envdoctor.knowledge.architectures import Architectures
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.cudnn import Cudnn
from envdoctor.knowledge.drivers import Drivers
from envdoctor.knowledge.torch_tables import Builds
from envdoctor.knowledge.versions import at_least, cuda_key, python_tag, specifier, version


class Unlock(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver update brings: from `min_driver` (of `branch`) on, `build` is the newest that runs."""

    branch: str
    min_driver: str
    build: TorchBuild


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a build has to fulfil; None and () constrain nothing. `cudnn`: its cuDNN must serve the GPUs too."""

    platform: str
    capabilities: tuple[str, ...] = ()
    driver: str | None = None
    python: str | None = None
    glibc: str | None = None
    torch: str | None = None
    cudnn: bool = True


class Selection:
    """Judges builds by device code, driver, Python, C library and platform at once."""

    def __init__(self, builds: Builds, drivers: Drivers, architectures: Architectures, cudnn: Cudnn) -> None:
        self._builds = builds
        self._drivers = drivers
        self._architectures = architectures
        self._cudnn = cudnn

    def has_code(self, build: TorchBuild, capability: str) -> bool:
        """Compiled code, or PTX that both the toolkit and its libraries can serve: a GPU newer than the toolkit has
        no cuBLAS or cuDNN kernels in it, so PTX of torch's own would not carry a training run."""
        if build.cuda is None:
            return False
        if self.native(build, capability):
            return True
        architecture = self._architectures.find(capability)
        first = architecture.first_cuda if architecture else None
        known = first is not None and cuda_key(build.cuda) >= cuda_key(first)
        return known and self._architectures.code.by_ptx(build.arch_flags, capability)

    def native(self, build: TorchBuild, capability: str) -> bool:
        return self._architectures.code.native(build.arch_flags, capability, build.cuda)

    def has_kernels(self, build: TorchBuild, capability: str) -> bool:
        """Whether the pinned cuDNN still serves this GPU; True where that is not known."""
        if build.cudnn is None or build.cuda is None:
            return True
        return self._cudnn.supports(build.cudnn, build.cuda, capability) is not False

    def driver_needed(self, build: TorchBuild, capability: str | None) -> str | None:
        """The lowest driver for this build on this GPU: the toolkit's own where only PTX serves it."""
        if build.cuda is None:
            return None
        if capability is None or self.native(build, capability):
            return build.min_driver
        return self._drivers.toolkit_driver(build.cuda, build.platform)

    def drives(self, driver: str, capability: str) -> bool:
        """Whether a driver of this branch knows a GPU of this capability. True where that is not known."""
        architecture = self._architectures.find(capability)
        if architecture is None or architecture.jetson:
            return True
        branch = int(self._drivers.branch(driver).branch)
        first, last = architecture.first_driver_branch, architecture.last_driver_branch
        return (first is None or branch >= int(first)) and (last is None or branch <= int(last))

    def newest(self, wishes: Wishes) -> TorchBuild | None:
        """The preferred build of the newest release that fulfils the wishes."""
        best: TorchBuild | None = None
        for build in self.suitable(wishes):
            if best is None:
                best = build
            elif build.torch != best.torch:
                break
            elif self.preference(build, wishes.capabilities) > self.preference(best, wishes.capabilities):
                best = build
        return best

    def suitable(self, wishes: Wishes) -> Iterator[TorchBuild]:
        """Every CUDA build that fulfils the wishes, newest release first."""
        if wishes.driver is not None and not all(self.drives(wishes.driver, c) for c in wishes.capabilities):
            return
        for build in self._installable(wishes):
            if build.cuda is not None and self._runs(build, wishes):
                yield build

    def _runs(self, build: TorchBuild, wishes: Wishes) -> bool:
        for capability in wishes.capabilities:
            if not self.has_code(build, capability):
                return False
            if wishes.cudnn and not self.has_kernels(build, capability):
                return False
        if wishes.driver is None:
            return True
        needed = [self.driver_needed(build, capability) for capability in wishes.capabilities or (None,)]
        return all(need is not None and at_least(wishes.driver, need) for need in needed)

    def cpu(self, wishes: Wishes) -> TorchBuild | None:
        """The newest CPU build that can be installed."""
        return next((build for build in self._installable(wishes) if build.variant == "cpu"), None)

    def unlocks(self, wishes: Wishes, driver: str) -> tuple[Unlock, ...]:
        """The drivers newer than `driver` that raise the newest release."""

        def newest_with(candidate: str) -> TorchBuild | None:
            return self.newest(msgspec.structs.replace(wishes, driver=candidate))

        thresholds = {
            build.min_driver
            for build in self._builds.all
            if build.min_driver is not None and build.platform == wishes.platform
        }
        for capability in wishes.capabilities:
            architecture = self._architectures.find(capability)
            if architecture is not None and architecture.first_driver_branch is not None:
                thresholds.add(architecture.first_driver_branch)
        best = newest_with(driver)
        unlocks = []
        for threshold in sorted(thresholds, key=version):
            if at_least(driver, threshold):
                continue
            build = newest_with(threshold)
            if build is not None and (best is None or version(build.torch) > version(best.torch)):
                unlocks.append(Unlock(branch=self._drivers.branch(threshold).branch, min_driver=threshold, build=build))
                best = build
        return tuple(unlocks)

    def _installable(self, wishes: Wishes) -> Iterator[TorchBuild]:
        """What pip could install there, newest release first; whether it runs is not asked."""
        tag = python_tag(wishes.python) if wishes.python is not None else None
        accepted = specifier(wishes.torch) if wishes.torch is not None else None
        yanked = {release.version for release in self._builds.releases if release.yanked}
        for build in self._builds.all:
            if build.platform != wishes.platform or build.torch in yanked:
                continue
            if tag is not None and tag not in build.python_tags:
                continue
            if accepted is not None and not accepted.contains(version(build.torch)):
                continue
            if wishes.glibc is not None and build.glibc is not None and not at_least(wishes.glibc, build.glibc):
                continue
            yield build

    def preference(
        self, build: TorchBuild, capabilities: Sequence[str] = ()
    ) -> tuple[bool, bool, bool, tuple[int, int]]:
        """Among builds of one release, higher is better: a CUDA that knows the GPUs (on GB10, code for 12.0 runs with
        CUDA 12.8 too, but what is compiled at run time does not), what PyPI serves here, the CUDA that PyPI serves on
        Linux (the release's main one, where Windows has only the CPU build on PyPI), the newest CUDA."""
        cuda = cuda_key(build.cuda) if build.cuda else (0, 0)
        found = [self._architectures.find(capability) for capability in capabilities]
        known = all(
            record is None or record.first_cuda is None or cuda_key(record.first_cuda) <= cuda for record in found
        )
        return (known, build.index_url is None, build.variant == self._main_variants.get(build.torch), cuda)

    @cached_property
    def _main_variants(self) -> dict[str, str]:
        return {build.torch: build.variant for build in self._builds.all if build.index_url is None and build.cuda}
