"""Where torch's wheels are published besides PyPI: by CUDA, for other accelerators, nightly, for Jetson."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts

Kind = Literal["cuda", "cpu", "rocm", "xpu", "nightly", "test", "jetson"]
_NIGHTLY = re.compile(r"\.dev\d{8}(?:\+|$)")


class Channel(Record, frozen=True, kw_only=True):
    """One index of torch wheels. `index`: what follows pip's --index-url; `{variant}` stands for cu132, rocm7.2 or cpu.
    `platforms`: those that it has wheels for. `complete`: whether all torch releases that it ever had are in the table, so
    that what is not there was not published; else that is not known. `jetpack`: the line that the wheels are for."""

    name: str
    kind: Kind
    index: str
    platforms: tuple[str, ...]
    complete: bool
    first_torch: str | None = None
    jetpack: str | None = None
    note: str | None = None
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    channels: tuple[Channel, ...]


class ChannelList:
    """Queries over data/channels.json."""

    @cached_property
    def table(self) -> _Table:
        return read("channels", _Table)

    @cached_property
    def all(self) -> tuple[Channel, ...]:
        sources = self.table.sources
        return tuple(
            msgspec.structs.replace(row, source=source_texts(row.source, sources)) for row in self.table.channels
        )

    def find(self, variant: str) -> Channel | None:
        """The channel of a variant: "cu129", "rocm7.2", "xpu", "nightly"; of a nightly's variant: "nightly/cu132"."""
        parts = variant.lower().split("/")
        name = parts[0] if parts[0] in ("nightly", "test") else re.sub(r"^rocm[\d.]+$", "rocm", parts[-1])
        found = next((row for row in self.all if row.name == name), None)
        if found is None or "{variant}" not in found.index:
            return found
        own = parts[-1] if parts[-1] != name else ""
        index = found.index.replace("{variant}", own).rstrip("/") if own else found.index
        return msgspec.structs.replace(found, index=index)

    def of_jetpack(self, jetpack: str) -> Channel | None:
        """The row of the line that names most of the version: 7.2 before 7.0 for "7.2", 6 for "6.2.1"."""
        given = jetpack.split(".")
        rows = [
            row for row in self.all if row.jetpack and row.jetpack.split(".") == given[: row.jetpack.count(".") + 1]
        ]
        if not rows:
            rows = [row for row in self.all if row.jetpack and row.jetpack.split(".")[0] == given[0]]
        return max(rows, key=lambda row: row.jetpack or "", default=None)


def is_nightly(version: str) -> bool:
    """Whether a version is a nightly build's: "2.16.0.dev20261130+cu132"."""
    return _NIGHTLY.search(version) is not None
