"""The tables that are looked up, not chosen from: GPUs, companions, cuDNN, compilers, images, packages."""

from __future__ import annotations

from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.channels import Channel, ChannelList
from envdoctor.knowledge.companion_wheels import CompanionWheel, CompanionWheels
from envdoctor.knowledge.companions import Companion, Companions
from envdoctor.knowledge.compilers import Compilers, HostCompilers, SystemCompiler
from envdoctor.knowledge.cudnn import Cudnn, CudnnRelease
from envdoctor.knowledge.freshness import Freshness, TableAge
from envdoctor.knowledge.gpus import GpuRecord, Gpus
from envdoctor.knowledge.images import CudaImage, Images, PythonImage, PytorchImage
from envdoctor.knowledge.linux_packages import LinuxPackages, PackageRule
from envdoctor.knowledge.published import Published
from envdoctor.knowledge.security import Security
from envdoctor.knowledge.systems import JetPack, System, Systems
from envdoctor.knowledge.triton import Triton, TritonRelease
from envdoctor.knowledge.versions import cuda_key, specifier, version


class Catalogue:
    """The part of Knowledge that looks things up."""

    def __init__(self) -> None:
        self._gpus = Gpus()
        self._cudnn = Cudnn()
        self._compilers = Compilers()
        self._images = Images()
        self._linux_packages = LinuxPackages()
        self._channels = ChannelList()
        self._companions = Companions()
        self._companion_wheels = CompanionWheels()
        self._published = Published()
        self._systems = Systems()
        self._triton = Triton()
        self._security = Security()
        self._freshness = Freshness()

    # Channels

    def channels(self, kind: str | None = None) -> tuple[Channel, ...]:
        """The indexes of torch wheels besides PyPI; of one kind (cuda, cpu, rocm, xpu, nightly, test, jetson) if given."""
        return tuple(row for row in self._channels.all if kind is None or row.kind == kind)

    def channel(self, variant: str) -> Channel | None:
        """The index of a variant, filled in: "rocm7.2", "xpu", "cpu", "cu126", "nightly/cu132". None for any other."""
        return self._channels.find(variant)

    def jetson_channel(self, jetpack: str) -> Channel | None:
        """The index for a Jetson of this JetPack ("6.2", "7.2"); None where none is known."""
        return self._channels.of_jetpack(jetpack)

    # Companions

    def companion_packages(self) -> tuple[str, ...]:
        """The packages whose requirement on torch is known."""
        return self._companions.packages()

    def companions(self, package: str, torch: str | None = None) -> tuple[Companion, ...]:
        """Releases of a package with their requirement on torch, newest first; those that accept `torch` if given.
        Source: the package's own metadata."""
        if torch is None:
            return self._companions.releases(package)
        return self._companions.fitting(package, torch)

    def companion(self, package: str, release: str) -> Companion | None:
        """One release of a package, with what it says of torch."""
        return self._companions.find(package, release)

    def companion_accepts(self, package: str, release: str, torch: str) -> bool | None:
        """Whether a release of a package goes with a torch release, as far as torch's version decides: by the package's own
        metadata ("torchaudio" "2.11.1", "2.13.0" -> True), or its documentation where that names no torch. None where it is
        not in the table. Its CUDA is another matter (`companion_wheel`)."""
        row = self._companions.find(package, release)
        accepted = row.torch if row is not None else self._companions.written(package, release)
        return None if accepted is None else specifier(accepted).contains(version(torch.partition("+")[0]))

    def companion_fits(self, package: str, release: str, build: TorchBuild) -> bool | None:
        """Whether PyPI's wheel of a release works beside a torch build: it goes with that torch, and it was built for the
        CUDA major of it, or without CUDA. None where either was not read. Its CUDA minor is not asked: torchaudio 2.11.0
        asks it of itself (TorchBuild.torchaudio says which one goes with a build)."""
        accepts = self.companion_accepts(package, release, build.torch)
        if accepts is False:
            return False
        wheel = self._companion_wheels.find(package, release, build.platform)
        majors = wheel.cuda_majors if wheel is not None else None
        if majors is None or (accepts is None and package in self._companions.packages()):
            return None
        return not majors or (build.cuda is not None and cuda_key(build.cuda)[0] in majors)

    def companion_wheel(self, package: str, release: str, platform: str = "linux_x86_64") -> CompanionWheel | None:
        """What PyPI's wheel of a release says it was built against: CUDA, libraries, torch. None where it was not read."""
        return self._companion_wheels.find(package, release, platform)

    def companion_wheels(self, package: str, platform: str = "linux_x86_64") -> tuple[CompanionWheel, ...]:
        """The wheels of a package that were read, newest release first; () where none was."""
        return self._companion_wheels.of(package, platform)

    # GPUs

    def gpu(self, name: str) -> GpuRecord:
        """The GPU, as nvidia-smi, lspci or a person writes it; a family where only memory or form factor is open
        ("V100"). Raises UnknownGpu, or AmbiguousGpu where the name fits different architectures ("RTX 6000"); both
        are KnowledgeErrors with `.suggestions`."""
        return self._gpus.find(name)

    def gpus(self) -> tuple[GpuRecord, ...]:
        """All GPUs in the table, as in the data file (sources by id)."""
        return self._gpus.table.gpus

    def gpu_by_pci_id(self, device_id: str) -> GpuRecord | None:
        """The GPU with this PCI device id ("2684", "0x2684", any case), vendor 10de."""
        return self._gpus.by_pci_id(device_id)

    def capability_of_pci_id(self, device_id: str) -> str | None:
        """Its capability: by the exact id, else by the block of sixteen ids where all known GPUs of it agree."""
        return self._gpus.capability_of_pci_id(device_id)

    # Libraries, compilers, images, packages

    def cudnn_release(self, cudnn: str, cuda: str) -> CudnnRelease | None:
        """The device code of a cuDNN ("9.10.2.21", CUDA "12.6"): measured, or of the nearest measured below."""
        return self._cudnn.release(cudnn, cuda)

    def cudnn_supports(self, cudnn: str, cuda: str, capability: str) -> bool | None:
        """Whether that cuDNN has kernels for a GPU this old; None where it is not known."""
        return self._cudnn.supports(cudnn, cuda, capability)

    def published(self, package: str) -> dict[str, str]:
        """Versions on PyPI with upload days, oldest first, of a package that torch pins: cuda-toolkit,
        nvidia-cudnn-cu11/12/13, nvidia-nccl-cu11/12/13, triton. Empty for any other."""
        return self._published.versions(package)

    def host_compilers(self, cuda: str) -> HostCompilers | None:
        """The host compilers that nvcc of this CUDA and torch's extension builder accept. None: not read."""
        return self._compilers.of(cuda)

    def system_compilers(self) -> tuple[SystemCompiler, ...]:
        """gcc and glibc of the operating systems in a CUDA installation guide."""
        return self._compilers.systems()

    def cuda_images(
        self,
        cuda: str | None = None,
        *,
        os: str | None = None,
        flavour: str | None = None,
        cudnn: bool | None = None,
    ) -> tuple[CudaImage, ...]:
        """nvidia/cuda tags that were seen, newest CUDA first, Ubuntu first. `os`: "ubuntu24.04"; `flavour`: base,
        runtime or devel; `cudnn`: with it inside or not."""
        return self._images.cuda_images(cuda, os, flavour, cudnn)

    def pytorch_images(
        self, torch: str, *, cuda: str | None = None, flavour: str | None = None
    ) -> tuple[PytorchImage, ...]:
        """pytorch/pytorch tags of one release whose CUDA was seen in use. `flavour`: runtime or devel."""
        return self._images.pytorch_images(torch, cuda, flavour)

    def driver_packages(self, topic: str | None = None) -> tuple[PackageRule, ...]:
        """Rules on Linux driver packages. Topics: ubuntu-archive, ubuntu-drivers, nvidia-repo, kernel-modules,
        fabricmanager, container-toolkit, debian, supported-os."""
        return self._linux_packages.rules(topic)

    def python_image(self, python: str) -> PythonImage | None:
        """The slim image of the official `python` repository for a Python minor, on its newest Debian. None: there is none
        (free-threaded builds, Python before 3.7)."""
        return self._images.python_image(python)

    # Compiling for a GPU

    def triton_release(self, triton: str) -> TritonRelease | None:
        """What the ptxas of a triton wheel compiles for: of "3.5.1", or of the newest that a pin such as "~=3.9.0" allows, as
        TorchBuild.triton has it. None: not read."""
        return self._triton.find(triton)

    def triton_supports(self, triton: str, capability: str) -> bool | None:
        """Whether triton ("3.5.1", "~=3.9.0") compiles for a GPU, and with it torch.compile: whether a ptxas inside its wheel
        has the GPU's own target, for triton asks for just that. None where that wheel was not read. Another ptxas can be named by
        TRITON_PTXAS_PATH."""
        return self._triton.supports(triton, capability)

    # Security

    # Freshness

    def tables(self) -> tuple[TableAge, ...]:
        """Every data file with its day, where its facts come from, when it is stale, and what to do then."""
        return self._freshness.all

    # Operating systems

    def system(self, name: str) -> System:
        """The operating system that a name means, as os-release or a person writes it ("ubuntu24.04", "Rocky 9.4"). Raises
        KnowledgeError with near names. A release newer than the table has the facts of the newest before it, and says so."""
        return self._systems.find(name)

    def systems(self) -> tuple[System, ...]:
        """All Linux distributions in the table, with their C library and Python."""
        return self._systems.all()

    def jetpacks(self) -> tuple[JetPack, ...]:
        """JetPack lines, newest first: which Ubuntu and CUDA each brings to which boards."""
        return self._systems.jetpacks()
