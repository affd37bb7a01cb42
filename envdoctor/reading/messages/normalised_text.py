"""Text as signatures see it: without colours, log prefixes, letter case and white space, each place with its line.

Terminals and loggers wrap long messages anywhere, in mid-word too, and put a rank or a time before every piece. So a message
is looked for in the text with all white space taken out, across line ends, and what was found is shown as it stood there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

# Every pattern here starts at a fixed place and repeats single character classes only: none can backtrack far.
_COLOURS = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()][0-9A-B]|[=>])")
_PREFIXES = re.compile(
    r"""\s+
    |\[?(?:default|rank|local_rank)[ _]?\d{1,5}\]?:?(?=\s|\[)                         # torchrun, torch's own logger
    |\[\d{1,5},\d{1,5}\]<std(?:out|err)>:                                             # mpirun
    |\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?:?   # ISO 8601
    |[A-Z][a-z]{2}\ +\d{1,2}\ \d\d:\d\d:\d\d\ [\w.-]{1,64}\ (?=[\w.-]{1,32}[\[:])     # syslog, journal
    |\[\ {0,8}[+-]?\d{1,9}\.\d{3,9}\]                                                  # dmesg
    |kern(?:el)?:(?:\s{0,4}(?:err|warning|info|notice):)?
    |\((?:[\w.:-]{1,64}\ )?pid=\d{1,9}(?:,\ ip=[\d.]{7,15})?\)                        # ray, vLLM
    |[EF]\ {3}                                                                        # pytest
    |\#\d{1,4}\ \d{1,5}\.\d{1,4}\ (?=\S|$)                                            # BuildKit
    |[\w.-]{1,64}\ {1,8}\|\ (?=\S|$)                                                  # docker compose
    |[|>]\ (?!>)
    |NVRM:
    """,
    re.VERBOSE,
)
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u00b4": "'", "\u201c": '"', "\u201d": '"', "\u0130": "I"})
LONGEST_LINE = 8_000
"""Longer lines are data; an error at their ends is still found in the first and last half of this."""
SHOWN = 400


def cleaned(line: str) -> str:
    """A line without colours and without what a logger put before it."""
    if "\x1b" in line:
        line = _COLOURS.sub("", line)
    if not line.isascii():
        line = line.translate(_QUOTES)
    start = 0
    for _ in range(8):
        found = _PREFIXES.match(line, start)
        if found is None:
            break
        start = found.end()
    return line[start:].rstrip()


def squashed(text: str) -> str:
    """Lower case, no white space, one kind of quotes."""
    if not text.isascii():
        text = text.translate(_QUOTES)
    return "".join(text.lower().replace("`", "'").split())


class Page:
    """Some lines of a text, squashed into one string in which messages are looked for."""

    def __init__(self, lines: Sequence[str], first: int = 1) -> None:
        """`first` is the number of the first line."""
        self.first = first
        self.lines = [cleaned(_shortened(line)) for line in lines]
        pieces = [squashed(line) for line in self.lines]
        self.starts: list[int] = []
        place = 0
        for piece in pieces:
            self.starts.append(place)
            place += len(piece)
        self.text = "".join(pieces)

    def line_at(self, place: int) -> int:
        """The index of the line in which this place of `text` lies."""
        return max(bisect_right(self.starts, place) - 1, 0)

    def original(self, start: int, end: int) -> str:
        """What stood in the lines at this part of `text`, with its spaces and capitals."""
        if end <= start:
            return ""
        first, last = self.line_at(start), self.line_at(end - 1)
        if first == last:
            return _part(self.lines[first], start - self.starts[first], end - self.starts[first])
        pieces = [_part(self.lines[first], start - self.starts[first], None)]
        pieces += self.lines[first + 1 : last]
        pieces.append(_part(self.lines[last], 0, end - self.starts[last]))
        return " ".join(pieces)

    def whole_lines(self, start: int, end: int) -> str:
        """The lines that this part of `text` stands in, joined."""
        first, last = self.line_at(start), self.line_at(max(end - 1, start))
        return " ".join(" ".join(self.lines[first : last + 1]).split())

    def shown(self, start: int, end: int) -> str:
        """The same, cut to what fits a report: a long line from where the words stand."""
        whole = self.whole_lines(start, end)
        if len(whole) <= SHOWN:
            return whole
        begin = max(whole.find(" ".join(self.original(start, end).split())[:40]), 0)
        begin = 0 if begin + (end - start) < SHOWN else begin
        cut = whole[begin : begin + SHOWN - 8].rstrip()
        return f"{'... ' if begin else ''}{cut}{' ...' if begin + len(cut) < len(whole) else ''}"


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} {line[-LONGEST_LINE // 2 :]}"


def _part(line: str, start: int, end: int | None) -> str:
    """Characters `start` to `end` of a line, counted without its white space."""
    count, first, last = 0, None, len(line)
    for place, character in enumerate(line):
        if character.isspace():
            continue
        if count == start and first is None:
            first = place
        if end is not None and count == end:
            last = place
            break
        count += 1
    return "" if first is None else line[first:last].rstrip()
