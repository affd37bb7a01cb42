"""An answer about versions, for a person at a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from rich.text import Text

from envdoctor.compat import Answer, JudgedReason, NearestChange
from envdoctor.console import Console
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.freshness import TableAge
from envdoctor.report.lines import wrapped

_MARKS = {
    "yes": ("✓", "ok", "green"),
    "no": ("✗", "no", "red"),
    "unknown": ("?", "??", "yellow"),
    "caution": ("!", "! ", "yellow"),
}
_HOW_KNOWN = {
    "rule": "by rule",
    "source-script": "from the build script",
    "source-doc": "from a document",
    "runtime-table": "from torch's own table",
    "conflict": "sources conflict",
    "observed": "as observed",
}
_ASIDE = "dim"


def print_answer(console: Console, answer: Answer, *, sources: bool = False, stale: Iterable[TableAge] = ()) -> None:
    """Summary first, then why, then what works instead, then the command; the sources where asked for, with the tables that
    are `stale`."""
    numbers = {source: number for number, source in enumerate(answer.sources, 1)} if sources else {}
    utf8 = console.encoding.lower().startswith("utf")
    # A single reason stands in the summary; repeating it below would only be longer.
    decisive = [reason for reason in answer.reasons if reason.verdict == answer.answer]
    told = decisive[0] if answer.answer in ("no", "unknown") and len(decisive) == 1 else None
    notes = _notes(told.sources, numbers) if told is not None else Text()
    if answer.answer is None:
        wrapped(console, Text(answer.summary, style="bold"))
    else:
        mark, _, colour = _MARKS[answer.answer]
        wrapped(console, Text(answer.summary, style=f"bold {colour}") + notes, lead=f"{mark} " if utf8 else "")
    if answer.facts:
        console.print()
        width = max(len(fact.label) for fact in answer.facts)
        for fact in answer.facts:
            lead = Text(f"  {fact.label:<{width}}  ", style=_ASIDE)
            wrapped(console, Text(fact.value) + _notes(fact.sources, numbers), lead=lead)
    others = [reason for reason in answer.reasons if reason is not told]
    if others:
        console.print()
    for reason in others:
        _reason(console, reason, numbers, utf8=utf8)
    if answer.nearest:
        console.print()
        console.print(Text("Nearest that works:" if len(answer.nearest) == 1 else "What works instead:", style="bold"))
        for change in answer.nearest:
            _change(console, change, numbers)
    elif answer.build is not None:
        console.print()
        _command(console, answer.build)
    if answer.newer_than_table:
        console.print()
        text = f"Newer than the table of {answer.as_of}: {'; '.join(answer.newer_than_table)}. What is said of it is by rule."
        wrapped(console, Text(text, style="yellow"))
    if numbers:
        console.print()
        console.print(Text("Sources", style="bold"))
        for source, number in numbers.items():
            wrapped(console, Text(source), lead=f"  [{number}] ")
    ages = [f"{age.table} ({age.as_of})" for age in stale]
    if ages:
        console.print()
        text = f"Older than they should be: {', '.join(ages)}. What they say may have changed since."
        wrapped(console, Text(text, style="yellow"))


def _reason(console: Console, reason: JudgedReason, numbers: dict[str, int], *, utf8: bool) -> None:
    mark, plain, colour = _MARKS[reason.verdict]
    text = Text(reason.text)
    if how := _HOW_KNOWN.get(reason.confidence):
        text.append(f" ({how})", style=_ASIDE)
    wrapped(console, text + _notes(reason.sources, numbers), lead=Text(f"  {mark if utf8 else plain} ", style=colour))


def _change(console: Console, change: NearestChange, numbers: dict[str, int]) -> None:
    wrapped(console, Text(change.text) + _notes(change.sources, numbers), lead=f"  {change.change}: ")
    if change.pip and change.change == "torch":
        _pip(console, change.pip)


def _command(console: Console, build: TorchBuild) -> None:
    _pip(console, build.pip_arguments())


def _pip(console: Console, arguments: Iterable[str]) -> None:
    """On one line however long: a command that is broken cannot be copied."""
    console.print(Text(f"    pip install {shlex.join(arguments)}", style="cyan"), soft_wrap=True)


def _notes(sources: Iterable[str], numbers: dict[str, int]) -> Text:
    cited = sorted(numbers[source] for source in sources if source in numbers)
    return Text(f" [{', '.join(map(str, cited))}]" if cited else "", style=_ASIDE)
