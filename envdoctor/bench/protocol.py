"""What a process of benchmarks/ says: its hello, and its results, with their times on our own clock."""

from __future__ import annotations

from typing import Any

import msgspec

from envdoctor.bench.child import Event
from envdoctor.bench.results import Device, PhysicalLimit


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first event. `monotonic`: the child's clock when it said so."""

    device: Device
    monotonic: float | None = None
    pid: int | None = None
    python: str | None = None
    torch: str | None = None
    torchvision: str | None = None
    cuda: str | None = None
    cudnn: int | str | None = None
    threads: int | None = None
    precision: dict[str, Any] = {}
    seed: int | None = None


class MeasuredMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of one launch: see results.Metric."""

    value: float | None
    unit: str
    better: str = "higher"
    samples: tuple[float | None, ...] = ()
    p10: float | None = None
    p90: float | None = None
    ci95: tuple[float | None, float | None] | None = None
    n: int = 0
    rcv: float | None = None
    drift: float | None = None
    outliers: int = 0
    limit: PhysicalLimit | None = None
    timing: str | None = None
    """The timing that it is from: a key of Measured.timed."""
    once: bool = False
    """It tells of the first launch only: later ones find what that one has left on the disk."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one launch says of a workload. `windows`: (from, to) in this process's time.monotonic()."""

    name: str
    version: int = 1
    parameters: dict[str, Any] = {}
    work_hash: str | None = None
    knobs: dict[str, Any] = {}
    metrics: dict[str, MeasuredMetric] = {}
    invalid_because: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    windows: tuple[tuple[float, float], ...] = ()
    timed: dict[str, tuple[tuple[float, float], ...]] = {}
    """The windows of each of its timings, where the child tells them."""
    details: dict[str, Any] = {}


def placed(measured: Measured, offset: float) -> Measured:
    """With its windows, and those of its timings, on our clock."""
    timings = measured.details.get("timing")
    timed: dict[str, tuple[tuple[float, float], ...]] = {}
    for key, timing in timings.items() if isinstance(timings, dict) else ():
        # On the child's clock they would tell nobody anything.
        windows = timing.pop("windows", ()) if isinstance(timing, dict) else ()
        timed[key] = tuple((a + offset, b + offset) for a, b in windows)
    windows = tuple((a + offset, b + offset) for a, b in measured.windows)
    return msgspec.structs.replace(measured, windows=windows, timed=timed)


def offset(hello: Hello, event: Event) -> float:
    """From the child's monotonic clock to ours: they are one clock wherever processes share a kernel's."""
    if hello.monotonic is None:
        return 0.0
    difference = event.arrived - hello.monotonic
    return 0.0 if abs(difference) < 5.0 else difference
