"""A plan is not felt: 50 ms after start-up, the reading of the tables included."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from envdoctor.knowledge import Knowledge
from envdoctor.planning.planner import plan
from envdoctor.planning.target import describe
from envdoctor.planning.unlock import unlocks
from envdoctor.planning.wishes import checked

BUDGET_S = 0.050
DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "one GPU": {"gpus": ["RTX 4090"], "driver": "580", "os": "ubuntu24.04"},
    "mixed GPUs": {"gpus": ["RTX 5090", "RTX 3090"], "driver": "570", "os": "ubuntu24.04"},
    "no solution": {
        "gpus": ["V100", "RTX 5090"],
        "driver": "535",
        "os": "ubuntu18.04",
        "torch": ">=2.15",
        "python": "3.8",
    },
    "packages": {"gpus": ["H100"], "driver": "580", "packages": ("xformers", "vllm")},
    "extensions": {"gpus": ["H100"], "driver": "580", "purpose": "build-extensions"},
    "no GPU": {"gpus": ["none"]},
}


def seconds(words: dict[str, Any]) -> float:
    """Processor time of a plan from words, with a knowledge base that has read nothing yet."""
    machine = {name: words[name] for name in ("gpus", "driver", "os") if name in words}
    wishes = {name: value for name, value in words.items() if name not in machine}
    world = Knowledge()
    started = process_time()
    plan(describe(world, **machine), checked(world, **wishes), world)
    return process_time() - started


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_cold_plan_stays_within_50_ms(name: str) -> None:
    # The best of several: other processes on the machine are not the plan's.
    assert min(seconds(DESCRIPTIONS[name]) for _ in range(5)) < BUDGET_S


def test_the_ladder_of_drivers_stays_within_100_ms() -> None:
    best = 1.0
    for _ in range(5):
        world = Knowledge()
        started = process_time()
        unlocks(describe(world, gpus=["RTX 4090"], driver="535", os="ubuntu18.04"), checked(world), world)
        best = min(best, process_time() - started)
    assert best < 2 * BUDGET_S
