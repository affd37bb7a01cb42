"""The chosen sheets of a text, asked in order of trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from envdoctor.reading.dumps.raw_values import Findings, Sheet

T = TypeVar("T")

ORDER = (
    "collect_env",
    "table",
    "report",
    "lightning",
    "torch config",
    "python session",
    "banner",
    "nvidia-smi",
    "nvidia-smi -L",
    "kernel module",
    "kernel log",
    "nvcc",
    "compiler",
    "ldd",
    "uname",
    "lspci",
    "os-release",
    "environment",
    "pip list",
    "conda list",
    "torch warning",
    "notes",
    "prose",
)
"""Layouts: what a tool measured goes before what a person wrote."""

TITLES = {"table": "environment table", "report": "environment report"}


class Merged:
    """One sheet for each layout; the first that knows a value is believed."""

    def __init__(self, findings: Findings) -> None:
        found = {layout: findings.of(layout) for layout in ORDER}
        self.sheets: dict[str, Sheet] = {layout: sheet for layout, sheet in found.items() if sheet is not None}

    def __iter__(self) -> Iterator[Sheet]:
        return iter(self.sheets.values())

    def get(self, layout: str) -> Sheet | None:
        return self.sheets.get(layout)

    def first(self, key: str, parse: Callable[[str], T | None]) -> T | None:
        """The first value of this name that can be understood."""
        for sheet in self:
            value = sheet.get(key)
            understood = parse(value) if value is not None else None
            if understood is not None:
                return understood
        return None

    def text(self, key: str) -> str | None:
        return self.first(key, lambda value: value)

    def source(self) -> str:
        """'collect_env+nvidia-smi'."""
        names = []
        for sheet in self:
            if sheet.layout == "prose" and len(self.sheets) > 1:
                continue  # beside a tool's output it is what stands around it
            title = sheet.title or TITLES.get(sheet.layout, sheet.layout)
            if (
                sheet.layout == "collect_env"
                and not sheet.title
                and "distinctive" not in sheet.values
                and not sheet.lists
            ):
                title = "notes"
            if sheet.layout != "nvidia-smi -L" or "nvidia-smi" not in self.sheets:
                names.append(title)
        return "+".join(dict.fromkeys(names))
