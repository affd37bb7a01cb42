"""What `explain` says, for a person at a terminal: the causes of a text, or a diagnosis's page."""

from __future__ import annotations

from rich.text import Text

from envdoctor.console import Console
from envdoctor.diagnosis.model import Diagnosed, Diagnosis, Finding, MachineSays, Severity
from envdoctor.report.check.headline import shortened, telling_command
from envdoctor.report.check.text import COLOURS, INDENT, hanging, print_fix, print_harmless, print_quote, speaks_unicode

SHOWN = 3
"""Candidates that are shown in full or in brief; the JSON has them all."""


def print_explanation(console: Console, diagnosed: Diagnosed, *, everything: bool = False) -> None:
    """The best cause with its fixes, then the others in brief."""
    causes = [f for f in diagnosed.findings if f.severity is not Severity.INFO]
    if not causes:
        _nothing_known(console, diagnosed)
        print_harmless(console, diagnosed)
        return
    shown = causes if everything else causes[:SHOWN]
    for position, cause in enumerate(shown):
        if position:
            console.print()
        _cause(console, cause, first=position == 0, everything=everything)
    more = [c.code for c in causes[len(shown) :]]
    print_harmless(console, diagnosed)
    console.print()
    closing = [f"Less likely: {', '.join(more)}."] if more else []
    closing.append(f"More about it: envdoctor explain {causes[0].code}")
    hanging(console, Text(" ".join(closing), style="dim"), 0)


def _nothing_known(console: Console, diagnosed: Diagnosed) -> None:
    """Three different answers: an error of the program's own, one that nobody here understands, none at all."""
    number = f"{diagnosed.lines:,} line{'s' if diagnosed.lines != 1 else ''} read"
    if diagnosed.not_understood:
        line = diagnosed.not_understood[-1]
        hanging(console, Text(f"Not understood ({number}): no known cause has these words.", style="bold"), 0)
        console.print()
        hanging(console, Text(shortened(line.text), style="dim"), INDENT + 2, Text(" " * INDENT + "> ", style="dim"))
        console.print()
        hanging(console, Text("The machine's own facts may tell: envdoctor check"), 0)
    elif diagnosed.own_errors:
        line = diagnosed.own_errors[-1]
        hanging(console, Text(f"The program's own error ({number}), and not the environment's.", style="bold"), 0)
        console.print()
        hanging(console, Text(shortened(line.text), style="dim"), INDENT + 2, Text(" " * INDENT + "> ", style="dim"))
        console.print()
        hanging(console, Text("If you suspect the machine nevertheless, look at it: envdoctor check"), 0)
    else:
        hanging(console, Text(f"No error in it that envdoctor recognises ({number}).", style="bold"), 0)
        command = telling_command(diagnosed)
        if command is not None:
            console.print()
            console.print(Text("For a verdict on the machine, add the output of:", style="dim"))
            console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def _cause(console: Console, cause: Finding, *, first: bool, everything: bool) -> None:
    head = Text("" if first else "Or: ", style="bold")
    head.append(cause.code, style=f"bold {COLOURS[cause.severity or Severity.ERROR]}")
    head.append(f"  {_sureness(cause.confidence)} ({cause.confidence:.0%})", style="dim")
    console.print(head)
    hanging(console, Text(cause.summary), INDENT)
    if cause.quote:
        console.print()
        print_quote(console, cause)
    if cause.machine is not None:
        confirmed = cause.machine is MachineSays.CONFIRMS
        label = "Confirmed here: " if confirmed else "Ruled out here: "
        console.print()
        hanging(console, Text(f"{label}{cause.machine_reason}", style="green" if confirmed else "yellow"), INDENT)
    for position, fix in enumerate(cause.fixes if first or everything else cause.fixes[:1]):
        console.print()
        print_fix(console, fix, first=position == 0)


def _sureness(confidence: float) -> str:
    return (
        "surely"
        if confidence >= 0.9
        else "likely"
        if confidence >= 0.6
        else "possibly"
        if confidence >= 0.4
        else "a hint"
    )


def print_page(console: Console, diagnosis: Diagnosis) -> None:
    """A diagnosis's page: its title, then its chapters."""
    head = Text(diagnosis.code, style=f"bold {COLOURS[diagnosis.severity]}")
    head.append(f"  {diagnosis.severity.value}, {diagnosis.layer.value}", style=COLOURS[diagnosis.severity])
    console.print(head)
    hanging(console, Text(f"{diagnosis.title}.", style="bold"), 0)
    _, _, rest = diagnosis.page.partition("\n")
    for block in _blocks(rest):
        console.print()
        title, paragraphs = block
        console.print(Text(title, style="bold"))
        for position, paragraph in enumerate(paragraphs):
            if position:
                console.print()
            hanging(console, _prose(paragraph), INDENT)
    if diagnosis.messages:
        console.print()
        console.print(Text("Messages", style="bold"))
        bullet = "\u2022 " if speaks_unicode(console) else "- "
        for message in diagnosis.messages:
            hanging(console, Text(message.text, style="dim"), INDENT + 2, Text(" " * INDENT + bullet, style="dim"))
    if diagnosis.follows_from and diagnosis.follows_from != ("*",):
        console.print()
        hanging(console, Text(f"May follow from: {', '.join(diagnosis.follows_from)}", style="dim"), 0)


def _blocks(page: str) -> list[tuple[str, list[str]]]:
    """The page's chapters: a title at the margin, paragraphs indented under it and joined to one line each."""
    found: list[tuple[str, list[str]]] = []
    fresh = True
    for line in page.splitlines():
        if line and not line[0].isspace():
            found.append((line.strip(), []))
            fresh = True
        elif not line.strip():
            fresh = True
        elif found:
            if fresh or line.startswith(" " * 6) or line.lstrip().startswith(("- ", "* ")):
                found[-1][1].append(line.strip())
            else:
                found[-1][1][-1] += f" {line.strip()}"
            fresh = False
    return found


def _prose(text: str) -> Text:
    """Code spans in colour."""
    parts = text.split("`")
    shown = Text()
    for place, part in enumerate(parts):
        shown.append(part, style="cyan" if place % 2 else "")
    return shown
