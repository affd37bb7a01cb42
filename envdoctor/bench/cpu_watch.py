"""How much of the CPUs' time others took while a benchmark measured."""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left
from collections.abc import Iterable

import psutil

PERIOD = 0.25
"""Seconds between samples: the kernel counts in ticks of 10 ms, and a walk over all processes costs some milliseconds."""


class CpuWatch:
    """Samples the usable CPUs' busy time and that of our own processes."""

    def __init__(self) -> None:
        self._cpus = _usable()
        self._own: dict[tuple[int, float], float] = {}
        self._times: list[float] = []
        self._others: list[float] = []
        """CPU seconds of others since the start of the machine, at each of the times."""
        self.error: str | None = None

    def sample(self, now: float, roots: Iterable[int]) -> None:
        """Takes one sample. `roots`: processes of this run, whose descendants are of it too."""
        try:
            busy = sum(_busy(cpu) for i, cpu in enumerate(psutil.cpu_times(percpu=True)) if i in self._cpus)
        except (OSError, psutil.Error, IndexError, ValueError) as error:
            self.error = str(error)
            return
        for root in (os.getpid(), *roots):
            with contextlib.suppress(psutil.Error):
                self._count(psutil.Process(root), descend=root != os.getpid())
        self._times.append(now)
        self._others.append(busy - sum(self._own.values()))

    def _count(self, process: psutil.Process, *, descend: bool) -> None:
        family = [process, *(process.children(recursive=True) if descend else [])]
        for member in family:
            with contextlib.suppress(psutil.Error):
                times = member.cpu_times()
                # One that has ended keeps what it was last seen with.
                self._own[member.pid, member.create_time()] = times.user + times.system

    def share(self, windows: Iterable[tuple[float, float]]) -> float | None:
        """Others' share of the usable CPUs' time in these windows (0-1); None where there are no samples around them."""
        taken = spent = 0.0
        for start, end in windows:
            first = bisect_left(self._times, start) - 1
            last = bisect_left(self._times, end)
            if first < 0 or last >= len(self._times):
                first, last = max(first, 0), min(last, len(self._times) - 1)
            if last > first:
                taken += self._others[last] - self._others[first]
                spent += (self._times[last] - self._times[first]) * len(self._cpus)
        return max(0.0, taken / spent) if spent > 0 else None


def _usable() -> frozenset[int]:
    """The CPUs that we may run on, which are those that the child gets."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(psutil.cpu_count() or 1))


def _busy(times: object) -> float:
    # Guest time is already in user time; waiting for a disk is idle, and stolen time is another machine's: it slows us down.
    names = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, name, 0.0) for name in names))
