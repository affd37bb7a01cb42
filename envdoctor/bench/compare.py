"""Compares results: the first is the baseline, each other is held against it.

Only the same work is compared (equal work_hash). Verdicts rest on Welch's t on the logarithms of the launches' medians, with at
least three launches a side; with fewer there is a ratio and no verdict. What differs besides is listed: a comparison cannot
tell which of these made the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from envdoctor.bench import statistics
from envdoctor.bench.confounders import Confounder, confounders
from envdoctor.bench.results import BenchResult, Device, Metric, WorkloadResult
from envdoctor.bench.statistics import LEAST_LAUNCHES, Ratio
from envdoctor.errors import InputError

SCHEMA = "envdoctor.compare/1"
RATES = ("TFLOP/s", "GB/s", "img/s", "tokens/s")
TIMES = ("us", "ms", "s")
NO_DIFFERENCE = "no difference shown"
NO_VERDICT = "no verdict"
DIFFERENT_WORK = "different work"
INVALID = "invalid"
ABSENT = "not in both"
PASSED = "both pass"
GATE = "the gate"
"""The limit of a figure that is an answer's error: it passes or not, and less of it is no better."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the results: its name in the comparison, and what was measured with."""

    name: str
    source: str
    device: Device | None
    torch: str | None
    driver: str | None
    created: str | None
    launches: int
    partial: bool
    price: float | None = None


class ComparedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a workload on both sides.

    `ratio`: how many times better the other is than the baseline, whichever way the figure counts; `interval`: its 95 %
    interval; `detectable`: the smallest ratio above 1 that this comparison would find in 4 of 5 cases. `firm`: the verdict
    holds though many figures were compared (Holm's method over all of them at 5 %).
    """

    workload: str
    metric: str
    unit: str = ""
    better: str = "higher"
    headline: bool = False
    baseline: float | None = None
    other: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    detectable: float | None = None
    p: float | None = None
    verdict: str = NO_VERDICT
    firm: bool = False
    why: str | None = None
    """What stands in the way of a verdict."""


class Efficiency(msgspec.Struct, frozen=True, kw_only=True):
    """A rate for what it costs: a watt, or a unit of money."""

    workload: str
    unit: str
    baseline: float
    other: float

    @property
    def ratio(self) -> float:
        return self.other / self.baseline


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """One other side against the baseline. `mean`: the geometric mean of the ratios over `common` valid workloads."""

    other: str
    rows: tuple[ComparedFigure, ...]
    mean: float | None = None
    interval: tuple[float, float] | None = None
    verdict: str = NO_VERDICT
    common: int = 0
    efficiency: tuple[Efficiency, ...] = ()
    confounders: tuple[Confounder, ...] = ()
    notes: tuple[str, ...] = ()


class Comparison(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All sides, the baseline first, and each other against it."""

    sides: tuple[Side, ...]
    against: tuple[Against, ...]

    @property
    def slower(self) -> bool:
        """Whether anything is surely worse than in the baseline."""
        return any(
            found.verdict == "slower" or any(row.firm and row.verdict in ("slower", "worse") for row in found.rows)
            for found in self.against
        )


def compare(
    named: Sequence[tuple[str, BenchResult]], prices: Sequence[float] = (), currency: str = "", *, invalid: bool = False
) -> Comparison:
    """Compares (source, result) pairs. `prices`: one for each, in `currency`; `invalid`: judge invalid figures too.

    Raises InputError where fewer than two results are given, or where no workload of the baseline is in another result with
    the same work.
    """
    if len(named) < 2:
        raise InputError("a comparison needs two results or more")
    if prices and len(prices) != len(named):
        raise InputError(f"--price: give one for each of the {len(named)} results, in their order")
    labels = [chr(ord("A") + index) if index < 26 else f"#{index + 1}" for index in range(len(named))]
    costs = [*prices] if prices else [None] * len(named)
    sides = [_side(label, *pair, cost) for label, pair, cost in zip(labels, named, costs, strict=True)]
    baseline = named[0][1]
    against = []
    for side, (source, other) in zip(sides[1:], named[1:], strict=True):
        found = _against(labels[0], side.name, baseline, other, invalid)
        if not any(row.ratio is not None or row.verdict in (INVALID, PASSED) for row in found.rows):
            raise InputError(f"{named[0][0]} and {source} cannot be compared: {_why_nothing(found.rows)}")
        costly = (sides[0].price, side.price)
        efficiency = tuple(_efficiency(baseline, other, found.rows, costly, currency))
        against.append(msgspec.structs.replace(found, efficiency=efficiency))
    return Comparison(sides=tuple(sides), against=tuple(against))


def _side(label: str, source: str, result: BenchResult, price: float | None) -> Side:
    return Side(
        name=label,
        source=source,
        device=result.device,
        torch=result.environment.torch,
        driver=result.environment.driver,
        created=result.created,
        launches=max((w.launches for w in result.workloads), default=0),
        partial=result.partial,
        price=price,
    )


def _why_nothing(rows: Sequence[ComparedFigure]) -> str:
    different = [row for row in rows if row.verdict == DIFFERENT_WORK]
    if different:
        return f"they did different work ({different[0].workload}: {different[0].why})"
    return "they have no workload in common"


def _against(first: str, label: str, baseline: BenchResult, other: BenchResult, invalid: bool) -> Against:
    rows: list[ComparedFigure] = []
    common: list[tuple[WorkloadResult, WorkloadResult]] = []
    for name in dict.fromkeys(w.name for w in (*baseline.workloads, *other.workloads)):
        a, b = baseline.workload(name), other.workload(name)
        if a is None or b is None:
            rows.append(
                ComparedFigure(workload=name, metric="", verdict=ABSENT, why=f"only in {first if b is None else label}")
            )
        elif not a.metrics or not b.metrics:
            rows.append(ComparedFigure(workload=name, metric="", verdict=INVALID, why=_reason(first, a, label, b)))
        elif a.work_hash != b.work_hash:
            rows.append(ComparedFigure(workload=name, metric="", verdict=DIFFERENT_WORK, why=_difference(a, b)))
        else:
            trusted = invalid or (a.valid and b.valid)
            reason = None if trusted else _reason(first, a, label, b)
            rows += list(_rows(a, b, reason)) or [_gated(name, reason)]
            if trusted and _speed(a) is not None and _speed(b) is not None:
                common.append((a, b))
    rows = _firm(rows)
    mean = _mean(common)
    verdict = NO_VERDICT
    if mean is not None:
        verdict = {"higher": "faster", "lower": "slower"}.get(mean.verdict or "", mean.verdict or NO_VERDICT)
    return Against(
        other=label,
        rows=tuple(rows),
        mean=mean.value if mean else None,
        interval=mean.interval if mean else None,
        verdict=verdict,
        common=len(common),
        confounders=tuple(confounders(baseline, other)),
        notes=tuple(_notes(baseline, other, common, invalid)),
    )


def _notes(
    baseline: BenchResult, other: BenchResult, common: Sequence[tuple[WorkloadResult, WorkloadResult]], invalid: bool
) -> Iterator[str]:
    untrusted = [a.name for a, b in common if not (a.valid and b.valid)]
    if invalid and untrusted:
        yield f"Judged though found invalid, as was asked for: {', '.join(untrusted)}."
    if baseline == other:
        yield "Both are the same run."
    launches = min((min(a.launches, b.launches) for a, b in common), default=LEAST_LAUNCHES)
    if launches < LEAST_LAUNCHES:
        yield (
            f"A verdict needs {LEAST_LAUNCHES} launches a side (`bench --launches {LEAST_LAUNCHES}`): the steps of one launch "
            "resemble each other, and would call most equal runs different."
        )
    if baseline.partial or other.partial:
        yield "One of the runs is partial."


def _reason(first: str, a: WorkloadResult, label: str, b: WorkloadResult) -> str:
    """Why a side does not count: its first reason, with its name."""
    sides = ((first, a), (label, b))
    return next((f"in {name}, {reason}" for name, w in sides for reason in w.invalid_because), "no figures")


def _gated(name: str, reason: str | None) -> ComparedFigure:
    """A workload that tells of answers only."""
    if reason is not None:
        return ComparedFigure(workload=name, metric="", verdict=INVALID, why=reason)
    return ComparedFigure(
        workload=name, metric="", verdict=PASSED, why="an answer passes its gate or not; less error is no better"
    )


def _difference(a: WorkloadResult, b: WorkloadResult) -> str:
    if a.version != b.version:
        return f"version {a.version} of the workload, and version {b.version}"
    keys = sorted(key for key in {*a.parameters, *b.parameters} if a.parameters.get(key) != b.parameters.get(key))
    parts = [f"{key} {_brief(a.parameters.get(key))} and {_brief(b.parameters.get(key))}" for key in keys[:3]]
    return ", ".join(parts) or "another version of the suite"


def _brief(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


# --- the figures of one workload ------------------------------------------------------------------------------------------


def _rows(a: WorkloadResult, b: WorkloadResult, reason: str | None) -> Iterator[ComparedFigure]:
    """The figures that can be compared. `reason`: why they do not count."""
    for name, first in a.metrics.items():
        second = b.metrics.get(name)
        if second is None or second.unit != first.unit or not _comparable(first, second):
            continue
        higher = first.better == "higher"
        sides = (first.launches, second.launches) if higher else (second.launches, first.launches)
        ratio = statistics.compare(*sides)
        words = ("faster", "slower") if first.unit in (*RATES, *TIMES) else ("better", "worse")
        verdict = {"higher": words[0], "lower": words[1]}.get(ratio.verdict or "", ratio.verdict or NO_VERDICT)
        few = min(len(first.launches), len(second.launches))
        why = None if ratio.verdict else f"{few} launch{'es' if few > 1 else ''} a side"
        if reason is not None:
            verdict, why = INVALID, reason
        yield ComparedFigure(
            workload=a.name,
            metric=name,
            unit=first.unit,
            better=first.better,
            headline=a.headline is not None and a.headline[0] == name,
            baseline=first.value,
            other=second.value,
            ratio=ratio.value,
            interval=ratio.interval,
            detectable=ratio.detectable,
            p=ratio.p,
            verdict=verdict,
            why=why,
        )


def _comparable(first: Metric, second: Metric) -> bool:
    """A count, and an error that has a gate, are not held against another one."""
    if any(metric.limit is not None and metric.limit.what == GATE for metric in (first, second)):
        return False
    positive = all(value > 0 for value in (*first.launches, *second.launches))
    return first.unit != "1" and bool(first.launches) and bool(second.launches) and positive


def _firm(rows: Sequence[ComparedFigure]) -> list[ComparedFigure]:
    """Marks the verdicts that stand though so many figures are compared (Holm 1979)."""
    judged = sorted((row.p, index) for index, row in enumerate(rows) if row.p is not None and row.verdict in _DIFFERENT)
    total = sum(row.p is not None and row.verdict in (*_DIFFERENT, NO_DIFFERENCE) for row in rows)
    firm: set[int] = set()
    for place, (p, index) in enumerate(judged):
        if p > (1 - statistics.LEVEL) / (total - place):
            break
        firm.add(index)
    return [msgspec.structs.replace(row, firm=index in firm) for index, row in enumerate(rows)]


_DIFFERENT = ("faster", "slower", "better", "worse")


# --- all workloads together -----------------------------------------------------------------------------------------------


def _speed(workload: WorkloadResult) -> tuple[float, ...] | None:
    """The headline's launch medians as speeds, for the mean over workloads; None where it is no speed."""
    if workload.headline is None:
        return None
    metric = workload.headline[1]
    if metric.unit in RATES and all(value > 0 for value in metric.launches):
        return metric.launches
    if metric.unit in TIMES and all(value > 0 for value in metric.launches):
        return tuple(1 / value for value in metric.launches)
    return None


def _mean(common: Sequence[tuple[WorkloadResult, WorkloadResult]]) -> Ratio | None:
    """The geometric mean over workloads, each with the same weight; its interval from the launches' own means, for what
    disturbs a launch disturbs all its workloads."""
    pairs = [(_speed(a) or (), _speed(b) or ()) for a, b in common]
    if not pairs:
        return None
    sides = []
    for side in (0, 1):
        count = min(len(pair[side]) for pair in pairs)
        sides.append([statistics.geometric_mean([pair[side][i] for pair in pairs]) for i in range(count)])
    return statistics.compare(sides[0], sides[1])


def _efficiency(
    baseline: BenchResult,
    other: BenchResult,
    rows: Sequence[ComparedFigure],
    prices: tuple[float | None, float | None],
    currency: str,
) -> Iterator[Efficiency]:
    for row in rows:
        a, b = baseline.workload(row.workload), other.workload(row.workload)
        if not row.headline or row.unit not in RATES or row.verdict == INVALID or a is None or b is None:
            continue
        assert row.baseline is not None and row.other is not None
        watts = [w.telemetry.power if w.telemetry else None for w in (a, b)]
        for unit, costs in ((f"{row.unit} per W", watts), (f"{row.unit} per {currency}", list(prices))):
            first, second = costs
            if first and second and math.isfinite(first) and math.isfinite(second):
                yield Efficiency(
                    workload=row.workload, unit=unit, baseline=row.baseline / first, other=row.other / second
                )
