"""The measuring loop: first step, warm-up, blocks between two synchronisations, repeats until the interval is narrow enough.

A sample is the time of `inner` steps over `inner`; a block is the samples between two synchronisations, 250 ms or more of
them. Marks are CUDA events on a GPU, the wall clock on a CPU; the loop is the same.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple

from . import statistics

if TYPE_CHECKING:
    from .device import Device

# More launches than this do not fit into a stream's queue (1,024 on today's drivers), and a gate would then hold the host too.
QUEUE = 500
COOL_S = 1.0
"""Seconds without work after which a device's clocks may have fallen: it is warmed up anew."""


@dataclass
class Warmth:
    """How long a device has been kept at work: its own property, whichever timing did it."""

    since: float = -math.inf
    last: float = -math.inf

    def worked(self, start: float, end: float) -> None:
        """It worked from `start` to `end` (time.monotonic())."""
        if start - self.last > COOL_S:
            self.since = start
        self.last = end

    def seconds(self, now: float) -> float:
        """For how long without a pause that would let it cool; 0 where it has cooled."""
        return now - self.since if now - self.last <= COOL_S else 0.0


@dataclass
class Rules:
    """When a figure is good enough. Times in seconds; `target` is a ratio: half the 95 % interval over the median."""

    target: float = 0.01
    # What is wider is no figure; between the two it is one, and its interval tells. Runs are compared by their launches.
    widest: float = 0.03
    min_samples: int = 30
    # Of samples that take so long, fewer do: each is a mean over as much time as many others.
    long_s: float = 0.1
    min_long_samples: int = 10
    min_blocks: int = 3
    block_s: float = 0.25
    # Of windows: what wanders slowly (clocks, neighbours) is not seen in less, nor is energy counted.
    least_s: float = 2.0
    warmup_steps: int = 10
    warmup_s: float = 2.0
    warmup_agree: float = 0.02
    # Of the time that there is: a workload that never settles must still be measured (and says so).
    warmup_share: float = 0.3
    # Marks cost a microsecond each; a sample this long makes that one part in a thousand.
    sample_s: float = 1e-3
    most_samples: int = 2000

    @classmethod
    def on(cls, device: Device, quick: bool) -> "Rules":
        # Three quick launches have two seconds and thirty samples together.
        common = cls(target=0.03, least_s=0.7, min_samples=10) if quick else cls()
        # A GPU raises its clocks in about two seconds; a CPU in milliseconds. A CPU's timer ticks each 1 to 10 ms: a median
        # over samples shorter than that would leave out what the ticks take (2 to 3 %, measured by overhead.py).
        return common if device.is_cuda else replace(common, warmup_s=0.2, sample_s=1e-2)


@dataclass
class Timing:
    """What was measured: seconds a step."""

    samples: List[float] = field(default_factory=list)
    key: str = "step"
    """Which of a workload's timings it is."""
    block: int = 1
    """Samples between two synchronisations, in the longest block."""
    blocks: int = 0
    inner: int = 1
    """Steps a sample."""
    cold_start_s: Optional[float] = None
    """The very first step with its synchronisation: allocation, autotuning, compilation."""
    warmup_steps: int = 0
    settled: bool = True
    flushed: bool = False
    gated: bool = False
    computes: bool = True
    """Whether the device computes all the while, so that its clocks tell something."""
    busy_s: Optional[float] = None
    """Seconds of a step that the device computes, measured behind a gate; None: not known."""
    windows: List[Tuple[float, float]] = field(default_factory=list)
    """When it was measured, by the monotonic clock."""
    target: float = 0.01
    wanted: int = 30

    @property
    def n(self) -> int:
        return len(self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def half_width(self) -> float:
        return statistics.half_width(self.samples, self.block, resamples=200)

    @property
    def host_gap(self) -> Optional[float]:
        """Share of a step that the device waits for the host's launches (0-1); None: not known.

        Marks in the stream cannot tell: the time between two of them holds the device's idle time too.
        """
        return None if self.busy_s is None or not self.n else max(0.0, 1 - self.busy_s / self.median)

    @property
    def window_s(self) -> float:
        return sum(end - start for start, end in self.windows)

    @property
    def reached(self) -> bool:
        return self.n >= self.wanted and self.half_width <= self.target


Progress = Callable[[str, int, Optional[float]], None]
"""(phase, step, seconds a step)"""


def measure(
    device: Device,
    step: Callable[[], Any],
    rules: Rules,
    deadline: float,
    timing: Optional[Timing] = None,
    flush: bool = False,
    gated: bool = False,
    launches: int = 1,
    progress: Progress = lambda phase, step, seconds: None,
    first: bool = True,
) -> Timing:
    """Time `step` until the rules are met or `deadline` (time.monotonic) has come; at least one block is always taken.

    timing: of an earlier call with the same step, to add to. flush: other data in the cache before each sample (then a
    sample is one step). gated: launch behind a kernel that holds the stream. launches: kernels a step, about, for the gate.
    first: the first step is still to be done (see first_step).
    Raises what `step` raises.
    """
    timing = Timing() if timing is None else timing
    timing.target, timing.wanted = rules.target, rules.min_samples
    timing.flushed = timing.flushed or flush
    if first:
        first_step(device, step, timing)
    # Steps a sample that a gate can hold.
    most_inner = max(1, QUEUE // launches) if gated else sys.maxsize
    sample_s = _warm_up(device, step, rules, deadline, timing, flush, progress, most_inner)
    flush_s = _flush_seconds(device) if flush else 0.0
    if sample_s >= rules.long_s:
        timing.wanted = min(rules.min_samples, rules.min_long_samples)
    start, checked = time.monotonic(), 0
    while True:
        count = _block_samples(rules, sample_s + flush_s, deadline, gated, launches * timing.inner)
        _block(device, step, count, timing, gated, launches)
        sample_s = timing.median * timing.inner
        progress("measure", timing.n, timing.median)
        now = time.monotonic()
        device.warmth.worked(start, now)
        late = now + sample_s >= deadline
        # Asking costs tens of milliseconds: only when the answer may have changed.
        due = (
            timing.n >= max(timing.wanted, checked * 1.2)
            and timing.blocks >= rules.min_blocks
            and timing.window_s + now - start >= rules.least_s
        )
        if (
            late
            or (timing.n >= 10 * rules.most_samples and timing.window_s + now - start >= rules.least_s)
            or (due and timing.half_width <= rules.target)
        ):
            break
        checked = timing.n if due else checked
    timing.windows.append((start, time.monotonic()))
    return timing


def first_step(device: Device, step: Callable[[], Any], timing: Timing) -> None:
    """The very first step with its synchronisation: what compiles or allocates does so here, before time is shared out."""
    device.synchronize()
    begun = time.perf_counter()
    step()
    device.synchronize()
    if timing.cold_start_s is None:
        timing.cold_start_s = time.perf_counter() - begun


def _warm_up(
    device: Device,
    step: Callable[[], Any],
    rules: Rules,
    deadline: float,
    timing: Timing,
    flush: bool,
    progress: Progress,
    most_inner: int,
) -> float:
    """Step until the device is warm and the last five agree with the five before; sets `inner`; returns seconds a sample."""
    start = time.monotonic()
    limit = start + rules.warmup_share * max(0.0, deadline - start)
    again = bool(timing.samples)
    times: List[float] = []
    steps, inner = 1, timing.inner
    while True:
        now = time.monotonic()
        device.warmth.worked(start, now)
        agree = _agree(times, rules.warmup_agree)
        enough = steps >= rules.warmup_steps and len(times) >= 10 and device.warmth.seconds(now) >= rules.warmup_s
        if (enough and agree) or (now >= limit and times):
            break
        begun = time.perf_counter()
        for _ in range(inner):
            step()
        device.synchronize()
        times.append((time.perf_counter() - begun) / inner)
        steps += inner
        if len(times) == 2 and not again and not flush:
            # Long enough for its marks; longer where there is much time, but what is averaged over many steps shows no spread.
            wanted = min(max(rules.sample_s, (deadline - start) / rules.most_samples), 5 * rules.sample_s)
            inner = min(max(1, math.ceil(wanted / max(min(times), 1e-8))), most_inner)
        progress("warmup", steps, times[-1])
    timing.inner = inner
    timing.warmup_steps += steps
    timing.settled = agree
    return statistics.median(times[-5:]) * inner


def _agree(times: List[float], within: float) -> bool:
    """Whether the last five steps take what the five before took; of fewer than ten steps it is not known, so nothing is said."""
    if len(times) < 10:
        return True
    before = statistics.median(times[-10:-5])
    return abs(statistics.median(times[-5:]) / before - 1) <= within if before else True


def _block_samples(rules: Rules, sample_s: float, deadline: float, gated: bool, launches: int) -> int:
    count = math.ceil(rules.block_s / max(sample_s, 1e-7))
    fits = int((deadline - time.monotonic()) / max(sample_s, 1e-7))
    count = min(count, max(fits, 1))
    # What does not fit into the queue is not held by the gate.
    return min(count, max(1, QUEUE // max(1, launches))) if gated else count


def _flush_seconds(device: Device) -> float:
    """What emptying the cache costs: it takes most of a block where steps are short."""
    device.flush_cache()
    device.synchronize()
    begun = time.perf_counter()
    device.flush_cache()
    device.synchronize()
    return time.perf_counter() - begun


def _block(device: Device, step: Callable[[], Any], count: int, timing: Timing, gated: bool, launches: int) -> None:
    """Take `count` samples with one synchronisation."""
    marks = []
    inner, flush = timing.inner, timing.flushed
    device.synchronize()
    if gated:
        # Long enough to launch the whole block behind it: 20 us a launch is slow for a host.
        timing.gated = device.gate(min(1.0, 2e-5 * count * inner * launches + 1e-3)) or timing.gated
    if flush:
        for _ in range(count):
            device.flush_cache()
            first = device.mark()
            for _ in range(inner):
                step()
            marks.append((first, device.mark()))
    else:
        last = device.mark()
        for _ in range(count):
            for _ in range(inner):
                step()
            mark = device.mark()
            marks.append((last, mark))
            last = mark
    device.synchronize()
    times = [device.seconds(first, second) for first, second in marks]
    timing.samples += [seconds / inner for seconds in times]
    timing.block = max(timing.block, count)
    timing.blocks += 1
