"""Looks up whether one build serves one GPU, and what driver that takes. Which build to take is `planning`'s business."""

from __future__ import annotations

from envdoctor.knowledge.architectures import Architectures
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.cudnn import Cudnn
from envdoctor.knowledge.drivers import Drivers
from envdoctor.knowledge.versions import cuda_key


class Compatibility:
    """Queries across the tables of drivers, architectures and cuDNN."""

    def __init__(self, drivers: Drivers, architectures: Architectures, cudnn: Cudnn) -> None:
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
