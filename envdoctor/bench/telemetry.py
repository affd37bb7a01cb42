"""Watches the device while a benchmark measures: NVML ten times a second on a thread of its own, or the CPUs' time.

NVML may hang (a GPU that fell off its bus), so nothing waits for that thread: it costs the telemetry and not the run.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Literal

import msgspec
import psutil

from envdoctor.bench import cpu_watch, gpu_watch
from envdoctor.bench.cpu_watch import CpuWatch
from envdoctor.bench.gpu_watch import GpuWatch, Sample
from envdoctor.bench.results import Device, Telemetry

LONG_ENOUGH = 2.0
"""Seconds of a window from which the energy counter is used: it is updated some ten times a second."""
REACH = 0.15
"""Seconds beside a window in which a sample still tells of it, where none lies inside."""
PATIENCE = 2.0
"""Seconds for the thread to end; NVML calls take milliseconds unless they hang."""
FAMILY_PERIOD = 1.0

Windows = Sequence[tuple[float, float]]


class Watch:
    """The watch over one run. Everything may be called at any time, in any order; what is not known stays None."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._gpu = GpuWatch()
        self._cpu = CpuWatch()
        self._device: Device | None = None
        self._roots: list[int] = []
        self._family: frozenset[int] = frozenset()
        self._family_at = self._cpu_at = 0.0
        self._begin = threading.Event()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def power_limit(self) -> float | None:
        return self._gpu.power_limit

    @property
    def sharing(self) -> tuple[str, ...]:
        """Ways in which the GPU is shared: mig, vgpu, mps."""
        return self._gpu.sharing

    def prepare(self) -> None:
        """Starts the thread, which notes what is there before the first child is."""
        self._thread = threading.Thread(target=self._watch, name="telemetry", daemon=True)
        self._thread.start()

    def own(self, pid: int) -> None:
        """A process that belongs to this run, with all its descendants."""
        self._roots.append(pid)

    def start(self, device: Device) -> None:
        """The device that is measured, once it is known. The first one stays."""
        if self._device is None:
            self._device = device
            self._begin.set()

    def stop(self) -> None:
        """Ends the thread; one that hangs in NVML is left behind, and said to be."""
        self._end.set()
        self._begin.set()
        if self._thread is None:
            return
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self.notes.append("NVML does not answer any more, so there is no telemetry of what came after")

    # --- the thread ------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        missing = self._gpu.look_around()
        self._begin.wait()
        device = self._device
        if device is None:
            return
        if device.type != "cuda":
            self._every(cpu_watch.PERIOD, lambda now, _last: self._cpu.sample(now, tuple(self._roots)))
            if self._cpu.error is not None:
                self.notes.append(f"how busy the CPUs were is not known: {self._cpu.error}")
            return
        if missing is None:
            missing = self._gpu.choose(device)
        if missing is not None:
            self.notes.append(f"no telemetry, so nothing tells whether the GPU was throttled or shared: {missing}")
            return
        self._every(gpu_watch.PERIOD, self._look)

    def _look(self, now: float, last: bool) -> None:
        if last or now - self._cpu_at >= cpu_watch.PERIOD:
            self._cpu_at = now
            self._cpu.sample(now, tuple(self._roots))
        self._gpu.sample(now, self._descendants(now), thorough=last)

    def _every(self, period: float, look: Callable[[float, bool], None]) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            look(time.monotonic(), False)
            due = max(due + period, time.monotonic())
            self._end.wait(due - time.monotonic())
        look(time.monotonic(), True)  # so that the last window has a sample behind it

    def _descendants(self, now: float) -> frozenset[int]:
        if now - self._family_at >= FAMILY_PERIOD:
            self._family_at = now
            found = set(self._roots)
            for root in self._roots:
                with contextlib.suppress(psutil.Error):
                    found.update(child.pid for child in psutil.Process(root).children(recursive=True))
            self._family = self._family | found
        return self._family

    # --- what was seen ---------------------------------------------------------------------------------------------

    def during(self, windows: Windows) -> Telemetry | None:
        """What was seen in these windows of time.monotonic(); None where nothing was."""
        if self._device is None or not windows:
            return None
        if self._device.type != "cuda":
            share = self._cpu.share(windows)
            seconds = sum(end - start for start, end in windows)
            return None if share is None else Telemetry(seconds=seconds, others_cpu=share)
        samples = _inside(list(self._gpu.samples), windows)
        lost = self._gpu.lost_at is not None and self._gpu.lost_at <= max(end for _, end in windows)
        seen = summary(samples, list(self._gpu.samples), windows) if samples else Telemetry() if lost else None
        if seen is None:
            return None
        return msgspec.structs.replace(seen, lost=lost, others_cpu=self._cpu.share(windows))


def _inside(samples: Sequence[Sample], windows: Windows) -> list[Sample]:
    inside = [s for s in samples if any(start <= s.t <= end for start, end in windows)]
    return inside or [s for s in samples if any(start - REACH <= s.t <= end + REACH for start, end in windows)]


def summary(samples: Sequence[Sample], everything: Sequence[Sample], windows: Windows) -> Telemetry:
    """The figures of `samples`, which lie in `windows`; `everything`: those around them too, for counters."""
    clocks = [s.sm_clock for s in samples if s.sm_clock is not None]
    powers = [s.power for s in samples if s.power is not None]
    links = [s.pcie for s in samples if s.pcie is not None]
    reasons = [s.reasons for s in samples if s.reasons is not None]
    memory = [s.memory_clock for s in _around(samples, everything) if s.memory_clock is not None]
    heat = [s.temperature for s in _around(samples, everything) if s.temperature is not None]
    energy, mean_power = _energy(everything, windows)
    source: Literal["energy counter", "samples"] | None = "energy counter" if mean_power is not None else None
    if mean_power is None and powers:
        mean_power, source = fmean(powers), "samples"
    return Telemetry(
        samples=len(samples),
        seconds=round(sum(end - start for start, end in windows), 3),
        sm_clock=_three(clocks),
        sm_clock_drift=_drift(clocks),
        memory_clock=median(memory) if memory else None,
        power=mean_power,
        power_source=source,
        energy=energy,
        temperature=max(heat, default=None),
        throttled={
            name: sum(name in these for these in reasons) / len(reasons)
            for name in sorted({name for these in reasons for name in these})
        },
        pcie_generation=max((link[0] for link in links), default=None),
        pcie_width=max((link[1] for link in links), default=None),
        foreign=tuple(dict.fromkeys(name for s in _around(samples, everything) for name in s.foreign or ())),
        xids=tuple(xid for s in _around(samples, everything) for xid in s.xids),
        ecc=tuple(_ecc(_around(samples, everything, ecc=True))),
    )


def _around(samples: Sequence[Sample], everything: Sequence[Sample], *, ecc: bool = False) -> Sequence[Sample]:
    """The samples, and back to the last seldom look before the first of them: a counter needs a look before and one after."""
    first, last = samples[0].t, samples[-1].t
    reach = gpu_watch.SELDOM * gpu_watch.PERIOD * 1.5
    after = reach if ecc else 0.0
    return [s for s in everything if first - reach <= s.t <= last + after]


def _ecc(samples: Iterable[Sample]) -> Iterable[str]:
    seen = [s.ecc for s in samples if s.ecc is not None]
    for name in seen[0] if seen else ():
        counts = [ecc[name] for ecc in seen if name in ecc]
        if max(counts) > counts[0]:
            yield f"{max(counts) - counts[0]} {name} memory errors (ECC)"


def _energy(samples: Sequence[Sample], windows: Windows) -> tuple[float | None, float | None]:
    """J and mean W over the windows that are long enough; None where there is none, or no counter."""
    counted = [(s.t, s.energy) for s in samples if s.energy is not None]
    joules = seconds = 0.0
    for start, end in windows:
        at_start, at_end = _at(counted, start), _at(counted, end)
        if end - start >= LONG_ENOUGH and at_start is not None and at_end is not None:
            joules += at_end - at_start
            seconds += end - start
    return (joules, joules / seconds) if seconds else (None, None)


def _at(counted: Sequence[tuple[float, float]], t: float) -> float | None:
    """The counter at a moment, linear between the samples on both sides."""
    before = max((c for c in counted if c[0] <= t), default=None)
    after = min((c for c in counted if c[0] >= t), default=None)
    if before is None or after is None:
        return None
    if after[0] == before[0]:
        return before[1]
    return before[1] + (after[1] - before[1]) * (t - before[0]) / (after[0] - before[0])


def _three(values: Sequence[int]) -> tuple[float, float, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return ordered[len(ordered) // 10], median(ordered), ordered[(len(ordered) * 9) // 10]


def _drift(values: Sequence[int]) -> float | None:
    third = len(values) // 3
    if third < 5:  # half a second: fewer tell nothing
        return None
    first = median(values[:third])
    return median(values[-third:]) / first - 1 if first else None
