"""A comparison of benchmark results in words: for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from rich.text import Text

from envdoctor.bench.compare import (
    ABSENT,
    DIFFERENT_WORK,
    INVALID,
    NO_DIFFERENCE,
    PASSED,
    Against,
    ComparedFigure,
    Comparison,
    Efficiency,
    Side,
)
from envdoctor.console import Console
from envdoctor.report.bench.result_text import grouped
from envdoctor.report.check.headline import SEPARATOR
from envdoctor.report.check.text import hanging, speaks_unicode
from envdoctor.report.figures import number, quantity

COLOURS = {"faster": "green", "better": "green", "slower": "red", "worse": "red"}
VALUE, RATIO, INTERVAL = 10, 8, 14
REST = 2 * VALUE + RATIO + INTERVAL + 13
"""Characters of a line beside its name: the verdict has eleven and a gap."""
MOST_CONFOUNDERS = 12


def to_json(comparison: Comparison) -> str:
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode()


def ratio_words(value: float) -> str:
    """'1.37x', and three decimals where little differs: '1.004x'."""
    return f"{value:.3f}x" if abs(value - 1) < 0.1 else f"{value:.2f}x"


def verdict_words(found: Against, baseline: str = "A") -> str:
    """The overall verdict in one sentence."""
    if found.mean is None:
        return f"{found.other} against {baseline}: no valid workload in common"
    over = f"over {found.common} workload{'s' if found.common != 1 else ''}"
    spread = ""
    if found.interval is not None:
        spread = f" (95 %: {ratio_words(found.interval[0])} to {ratio_words(found.interval[1])})"
    mean = f"{ratio_words(found.mean)}{spread} {over}"
    if found.verdict in ("faster", "slower"):
        return f"{found.other} is {found.verdict} than {baseline}: {mean}"
    if found.verdict == NO_DIFFERENCE:
        return f"No difference shown between {baseline} and {found.other}: {mean}"
    return f"{found.other} against {baseline}, without a verdict: {mean}"


def side_words(side: Side) -> list[str]:
    """What a reader must know of a side."""
    parts = [
        side.device.name if side.device else None,
        f"torch {side.torch}" if side.torch else None,
        f"driver {side.driver}" if side.driver and side.device and side.device.type == "cuda" else None,
        f"{side.launches} launch{'es' if side.launches != 1 else ''}",
        side.created[:10] if side.created else None,
        "partial" if side.partial else None,
    ]
    return [part for part in parts if part]


def row_verdict(row: ComparedFigure) -> str:
    """The verdict, with a question mark where it may be one of many figures' chances."""
    if row.verdict in COLOURS:
        return row.verdict if row.firm else f"{row.verdict}?"
    if row.verdict == NO_DIFFERENCE and row.detectable is not None:
        return f"no difference (finds {smallest(row.detectable)})"
    return row.verdict


def smallest(detectable: float) -> str:
    """The smallest difference that would be found: '2.3 %', '40 %'; a factor from 2 on, as '16622 %' is read by nobody."""
    if detectable >= 2:
        return f"x{detectable:.0f}" if detectable < 1000 else "x1000"
    return f"{(detectable - 1) * 100:.{1 if detectable < 1.1 else 0}f} %"


def legend(rows: Sequence[ComparedFigure]) -> list[str]:
    """What the marks in the table mean, for those that are in it."""
    lines = []
    if any(row.verdict in COLOURS and not row.firm for row in rows):
        judged = sum(row.p is not None for row in rows)
        lines.append(
            f"? differs at 95 %, but of {judged} figures one in twenty does by chance; measure again to be sure."
        )
    if any(row.verdict == NO_DIFFERENCE for row in rows):
        lines.append(
            "finds N % (xN: a factor): the smallest difference that so many launches would show in 4 of 5 comparisons."
        )
    return lines


def aside(rows: Sequence[ComparedFigure]) -> list[str]:
    """What is in the results and not in the table: gates that both pass, and what only one of them has."""
    said: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict in (ABSENT, PASSED):
            said.setdefault("both pass their gates" if row.verdict == PASSED else row.why or row.verdict, []).append(
                row.workload
            )
    return [f"{words}: {', '.join(names)}" for words, names in said.items()]


# --- the terminal ---------------------------------------------------------------------------------------------------------


def print_comparison(console: Console, comparison: Comparison) -> None:
    """The sides, and each against the first."""
    baseline = comparison.sides[0]
    for found in comparison.against:
        style = {"faster": "bold green", "slower": "bold red"}.get(found.verdict, "bold")
        hanging(console, Text(verdict_words(found, baseline.name), style=style), 0)
    console.print()
    separator = SEPARATOR if speaks_unicode(console) else ", "
    for side in comparison.sides:
        lead = Text(f"{side.name}  ", style="bold")
        hanging(console, Text.assemble((side.source, "bold"), f"  {separator.join(side_words(side))}"), 3, lead)
    for found in comparison.against:
        console.print()
        _table(console, baseline, found)
        _below(console, baseline, found)


def _table(console: Console, baseline: Side, found: Against) -> None:
    ratio = f"{found.other}/{baseline.name}"
    name, unicode = _name_width(found.rows, console.width), speaks_unicode(console)
    head = f"{'':<{name}}{baseline.name:>{VALUE}}{found.other:>{VALUE}}{ratio:>{RATIO}}{'95 %':>{INTERVAL}}  verdict"
    console.print(Text(head, style="dim"), soft_wrap=True)
    above = ""
    for row in found.rows:
        if row.verdict in (ABSENT, PASSED):
            continue
        if row.ratio is None:
            lead = Text(f"{row.workload:<{name}} ")
            hanging(console, Text(f"{row.verdict}: {row.why}", style="dim"), len(lead), lead)
            continue
        style = "strike dim" if row.verdict == INVALID else ""
        label = f"{row.workload} {row.metric}"
        if row.workload == above or len(label) >= name:
            if row.workload != above:
                console.print(Text(row.workload), soft_wrap=True)
            label = f"  {row.metric}"
        above = row.workload
        line = Text(label.ljust(name))
        interval = f"{row.interval[0]:.3f}-{row.interval[1]:.3f}" if row.interval else ""
        cells = (
            (number(row.baseline), VALUE, ""),
            (number(row.other), VALUE, ""),
            (ratio_words(row.ratio), RATIO, "bold"),
        )
        for text, width, plain in (*cells, (interval, INTERVAL, "")):
            line.append(" " * (width - len(text)))
            line.append(text, style=style or plain)
        line.append(f"  {short_verdict(row, unicode=unicode)}", style=COLOURS.get(row.verdict, "dim"))
        console.print(line, soft_wrap=True)


def _name_width(rows: Sequence[ComparedFigure], width: int) -> int:
    """Room for the names: whole ones, even where lines get longer than the terminal."""
    whole = max((len(f"{row.workload} {row.metric}") for row in rows), default=0) + 1
    parts = max((len(part) for row in rows for part in (row.workload, f"  {row.metric}")), default=0) + 1
    return max(min(whole, width - REST), parts)


def short_verdict(row: ComparedFigure, *, unicode: bool = True) -> str:
    """The verdict in the eleven characters that a terminal has left for it."""
    if row.verdict == NO_DIFFERENCE and row.detectable is not None:
        mark = "" if row.detectable >= 2 else "±" if unicode else "+-"
        return f"= ({mark}{smallest(row.detectable)})"
    return row_verdict(row) if row.verdict in COLOURS else row.verdict


def _below(console: Console, baseline: Side, found: Against) -> None:
    rows = found.rows
    if any(row.verdict == NO_DIFFERENCE for row in rows):
        mark = "±" if speaks_unicode(console) else "+-"
        words = f"= ({mark}N %): no difference shown; N (xN: a factor) is the least that would show in 4 of 5 such comparisons."
        hanging(console, Text(words, style="dim"), 0)
    for line in legend([row for row in rows if row.verdict != NO_DIFFERENCE]):
        hanging(console, Text(line, style="dim"), 0)
    struck = dict.fromkeys((row.workload, row.why or "") for row in rows if row.verdict == INVALID and row.ratio)
    for names, why in grouped(list(struck)):
        hanging(console, Text.assemble(("invalid: ", "red"), f"{', '.join(names)}: {why}"), 3, Text("   "))
    for line in aside(rows):
        hanging(console, Text(line), 3, Text("   "))
    if found.efficiency:
        console.print()
        for gain in found.efficiency:
            console.print(efficiency_words(gain, baseline.name, found.other), soft_wrap=True)
    if found.confounders:
        console.print()
        console.print(Text("What else differs, and may be the reason:", style="bold"))
        for item in found.confounders[:MOST_CONFOUNDERS]:
            hanging(
                console, Text(f"{item.baseline} -> {item.other}"), 5, Text.assemble("   ", (f"{item.what}: ", "dim"))
            )
        more = len(found.confounders) - MOST_CONFOUNDERS
        if more > 0:
            console.print(f"   and {more} more (--format json lists them)")
    for note in found.notes:
        console.print()
        hanging(console, Text(note, style="yellow"), 0)


def efficiency_words(item: Efficiency, baseline: str, other: str) -> str:
    values = f"{baseline} {quantity(item.baseline, item.unit)}, {other} {quantity(item.other, item.unit)}"
    return f"{item.workload}: {values} ({ratio_words(item.ratio)})"


# --- Markdown -------------------------------------------------------------------------------------------------------------


def to_markdown(comparison: Comparison) -> str:
    """For an issue or a pull request."""
    return "\n".join(_markdown(comparison)) + "\n"


def _markdown(comparison: Comparison) -> Iterator[str]:
    baseline = comparison.sides[0]
    yield "## Benchmark comparison"
    yield ""
    for found in comparison.against:
        yield f"**{verdict_words(found, baseline.name)}**"
        yield ""
    yield "| | result | measured with |"
    yield "|---|---|---|"
    for side in comparison.sides:
        yield f"| {side.name} | {_cell(side.source)} | {_cell(', '.join(side_words(side)))} |"
    for found in comparison.against:
        yield ""
        yield f"### {found.other} against {baseline.name}"
        yield ""
        yield f"| workload | figure | {baseline.name} | {found.other} | ratio | 95 % | verdict |"
        yield "|---|---|---:|---:|---:|---|---|"
        for row in found.rows:
            if row.verdict not in (ABSENT, PASSED):
                yield _markdown_row(row)
        for line in (*aside(found.rows), *legend(found.rows)):
            yield f"\n{line}"
        if found.efficiency:
            yield ""
            yield from (f"- {efficiency_words(gain, baseline.name, found.other)}" for gain in found.efficiency)
        if found.confounders:
            yield "\nWhat else differs, and may be the reason:\n"
            yield from (f"- {item.what}: {item.baseline} → {item.other}" for item in found.confounders)
        for note in found.notes:
            yield f"\n> {note}"


def _markdown_row(row: ComparedFigure) -> str:
    if row.ratio is None:
        return f"| {row.workload} | | | | | | {row.verdict}: {_cell(row.why or '')} |"
    values = [quantity(row.baseline, row.unit), quantity(row.other, row.unit), ratio_words(row.ratio)]
    if row.verdict == INVALID:
        values = [f"~~{value}~~" for value in values]
    interval = f"{row.interval[0]:.3f}-{row.interval[1]:.3f}" if row.interval and row.verdict != INVALID else ""
    why = f": {_cell(row.why)}" if row.why and row.verdict in (INVALID, DIFFERENT_WORK) else ""
    return f"| {row.workload} | {row.metric} | {' | '.join(values)} | {interval} | {row_verdict(row)}{why} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
