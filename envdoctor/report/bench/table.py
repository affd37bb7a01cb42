"""The table of a benchmark's figures, as wide as the terminal lets it be. Names come first: a figure says nothing without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from envdoctor.bench.results import Metric, WorkloadResult
from envdoctor.console import Console
from envdoctor.report.check.text import speaks_unicode
from envdoctor.report.figures import bar, number, percent, sparkline

GAP = "  "
INDENT = "  "
ERROR, SHARE, SPREAD = 6, 14, 8
INVALID = "invalid"


class _Line(NamedTuple):
    """A row to be: `metric` is None for a workload's name that stands alone, and for a workload that failed."""

    workload: str
    name: str
    metric: Metric | None
    valid: bool = True
    failed: bool = False

    @property
    def label(self) -> str:
        if not self.workload:
            return INDENT + self.name
        return f"{self.workload} {self.name}" if self.name else self.workload


class _Columns(NamedTuple):
    """Characters for each column; 0: there is none."""

    name: int
    number: int
    unit: int
    share: int
    what: int
    spread: int


def print_table(console: Console, workloads: Sequence[WorkloadResult]) -> None:
    """Figure, half its 95 % interval, share of its limit (and of which, where there is room), distribution of its samples."""
    unicode = speaks_unicode(console)
    # Where nothing can be struck through, a word says it.
    says_invalid = not console.is_terminal or console.no_color
    columns = _columns(workloads, console.width, unicode=unicode, says_invalid=says_invalid)
    console.print(_head(columns, unicode=unicode), soft_wrap=True)
    for line in _lines(workloads, columns.name):
        console.print(_row(line, columns, unicode=unicode, says_invalid=says_invalid), soft_wrap=True)


def half_width(metric: Metric) -> float | None:
    """Half the 95 % interval over the value: a ratio; None where there is no interval."""
    if metric.ci95 is None or not metric.value:
        return None
    return (metric.ci95[1] - metric.ci95[0]) / 2 / abs(metric.value)


def half_words(metric: Metric) -> str:
    """The same for a reader; what is wider than the figure says that nothing is known of it, and no more."""
    half = half_width(metric)
    return "" if half is None else ">100 %" if half > 1 else percent(half)


def span(low: str, high: str) -> str:
    """'2.13 to 2.15', and '2.13' where both are that."""
    return low if low == high else f"{low} to {high}"


def _unit(metric: Metric) -> str:
    return "" if metric.unit in ("1", "ratio") else metric.unit


def _columns(workloads: Sequence[WorkloadResult], width: int, *, unicode: bool, says_invalid: bool) -> _Columns:
    metrics = [metric for workload in workloads for metric in workload.metrics.values()]
    digits = max((len(number(metric.value)) for metric in metrics), default=0)
    unit = max((len(_unit(metric)) for metric in metrics), default=0)
    share = SHARE if any(metric.limit for metric in metrics) else 0
    struck = says_invalid and any(not workload.valid for workload in workloads)
    spread = SPREAD if unicode or struck else 0
    what = max(
        (len(metric.limit.what) + len(" of ") for metric in metrics if metric.limit and metric.limit.what), default=0
    )
    least = max((len(INDENT + name) for workload in workloads for name in workload.metrics), default=0)
    least = max([least, *(len(workload.name) for workload in workloads)])
    wanted = max(
        [least, *(len(f"{workload.name} {name}") for workload in workloads for name in list(workload.metrics)[:1])]
    )

    def rest(*columns: int) -> int:
        """What is left of the line beside the figure, its interval and these columns."""
        taken = digits + 1 + unit + len(GAP) + ERROR + sum(len(GAP) + column for column in columns if column)
        return width - taken - len(GAP)

    # What gives way first is what a reader misses least.
    narrow = ((0, spread),) if struck else ((share, 0), (0, 0))
    for shown, room in (
        ((share + what, spread), wanted),
        ((share, spread), least),
        *((each, least) for each in narrow),
    ):
        if rest(*shown) >= room:
            break
    name = max(min(wanted, rest(*shown)), least)
    return _Columns(name, digits, unit, min(shown[0], share), max(shown[0] - share, 0), shown[1])


def _lines(workloads: Sequence[WorkloadResult], width: int) -> Iterator[_Line]:
    for workload in workloads:
        if not workload.metrics:
            yield _Line(workload.name, "", None, failed=True)
        for position, (name, metric) in enumerate(workload.metrics.items()):
            own = _Line(workload.name if position == 0 else "", name, metric, workload.valid)
            if len(own.label) > width:
                yield _Line(workload.name, "", None)
                own = own._replace(workload="")
            yield own


def _head(columns: _Columns, *, unicode: bool) -> Text:
    plus_minus = "±" if unicode else "+-"
    value = f"{'figure':>{columns.number}}".ljust(columns.number + 1 + columns.unit)
    head = f"{'':<{columns.name}}{GAP}{value}{GAP}{plus_minus + '95 %':>{ERROR}}"
    if columns.spread:
        head += GAP + ("spread" if unicode else "").ljust(columns.spread)
    return Text(f"{head}{GAP}of its limit" if columns.share else head.rstrip(), style="dim")


def _row(line: _Line, columns: _Columns, *, unicode: bool, says_invalid: bool) -> Text:
    text = Text()
    if line.workload:
        text.append(line.workload, style="bold")
        text.append(line.label[len(line.workload) :])
    else:
        text.append(line.label)
    text.pad_right(columns.name - len(line.label))
    text.append(GAP)
    if line.failed:
        return text.append("failed".rjust(columns.number), style="red")
    if line.metric is not None:
        _figures(text, line, line.metric, columns, unicode=unicode, says_invalid=says_invalid)
    text.rstrip()
    return text


def _figures(text: Text, line: _Line, metric: Metric, columns: _Columns, *, unicode: bool, says_invalid: bool) -> None:
    aside = "" if line.valid else "dim"
    digits, unit = number(metric.value), _unit(metric)
    text.append(" " * (columns.number - len(digits)))
    text.append(f"{digits} {unit}".rstrip(), style="bold" if line.valid else "strike dim")
    text.append(" " * (columns.unit - len(unit) + (0 if unit else 1)))
    text.append(f"{GAP}{half_words(metric):>{ERROR}}", style=aside)
    if columns.spread:
        spread = sparkline(metric.samples) if unicode else ""
        text.append(GAP + (INVALID if says_invalid and not line.valid else spread).ljust(columns.spread), style="dim")
    if columns.share:
        text.append(GAP + _share(metric, columns, unicode=unicode), style=aside)


def _share(metric: Metric, columns: _Columns, *, unicode: bool) -> str:
    limit = metric.limit
    if limit is None:
        return ""
    drawn = bar(limit.percent / 100, plain=not unicode)
    what = f" of {limit.what}" if columns.what and limit.what else ""
    return f"{drawn} {limit.percent:>3.0f} %{what}"
