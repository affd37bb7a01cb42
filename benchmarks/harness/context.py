"""What a workload sees: the device, a seed, a budget of time, and the ways to time, to tell and to give up.

    def measure(context):
        context.declare(version=1, parameters={"m": 1024}, knobs={})     # names the work, emits `workload`
        step = ...
        timing = context.time(step)
        return context.result({"throughput": context.metric(timing, "TFLOP/s", lambda s: flop / s / 1e12)})

`measure` may be called again for more samples: what `time` keeps under a key, and `kept`, is added to.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

import torch

from benchmarks import workloads

from . import precision, roofline, statistics, work
from .device import Device
from .events import Events
from .idle import busy_seconds
from .roofline import Ceilings
from .timing import Rules, Timing, first_step
from .timing import measure as measure_steps

PROGRESS_S = 0.25
"""No more progress events than one in this time."""
USUAL_FIRST_S = 0.5
"""Seconds of a first step that come out of a workload's own time."""
ENERGY_S = 2.0
"""Seconds of windows that the energy of a training step wants."""
BEATEN = 1.005
"""Half a percent is within the ceiling's own interval."""
MOST_SAMPLES = 2000
"""Samples that a result carries; of more, evenly spaced ones (the figures are from all)."""


class Skip(Exception):
    """This workload cannot run here, for a reason that is no fault: `skipped`, not `error`."""


@dataclass
class Result:
    """The `result` event's workload."""

    name: str
    version: int
    parameters: Dict[str, Any]
    work_hash: str
    knobs: Dict[str, Any]
    metrics: Dict[str, Dict[str, Any]]
    invalid_because: List[str]
    warnings: List[str]
    windows: List[Any]
    details: Dict[str, Any]

    def event(self) -> Dict[str, Any]:
        return {
            "workload": {
                "name": self.name,
                "version": self.version,
                "parameters": self.parameters,
                "work_hash": self.work_hash,
                "knobs": self.knobs,
                "metrics": self.metrics,
                "valid": not self.invalid_because,
                "invalid_because": self.invalid_because,
                "warnings": self.warnings,
                "windows": self.windows,
                "details": self.details,
            }
        }


@dataclass
class Context:
    """One workload's view of the run."""

    name: str
    device: Device
    events: Events
    ceilings: Ceilings
    rules: Rules
    seed: int = 0
    budget_s: float = 10.0
    suite: Optional[str] = None
    preset: Optional[str] = None
    data: Optional[str] = None
    options: Dict[str, str] = field(default_factory=dict)
    """--parameter KEY=VALUE, as given."""
    timings: Dict[str, Timing] = field(default_factory=dict)
    kept: Dict[str, Dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begin(self.budget_s)

    def begin(self, budget_s: float) -> None:
        """Start (again) with so many seconds; what was measured before stays."""
        self.budget_s = budget_s
        self.started = time.monotonic()
        self.deadline = self.started + budget_s
        self._told = 0.0
        self._work: Optional[Dict[str, Any]] = None
        self._invalid: List[str] = []
        self._warnings: List[str] = []
        self._details: Dict[str, Any] = {}
        self.judged: Dict[str, Timing] = {}
        self.setup_s = 0.0
        # Every workload draws the same numbers whatever ran before it.
        torch.manual_seed(self.seed)

    def ended(self) -> None:
        """Note how much of the time since `begin` was not spent measuring."""
        measured = [
            end - start for timing in self.timings.values() for start, end in timing.windows if start >= self.started
        ]
        self.setup_s = time.monotonic() - self.started - sum(measured)

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def member(self) -> str:
        """'bf16' of 'matmul.bf16', 'h2d.pinned' of 'transfer.h2d.pinned'; '' where there is none."""
        return self.name.partition(".")[2]

    @property
    def remaining_s(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def option(self, name: str, default: Any) -> Any:
        """A --parameter, or its default. Raises ValueError naming what is wrong; KeyError where the table does not have it."""
        kind = workloads.WORKLOADS[self.name].options[name]
        return workloads.parsed(name, self.options[name], kind) if name in self.options else default

    # --- telling -----------------------------------------------------------------------------------------------------

    def declare(self, version: int, parameters: Mapping[str, Any], knobs: Mapping[str, Any]) -> str:
        """Name the work before doing it; emits `workload`; returns the work_hash. Parameters and knobs: JSON values."""
        digest = work.work_hash(self.name, version, parameters)
        self._work = {
            "name": self.name,
            "version": version,
            "parameters": dict(parameters),
            "work_hash": digest,
            "knobs": dict(knobs),
        }
        self.events.emit("workload", budget_s=round(self.budget_s, 3), **self._work)
        return digest

    def progress(
        self, phase: str, step: int, steps: Optional[int] = None, value: Optional[float] = None, unit: str = "s"
    ) -> None:
        """phase: setup, warmup, measure or check. Cheap to call often: most calls say nothing."""
        now = time.monotonic()
        if now - self._told < PROGRESS_S:
            return
        self._told = now
        self.events.emit(
            "progress",
            workload=self.name,
            phase=phase,
            step=step,
            steps=steps,
            figure=None if value is None else {"value": value, "unit": unit},
            elapsed_s=round(now - self.started, 3),
            remaining_s=round(max(0.0, self.deadline - now), 3),
        )

    def warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)

    def invalid(self, reason: str) -> None:
        """The figures are shown, struck, with this reason."""
        if reason not in self._invalid:
            self._invalid.append(reason)

    def wrong(self, objection: str) -> None:
        """Where there is an objection: the device computed wrongly, so that nothing else from it is to be trusted either."""
        if objection:
            self.invalid("numerics: " + objection)

    def detail(self, name: str, value: Any) -> None:
        """Something worth keeping beside the metrics."""
        self._details[name] = value

    def correct(self, name: str, value: Any) -> None:
        """A knob that is not as it was declared: the result tells what was done."""
        if self._work is not None:
            self._work["knobs"] = dict(self._work["knobs"], **{name: value})

    # --- measuring ---------------------------------------------------------------------------------------------------

    def time(
        self,
        step: Callable[[], Any],
        key: str = "step",
        share: float = 1.0,
        flush: bool = False,
        gated: bool = False,
        launches: int = 1,
        figure: Optional[Callable[[float], float]] = None,
        unit: str = "s",
        trains: bool = False,
        computes: bool = True,
    ) -> Timing:
        """Time `step` by the run's rules in `share` of the time that is left after its first run.

        key: one for each thing that a workload times. figure, unit: of the progress shown, from seconds a step. trains: a
        whole training step: energy is counted over it, and on a GPU also how long that waits for the host. computes: the
        device computes all the while. The rest as in timing.measure.
        """
        convert = figure or (lambda seconds: seconds)

        def tell(phase: str, count: int, seconds: Optional[float]) -> None:
            self.progress(phase, count, None, convert(seconds) if seconds else None, unit)

        timing = self.timings.get(key) or Timing(key=key)
        timing.computes = computes
        rules = replace(self.rules, least_s=max(self.rules.least_s, ENERGY_S)) if trains else self.rules
        begun = time.monotonic()
        first_step(self.device, step, timing)
        # Compiling and autotuning take what they take; the figures get their time all the same.
        self.deadline += max(0.0, time.monotonic() - begun - USUAL_FIRST_S)
        measure_steps(
            self.device,
            step,
            rules,
            time.monotonic() + share * self.remaining_s,
            timing=timing,
            flush=flush,
            gated=gated,
            launches=launches,
            progress=tell,
            first=False,
        )
        if trains and self.device.is_cuda:
            timing.busy_s = busy_seconds(self.device, step)
        self.timings[key] = timing
        return timing

    def bound(self, least_s: Callable[[], float], timing: Timing) -> float:
        """Least seconds of a step, from this run's ceilings; where the step beats it, a ceiling was taken in a bad moment, so the
        ceilings are measured again and the bound computed again."""
        bound = least_s()
        if timing.median < bound / BEATEN:
            self.ceilings.measure_again()
            bound = least_s()
        return bound

    def metric(
        self,
        measured: Union[Timing, Sequence[float]],
        unit: str,
        convert: Callable[[float], float] = lambda value: value,
        better: str = "higher",
        ceiling: Optional[float] = None,
        what: str = "",
        must_reach: bool = True,
    ) -> Dict[str, Any]:
        """A figure with its distribution, in `unit`.

        convert: from seconds a step (or from a sample) to the unit. ceiling, what: the physical limit in the same unit, and
        its name. must_reach: an interval wider than the rules ask for makes the result invalid.
        """
        raw = measured.samples if isinstance(measured, Timing) else list(measured)
        block = measured.block if isinstance(measured, Timing) else 1
        samples = [convert(value) for value in raw]
        metric = dict(statistics.summarise(samples, block), unit=unit, better=better)
        metric["samples"] = [float("{:.7g}".format(value)) for value in _thinned(samples)]
        metric["limit"] = roofline.limit(metric["value"], ceiling, what, better)
        metric["timing"] = measured.key if isinstance(measured, Timing) else None
        if isinstance(measured, Timing) and must_reach:
            self._judge(measured)
        self._judge_limit(metric["limit"])
        return metric

    def figure(
        self, value: float, unit: str, better: str = "higher", ceiling: Optional[float] = None, what: str = ""
    ) -> Dict[str, Any]:
        """A figure that is counted or computed once: no distribution."""
        found = roofline.limit(value, ceiling, what, better)
        self._judge_limit(found)
        return {
            "value": value, "unit": unit, "better": better, "samples": [value], "p10": value, "p90": value,
            "ci95": None, "n": 1, "rcv": None, "drift": None, "outliers": 0, "limit": found,
        }  # fmt: skip

    def once(self, value: float, unit: str, better: str = "higher") -> Dict[str, Any]:
        """A figure that tells of the first launch only: later ones find its caches on the disk."""
        return dict(self.figure(value, unit, better), once=True)

    def ratio(self, over: Timing, under: Timing, better: str = "higher") -> Dict[str, Any]:
        """Median over median of two timings taken one after the other; its interval from theirs, added in squares."""
        made = self.figure(over.median / under.median, "ratio", better)
        made["ci95"] = statistics.ratio_interval(made["value"], over.half_width, under.half_width)
        made["n"] = min(over.n, under.n)
        return made

    def _judge(self, timing: Timing) -> None:
        if timing.key not in self.judged:
            self.judged[timing.key] = timing
            if not timing.settled:
                self.warn("warm-up of {} did not settle: its last steps differ by more than 2 %".format(timing.key))

    def _unreached(self) -> List[str]:
        """One reason for all the intervals that are too wide."""
        missed = []
        for key, timing in self.judged.items():
            half = timing.half_width
            if timing.n < timing.wanted or half > self.rules.widest:
                spread = "+-{:.1f} %".format(100 * half) if math.isfinite(half) else "unknown"
                missed.append("{} {} from {} samples".format(key, spread, timing.n))
        if not missed:
            return []
        return [
            "interval not reached in the time given: {} (wanted: {:.0f} % from {} or more)".format(
                ", ".join(missed), 100 * self.rules.widest, max(t.wanted for t in self.judged.values())
            )
        ]

    def _judge_limit(self, found: Optional[Dict[str, Any]]) -> None:
        if found is not None and found["percent"] > 100 * BEATEN:
            self.warn("{:.0f} % of {}: that ceiling was measured too low".format(found["percent"], found["what"]))

    def result(self, metrics: Dict[str, Dict[str, Any]]) -> Result:
        """What `measure` returns. Raises ValueError where the work was not declared."""
        if self._work is None:
            raise ValueError("{}: declare the work before its result".format(self.name))
        windows = [list(window) for timing in self.timings.values() for window in timing.windows]
        details = dict(self._details, precision=precision.state(), ceilings=self.ceilings.known())
        details["timing"] = {
            key: {
                "inner": timing.inner, "blocks": timing.blocks, "block": timing.block, "cold_start_s": timing.cold_start_s,
                "warmup_steps": timing.warmup_steps, "settled": timing.settled, "host_gap": timing.host_gap,
                "gated": timing.gated, "flushed": timing.flushed, "computes": timing.computes, "windows": timing.windows,
            }
            for key, timing in self.timings.items()
        }  # fmt: skip
        return Result(
            metrics=metrics,
            invalid_because=self._invalid + self._unreached(),
            warnings=list(self._warnings),
            windows=sorted(windows),
            details=details,
            **self._work,
        )


def _thinned(samples: Sequence[float]) -> Sequence[float]:
    if len(samples) <= MOST_SAMPLES:
        return samples
    return [samples[index * len(samples) // MOST_SAMPLES] for index in range(MOST_SAMPLES)]
