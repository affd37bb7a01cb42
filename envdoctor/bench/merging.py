"""Puts the launches of a run together: one result a workload, its intervals from the launches' medians."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from statistics import median

from envdoctor.bench.protocol import Measured, MeasuredMetric
from envdoctor.bench.results import Metric, PhysicalLimit, WorkloadResult
from envdoctor.bench.runner import Launch
from envdoctor.bench.statistics import geometric_mean, launch_interval

Windows = tuple[tuple[float, float], ...]
MOST_SAMPLES = 600
"""Samples of a metric that a file keeps for each launch."""


def merge(name: str, launches: Sequence[Launch]) -> WorkloadResult:
    """One workload over all launches that said something of it: measured, or failed."""
    parts = [(launch.number, launch.measured[name]) for launch in launches if name in launch.measured]
    failure = next((launch.failures[name] for launch in launches if name in launch.failures), None)
    said = [(number, reason) for number, part in parts for reason in part.invalid_because]
    if failure is not None:
        said.append((failure.launch, failure.message))
    reasons = _gathered(said, len(launches))
    if not parts:
        return WorkloadResult(name=name, valid=False, invalid_because=tuple(reasons), launches=0, failure=failure)
    first = parts[0][1]
    if len({part.work_hash for _, part in parts}) > 1:
        reasons.append("the launches did different work: less memory was free in some of them")
        parts = [(number, part) for number, part in parts if part.work_hash == first.work_hash]
    measured = [part for _, part in parts]
    return WorkloadResult(
        name=name,
        version=first.version,
        parameters=first.parameters,
        work_hash=first.work_hash,
        knobs=first.knobs,
        metrics={
            key: _metric([part.metrics[key] for part in measured if key in part.metrics]) for key in first.metrics
        },
        valid=not reasons,
        invalid_because=tuple(reasons),
        warnings=tuple(dict.fromkeys(warning for part in measured for warning in part.warnings)),
        launches=len(measured),
        failure=failure,
        details=measured[-1].details,
    )


def names(launches: Sequence[Launch]) -> tuple[str, ...]:
    """The workloads that any launch measured or lost, in the order in which they ran."""
    seen = [name for launch in launches for name in (*launch.measured, *launch.failures)]
    return tuple(dict.fromkeys(seen))


def windows(name: str, launches: Sequence[Launch]) -> tuple[tuple[float, float], ...]:
    """The measuring windows of a workload in all launches, in time.monotonic()."""
    parts: list[Measured] = [launch.measured[name] for launch in launches if name in launch.measured]
    return tuple(window for part in parts for window in part.windows)


def timings(name: str, launches: Sequence[Launch]) -> Iterator[tuple[str, Windows]]:
    """Each of a workload's timings in each launch in which the device computed all the while: its name, and its windows in
    time.monotonic()."""
    for launch in launches:
        part = launch.measured.get(name)
        told = part.details.get("timing") if part is not None else None
        for key, windows in part.timed.items() if part is not None else ():
            about = told.get(key) if isinstance(told, dict) else None
            if not isinstance(about, dict) or about.get("computes", True):
                yield key, windows


def spans(name: str, launches: Sequence[Launch]) -> tuple[tuple[float, float], ...]:
    """The whole time that a workload took in each launch, in time.monotonic()."""
    return tuple(launch.spans[name] for launch in launches if name in launch.spans)


def _gathered(said: Sequence[tuple[int, str]], launches: int) -> list[str]:
    """The reasons of all launches; those that differ in their numbers only become one, with the launches that it is from."""
    found: dict[str, tuple[str, list[int]]] = {}
    for number, reason in said:
        numbers = found.setdefault(re.sub(r"[\d.]+", "#", reason), (reason, []))[1]
        if number not in numbers:
            numbers.append(number)
    if launches == 1:
        return [reason for reason, _ in found.values()]
    return [
        f"{reason} (launch{'es' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))})"
        for reason, numbers in found.values()
    ]


def _metric(parts: Sequence[MeasuredMetric]) -> Metric:
    first = parts[0]
    if first.once:
        parts = parts[:1]
    known = [part for part in parts if part.value is not None and math.isfinite(part.value)]
    medians = tuple(part.value for part in known if part.value is not None)
    samples = [sample for part in parts for sample in _thinned(part.samples)]
    ordered = sorted(samples)
    interval = launch_interval(medians)
    if interval is None and len(parts) == 1 and first.ci95 is not None and None not in first.ci95:
        low, high = first.ci95
        interval = (low or 0.0, high or 0.0)
    return Metric(
        value=geometric_mean(medians) if medians else None,
        unit=first.unit,
        better="lower" if first.better == "lower" else "higher",
        samples=tuple(samples),
        p10=first.p10 if len(parts) == 1 else _quantile(ordered, 0.1),
        p90=first.p90 if len(parts) == 1 else _quantile(ordered, 0.9),
        ci95=interval,
        n=sum(part.n for part in parts),
        rcv=_median([part.rcv for part in parts]),
        drift=max((part.drift for part in parts if part.drift is not None), key=abs, default=None),
        outliers=sum(part.outliers for part in parts),
        limit=_limit([part.limit for part in parts if part.limit is not None]),
        launches=medians,
    )


def _limit(limits: Sequence[PhysicalLimit]) -> PhysicalLimit | None:
    """Each launch measured its own ceilings: the mean of both."""
    if not limits:
        return None
    value, percent = (geometric_mean([getattr(limit, name) for limit in limits]) for name in ("value", "percent"))
    return PhysicalLimit(value=value, percent=percent, what=limits[0].what)


def _thinned(samples: Sequence[float | None]) -> list[float]:
    finite = [sample for sample in samples if sample is not None]
    if len(finite) <= MOST_SAMPLES:
        return finite
    return [finite[index * len(finite) // MOST_SAMPLES] for index in range(MOST_SAMPLES)]


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    if not ordered:
        return None
    place = (len(ordered) - 1) * q
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
