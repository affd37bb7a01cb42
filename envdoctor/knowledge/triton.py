"""Which GPUs triton compiles for: the targets of the ptxas binaries that its wheels carry (`refresh` reads them)."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read
from envdoctor.knowledge.versions import capability_key, specifier, version

# torch/_inductor raises GPUTooOldForTriton below it, whatever ptxas knows.
OLDEST_CAPABILITY = (7, 0)


class TritonRelease(Record, frozen=True, kw_only=True):
    """One triton release. `targets`: what its ptxas binaries know ("90a", "120"), of all binaries together. `ptxas`: their
    CUDA versions. `file`: the wheel that was read."""

    version: str
    file: str
    ptxas: tuple[str, ...]
    targets: tuple[str, ...]


class TritonTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    releases: tuple[TritonRelease, ...]


class Triton:
    """Queries over data/triton.json."""

    @cached_property
    def table(self) -> TritonTable:
        return read("triton", TritonTable)

    def find(self, release: str) -> TritonRelease | None:
        """A release, or the newest that a pin such as "~=3.9.0" allows."""
        accepted = specifier(release.partition("+")[0])
        fitting = [row for row in self.table.releases if accepted.contains(row.version)]
        return max(fitting, key=lambda row: version(row.version), default=None)

    def supports(self, release: str, capability: str) -> bool | None:
        major, minor = capability_key(capability)
        if (major, minor) < OLDEST_CAPABILITY:
            return False
        row = self.find(release)
        if row is None:
            return None
        return f"{major}{minor}" in row.targets
