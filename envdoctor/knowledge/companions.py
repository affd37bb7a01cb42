"""Packages that pin torch, by their own metadata: torchvision, torchaudio and others (`refresh` reads them)."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Row, read
from envdoctor.knowledge.versions import specifier, version


class Companion(Row, frozen=True, kw_only=True):
    """One release of a package and its requirement on torch: "==2.13.0", ">=2.14.0", "" for any torch.
    `date`: first upload. `file`: the distribution whose metadata was read."""

    package: str
    version: str
    date: str
    torch: str
    file: str


class CompanionTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    companions: tuple[Companion, ...]


class Companions:
    """Queries over data/companions.json."""

    @cached_property
    def table(self) -> CompanionTable:
        return read("companions", CompanionTable)

    def packages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.package for row in self.table.companions))

    def releases(self, package: str) -> tuple[Companion, ...]:
        rows = [row for row in self.table.companions if row.package == package]
        return tuple(sorted(rows, key=lambda row: version(row.version), reverse=True))

    def fitting(self, package: str, torch: str) -> tuple[Companion, ...]:
        """The releases that say they accept this torch, newest first."""
        have = version(torch.partition("+")[0])
        return tuple(row for row in self.releases(package) if not row.torch or specifier(row.torch).contains(have))

    def find(self, package: str, release: str) -> Companion | None:
        wanted = version(release.partition("+")[0])
        return next((row for row in self.releases(package) if version(row.version) == wanted), None)
