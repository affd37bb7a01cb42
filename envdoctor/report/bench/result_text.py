"""A benchmark's result for a person: what was measured, how sure it is, how near to the limit, and what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.text import Text

from envdoctor.bench.references import of_device
from envdoctor.bench.results import BenchResult, ErrorDiagnosis, WorkloadResult
from envdoctor.bench.suites import Listing
from envdoctor.bench.verdict import Statement, read
from envdoctor.console import Console
from envdoctor.report.bench.table import print_table
from envdoctor.report.check.headline import SEPARATOR, gibibytes
from envdoctor.report.check.text import hanging, speaks_unicode
from envdoctor.report.figures import duration
from envdoctor.report.lines import wrapped

MARKS = {"good": ("✓", "green"), "plain": ("·", "dim"), "bad": ("!", "yellow")}
MANY = 5
"""Workloads from which on 'all 14' is read faster than their names."""
LAST_WORDS = 4
"""Lines of a dead process's stderr that are shown where its end is no known problem."""
PLAIN_MARKS = {"good": "+", "plain": "-", "bad": "!"}


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
        print_table(console, result.workloads)
    _meaning(console, result)
    for workloads in alike([workload for workload in result.workloads if workload.failure is not None]):
        _failure(console, workloads)
    _why(console, result)
    _rest(console, result)


def statements(result: BenchResult) -> list[Statement]:
    """What the figures mean, held against the reference result of the same card where there is one."""
    reference = of_device(result.device.name if result.device else None)
    return read(result, reference if reference is not None and reference[1].created != result.created else None)


def _meaning(console: Console, result: BenchResult) -> None:
    said = statements(result)
    if not said:
        return
    console.print()
    console.print(Text("What it means", style="bold"))
    for statement in said:
        mark, style = MARKS[statement.tone]
        lead = Text(f" {mark if speaks_unicode(console) else PLAIN_MARKS[statement.tone]} ", style=style)
        hanging(console, Text(statement.text), 3, lead)


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


def alike(failed: Sequence[WorkloadResult]) -> Iterator[list[WorkloadResult]]:
    """Those that failed of the same cause together, in their order; one whose cause is not known stands alone."""
    groups: dict[tuple[str, ...], list[WorkloadResult]] = {}
    for workload in failed:
        codes = tuple(found.code for found in workload.failure.diagnosed) if workload.failure else ()
        groups.setdefault(codes or ("", workload.name), []).append(workload)
    yield from groups.values()


def _failure(console: Console, workloads: Sequence[WorkloadResult]) -> None:
    """Why these workloads gave no figures, what that means, and the repair."""
    failure = workloads[0].failure
    assert failure is not None
    console.print()
    names = ", ".join(workload.name for workload in workloads)
    hanging(console, Text.assemble((names, "bold"), "  ", ("failed", "red")), 0)
    reasons = dict.fromkeys(reason for workload in workloads for reason in workload.invalid_because)
    for _, reason in grouped([("", reason) for reason in reasons]):
        hanging(console, Text(reason), 3)
    print_causes(console, failure.diagnosed)
    said = (failure.traceback or "").strip().splitlines() or failure.log_tail
    if not failure.diagnosed and failure.kind in ("crash", "hang", "exception") and said:
        console.print(Text("   The last that it said:", style="dim"))
        for line in said[-LAST_WORDS:]:
            console.print(Text(f"     {line}", style="dim"), soft_wrap=True)


def print_causes(console: Console, diagnosed: Sequence[ErrorDiagnosis]) -> None:
    """What envdoctor makes of an error: each cause, its first repair and the commands, which are never wrapped."""
    for found in diagnosed:
        # As `explain` does: the title speaks of the case in general, the summary of this one.
        hanging(console, Text.assemble((found.code, "bold red"), f": {found.summary or found.title}"), 3)
        if found.fix:
            hanging(console, Text(f"Fix: {found.fix}", style="bold green"), 3)
        for line in found.commands:
            console.print(Text(f"     {line}", style="cyan"), soft_wrap=True)
        if found.note and not found.commands:
            hanging(console, Text(found.note, style="italic"), 5)
    if diagnosed:
        more = f"   More about it: envdoctor explain {diagnosed[0].code}"
        console.print(Text(more, style="dim"), soft_wrap=True)


def _why(console: Console, result: BenchResult) -> None:
    """Why figures are struck, and what to know of the others; what several workloads share is said once."""
    measured = [workload for workload in result.workloads if workload.failure is None]
    struck = [(workload.name, reason) for workload in measured for reason in workload.invalid_because]
    notes = [(workload.name, text) for workload in measured if workload.valid for text in workload.warnings]
    for title, style, said in (("Struck, because", "bold red", struck), ("Good to know", "bold yellow", notes)):
        if said:
            console.print()
            console.print(Text(title, style=style))
        everybody = {name for name, _ in said}
        for names, text in grouped(said):
            all_of_them = len(names) >= MANY and set(names) == everybody
            words = f"all {len(names)}" if all_of_them else ", ".join(names)
            hanging(console, Text.assemble((words, "bold"), f": {text}"), 5, Text("   "))
        if said is struck:
            print_causes(console, tuple(dict.fromkeys(one for workload in measured for one in workload.diagnosed)))


def grouped(said: Sequence[tuple[str, str]]) -> Iterator[tuple[list[str], str]]:
    """(workloads, text): texts that differ in their numbers only are one, without the details after a colon if these differ."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, text in said:
        groups.setdefault(re.sub(r"[\d.]+", "#", text.partition(": ")[0]), []).append((name, text))
    for members in groups.values():
        names = list(dict.fromkeys(name for name, _ in members))
        texts = list(dict.fromkeys(text for _, text in members))
        alike = len({re.sub(r"[\d.]+", "#", text) for text in texts}) == 1
        if len(texts) == 1 or not alike:
            yield names, texts[0] if len(texts) == 1 else texts[0].partition(": ")[0]
        else:
            yield names, _ranged(texts)


def _ranged(texts: Sequence[str]) -> str:
    """'others took 76-87 %' of texts that differ in numbers."""
    found = [re.findall(r"[\d.]+", text) for text in texts]
    columns = [sorted(set(column), key=_value) for column in zip(*found, strict=True)]
    words = iter(column[0] if len(column) == 1 else f"{column[0]} to {column[-1]}" for column in columns)
    return re.sub(r"[\d.]+", lambda _: next(words), texts[0])


def _value(digits: str) -> float:
    try:
        return float(digits)
    except ValueError:  # '2.15.0', or a full stop
        return 0.0


def _rest(console: Console, result: BenchResult) -> None:
    if result.skipped:
        console.print()
        console.print(Text("Skipped", style="bold"))
        for names, reason in grouped([(skipped.name, skipped.reason) for skipped in result.skipped]):
            hanging(console, Text.assemble((", ".join(names), "bold"), f": {reason}"), 5, Text("   "))
    for note in result.notes:
        console.print()
        wrapped(console, Text(f"Note: {note}", style="yellow"))
