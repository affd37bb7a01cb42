"""What is true of the world: one object, typed queries, every answer traceable to a source. It looks up and chooses nothing.

Versions are plain strings at every boundary ("535.183.01", "12.8", "2.15.0", capability "9.0"). A platform is
linux_x86_64, linux_aarch64, windows_amd64, windows_arm64, macos_arm64 or macos_x86_64. None means: not known, or there is
none; the docstring says which. Text that is no version raises KnowledgeError, a version newer than the tables never does.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from envdoctor.knowledge.architectures import ArchitectureRecord, Architectures
from envdoctor.knowledge.builds import TorchBuild, TorchRelease
from envdoctor.knowledge.catalogue import Catalogue
from envdoctor.knowledge.certainty import Certainty
from envdoctor.knowledge.compatibility import Compatibility
from envdoctor.knowledge.drivers import CudaToolkit, DriverBranch, Drivers, ImageRequirement, Rule
from envdoctor.knowledge.old_torch import OldTorch, OldTorches
from envdoctor.knowledge.security import SecurityFloor
from envdoctor.knowledge.torch_tables import Builds
from envdoctor.knowledge.versions import cuda_key, version

LINUX = "linux_x86_64"


class Knowledge(Catalogue):
    """The knowledge base. Each table is read when a query first needs it; use `load()` for the shared instance."""

    def __init__(self) -> None:
        super().__init__()
        self._drivers = Drivers()
        self._builds = Builds(self._drivers, self._companions, self._companion_wheels)
        self._architectures = Architectures()
        self._old = OldTorches()
        self._compatibility = Compatibility(self._drivers, self._architectures, self._cudnn)
        self._certainty = Certainty(self._builds, self._architectures, self._channels, self._published)

    @property
    def as_of(self) -> str:
        """The day of the newest refresh of the torch table, "2026-11-23"."""
        return self._builds.pypi.as_of

    # Drivers and CUDA

    def minimum_driver(self, cuda: str, platform: str = LINUX) -> str | None:
        """The driver that a CUDA runtime of this version needs: by minor-version compatibility from CUDA 11.1 on
        ("12.4" -> "525.60.13", "13.2" -> "580"), the toolkit's own before. None for a major newer than the table.

        Source: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html."""
        return self._drivers.minimum_driver(cuda, platform)

    def toolkit_driver(self, cuda: str, platform: str = LINUX) -> str | None:
        """The toolkit's own driver, needed to compile its PTX and for its new features ("12.8" -> "570.26"); only
        its branch ("615") where NVIDIA names no more. "12.8" is its first release, "12.8.1" that update. None where
        no driver was read (CUDA 13.5; Windows from 13.0).

        Source: CUDA release notes, table "CUDA Toolkit and Corresponding Driver Versions"."""
        return self._drivers.toolkit_driver(cuda, platform)

    def toolkit(self, cuda: str) -> CudaToolkit | None:
        """The toolkit's row; "12.8" is its first release. None where the table has no such toolkit."""
        return self._drivers.toolkit(cuda)

    def toolkits(self) -> tuple[str, ...]:
        """All toolkit versions in the table, newest first: "13.5.0", ..."""
        rows = sorted(self._drivers.table.toolkits, key=lambda row: version(row.version), reverse=True)
        return tuple(row.version for row in rows)

    def newest_cuda(self) -> str:
        """The newest CUDA minor in the table; anything above is judged by rules."""
        return self._drivers.newest_cuda()

    def cuda_major_known(self, cuda: str) -> bool:
        """Whether the driver rule of this CUDA major is known (False for a future one)."""
        return any(row.major == cuda_key(cuda)[0] for row in self._drivers.table.families)

    def driver_branch(self, version: str) -> DriverBranch | None:
        """The branch of a driver, Linux ("535.183.01" -> 535) or Windows ("572.83" -> 570): newest CUDA, end of
        life, and whether it is newer than the table, in which case only `branch` is filled.

        Sources: CUDA release notes (CUDA), docs.nvidia.com/datacenter/tesla/drivers (life cycle)."""
        return self._drivers.branch(version)

    def listed_later(self, driver: str, first_driver: str | None) -> bool:
        """Whether a GPU's `first_driver` is of a later branch than this driver. It may advise only: those lists lag inside
        a branch (GB10 runs on 580.95.05 and is listed by 580.119.02), and a driver may run what it does not list."""
        if first_driver is None:
            return False
        return int(self._drivers.branch(driver).branch) < int(self._drivers.branch(first_driver).branch)

    @property
    def gpu_names(self) -> tuple[str, ...]:
        """The names of all GPUs in the table."""
        return self._gpus.names

    def first_driver_source(self) -> tuple[str, ...]:
        """Where GpuRecord.first_driver comes from."""
        return self._gpus.first_driver_source

    def driver_branches(self) -> tuple[DriverBranch, ...]:
        """All known branches, oldest first."""
        return self._drivers.branches()

    def forward_compatibility(self) -> tuple[Rule, ...]:
        """NVIDIA's rules for the cuda-compat package: which GPUs, which failures."""
        return self._drivers.table.forward_compatibility

    def forward_compatible(self, gpu_kind: str) -> bool | None:
        """Whether GPUs of a kind (GpuRecord.kind) may use the cuda-compat package, which puts a newer libcuda on an
        older driver: data-center boards and Jetson yes, GeForce and laptops no, None for workstation boards, of
        which NVIDIA admits some (NGC-ready RTX)."""
        return self._drivers.forward_compatible(gpu_kind)

    def bridged_branches(self, cuda: str) -> tuple[str, ...]:
        """The driver branches that an nvidia/cuda image of this CUDA minor accepts besides its own, by the cuda-compat
        package inside (NVIDIA_REQUIRE_CUDA): "12.4" -> ("470", "525", "535"). Empty where no such image was read."""
        return self._drivers.bridged_branches(cuda)

    def image_requirements(self) -> tuple[ImageRequirement, ...]:
        """The older driver branches that NVIDIA_REQUIRE_CUDA of nvidia/cuda images accepts."""
        return self._drivers.table.image_requirements

    def driver_sources(self, record: CudaToolkit | Rule | ImageRequirement) -> tuple[str, ...]:
        """The text of a driver record's sources."""
        return self._drivers.cite(record.source)

    def vulnerable(self, product: str, have: str, platform: str = LINUX) -> tuple[SecurityFloor, ...]:
        """The advisories that a version is below, the highest fix first: ("driver", "580.95.05") or ("torch", "2.5.1+cu124").
        () where none is known, which is not the same as safe: of a driver branch past its end of life nothing is published."""
        branch = self._drivers.branch(have).branch if product == "driver" else None
        return self._security.below(product, have, platform.partition("_")[0], branch)

    # Device code

    def runs_on(self, arch_flags: Iterable[str], capability: str, cuda: str | None = None) -> bool:
        """Whether a binary with these architecture flags ("sm_90", "sm_90a", "compute_90" for PTX) has code for a
        device of this capability. `cuda`: of the binary; from 13.2 server code runs on Jetson Orin. PTX counts here,
        and is usable only with a driver as new as the toolkit.

        Source: torch/cuda/__init__.py of torch 2.15.0, DEVICE_REQUIREMENT."""
        flags = tuple(arch_flags)
        code = self._architectures.code
        return code.native(flags, capability, cuda) or code.by_ptx(flags, capability)

    def runs_natively(self, arch_flags: Iterable[str], capability: str, cuda: str | None = None) -> bool:
        """The same without PTX: compiled code only, which needs no compilation by the driver."""
        return self._architectures.code.native(arch_flags, capability, cuda)

    def serving_flag(self, arch_flags: Iterable[str], capability: str, cuda: str | None = None) -> str | None:
        """The flag ("sm_80") whose compiled code a device of this capability runs; None where none fits."""
        return self._architectures.code.serving(arch_flags, capability, cuda)

    def device_code_source(self) -> tuple[str, ...]:
        """Where the device-code rules come from."""
        return self._architectures.code_source

    def architecture(self, capability: str) -> ArchitectureRecord | None:
        """The architecture of a compute capability; None where it is not in the table."""
        return self._architectures.find(capability)

    def toolkit_reaches(self, cuda: str, capability: str) -> bool | None:
        """Whether a CUDA toolkit can make code that a GPU runs: for it, or for an older one whose code it runs ("12.6" and
        "12.0": False). None for a GPU of which no toolkit is known."""
        return self._architectures.reaches(cuda, capability)

    def architectures(self) -> tuple[ArchitectureRecord, ...]:
        """All of them, oldest first."""
        return self._architectures.all()

    # torch

    def torch_builds(self, version: str | None = None) -> tuple[TorchBuild, ...]:
        """Published builds, newest release first; of one release ("2.14.1", or "2.14" for all of its patch
        releases) where `version` is given."""
        if version is None:
            return self._builds.all
        public = version.partition("+")[0]
        parts = public.split(".")
        if len(parts) >= 3:
            return tuple(build for build in self._builds.all if build.torch == public)
        return tuple(build for build in self._builds.all if build.torch.split(".")[: len(parts)] == parts)

    def torch_index(self, variant: str) -> str:
        """The address of pytorch.org's index of a variant: "cu128", "rocm7.2", "xpu", "nightly/cu130"."""
        return self._builds.channels.index.format(variant=variant)

    def torch_release(self, version: str) -> TorchRelease | None:
        """The release; "2.14" is its newest patch release. None where the table has none (a future one, or < 1.13)."""
        return self._builds.release(version)

    def old_torch(self, version: str) -> OldTorch | None:
        """A release before the table of builds begins ("1.10.1"; "1.10" is its newest); None for any other."""
        return self._old.find(version)

    def old_torches(self) -> tuple[OldTorch, ...]:
        """All of them, newest first."""
        return self._old.all

    def newest_python_of_old(self, version: str) -> str | None:
        """The newest Python with wheels of a release before the table's ("1.8.1"); None for any other."""
        row = self._old.find(version)
        return row.python[-1] if row is not None else None

    def ngc_cudas(self, release: str) -> tuple[str, ...]:
        """Between which CUDA versions that of NVIDIA's image of a month lies ("21.03" -> "11.2", "11.3"); () where not known.

        Source: docs.nvidia.com, release notes of the containers."""
        return self._old.cudas_of_month(release)

    def torch_releases(self) -> tuple[TorchRelease, ...]:
        """All of them, newest first."""
        return self._builds.releases

    def wheel_published(self, torch: str, variant: str, platform: str = LINUX) -> bool | None:
        """Whether a wheel of this release ("2.9.1"), variant ("cu129") and platform was published. False where it is known
        not to be: by a record, by the complete list of its channel, or because its CUDA came after the release; None where
        nothing says either way."""
        return self._certainty.published(torch.partition("+")[0], variant, platform)

    def serves(self, build: TorchBuild, capability: str) -> bool | None:
        """Whether a build has device code for a GPU, as far as that is known. True where its list has code that serves it.
        False where its list was read out of the wheel or printed by it, or where no such code can be in it: its CUDA does not
        compile for that GPU. None else: a list from a build script or a document rules nothing out, and some were wrong."""
        return True if self.has_code(build, capability) else self._certainty.may_serve(build, capability)

    def flags_serve(self, flags: Iterable[str], capability: str) -> bool:
        """Whether code for these architectures ("sm_80", "8.6+PTX") runs on a GPU."""
        named = tuple(flags)
        return self._architectures.code.native(named, capability) or self._architectures.code.by_ptx(named, capability)

    def has_code(self, build: TorchBuild, capability: str) -> bool:
        """Whether this build carries device code that serves the capability."""
        return self._compatibility.has_code(build, capability)

    def has_cudnn_kernels(self, build: TorchBuild, capability: str) -> bool:
        """Whether the build's pinned cuDNN has kernels for the capability; True where that is not known."""
        return self._compatibility.has_kernels(build, capability)

    def driver_needed(self, build: TorchBuild, capability: str | None = None) -> str | None:
        """The lowest driver for this build on this GPU; the toolkit's own where only PTX serves it. None: unknown,
        or no driver needed (CPU build)."""
        return self._compatibility.driver_needed(build, capability)

    def drives(self, driver: str, capability: str) -> bool:
        """Whether a driver of this branch drives GPUs of this capability; True where that is not known."""
        return self._compatibility.drives(driver, capability)

    # Companions

    def torchvision_for(self, torch: str) -> str | None:
        """The torchvision that goes with a torch release. None where the table has no such torch."""
        release = self._builds.release(torch)
        return release.torchvision if release else None

    def torchaudio_for(self, torch: str) -> str | None:
        """The torchaudio that came with a torch release, or the newest before it that accepts it: from 2.11 on each accepts
        every later torch. Which of them a build's own index has is in TorchBuild.torchaudio."""
        release = self._builds.release(torch)
        return release.torchaudio if release else None

    def torch_for_torchvision(self, torchvision: str) -> str | None:
        """The torch release that a torchvision was made for ("0.29.2+cu132" -> "2.15.0")."""
        return self._made_for("torchvision", torchvision)

    def torch_for_torchaudio(self, torchaudio: str) -> str | None:
        """The torch release that a torchaudio came out with; `companion_accepts` says which others it goes with."""
        return self._made_for("torchaudio", torchaudio)

    def _made_for(self, package: str, text: str) -> str | None:
        wanted = version(text.partition("+")[0])
        for release in reversed(self._builds.releases):
            paired = getattr(release, package)
            if paired is not None and version(paired) == wanted:
                return release.version
        return None


@lru_cache(maxsize=1)
def load() -> Knowledge:
    """The shared knowledge base; tables are read when first asked for, then kept."""
    return Knowledge()
