"""How old each table is, when it counts as stale, and what brings it up to date."""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import Literal

import msgspec

from envdoctor.knowledge.tables import DATA, Record, read

_AS_OF = re.compile(rb'"as_of": "(\d{4}-\d\d-\d\d)"')
_HEAD = 4096


class TableAge(Record, frozen=True, kw_only=True):
    """One data file. `kept`: "refresh" where `python -m envdoctor.knowledge.refresh` rebuilds it, else "by hand".
    `reads`: where its facts come from, machine-readable where such a thing exists. `stale_after`: days. `to_do`: how a
    stranger brings it up to date."""

    table: str
    kept: Literal["refresh", "by hand"]
    reads: str
    stale_after: int
    to_do: str
    as_of: str = ""

    def days_old(self, today: date) -> int:
        return (today - date.fromisoformat(self.as_of)).days

    def stale(self, today: date) -> bool:
        return self.days_old(today) > self.stale_after


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    tables: tuple[TableAge, ...]


class Freshness:
    """Queries over data/freshness.json and the head of each other file."""

    @cached_property
    def all(self) -> tuple[TableAge, ...]:
        return tuple(msgspec.structs.replace(row, as_of=day_of(row.table)) for row in read("freshness", _Table).tables)


def day_of(table: str) -> str:
    """The day at the head of a data file; the file is not decoded for it."""
    with (DATA / f"{table}.json").open("rb") as file:
        found = _AS_OF.search(file.read(_HEAD))
    if found is None:
        raise ValueError(f"{table}.json names no day")
    return found[1].decode("ascii")
