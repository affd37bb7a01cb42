"""Whether today is worse than this machine's own past, beyond chance, and what has changed since."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from envdoctor.bench import history
from envdoctor.bench.history import Figure, HistoryError, Past
from envdoctor.bench.results import BenchResult
from envdoctor.bench.statistics import LEVEL, mean, t_cdf, variance

LEAST_RUNS = 3
"""Earlier runs without which nothing is said: the scatter between runs has to be known."""
MOST_RUNS = 20
LEAST_LOSS = 0.02
"""A smaller loss is not worth a warning, however sure it is."""
LEAST_SPREAD = 0.005
"""Standard deviation (of the logarithm) between runs that is assumed at least: a few that agree by luck prove nothing."""


class Worse(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that is worse than before. `ratio`: today's over the usual, below 1 is worse whichever way it counts."""

    workload: str
    metric: str
    unit: str
    today: float
    usual: float
    ratio: float
    p: float
    runs: int


class RunChange(msgspec.Struct, frozen=True):
    """What is not as it was in the last run before."""

    what: str
    before: str
    now: str


def worse(today: Past, before: Sequence[Past]) -> list[Worse]:
    """Headline figures of today that fall short of the earlier runs' scatter. `before`: newest first.

    A new run is held against the distribution of the runs before it (a prediction interval, one-sided, on logarithms), with the
    level divided by the number of figures (Bonferroni), so that one false alarm in twenty runs is the most, not one in each.
    """
    figures = [f for f in today.figures if f.headline and f.valid and f.value > 0 and f.unit not in ("1", "ratio")]
    found = [_worse(f, _earlier(f, before)) for f in figures]
    least = (1 - LEVEL) / max(len(figures), 1)
    return [w for w in found if w is not None and w.p < least and w.ratio < 1 - LEAST_LOSS]


def _earlier(figure: Figure, before: Sequence[Past]) -> list[float]:
    """The same figure of the same work done the same way."""
    same = (figure.workload, figure.metric, figure.work_hash, figure.knobs)
    values = [
        f.value
        for past in before
        for f in past.figures
        if f.valid and f.value > 0 and (f.workload, f.metric, f.work_hash, f.knobs) == same
    ]
    return values[:MOST_RUNS]


def _worse(figure: Figure, earlier: Sequence[float]) -> Worse | None:
    if len(earlier) < LEAST_RUNS:
        return None
    sign = 1.0 if figure.better == "higher" else -1.0
    logs = [sign * math.log(value) for value in earlier]
    spread = math.sqrt(max(variance(logs), LEAST_SPREAD**2) * (1 + 1 / len(logs)))
    difference = sign * math.log(figure.value) - mean(logs)
    return Worse(
        workload=figure.workload,
        metric=figure.metric,
        unit=figure.unit,
        today=figure.value,
        usual=median(earlier),
        ratio=math.exp(difference),
        p=t_cdf(difference / spread, len(logs) - 1),
        runs=len(earlier),
    )


def changes(today: Past, before: Past) -> Iterator[RunChange]:
    """What differs from the run before that could explain it."""
    for name in ("torch", "cuda", "cudnn", "driver", "threads"):
        a, b = getattr(before, name), getattr(today, name)
        if a is not None and b is not None and a != b:
            yield RunChange(name, str(a), str(b))
    for name, unit, tolerance in (("power_limit", "W", 0.01), ("sm_clock", "MHz", 0.03)):
        a, b = getattr(before, name), getattr(today, name)
        if a is not None and b is not None and abs(a - b) > tolerance * max(a, b):
            yield RunChange(name.replace("_", " "), f"{a:.0f} {unit}", f"{b:.0f} {unit}")


def remember(result: BenchResult) -> BenchResult:
    """Keeps the run in the history, and returns it with notes on what is worse than before. A history that cannot be used
    becomes a note too."""
    today = history.past_of(result)
    if not today.figures:
        return result
    notes: list[str] = []
    try:
        before = [past for past in history.runs(today.machine, limit=100) if not past.partial]
        notes += _notes(today, before)
        history.add(today)
    except HistoryError as error:
        notes.append(f"the history is not kept, and today was not held against it: {error}")
    return msgspec.structs.replace(result, notes=(*result.notes, *notes))


def _notes(today: Past, before: Sequence[Past]) -> Iterator[str]:
    found = worse(today, before)
    for item in found:
        loss = f"{(1 - item.ratio) * 100:.1f} %"
        yield (
            f"{item.workload} is {loss} worse than usual on this machine: {item.today:.4g} {item.unit}, where "
            f"{item.runs} earlier runs gave {item.usual:.4g}; that is more than their scatter"
        )
    if found:
        changed = ", ".join(f"{c.what} {c.before} -> {c.now}" for c in changes(today, before[0]))
        since = before[0].created[:16].replace("T", " ")
        yield f"changed since the run of {since}: {changed or 'nothing that is recorded (torch, driver, clocks, threads)'}"
