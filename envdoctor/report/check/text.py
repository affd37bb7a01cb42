"""The report for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from envdoctor.console import Console
from envdoctor.credentials import without_credentials
from envdoctor.diagnosis.model import Diagnosed, Finding, Fix, Severity, Verdict
from envdoctor.facts.model import Snapshot
from envdoctor.report.check.files import account_lines
from envdoctor.report.check.harmless_reasons import REASONS
from envdoctor.report.check.headline import SEPARATOR, headline, machine_lines, shortened, telling_command
from envdoctor.report.lines import wrapped

TONES = {
    "good": ("✓", "ok:", "bold green"),
    "warning": ("!", "warning:", "bold yellow"),
    "unknown": ("?", "?", "bold yellow"),
    "bad": ("✗", "error:", "bold red"),
}
COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
INDENT = 3
OPEN_LINES = 3
"""Lines that nobody understands that are shown beside the one in the headline."""
LABEL = 9
"""Width of the machine's labels with their gap."""


def print_report(console: Console, snapshot: Snapshot, diagnosed: Diagnosed, *, verbose: bool = False) -> None:
    """Headline, machine, findings worst first; each: what, why, the commands. `verbose`: and what was not found."""
    if diagnosed.files:
        print_files(console, snapshot, diagnosed)
    else:
        _print_machine(console, snapshot, diagnosed)
    if verbose and diagnosed.ran:
        console.print()
        print_ruled_out(console, diagnosed)


def _print_machine(console: Console, snapshot: Snapshot, diagnosed: Diagnosed) -> None:
    _headline(console, snapshot, diagnosed)
    console.print()
    _rows(console, [(label, _folded(console, parts)) for label, parts in machine_lines(snapshot)])
    print_open_questions(console, diagnosed)
    roots = diagnosed.roots
    for number, finding in enumerate(roots, 1):
        console.print()
        _finding(console, number if len(roots) > 1 else None, finding, diagnosed)
    if diagnosed.rivals:
        console.print()
        rivals = ", ".join(finding.code for finding in diagnosed.rivals)
        text = f"Less likely: {rivals} (`envdoctor explain` shows their repairs)"
        hanging(console, Text(text, style="dim"), 0)
    print_harmless(console, diagnosed)
    failed = [f"{p.name} ({p.error})" for p in snapshot.probes if p.outcome != "ok"]
    if failed:
        console.print()
        console.print(Text(f"Not everything could be looked at: {'; '.join(failed)}", style="yellow"))
    if diagnosed.unjudged:
        console.print()
        reasons = "; ".join(dict.fromkeys(diagnosed.unjudged.values()))
        text = f"Not judged, because the facts do not make sense: {', '.join(diagnosed.unjudged)} ({reasons})"
        hanging(console, Text(text, style="yellow"), 0)


def print_ruled_out(console: Console, diagnosed: Diagnosed) -> None:
    """A line for each cause that was looked for and not found. Where a fact is unknown, nothing is found either."""
    found = {finding.code for finding in diagnosed.findings} | set(diagnosed.unjudged)
    mark = "✓ " if speaks_unicode(console) else "ok: "
    console.print(Text("Looked for and not found", style="bold"))
    for code in diagnosed.ran:
        if code not in found:
            console.print(Text.assemble("  ", (mark, "green"), code))


def print_open_questions(console: Console, diagnosed: Diagnosed) -> None:
    """What was not understood, and the command that would tell what is missing."""
    more = diagnosed.not_understood[:-1][-OPEN_LINES:] if diagnosed.verdict is not Verdict.BROKEN else ()
    for failure in more:
        console.print()
        hanging(console, Text(f"Not understood: {shortened(failure.text)} (line {failure.line:,})", style="yellow"), 0)
    command = telling_command(diagnosed)
    if command is not None and not diagnosed.findings:
        console.print()
        console.print(Text("This would tell; add its output to the text:", style="dim"))
        console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def print_harmless(console: Console, diagnosed: Diagnosed) -> None:
    """Warnings that sound like a cause, each with the reason why it is none."""
    for warning in diagnosed.harmless:
        console.print()
        hanging(console, Text(f"Harmless: {shortened(warning.text)}", style="dim"), 0)
        hanging(console, Text(REASONS[warning.why], style="dim"), INDENT)


def print_files(console: Console, snapshot: Snapshot, diagnosed: Diagnosed) -> None:
    """The findings in files that describe environments, by file and line, each under its place."""
    _headline(console, snapshot, diagnosed)
    for account in diagnosed.accounts:
        console.print()
        if len(diagnosed.accounts) > 1:
            console.print(Text(account.file, style="bold"), soft_wrap=True)
        _rows(console, [(label, without_credentials(text)) for label, text in account_lines(account)])
    for finding in sorted(diagnosed.findings, key=lambda f: (f.file or "", f.line or 0)):
        console.print()
        console.print(Text(f"{finding.file}:{finding.line}", style="bold"), soft_wrap=True)
        _finding(console, None, finding, diagnosed)


def _headline(console: Console, snapshot: Snapshot, diagnosed: Diagnosed) -> None:
    verdict = headline(snapshot, diagnosed)
    symbol, word, style = TONES[verdict.tone]
    mark = symbol if speaks_unicode(console) else word
    hanging(console, Text(verdict.text, style=style), len(mark) + 1, Text(f"{mark} ", style=style))


def speaks_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def _rows(console: Console, rows: Sequence[tuple[str, str]], indent: int = 0) -> None:
    """Label and text in two columns; long text goes on under its own column."""
    width = max((len(label) for label, _ in rows), default=0)
    for label, text in rows:
        hanging(console, Text(text), indent + width + 2, Text(f"{' ' * indent}{label:<{width}}  ", style="dim"))


def _folded(console: Console, parts: Sequence[str]) -> str:
    """The parts in one line, or in several that break between parts and not inside one ('23.5 GiB')."""
    room = max(console.width - LABEL, 20)
    separator = SEPARATOR if speaks_unicode(console) else ", "
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}{separator}{part}" if lines[-1] else part
        if len(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(part)
    return "\n".join(lines)


def hanging(console: Console, body: Text, indent: int, first: Text | None = None) -> None:
    """Prints `body` wrapped, its lines indented, the first by what stands in `first`."""
    wrapped(console, body, first or Text(" " * indent), indent)


def _finding(console: Console, number: int | None, finding: Finding, diagnosed: Diagnosed) -> None:
    severity = finding.severity or Severity.ERROR
    head = Text(f"{number}. " if number else "", style="bold")
    head.append(finding.code, style=f"bold {COLOURS[severity]}")
    head.append(f"  {severity.value}", style=COLOURS[severity])
    if finding.confidence < 1:
        head.append(", likely" if finding.confidence > 0.5 else ", one of two causes", style="dim")
    console.print(head)
    hanging(console, Text(finding.summary), INDENT)
    if finding.quote or finding.evidence:
        console.print()
    if finding.line is not None or not finding.evidence:  # else the quote only repeats the evidence
        print_quote(console, finding)
    _rows(console, [(e.fact, e.value) for e in finding.evidence], INDENT)
    for position, fix in enumerate(finding.fixes):
        console.print()
        print_fix(console, fix, first=position == 0)
    behind = [f.code for f in diagnosed.findings if f.consequence_of == finding.code]
    if behind:
        console.print()
        hanging(console, Text(f"Follows from it and goes with it: {', '.join(behind)}", style="dim"), INDENT)


def print_quote(console: Console, finding: Finding) -> None:
    """The line of the text that tells, and where it stands."""
    if not finding.quote:
        return
    hanging(
        console,
        Text(without_credentials(finding.quote), style="dim"),
        INDENT + 2,
        Text(" " * INDENT + "> ", style="dim"),
    )
    if finding.line is not None and finding.count > 1:
        where = f"line {finding.line:,}, and {finding.count:,} times up to line {finding.last_line or finding.line:,}"
    else:
        where = f"line {finding.line:,}" if finding.line is not None and finding.line > 1 else ""
    if where:
        hanging(console, Text(where, style="dim"), INDENT + 2)


def print_fix(console: Console, fix: Fix, *, first: bool) -> None:
    title = Text("Fix: " if first else "Or:  ", style="bold green" if first else "bold")
    title.append(fix.title, style="bold")
    needs = [word for word, needed in (("root", fix.needs_root), ("reboot", fix.needs_reboot)) if needed]
    if needs:
        title.append(f"  (needs {' and '.join(needs)})", style="yellow")
    hanging(console, title, INDENT)
    for line in _command_lines(fix):
        # Never wrapped by us: a command must come out of the terminal in one piece.
        console.print(Text.assemble(" " * (INDENT + 2), line), soft_wrap=True)
    if fix.note and "\n" in fix.note:
        # Lines of a file: they come out of the terminal as they are to be written.
        for written in fix.note.splitlines():
            console.print(Text.assemble(" " * (INDENT + 2), (written, "cyan")), soft_wrap=True)
    elif fix.note:
        hanging(console, Text(fix.note, style="italic"), INDENT + 2)


def _command_lines(fix: Fix) -> Iterator[Text]:
    for command in fix.commands:
        yield Text(command, style="dim" if command.startswith("#") else "cyan")
    if fix.verify:
        yield Text("# then see that it worked:", style="dim")
        yield Text(fix.verify, style="cyan")
