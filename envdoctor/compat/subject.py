"""A GPU as a question names it: a record of the table, or only a compute capability."""

from __future__ import annotations

import re

import msgspec

from envdoctor.knowledge.architectures import ArchitectureRecord
from envdoctor.knowledge.gpus import GpuRecord
from envdoctor.knowledge.versions import capability_key
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.gpu_list import target_gpu
from envdoctor.planning.model import TargetGpu

_CAPABILITY = re.compile(r"(?:sm_|compute capability |capability |cc ?)?(\d{1,2}\.\d|(?<=sm_)\d{2,3})$", re.IGNORECASE)


class GpuSubject(msgspec.Struct, frozen=True, kw_only=True):
    """`name` as to be printed; `record` None where only a capability was asked about."""

    name: str
    capability: str
    record: GpuRecord | None = None
    architecture: ArchitectureRecord | None = None

    @property
    def platform(self) -> str | None:
        """Where this GPU is only found on one platform: Grace and Jetson."""
        if self.record is not None:
            return self.record.platform
        return "linux_aarch64" if self.architecture is not None and self.architecture.jetson else None

    @property
    def target(self) -> TargetGpu:
        """As `planning` takes it."""
        if self.record is not None:
            return target_gpu(self.record, name=self.name)
        return TargetGpu(name=self.name, capability=self.capability, kind="jetson" if self.jetson else None)

    @property
    def jetson(self) -> bool:
        return self.architecture is not None and self.architecture.jetson

    @property
    def sources(self) -> tuple[str, ...]:
        own = self.record.source if self.record is not None else ()
        return (*own, *(self.architecture.source if self.architecture is not None else ()))


def resolve(world: Knowledge, name: str) -> GpuSubject:
    """The GPU of that name or capability. UnknownGpu or AmbiguousGpu, with suggestions."""
    if match := _CAPABILITY.match(name.strip()):
        major, minor = capability_key(match[1])
        capability = f"{major}.{minor}"
        return GpuSubject(
            name=f"compute capability {capability}",
            capability=capability,
            architecture=world.architecture(capability),
        )
    record = world.gpu(name)
    return GpuSubject(
        name=record.name.removeprefix("NVIDIA "),
        capability=record.capability,
        record=record,
        architecture=world.architecture(record.capability),
    )
