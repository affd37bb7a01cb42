"""What `explain` says, for a person at a terminal: the causes of a text, or a diagnosis's page."""

from __future__ import annotations

from rich.text import Text

from envdoctor.console import Console
from envdoctor.credentials import without_credentials
from envdoctor.diagnosis.explaining import Candidate, Explanation
from envdoctor.diagnosis.model import Diagnosis
from envdoctor.report.check.text import COLOURS, INDENT, hanging, print_fix, speaks_unicode

SHOWN = 3
"""Candidates that are shown in full or in brief; the JSON has them all."""


def print_explanation(console: Console, explanation: Explanation, *, everything: bool = False) -> None:
    """The best candidate with its fixes, then the others in brief."""
    if not explanation.candidates:
        number = f"{explanation.lines:,} line{'s' if explanation.lines != 1 else ''}"
        hanging(console, Text(f"Not an environment problem that envdoctor knows ({number} read).", style="bold"), 0)
        console.print()
        hanging(
            console,
            Text(
                "The error is then most likely the program's own: a shape, a value, a file, too large a request. When you "
                "suspect the machine all the same, look at it: envdoctor check"
            ),
            0,
        )
        if _is_dump(explanation):
            hanging(
                console, Text("The text describes a whole machine: envdoctor check --from FILE judges all of it."), 0
            )
        return
    shown = explanation.candidates if everything else explanation.candidates[:SHOWN]
    for position, candidate in enumerate(shown):
        if position:
            console.print()
        _candidate(console, candidate, first=position == 0, everything=everything)
    more = [c.code for c in explanation.candidates[len(shown) :]]
    console.print()
    closing = [f"Less likely: {', '.join(more)}."] if more else []
    closing.append(f"More about it: envdoctor explain {explanation.candidates[0].code}")
    if _is_dump(explanation):
        closing.append("The text describes a whole machine: envdoctor check --from FILE judges all of it.")
    hanging(console, Text(" ".join(closing), style="dim"), 0)


def _is_dump(explanation: Explanation) -> bool:
    facts = explanation.facts
    return facts.created is not None or "collect_env" in (facts.source or "")


def _candidate(console: Console, candidate: Candidate, *, first: bool, everything: bool) -> None:
    head = Text("" if first else "Or: ", style="bold")
    head.append(candidate.code, style=f"bold {COLOURS[candidate.severity]}")
    head.append(f"  {_sureness(candidate.confidence)} ({candidate.confidence:.0%})", style="dim")
    console.print(head)
    hanging(console, Text(candidate.summary), INDENT)
    where = _where(candidate)
    if candidate.line:
        console.print()
        hanging(
            console,
            Text(without_credentials(candidate.line), style="dim"),
            INDENT + 2,
            Text(" " * INDENT + "> ", style="dim"),
        )
        if where:
            hanging(console, Text(where, style="dim"), INDENT + 2)
    if candidate.machine_says:
        confirmed = candidate.machine == "confirms"
        label = "Confirmed here: " if confirmed else "Ruled out here: "
        console.print()
        hanging(console, Text(label + candidate.machine_says, style="green" if confirmed else "yellow"), INDENT)
    for position, fix in enumerate(candidate.fixes if first or everything else candidate.fixes[:1]):
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


def _where(candidate: Candidate) -> str:
    if candidate.line_number is None:
        return ""
    if candidate.count > 1:
        return (
            f"line {candidate.line_number:,}, and {candidate.count:,} times up to line {candidate.last_line_number:,}"
        )
    return f"line {candidate.line_number:,}" if candidate.line_number > 1 else ""


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
