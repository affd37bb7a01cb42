"""Chooses among the published builds: the newest that runs on a machine as described."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    def newest(
        self,
        *,
        capabilities: Sequence[str],
        driver: str | None,
        python: str | None,
        platform: str,
        glibc: str | None,
        torch: str | None,
        cudnn: bool = True,
    ) -> TorchBuild | None:
        if driver is not None and not all(self.drives(driver, capability) for capability in capabilities):
            return None

        def suits(build: TorchBuild) -> bool:
            if build.cuda is None:
                return False
            for capability in capabilities:
                if not self.has_code(build, capability) or (cudnn and not self.has_kernels(build, capability)):
                    return False
            if driver is None:
                return True
            needed = {self.driver_needed(build, capability) for capability in capabilities or (None,)}
            return all(need is not None and at_least(driver, need) for need in needed)

        return self._first(suits, capabilities, python=python, platform=platform, glibc=glibc, torch=torch)

    def cpu(self, *, python: str | None, platform: str, glibc: str | None, torch: str | None) -> TorchBuild | None:
        return self._first(
            lambda build: build.variant == "cpu", (), python=python, platform=platform, glibc=glibc, torch=torch
        )

    def unlocks(
        self, *, capabilities: Sequence[str], driver: str, python: str | None, platform: str, glibc: str | None
    ) -> tuple[Unlock, ...]:
        def newest_with(candidate: str) -> TorchBuild | None:
            return self.newest(
                capabilities=capabilities,
                driver=candidate,
                python=python,
                platform=platform,
                glibc=glibc,
                torch=None,
            )

        thresholds = {
            build.min_driver
            for build in self._builds.all
            if build.min_driver is not None and build.platform == platform
        }
        for capability in capabilities:
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

    def _first(
        self,
        suits: Callable[[TorchBuild], bool],
        capabilities: Sequence[str],
        *,
        python: str | None,
        platform: str,
        glibc: str | None,
        torch: str | None,
    ) -> TorchBuild | None:
        tag = python_tag(python) if python is not None else None
        wanted = specifier(torch) if torch is not None else None
        yanked = {release.version for release in self._builds.releases if release.yanked}
        best: TorchBuild | None = None
        for build in self._builds.all:
            if best is not None and build.torch != best.torch:
                break
            if build.platform != platform or build.torch in yanked:
                continue
            if tag is not None and tag not in build.python_tags:
                continue
            if wanted is not None and not wanted.contains(version(build.torch)):
                continue
            if glibc is not None and build.glibc is not None and not at_least(glibc, build.glibc):
                continue
            if suits(build) and (
                best is None or self.preference(build, capabilities) > self.preference(best, capabilities)
            ):
                best = build
        return best

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
