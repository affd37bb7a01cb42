"""What the layouts collect before it is understood: raw values under canonical names, a sheet for each layout in the text."""

from __future__ import annotations

from dataclasses import dataclass, field

from envdoctor.facts.sections.gpu import Gpu

LONGEST_VALUE = 1_000
"""Characters of a value that are kept; the longest real one, sys.version, has some 200."""
MOST_ITEMS = 5_000
"""Longest list that a sheet keeps, far above any real package list."""


@dataclass
class Sheet:
    """One dump: the first value of each name stands."""

    layout: str
    title: str = ""
    """The name for people, where the layout has several."""
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str | None] = field(default_factory=dict)
    """Distributions that the layout names beside its own facts."""
    gpus: dict[int, Gpu] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    """Lists that were seen to end."""
    first_line: int = 0
    last_line: int = 0

    def put(self, key: str, value: str) -> None:
        self.values.setdefault(key, value[:LONGEST_VALUE].strip())

    def add(self, key: str, value: str) -> None:
        items = self.lists.setdefault(key, [])
        if len(items) < MOST_ITEMS:
            items.append(value[:LONGEST_VALUE])

    def get(self, key: str) -> str | None:
        """The value, None where it is missing or says nothing ('Could not collect', 'N/A')."""
        value = self.values.get(key)
        return None if value is None or says_nothing(value) else value

    @property
    def size(self) -> int:
        return len(self.values) + len(self.lists) + len(self.gpus) + (1 if self.environment else 0)


_NOTHING = frozenset(
    (
        "", "-", "?", "n/a", "na", "none", "no cuda", "nil", "null", "unknown", "could not collect", "not available",
        "not found", "<not set>", "not set", "not installed", "<fill in>", "no relevant packages", "unset",
        "can not collect", "cannot collect", "couldn't collect", "[n/a]", "[not supported]", "module not found",
    )
)  # fmt: skip


def says_nothing(value: str) -> bool:
    """Whether a value is one of the words for 'I do not know'."""
    return value.strip("`'\" .").lower() in _NOTHING


@dataclass
class Findings:
    """All sheets of a text, in the order in which their layouts first appeared."""

    sheets: list[Sheet] = field(default_factory=list)
    line: int = 0
    """The number of the line that is being read."""
    failed_at: int | None = None
    """The line of the last exception between the dumps."""

    def of(self, layout: str) -> Sheet | None:
        """The dump of a layout that counts. Of those with four facts or more the one nearest to the text's error, which people
        paste beside the environment that it is from; without an error the first. Where none is so full, the largest."""
        same = [sheet for sheet in self.sheets if sheet.layout == layout]
        full = [sheet for sheet in same if sheet.size >= 4]
        if len(full) > 1 and self.failed_at is not None:
            return min(full, key=self._distance)
        return full[0] if full else max(same, key=lambda s: s.size, default=None)

    def _distance(self, sheet: Sheet) -> int:
        """Lines between a dump and the error."""
        return max(sheet.first_line - (self.failed_at or 0), (self.failed_at or 0) - sheet.last_line, 0)

    def current(self, layout: str, *, start: str | None = None) -> Sheet:
        """The sheet that a layout writes to; a new one where `start`, its first value, comes again."""
        for sheet in reversed(self.sheets):
            if sheet.layout == layout:
                if start is None or start not in sheet.values:
                    sheet.last_line = self.line
                    return sheet
                break
        sheet = Sheet(layout, first_line=self.line, last_line=self.line)
        if len(self.sheets) < 200:
            self.sheets.append(sheet)
        return sheet
