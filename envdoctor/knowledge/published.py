"""Versions of NVIDIA's packages on PyPI, with the day each was uploaded."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import read


class PublishedTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    packages: dict[str, dict[str, str]]


class Published:
    """Queries over data/published.json."""

    @cached_property
    def table(self) -> PublishedTable:
        return read("published", PublishedTable)

    def versions(self, package: str) -> dict[str, str]:
        """version -> upload day ("2026-09-10"), oldest first; empty for a package that is not followed."""
        return self.table.packages.get(package, {})
