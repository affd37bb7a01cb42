"""The report for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from envdoctor.diagnosis.model import Diagnosed, Finding, Fix, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.report.words import headline, machine_lines

TONES = {
    "good": ("✓", "ok:", "bold green"),
    "warning": ("!", "warning:", "bold yellow"),
    "bad": ("✗", "error:", "bold red"),
}
COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
INDENT = 3


def print_report(console: Console, snapshot: Snapshot, diagnosed: Diagnosed) -> None:
    """Headline, machine, findings worst first; each: what, why, the commands."""
    verdict = headline(snapshot, diagnosed)
    symbol, word, style = TONES[verdict.tone]
    mark = symbol if console.encoding.lower().startswith("utf") else word
    console.print(Text(f"{mark} {verdict.text}", style=style))
    console.print()
    console.print(_machine(snapshot))
    roots = [f for f in diagnosed.findings if f.consequence_of is None]
    for number, finding in enumerate(roots, 1):
        console.print()
        _finding(console, number if len(roots) > 1 else None, finding, diagnosed)
    failed = [f"{p.name} ({p.error})" for p in snapshot.probes if p.outcome != "ok"]
    if failed:
        console.print()
        console.print(Text(f"Not everything could be looked at: {'; '.join(failed)}", style="yellow"))


def _machine(snapshot: Snapshot) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in machine_lines(snapshot):
        grid.add_row(label, Text(text))
    return grid


def _finding(console: Console, number: int | None, finding: Finding, diagnosed: Diagnosed) -> None:
    severity = finding.severity or Severity.ERROR
    head = Text(f"{number}. " if number else "", style="bold")
    head.append(finding.code, style=f"bold {COLOURS[severity]}")
    head.append(f"  {severity.value}", style=COLOURS[severity])
    if finding.confidence < 1:
        head.append(", likely" if finding.confidence > 0.5 else ", one of two causes", style="dim")
    console.print(head)
    _block(console, Text(finding.summary))
    console.print()
    why = Table.grid(padding=(0, 2, 0, 0))
    why.add_column(no_wrap=True, style="dim")
    why.add_column(overflow="fold")
    for evidence in finding.evidence:
        why.add_row(evidence.fact, Text(evidence.value))
    _block(console, why)
    for position, fix in enumerate(finding.fixes):
        console.print()
        _fix(console, fix, first=position == 0)
    behind = [f.code for f in diagnosed.findings if f.consequence_of == finding.code]
    if behind:
        console.print()
        _block(console, Text(f"Follows from it and goes with it: {', '.join(behind)}", style="dim"))


def _fix(console: Console, fix: Fix, *, first: bool) -> None:
    title = Text("Fix: " if first else "Or:  ", style="bold green" if first else "bold")
    title.append(fix.title, style="bold")
    needs = [word for word, needed in (("root", fix.needs_root), ("reboot", fix.needs_reboot)) if needed]
    if needs:
        title.append(f"  (needs {' and '.join(needs)})", style="yellow")
    _block(console, title)
    for line in _command_lines(fix):
        # Never wrapped by us: a command must come out of the terminal in one piece.
        console.print(" " * (INDENT + 2), line, sep="", no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
    if fix.note:
        _block(console, Text(fix.note, style="italic"), INDENT + 2)


def _command_lines(fix: Fix) -> Iterator[Text]:
    for command in fix.commands:
        yield Text(command, style="dim" if command.startswith("#") else "cyan")
    if fix.verify:
        yield Text("# then see that it worked:", style="dim")
        yield Text(fix.verify, style="cyan")


def _block(console: Console, content: Text | Table, indent: int = INDENT) -> None:
    console.print(Padding(content, (0, 0, 0, indent)))
