"""The knowledge base: what torch, CUDA, driver and GPU versions exist, and what they need.

from envdoctor.knowledge import load
load().minimum_driver("12.8")
"""

from __future__ import annotations

from envdoctor.knowledge.architectures import ArchitectureRecord
from envdoctor.knowledge.builds import TorchBuild, TorchRelease, Unpublished
from envdoctor.knowledge.companions import Companion
from envdoctor.knowledge.compilers import HostCompilers
from envdoctor.knowledge.cudnn import CudnnRelease
from envdoctor.knowledge.drivers import CudaToolkit, DriverBranch
from envdoctor.knowledge.errors import AmbiguousGpu, KnowledgeError, UnknownGpu
from envdoctor.knowledge.gpus import GpuRecord
from envdoctor.knowledge.images import CudaImage, PytorchImage
from envdoctor.knowledge.linux_packages import PackageRule
from envdoctor.knowledge.systems import JetPack, System
from envdoctor.knowledge.world import Knowledge, load

__all__ = [
    "AmbiguousGpu",
    "ArchitectureRecord",
    "Companion",
    "CudaImage",
    "CudaToolkit",
    "CudnnRelease",
    "DriverBranch",
    "GpuRecord",
    "HostCompilers",
    "JetPack",
    "Knowledge",
    "KnowledgeError",
    "PackageRule",
    "PytorchImage",
    "System",
    "TorchBuild",
    "TorchRelease",
    "UnknownGpu",
    "Unpublished",
    "load",
]
