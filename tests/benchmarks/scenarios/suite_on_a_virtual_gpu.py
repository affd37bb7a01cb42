"""A suite on a GPU in virtual time: the real runner, context and measuring loop, and workloads that know how long they take.

    suite_on_a_virtual_gpu.py SUITE CARD SECONDS

tells {workload: {"reasons", "warnings", "windows"}} and the virtual seconds that it took. Durations are computed from the cards'
published rates, not measured: what is tested is how time is shared out.
"""

from __future__ import annotations

import json
import random
import sys
import types
from typing import Any

from benchmarks import workloads
from benchmarks.harness import command, idle, runner, timing
from benchmarks.harness import context as context_module
from benchmarks.harness.context import Context, Result
from benchmarks.harness.events import Events
from tests.benchmarks.virtual_device import Clock, Stream, Wander, as_device

IMPORTS_S = 4.5
# (seconds to set up, of the first step, {timing: seconds a step}); "first" the first launch's cold start.
CARDS: dict[str, dict[str, tuple[float, dict[str, float]]]] = {
    "h200": {
        "matmul.fp32": (0.5, {"square": 22e-3, "skinny": 1.05e-3}),
        "matmul.tf32": (0.5, {"square": 2.8e-3, "skinny": 0.5e-3}),
        "matmul.bf16": (0.5, {"square": 1.4e-3, "skinny": 0.25e-3}),
        "matmul.fp16": (0.5, {"square": 1.4e-3, "skinny": 0.25e-3}),
        "matmul.fp8": (0.5, {"square": 0.8e-3, "skinny": 0.13e-3}),
        "memory": (0.2, {"step": 0.5e-3}),
        "transfer": (1.0, {"step": 5e-3}),
        "launch": (0.1, {"step": 2e-4}),
        "conv": (0.3, {"a": 0.25e-3, "b": 0.25e-3, "c": 0.12e-3, "d": 0.12e-3}),
        "resnet50.train": (3.0, {"step": 90e-3}),
        "transformer.train": (2.0, {"step": 60e-3}),
        "refcnn.train": (1.5, {"tuned": 7.5e-3, "article": 20e-3}),
        "loader": (2.0, {"workers_0": 0.8, "workers_4": 0.8, "workers_16": 0.8}),
        "ablation": (2.0, {"step": 20e-3}),
        "other": (4.0, {}),
    },
    "t4": {
        "matmul.fp32": (1.0, {"square": 137e-3, "skinny": 6.6e-3}),
        "matmul.fp16": (1.0, {"square": 27e-3, "skinny": 3e-3}),
        "memory": (0.3, {"step": 9e-3}),
        "transfer": (1.0, {"step": 22e-3}),
        "launch": (0.1, {"step": 4e-4}),
        "conv": (0.5, {"a": 5e-3, "b": 4e-3, "c": 2.5e-3, "d": 2e-3}),
        "resnet50.train": (3.0, {"step": 180e-3}),
        "transformer.train": (2.0, {"step": 270e-3}),
        "refcnn.train": (3.0, {"tuned": 110e-3, "article": 250e-3}),
        "other": (4.0, {}),
    },
}
COMPILES_S = 30.0
suite, card, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
clock = Clock()
for module in (timing, idle, runner, context_module):
    vars(module)["time"] = clock
device = Stream(clock)
noise = random.Random(5)


def measure(context: Context) -> Result:
    family = context.name.partition(".")[0]
    known = CARDS[card]
    setup, timings = known.get(context.name) or known.get(family) or known["other"]
    context.declare(1, {}, {})
    # What checks answers takes the time that it gets.
    clock.now += setup if timings else context.remaining_s
    metrics = {}
    if suite == "quick":
        timings = {key: step_s for key, step_s in timings.items() if key != "skinny"}
    for index, (key, step_s) in enumerate(timings.items()):
        speed = Wander(clock, noise, 0.004, 3.0, wave=False)
        first = [COMPILES_S if key == "tuned" and suite != "quick" else 0.3]

        def step(step_s: float = step_s, speed: Wander = speed, first: list[float] = first) -> None:
            clock.now += first.pop() if first else 0.0
            device.launch(step_s * speed() * noise.gauss(1, 0.003))

        trains = context.name.endswith(".train")
        taken = context.time(
            step, key, 1.0 / (len(timings) - index), gated=family == "transfer", trains=trains, launches=1
        )
        metrics[key] = context.metric(taken, "ms", lambda s: 1e3 * s, "lower")
    return context.result(metrics)


planted: Any = types.ModuleType("benchmarks.workloads.planted")
planted.measure = measure
sys.modules[planted.__name__] = planted
known = CARDS[card]
for name in list(workloads.WORKLOADS):
    entry = workloads.WORKLOADS[name]
    # The card cannot multiply in it.
    if name.startswith("matmul.") and name not in known:
        del workloads.WORKLOADS[name]
        continue
    workloads.WORKLOADS[name] = workloads.Entry("planted", entry.summary, entry.suites, entry.weight)
Stream.alive = lambda self: True  # type: ignore[attr-defined]
Stream.release = lambda self: None  # type: ignore[attr-defined]


class Kept(Events):
    """Keeps the results."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.errors: list[Any] = []

    def emit(self, event: str, **fields: Any) -> None:
        if event == "result":
            self.results[fields["workload"]["name"]] = fields["workload"]
        elif event == "error":
            self.errors.append(fields)


kept = Kept()
began = clock.now
clock.now += IMPORTS_S
run = runner.Runner(as_device(device), kept, timing.Rules.on(as_device(device), quick=suite == "quick"), suite=suite)
run.run(workloads.suite(suite), seconds - IMPORTS_S - min(command.CLOSING_S, command.CLOSING_SHARE * seconds))
found = {
    name: {
        "reasons": result["invalid_because"],
        "warnings": result["warnings"],
        "windows": {
            key: sum(end - start for start, end in one["windows"]) for key, one in result["details"]["timing"].items()
        },
    }
    for name, result in kept.results.items()
}
sys.stdout.write(
    json.dumps({"seconds": clock.now - began, "workloads": found, "errors": [e["message"] for e in kept.errors]})
)
