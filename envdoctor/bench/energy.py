"""Energy for each image or token: the mean power while a rate was measured, over that rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from envdoctor.bench.protocol import MeasuredMetric
from envdoctor.bench.results import Metric, Telemetry, WorkloadResult
from envdoctor.bench.runner import Launch
from envdoctor.bench.statistics import geometric_mean, launch_interval

UNITS = {"img/s": "J/img", "tokens/s": "J/token"}
RATE, ENERGY = "throughput", "energy"
LEAST_S = 1.0
"""Seconds of windows that a power is the mean of: NVML's power reading is itself a mean over one second since Ampere [nvml.h,
nvmlDeviceGetPowerUsage]."""

During = Callable[[Sequence[tuple[float, float]]], "Telemetry | None"]


def with_energy(workload: WorkloadResult, launches: Sequence[Launch], during: During) -> WorkloadResult:
    """The workload with `energy` beside each `throughput` (and `x_energy` beside `x_throughput`) in items a second, where the
    device told its power: one value a launch. `during`: what was seen in windows of time.monotonic()."""
    metrics: dict[str, Metric] = {}
    for name, metric in workload.metrics.items():
        metrics[name] = metric
        if metric.unit not in UNITS or not (name == RATE or name.endswith(f"_{RATE}")):
            continue
        values = tuple(j for launch in launches if (j := _joules(workload, name, launch, during)) is not None)
        if values:
            metrics[name.removesuffix(RATE) + ENERGY] = Metric(
                value=geometric_mean(values),
                unit=UNITS[metric.unit],
                better="lower",
                samples=values,
                ci95=launch_interval(values),
                n=len(values),
                launches=values,
            )
    return msgspec.structs.replace(workload, metrics=metrics)


def _joules(workload: WorkloadResult, name: str, launch: Launch, during: During) -> float | None:
    """J for each item of one launch."""
    measured = launch.measured.get(workload.name)
    if measured is None or measured.work_hash != workload.work_hash:
        return None
    rate: MeasuredMetric | None = measured.metrics.get(name)
    if rate is None or not rate.value or rate.timing is None:
        return None
    windows = measured.timed.get(rate.timing, ())
    seen = during(windows)
    if seen is None or not seen.power or sum(end - start for start, end in windows) < LEAST_S:
        return None
    return seen.power / rate.value
