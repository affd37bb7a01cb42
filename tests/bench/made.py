"""Results made by hand, for what is done with results."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from envdoctor.bench.results import BenchResult, Device, Environment, Metric, Telemetry, WorkloadResult
from envdoctor.bench.statistics import geometric_mean, launch_interval
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host


def metric(launches: Sequence[float], unit: str = "TFLOP/s", better: Any = "higher", **more: Any) -> Metric:
    """A metric with twenty samples around each launch's median."""
    rng = random.Random(1)
    samples = tuple(value * rng.gauss(1, 0.01) for value in launches for _ in range(20))
    return Metric(
        value=geometric_mean(launches),
        unit=unit,
        better=better,
        samples=samples,
        p10=min(launches),
        p90=max(launches),
        ci95=launch_interval(launches),
        n=len(samples),
        launches=tuple(launches),
        **more,
    )


def workload(
    name: str, launches: Sequence[float] = (100, 101, 99), unit: str = "TFLOP/s", **more: Any
) -> WorkloadResult:
    """A valid workload with one metric; `better` and `metrics` are taken too."""
    better = more.pop("better", "higher")
    plain = {
        "work_hash": f"hash of {name}",
        "metrics": {"throughput": metric(launches, unit, better)},
        "launches": len(launches),
    }
    reasons = more.get("invalid_because", ())
    return WorkloadResult(name=name, **{"valid": not reasons, **plain, **more})


def result(
    *workloads: WorkloadResult, device: str = "NVIDIA H100 80GB HBM3", kind: str = "cuda", **more: Any
) -> BenchResult:
    """A run of these workloads."""
    environment: dict[str, Any] = {
        "torch": "2.15.0",
        "driver": "580.159.04",
        "threads": 8,
        "python": "3.12.1",
        **more.pop("environment", {}),
    }
    return BenchResult(
        snapshot=more.pop("snapshot", Snapshot(host=Host(cpu_model="Test CPU"))),
        workloads=workloads,
        created=more.pop("created", "2026-11-01T10:00:00+00:00"),
        seconds=60.0,
        suite="standard",
        launches=3,
        device=Device(type=kind, index=0, name=device, capability="9.0", memory_bytes=80 << 30),
        environment=Environment(**environment),
        **more,
    )


def watts(power: float, **more: Any) -> Telemetry:
    return Telemetry(samples=100, seconds=10.0, power=power, power_source="samples", **more)
