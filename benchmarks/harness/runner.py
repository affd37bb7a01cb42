"""Runs workloads one after another within a budget; what fails costs that workload, not the run.

Each gets its share of the time by weight, and what one does not need goes to the rest. What is left at the end goes to the
figures whose intervals are widest, until all are narrow enough or the time is up.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from typing import Dict, Mapping, Optional, Sequence

from benchmarks import workloads

from .context import Context, Result, Skip
from .device import Device
from .events import Events
from .failures import describe
from .roofline import Ceilings
from .timing import Rules

# What the second pass may count on, where the suite is given a budget.
KEEP_BACK = 0.15
# Less than this is not worth another set-up.
LEAST_EXTENSION_S = 2.0
DEVICE_LOST = 4
"""Exit code: the device stopped computing; the workloads that were not run need a new process."""


class Runner:
    """Runs the workloads of one process."""

    def __init__(
        self,
        device: Device,
        events: Events,
        rules: Rules,
        seed: int = 0,
        suite: Optional[str] = None,
        preset: Optional[str] = None,
        data: Optional[str] = None,
        options: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.device, self.events, self.rules = device, events, rules
        self.seed, self.suite, self.preset, self.data = seed, suite, preset, data
        self.options = dict(options or {})
        self.ceilings = Ceilings(device)
        self.failed = False

    def run(self, names: Sequence[str], budget_s: float) -> int:
        """Run them all; returns the exit code: 0, 1 where a workload failed, DEVICE_LOST."""
        end = time.monotonic() + budget_s
        first_end = end - (KEEP_BACK * budget_s if len(names) > 1 else 0.0)
        names = [name for name in names if self._available(name)]
        weights = [workloads.WORKLOADS[name].weight for name in names]
        contexts: Dict[str, Context] = {}
        for index, name in enumerate(names):
            left = max(0.0, first_end - time.monotonic())
            context = self._context(name, left * weights[index] / sum(weights[index:]))
            if self._measure(context):
                contexts[name] = context
            if not self.device.alive():
                return DEVICE_LOST
        while contexts:
            left = end - time.monotonic()
            # What sets up for longer than is left would gain nothing, and make the run late.
            contexts = {name: context for name, context in contexts.items() if context.setup_s < left}
            widest = max(contexts.values(), key=_excess, default=None)
            if widest is None or left < LEAST_EXTENSION_S or _excess(widest) <= 1.0:
                break
            widest.begin(min(left, _seconds_to_reach(widest)))
            if not self._measure(widest):
                del contexts[widest.name]
                if not self.device.alive():
                    return DEVICE_LOST
        return int(self.failed)

    def _context(self, name: str, budget_s: float) -> Context:
        return Context(
            name=name,
            device=self.device,
            events=self.events,
            ceilings=self.ceilings,
            rules=self.rules,
            seed=self.seed,
            budget_s=budget_s,
            suite=self.suite,
            preset=self.preset,
            data=self.data,
            options=self.options,
        )

    def _available(self, name: str) -> bool:
        """Whether it can run here: asked of all before the time is shared out. A module that cannot say is asked to run."""
        try:
            why = getattr(workloads.WORKLOADS[name].load_module(), "unavailable", None)
        except ImportError:
            return True  # and the error will be told
        entry = name.partition(".")[2]
        reason = why(entry, self.device) if why is not None else ""
        if reason:
            self.events.emit("skipped", workload=name, reason=reason)
        return not reason

    def _measure(self, context: Context) -> Optional[Result]:
        """Run one and tell what came of it; None where it gave no result."""
        try:
            context.progress("setup", 0)
            result: Result = workloads.WORKLOADS[context.name].load()(context)
            self.device.synchronize()
            context.ended()
            self.events.emit("result", **result.event())
            return result
        except Skip as skip:
            self.events.emit("skipped", workload=context.name, reason=str(skip))
        except BrokenPipeError:
            raise
        # The one place where a workload may fail in any way: the error becomes an event with its text.
        except Exception as error:  # noqa: BLE001
            self.failed = True
            self.events.emit("error", workload=context.name, log_tail=[], **describe(error))
        finally:
            self._clean()
        return None

    def _clean(self) -> None:
        """Leave nothing of one workload to the next."""
        gc.collect()
        try:
            self.device.release()
        except RuntimeError as error:
            # A device that was lost raises at every call; `alive` is asked next.
            self.events.emit("log", text="releasing the device's memory: {}".format(error))
        # Only where it is there already: asking torch for the attribute would import it, which takes seconds.
        dynamo = sys.modules.get("torch._dynamo")
        if dynamo is not None:
            dynamo.reset()


def _excess(context: Context) -> float:
    """How many times wider than wanted its widest interval is."""
    ratios = []
    for timing in context.judged.values():
        half = timing.half_width
        ratios.append(max(half / timing.target, timing.wanted / max(1, timing.n)))
    return max(ratios, default=0.0)


def _seconds_to_reach(context: Context) -> float:
    """An interval narrows with the root of the samples: what is missing, with a third more for set-up and warm-up."""
    excess = _excess(context)
    if not math.isfinite(excess):
        return 2 * context.budget_s
    return max(LEAST_EXTENSION_S, 1.33 * context.budget_s * min(excess**2 - 1, 4.0))
