"""Driver packages of Linux distributions and of NVIDIA's repositories: names, flavours, what goes with what."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts


class PackageRule(Record, frozen=True, kw_only=True):
    """A statement about packages. `packages` and `commands` hold "<b>" or "<branch>" where the branch number goes."""

    topic: str
    text: str
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    confidence: str | None = None
    source: tuple[str, ...]

    def packages_for(self, branch: str) -> tuple[str, ...]:
        """The package names of one driver branch, "580"."""
        return tuple(name.replace("<b>", branch).replace("<branch>", branch) for name in self.packages)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    not_read: tuple[str, ...]
    rules: tuple[PackageRule, ...]


class LinuxPackages:
    """Queries over data/linux_packages.json."""

    @cached_property
    def table(self) -> _Table:
        return read("linux_packages", _Table)

    def rules(self, topic: str | None) -> tuple[PackageRule, ...]:
        return tuple(
            msgspec.structs.replace(row, source=source_texts(row.source, self.table.sources))
            for row in self.table.rules
            if topic in (None, row.topic)
        )
