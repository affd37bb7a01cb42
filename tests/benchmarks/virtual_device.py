"""A device in virtual time: a stream that runs kernels after they were launched, as a GPU does. Needs no torch and no pytest."""

from __future__ import annotations

import math
import random
from typing import Any

from benchmarks.harness import timing


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


class Stream:
    """The harness's Device, in virtual time. `busy`: when the stream will have run all that was launched."""

    type = "cuda"
    is_cuda = True

    def __init__(self, clock: Clock, launch_s: float = 5e-6, flush_s: float = 2e-3, can_gate: bool = True) -> None:
        self.clock, self.launch_s, self.flush_s, self.can_gate = clock, launch_s, flush_s, can_gate
        self.busy = clock.now
        self.synchronised = self.flushed = self.gated = 0
        self.warmth = timing.Warmth()

    def launch(self, seconds: float) -> None:
        self.clock.now += self.launch_s
        self.busy = max(self.busy, self.clock.now) + seconds

    def mark(self) -> float:
        return max(self.busy, self.clock.now)

    def seconds(self, first: float, second: float) -> float:
        return second - first

    def synchronize(self) -> None:
        self.synchronised += 1
        self.clock.now = max(self.clock.now, self.busy)

    def gate(self, seconds: float) -> bool:
        if self.can_gate:
            self.gated += 1
            self.launch(seconds)
        return self.can_gate

    def flush_cache(self) -> None:
        self.flushed += 1
        self.launch(self.flush_s)


class Wander:
    """A speed around 1 that wanders with the clock: a wave of that period, or noise that forgets itself in a sixth of it."""

    def __init__(self, clock: Clock, draw: random.Random, size: float, period: float, wave: bool) -> None:
        self.clock, self.draw, self.size, self.period, self.wave = clock, draw, size, period, wave
        self.phase = draw.random() * 2 * math.pi
        self.value, self.at = draw.gauss(0, size), clock.now

    def __call__(self) -> float:
        passed, self.at = self.clock.now - self.at, self.clock.now
        if self.wave:
            return 1 + self.size * math.sqrt(2) * math.sin(self.phase + 2 * math.pi * self.at / self.period)
        keeps = math.exp(-passed / (self.period / 6))
        self.value = keeps * self.value + self.draw.gauss(0, self.size * math.sqrt(1 - keeps * keeps))
        return 1 + self.value


def as_device(stream: Stream) -> Any:
    """The stream as the measuring loop's device."""
    return stream
