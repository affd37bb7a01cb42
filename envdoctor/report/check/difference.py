"""Two machines beside each other: for a person, for an issue, for a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from rich.text import Text

from envdoctor.console import Console
from envdoctor.diagnosis.model import Diagnosed, Finding, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.machine_diff.difference import Compared, Difference, Weight
from envdoctor.machine_diff.fact_table import Value
from envdoctor.report.check.headline import gibibytes, headline
from envdoctor.report.lines import wrapped

SCHEMA = "envdoctor.diff/1"
NOT_KNOWN = "not known"
_HEADINGS = {
    Weight.DECISIVE: "What can decide whether torch runs",
    Weight.RELEVANT: "What may matter",
    Weight.MINOR: "What rarely matters",
}
_ONE_SIDED = "Known of one machine only"
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
_SHOWN_ONE_SIDED = 12
_LABEL = 26
_SIZES = ("memory_total", "shm_total")


class ComparedMachine(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two machines: what the user called it, and what it is."""

    letter: str
    name: str
    snapshot: Snapshot
    diagnosed: Diagnosed


class DiffFile(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The comparison for scripts. In `a` and `b`, null is not known and false is known to be absent."""

    findings: object
    differences: tuple[Difference, ...]


def to_json(compared: Compared) -> str:
    """`envdoctor.diff/1` as indented JSON text."""
    file = DiffFile(findings=compared.findings, differences=compared.differences)
    return msgspec.json.format(msgspec.json.encode(file), indent=2).decode()


def said(difference: Difference, value: Value | None) -> str:
    """A value in words: sizes in GiB, known absence and what is not known told apart."""
    if value is None:
        return NOT_KNOWN
    if value is False:
        # What is a switch on the other side is off here; anything else that is False is not there.
        switch = difference.a is True or difference.b is True
        return "no" if switch else "not set" if difference.fact.startswith("environment.") else "none"
    if value is True:
        return "yes"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, int) and difference.fact.endswith(_SIZES):
        return gibibytes(value)
    return str(value)


def label(difference: Difference) -> str:
    """The fact's name; a package by its own."""
    return difference.fact.removeprefix("interpreter.distributions.")


def sections(compared: Compared) -> Iterator[tuple[str, list[Difference]]]:
    """The differences under their headings, those that only one side knows last."""
    for weight, heading in _HEADINGS.items():
        chosen = [d for d in compared.differences if d.weight is weight and d.known]
        if chosen:
            yield heading, chosen
    one_sided = [d for d in compared.differences if not d.known]
    if one_sided:
        yield _ONE_SIDED, one_sided


def _only(compared: Compared, sides: Sequence[ComparedMachine]) -> Iterator[tuple[ComparedMachine, list[Finding]]]:
    for side, codes in zip(sides, (compared.findings.only_a, compared.findings.only_b), strict=True):
        found = [finding for finding in side.diagnosed.findings if finding.code in codes]
        if found:
            yield side, found


def conclusion(compared: Compared) -> str | None:
    """What to say where nothing telling differs."""
    if compared.telling:
        return None
    return "Nothing telling differs." if compared.differences else "Nothing differs."


def print_difference(
    console: Console, compared: Compared, sides: Sequence[ComparedMachine], *, everything: bool = False
) -> None:
    """Both verdicts, the findings that only one has, then the facts, the telling ones first."""
    for side in sides:
        wrapped(console, Text(f"{side.name}: {_verdict(side)}"), Text(f"{side.letter}  ", style="bold"))
    for side, found in _only(compared, sides):
        console.print()
        console.print(Text(f"Only {side.letter} has", style="bold"))
        width = max(len(finding.code) for finding in found)
        for finding in found:
            colour = _COLOURS[finding.severity or Severity.ERROR]
            wrapped(console, Text(finding.title), Text(f"  {finding.code:<{width}}  ", style=colour))
    for heading, chosen in sections(compared):
        console.print()
        console.print(Text(heading, style="bold"))
        if heading == _ONE_SIDED and not everything:
            _one_sided(console, chosen)
        else:
            _rows(console, chosen)
    if said_last := conclusion(compared):
        console.print()
        console.print(Text(said_last, style="green"))


def _verdict(side: ComparedMachine) -> str:
    return headline(side.snapshot, side.diagnosed).text


def _rows(console: Console, chosen: Sequence[Difference]) -> None:
    """Fact, A and B in columns where they fit; else one under the other, so that nothing is cut."""
    names = [label(d) for d in chosen]
    first = min(max(map(len, names)), _LABEL) + 2
    column = (console.width - first - 4) // 2
    for d, name in zip(chosen, names, strict=True):
        a, b = said(d, d.a), said(d, d.b)
        if len(name) <= first - 2 and len(a) <= column and len(b) <= column:
            console.print(Text(f"  {name:<{first}}", style="dim") + Text(f"{a:<{column}}  {b}"), soft_wrap=True)
            continue
        console.print(Text(f"  {name}", style="dim"), soft_wrap=True)
        for letter, text in (("A", a), ("B", b)):
            wrapped(console, Text(text), Text(f"    {letter}  ", style="dim"), whole=False)


def _one_sided(console: Console, chosen: Sequence[Difference]) -> None:
    """Names only: what one machine does not say is no difference, and seldom worth a line each."""
    for letter, names in (
        ("A", [label(d) for d in chosen if d.b is None]),
        ("B", [label(d) for d in chosen if d.a is None]),
    ):
        if names:
            other = "B" if letter == "A" else "A"
            more = f" and {len(names) - _SHOWN_ONE_SIDED} more (--all)" if len(names) > _SHOWN_ONE_SIDED else ""
            text = f"{', '.join(names[:_SHOWN_ONE_SIDED])}{more}"
            wrapped(console, Text(text), Text(f"  {NOT_KNOWN} of {other}  ", style="dim"))


def to_markdown(compared: Compared, sides: Sequence[ComparedMachine]) -> str:
    """GitHub-flavoured Markdown, every value in a code span of its own."""
    from envdoctor.report.check.markdown import cell, plain

    lines = ["### envdoctor: what differs", "", "| | machine | verdict |", "|---|---|---|"]
    lines += [f"| {side.letter} | {cell(side.name)} | {plain(_verdict(side))} |" for side in sides]
    for side, found in _only(compared, sides):
        lines += ["", f"#### Only {side.letter} has", ""]
        lines += [f"- `{finding.code}`: {plain(finding.title)}" for finding in found]
    for heading, chosen in sections(compared):
        lines += ["", f"#### {heading}", "", "| fact | A | B |", "|---|---|---|"]
        lines += [f"| {cell(d.fact)} | {cell(said(d, d.a))} | {cell(said(d, d.b))} |" for d in chosen]
    if said_last := conclusion(compared):
        lines += ["", said_last]
    return "\n".join(lines)
