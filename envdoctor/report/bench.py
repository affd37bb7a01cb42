"""A benchmark's result for a person: what was measured, how sure it is, how near to the limit, and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from envdoctor.bench.results import BenchResult, Metric, WorkloadResult
from envdoctor.bench.suites import Listing
from envdoctor.report.figures import bar, duration, number, percent, sparkline
from envdoctor.report.text import hanging, speaks_unicode
from envdoctor.report.words import SEPARATOR, gibibytes

NAME, VALUE, ERROR, LIMIT = 28, 18, 8, 14


def print_listing(console: Console, listed: Listing) -> None:
    """The workloads, in the order in which they run."""
    width = max((len(workload.name) for workload in listed.workloads), default=0)
    for workload in listed.workloads:
        hanging(console, Text(workload.summary), width + 2, Text(f"{workload.name:<{width}}  ", style="bold"))
    console.print()
    for suite in dict.fromkeys(suite for workload in listed.workloads for suite in workload.suites):
        budget = listed.budgets.get(suite)
        names = ", ".join(listed.suite(suite))
        about = f"{suite} (about {duration(budget)})" if budget else suite
        hanging(console, Text(names), 2, Text(f"{about}: ", style="bold"))


def print_result(console: Console, result: BenchResult) -> None:
    """Headline, machine, table, what was wrong, what it means."""
    console.print(headline(result, unicode=speaks_unicode(console)))
    console.print()
    rows(console, [(label, _joined(console, parts)) for label, parts in about(result)])
    if result.workloads:
        console.print()
        _table(console, result)
    for workload in result.workloads:
        _reasons(console, workload)
    _rest(console, result)


def headline(result: BenchResult, *, unicode: bool = True) -> Text:
    """The verdict on the run itself, in one line."""
    device = (result.device.name if result.device else None) or "nothing"
    total = len(result.workloads)
    bad = [workload for workload in result.workloads if not workload.valid]
    if result.partial:
        mark, style = ("! " if unicode else "warning: "), "bold yellow"
        words = f"{device}: partial, {result.partial_because}; {total - len(bad)} valid workloads"
    elif not total:
        mark, style, words = ("✗ " if unicode else "error: "), "bold red", f"{device}: nothing was measured"
    elif bad:
        mark, style = ("✗ " if unicode else "error: "), "bold red"
        words = f"{device}: {len(bad)} of {total} workloads gave no figures to trust"
    else:
        mark, style = ("✓ " if unicode else "ok: "), "bold green"
        words = f"{device}: {total} workloads measured, all valid" if total > 1 else f"{device}: measured, valid"
    return Text(mark + words, style=style)


def about(result: BenchResult) -> Iterator[tuple[str, list[str]]]:
    """(label, parts): device, software, run."""
    device, software = result.device, result.environment
    if device is not None:
        known = [device.capability, gibibytes(device.memory_bytes) if device.memory_bytes else None]
        threads = f"{software.threads} threads" if device.type == "cpu" and software.threads else None
        yield "Device", [part for part in (device.name, device.type, *known, threads) if part]
    parts = [
        f"torch {software.torch}" if software.torch else None,
        f"cuDNN {software.cudnn}" if software.cudnn else None,
        f"driver {software.driver}" if software.driver and device and device.type == "cuda" else None,
        f"Python {software.python}" if software.python else None,
    ]
    if any(parts):
        yield "Software", [part for part in parts if part]
    launches = "1 launch" if result.launches == 1 else f"{result.launches} launches"
    took = duration(result.seconds) if result.seconds is not None else None
    yield "Run", [part for part in (result.suite, launches, took, result.created) if part]


def rows(console: Console, labelled: Sequence[tuple[str, str]]) -> None:
    """Label and text in two columns."""
    width = max((len(label) for label, _ in labelled), default=0)
    for label, text in labelled:
        hanging(console, Text(text), width + 2, Text(f"{label:<{width}}  ", style="dim"))


def _joined(console: Console, parts: list[str]) -> str:
    return (SEPARATOR if speaks_unicode(console) else ", ").join(parts)


def _table(console: Console, result: BenchResult) -> None:
    head = f"{'':<{NAME}}{'figure':>{VALUE}}{'±95 %':>{ERROR}}  {'of its limit':<{LIMIT}}  spread"
    console.print(Text(head, style="dim"), soft_wrap=True)
    for workload in result.workloads:
        style = "" if workload.valid else "strike dim"
        if not workload.metrics:
            console.print(Text.assemble(f"{workload.name:<{NAME}}", ("failed".rjust(VALUE), "red")), soft_wrap=True)
        for position, (name, metric) in enumerate(workload.metrics.items()):
            label = f"{workload.name} {name}" if position == 0 else f"{'':<{min(len(workload.name), 14)}} {name}"
            console.print(_row(label, metric, style), soft_wrap=True)


def _row(label: str, metric: Metric, style: str) -> Text:
    text = Text(f"{label[:NAME]:<{NAME}}")
    unit = "" if metric.unit in ("1", "ratio") else f" {metric.unit}"
    text.append(f"{number(metric.value) + unit:>{VALUE}}", style=style or "bold")
    half = half_width(metric)
    text.append(f"{percent(half) if half is not None else '':>{ERROR}}  ", style=style)
    limit = metric.limit
    text.append(f"{bar(limit.percent / 100)} {limit.percent:>4.0f} %" if limit else " " * LIMIT, style=style)
    text.append(f"  {sparkline(metric.samples)}".rstrip(), style="dim")
    return text


def half_width(metric: Metric) -> float | None:
    """Half the 95 % interval over the value: a ratio; None where there is no interval."""
    if metric.ci95 is None or not metric.value:
        return None
    return (metric.ci95[1] - metric.ci95[0]) / 2 / abs(metric.value)


def _reasons(console: Console, workload: WorkloadResult) -> None:
    if workload.failure is None and workload.valid and not workload.warnings:
        return
    console.print()
    word, style = ("invalid", "red") if workload.metrics else ("failed", "red")
    if workload.valid:
        word, style = "note", "yellow"
    console.print(Text.assemble((workload.name, "bold"), "  ", (word, style)))
    for reason in (*workload.invalid_because, *workload.warnings):
        hanging(console, Text(reason), 3)
    for found in workload.failure.diagnosed if workload.failure else ():
        hanging(console, Text.assemble((found.code, "bold red"), f": {found.title}. {found.summary}"), 3)
        if found.fix:
            hanging(console, Text(f"Fix: {found.fix}", style="bold green"), 3)
        for line in found.commands:
            console.print(Text(f"     {line}", style="cyan"), soft_wrap=True)


def _rest(console: Console, result: BenchResult) -> None:
    if result.skipped:
        console.print()
        rows(console, [(f"{s.name} skipped", s.reason) for s in result.skipped])
    for note in result.notes:
        console.print()
        hanging(console, Text(f"Note: {note}", style="yellow"), 0)
