"""GPUs: what NVIDIA calls them, their PCI ids, and their figures."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.gpu_names import Candidate, candidate, find_gpu
from envdoctor.knowledge.tables import Record, read, source_texts


class GpuRecord(Record, frozen=True, kw_only=True):
    """One GPU, or a family whose members differ in memory, form factor or clocks only ("V100": `models` names them,
    and a figure that they do not share is None).

    Units: `memory_gb` GB as marketed (`memory_gb_options` where one name covers several); `bandwidth_gb_s` GB/s;
    `tdp_w` W; `fp32_tflops` non-tensor TFLOPS; `tensor_tflops` dense TFLOPS by type, without 2:4 sparsity.
    `first_driver`: the first driver whose README lists the GPU, None where that was before such lists. Those lists lag:
    drivers run a GPU before they list it (`Gpus.first_driver_source`), so it may advise and never rule out.
    `platform`: set where the GPU is only found on one ("linux_aarch64" for
    Grace and Jetson). `kind`: data-center, workstation, geforce, titan, laptop, embedded, jetson. Figures are
    secondary (see `source`); a figure without a source that agrees is None."""

    name: str
    kind: str = msgspec.field(name="class")
    capability: str
    platform: str | None = None
    memory_gb: float | None = None
    memory_gb_options: tuple[float, ...] = ()
    bandwidth_gb_s: float | None = None
    sm_count: int | None = None
    tdp_w: float | None = None
    fp32_tflops: float | None = None
    tensor_tflops: dict[str, float] | None = None
    tensor_source: tuple[str, ...] = ()
    first_driver: str | None = None
    open_kernel_modules: str | None = None
    pci_ids: tuple[str, ...] = ()
    note: str | None = None
    models: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    units: dict[str, str]
    sources: dict[str, str]
    first_driver_source: tuple[str, ...]
    aliases: dict[str, str]
    pci_blocks: dict[str, tuple[str, ...]]
    gpus: tuple[GpuRecord, ...]


class Gpus:
    """Queries over data/gpus.json."""

    @cached_property
    def table(self) -> _Table:
        return read("gpus", _Table)

    @cached_property
    def _by_id(self) -> dict[str, GpuRecord]:
        return {identifier: row for row in self.table.gpus for identifier in row.pci_ids}

    @cached_property
    def _blocks(self) -> dict[str, str]:
        """The first three digits of a device id -> capability, where every known GPU of that block agrees."""
        return {block: capability for capability, blocks in self.table.pci_blocks.items() for block in blocks}

    @cached_property
    def _candidates(self) -> list[Candidate]:
        return [candidate(row.name, row.capability) for row in self.table.gpus]

    @property
    def first_driver_source(self) -> tuple[str, ...]:
        """Where `first_driver` comes from, and what it was seen to be wrong about."""
        return source_texts(self.table.first_driver_source, self.table.sources)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, as the table writes them."""
        return tuple(row.name for row in self.table.gpus)

    def by_pci_id(self, device_id: str) -> GpuRecord | None:
        row = self._by_id.get(_hexadecimal(device_id))
        return self._cited(row) if row else None

    def capability_of_pci_id(self, device_id: str) -> str | None:
        identifier = _hexadecimal(device_id)
        row = self._by_id.get(identifier)
        return row.capability if row else self._blocks.get(identifier[:3])

    def find(self, name: str) -> GpuRecord:
        found = find_gpu(name, self._candidates, self.table.aliases)
        wanted = set(found)
        rows = [row for row in self.table.gpus if row.name in wanted]
        return self._cited(rows[0] if len(rows) == 1 else _family(name, rows))

    def _cited(self, row: GpuRecord) -> GpuRecord:
        sources = self.table.sources
        return msgspec.structs.replace(
            row,
            source=source_texts(row.source, sources),
            tensor_source=source_texts(row.tensor_source, sources),
        )


def _hexadecimal(device_id: str) -> str:
    return device_id.strip().lower().removeprefix("0x").upper().zfill(4)


def _family(name: str, rows: list[GpuRecord]) -> GpuRecord:
    """What the members share, under the words they share."""
    first = rows[0]
    shared = {
        field: getattr(first, field)
        for field in (
            "platform",
            "memory_gb",
            "bandwidth_gb_s",
            "sm_count",
            "tdp_w",
            "fp32_tflops",
            "tensor_tflops",
            "open_kernel_modules",
            "first_driver",
        )
        if all(getattr(row, field) == getattr(first, field) for row in rows)
    }
    memories = {row.memory_gb for row in rows if row.memory_gb is not None}
    memories.update(size for row in rows for size in row.memory_gb_options)
    kinds = {row.kind for row in rows}
    return GpuRecord(
        name=" ".join(name.split()),
        kind=kinds.pop() if len(kinds) == 1 else "several",
        capability=first.capability,
        memory_gb_options=tuple(sorted(memories)) if "memory_gb" not in shared else (),
        pci_ids=tuple(sorted(identifier for row in rows for identifier in row.pci_ids)),
        models=tuple(row.name for row in rows),
        source=tuple(dict.fromkeys(source for row in rows for source in row.source)),
        **shared,
    )
