"""GPU architectures: the toolkits and driver branches that begin and end with each compute capability."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.devicecode import CodeRule, CodeRules
from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import capability_key, cuda_key


class ArchitectureRecord(Record, frozen=True, kw_only=True):
    """One compute capability. `first_driver_branch`: that of the first toolkit which targets it, so no older branch
    can know the GPU. `last_driver_branch`, `last_cuda`: None while supported. Jetson boards get their driver with
    JetPack, so branch numbers do not apply to them. `open_kernel_modules`: "required" (the proprietary flavour does
    not drive it), "supported" (either), "unsupported", or None where it is not a matter of choice."""

    capability: str
    name: str
    jetson: bool = False
    first_cuda: str | None = None
    last_cuda: str | None = None
    first_driver_branch: str | None = None
    last_driver_branch: str | None = None
    open_kernel_modules: str | None = None
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    device_code_source: tuple[str, ...]
    jetson_unified_from_cuda: str
    jetson_unified_sm: tuple[int, ...]
    architectures: tuple[ArchitectureRecord, ...]
    device_code: tuple[CodeRule, ...]


class Architectures:
    """Queries over data/architectures.json."""

    @cached_property
    def table(self) -> _Table:
        return read("architectures", _Table)

    @cached_property
    def code(self) -> CodeRules:
        table = self.table
        return CodeRules(table.device_code, table.jetson_unified_from_cuda, table.jetson_unified_sm)

    @cached_property
    def _by_capability(self) -> dict[tuple[int, int], ArchitectureRecord]:
        return {
            capability_key(row.capability): msgspec.structs.replace(
                row, source=source_texts(row.source, self.table.sources)
            )
            for row in self.table.architectures
        }

    def find(self, capability: str) -> ArchitectureRecord | None:
        return self._by_capability.get(capability_key(capability))

    def reaches(self, cuda: str, capability: str) -> bool | None:
        """Whether a CUDA toolkit compiles for a GPU, or for an older one whose code that GPU runs; None for a GPU of which no
        toolkit is known."""
        record = self.find(capability)
        if record is None:
            return None
        if record.last_cuda is not None and cuda_key(cuda) > cuda_key(record.last_cuda):
            return False
        kin = [
            row for row in self.all() if self.code.native((f"sm_{row.capability.replace('.', '')}",), capability, cuda)
        ]
        return any(row.first_cuda is None or cuda_key(row.first_cuda) <= cuda_key(cuda) for row in (*kin, record))

    def all(self) -> tuple[ArchitectureRecord, ...]:
        return tuple(record for _, record in sorted(self._by_capability.items()))

    @property
    def code_source(self) -> tuple[str, ...]:
        return source_texts(self.table.device_code_source, self.table.sources)
