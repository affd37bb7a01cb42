"""Packages that need a certain torch: by their own metadata (`refresh` reads it), or by their documentation where that is
silent (data/companion_channels.json, by hand)."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import specifier, version


class Companion(Record, frozen=True, kw_only=True):
    """One release of a package and its requirement on torch: "==2.13.0", ">=2.14.0", "" for any torch; its documentation's
    where its metadata names none. `date`: first upload. `file`: the distribution whose metadata was read."""

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


class Documented(Record, frozen=True, kw_only=True):
    """What a package's documentation says of one of its versions ("0.16" is every 0.16.x). `torch`: the releases that it
    goes with. `same_cuda`: how far its CUDA must be torch's own where it goes with several torch releases, to the "minor" or
    to the "major"; it compares them when it is imported. `channels`: pytorch.org's channel -> the platforms of which a wheel
    was seen there; `complete`: whether those are all. What PyPI serves is in data/companion_wheels.json."""

    package: str
    version: str
    torch: str
    same_cuda: Literal["minor", "major"] | None = None
    channels: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    complete: bool = False
    source: tuple[str, ...]


class _DocumentedTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    companions: tuple[Documented, ...]


class Companions:
    """Queries over data/companions.json and data/companion_channels.json."""

    @cached_property
    def table(self) -> CompanionTable:
        return read("companions", CompanionTable)

    @cached_property
    def _documented(self) -> _DocumentedTable:
        return read("companion_channels", _DocumentedTable)

    def documented(self, package: str) -> tuple[Documented, ...]:
        """What is written of a package's versions, newest first; source ids are filled in."""
        rows = [row for row in self._documented.companions if row.package == package]
        rows.sort(key=lambda row: version(row.version), reverse=True)
        sources = self._documented.sources
        return tuple(msgspec.structs.replace(row, source=source_texts(row.source, sources)) for row in rows)

    def written(self, package: str, release: str) -> str | None:
        """The requirement on torch that the documentation names for one release; None where it names none."""
        wanted = version(release.partition("+")[0]).release
        for row in self.documented(package):
            named = version(row.version).release
            if wanted[: len(named)] == named:
                return row.torch
        return None

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
