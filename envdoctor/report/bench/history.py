"""The history of a machine's benchmark runs in words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.text import Text

from envdoctor.bench.history import Figure, Past
from envdoctor.console import Console
from envdoctor.report.check.text import hanging, speaks_unicode
from envdoctor.report.figures import BARS, number, quantity

SCHEMA = "envdoctor.bench-history/1"
TREND = 12
"""Runs in a sparkline."""


def to_json(past: Sequence[Past], workloads: Sequence[str] = ()) -> str:
    """`{"schema", "runs": [...]}`, newest first."""
    kept = [msgspec.structs.replace(run, figures=tuple(_chosen(run, workloads))) for run in past]
    return msgspec.json.format(msgspec.json.encode({"schema": SCHEMA, "runs": kept}), indent=2).decode()


def print_history(console: Console, past: Sequence[Past], workloads: Sequence[str], where: str) -> None:
    """Runs, newest first, and each figure's way through them."""
    if not past:
        hanging(console, Text(f"No runs yet: `envdoctor bench` keeps each one here ({where})."), 0)
        return
    console.print(Text(f"{'run':>5}  {'when (UTC)':<16}  {'suite':<9}{'torch':<15}{'driver':<12}figures", style="dim"))
    for run in past:
        shown = _chosen(run, workloads)
        valid = sum(f.valid for f in shown if f.headline)
        total = sum(f.headline for f in shown)
        state = f"{valid} of {total} valid" + (", partial" if run.partial else "")
        when = run.created[:16].replace("T", " ")
        driver = (run.driver or "") if run.device_type == "cuda" else run.device_type or ""
        line = f"{run.id:>5}  {when:<16}  {(run.suite or '-'):<9}{(run.torch or ''):<15}{driver:<12}{state}"
        console.print(Text(line, style="" if valid == total else "dim"), soft_wrap=True)
    for device in dict.fromkeys(run.device for run in past):
        console.print()
        console.print(Text(device or "unknown device", style="bold"))
        _trends(console, [run for run in past if run.device == device], workloads)


def _trends(console: Console, past: Sequence[Past], workloads: Sequence[str]) -> None:
    """A line a figure: newest value, and the values of the runs before it, oldest on the left."""
    series: dict[tuple[str, str, str], list[Figure]] = {}
    for run in past:
        for figure in _chosen(run, workloads):
            if figure.valid and (figure.headline or workloads):
                series.setdefault((figure.workload, figure.metric, figure.work_hash), []).append(figure)
    if not series:
        console.print(Text("  no valid figures", style="dim"))
    for (workload, metric, _), figures in series.items():
        newest = figures[0]
        values = [figure.value for figure in figures[:TREND]][::-1]
        line = Text(f"  {f'{workload} {metric}'[:32]:<32}  {quantity(newest.value, newest.unit):>16}  ")
        if len(values) > 1:
            drawn = f"{_line(values)}  " if speaks_unicode(console) else ""
            line.append(f"{drawn}{number(min(values))} to {number(max(values))}", style="dim")
        line.rstrip()
        console.print(line, soft_wrap=True)


def _line(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    # Without a floor the last noise would fill the whole height.
    span = max(high - low, 0.05 * high) or 1.0
    return "".join(BARS[min(int((value - low) / span * len(BARS)), len(BARS) - 1)] for value in values)


def _chosen(run: Past, workloads: Sequence[str]) -> list[Figure]:
    if not workloads:
        return list(run.figures)
    return [
        f for f in run.figures if any(f.workload == name or f.workload.startswith(f"{name}.") for name in workloads)
    ]
