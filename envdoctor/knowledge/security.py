"""The lowest versions without a known, published vulnerability that matters on a GPU machine, from vendors' advisories."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import version


class SecurityFloor(Record, frozen=True, kw_only=True):
    """Versions below `fixed` have the vulnerabilities `ids`. `product`: driver, container-toolkit, gpu-operator,
    cuda-toolkit or torch. `platform`: linux or windows, None for any. `branch`: of a driver, each of which was fixed apart.
    `date`: of the advisory, None where it was not read. `what`: what an attacker gains."""

    product: str
    fixed: str
    advisory: str
    ids: tuple[str, ...]
    severity: Literal["medium", "high", "critical"]
    what: str
    platform: Literal["linux", "windows"] | None = None
    branch: str | None = None
    date: str | None = None
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    floors: tuple[SecurityFloor, ...]


class Security:
    """Queries over data/security.json."""

    @cached_property
    def table(self) -> _Table:
        return read("security", _Table)

    @cached_property
    def all(self) -> tuple[SecurityFloor, ...]:
        sources = self.table.sources
        return tuple(
            msgspec.structs.replace(row, source=source_texts(row.source, sources)) for row in self.table.floors
        )

    def below(self, product: str, have: str, system: str, branch: str | None) -> tuple[SecurityFloor, ...]:
        """The rows that a version is below, highest fix first. `system`: linux or windows; `branch`: of a driver."""
        found = [
            row
            for row in self.all
            if row.product == product
            and row.platform in (None, system)
            and row.branch == branch
            and version(have.partition("+")[0]) < version(row.fixed)
        ]
        return tuple(sorted(found, key=lambda row: version(row.fixed), reverse=True))
