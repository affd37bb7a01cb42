"""Which GPU of a node is not like the others of its kind: three or more equal cards are each other's best reference.

The thresholds are ours, far outside of what equal cards differ by: the same board's limit is the same number, the clocks of two
cards under one load lie within a few percent, and a card in the same airflow is seldom 15 degrees warmer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import msgspec

from envdoctor.facts.sections.gpu import Gpu

FEWEST = 3
"""Of two that differ nobody can say which one is wrong."""
SAME_LIMIT = 0.95
SAME_CLOCK = 0.8
WARMER, HOT = 25, 80
"""Degrees Celsius above the median of the others, and at least, while nothing runs on it."""
BUSY = 50
"""Percent of the time in which a kernel ran."""


class Outlier(msgspec.Struct, frozen=True):
    """`fact`: the field that tells; `own`, `others`: its value, and the median of the others."""

    gpu: Gpu
    fact: str
    own: float
    others: float


def outliers(gpus: Sequence[Gpu]) -> Iterator[Outlier]:
    """Every GPU that is worse than its like by more than equal cards are; nothing where fewer than three are alike."""
    kinds: dict[tuple[str, int | None], list[Gpu]] = defaultdict(list)
    for gpu in gpus:
        if gpu.name and not gpu.lost and not gpu.mig_enabled:
            kinds[gpu.name, gpu.memory_total and gpu.memory_total >> 30].append(gpu)
    for alike in kinds.values():
        if len(alike) >= FEWEST:
            yield from _below(alike, "power_limit", lambda gpu: gpu.power_limit, SAME_LIMIT)
            yield from _below([gpu for gpu in alike if _busy(gpu)], "sm_clock", lambda gpu: gpu.sm_clock, SAME_CLOCK)
            yield from _below(alike, "nvlinks", links_up, 1.0)
            yield from _hot(alike)


def _below(alike: Sequence[Gpu], name: str, value: Callable[[Gpu], float | None], share: float) -> Iterator[Outlier]:
    known = [(gpu, found) for gpu in alike if (found := value(gpu)) is not None]
    for gpu, own in known:
        others = [other for one, other in known if one is not gpu]
        if len(others) >= FEWEST - 1 and own < share * median(others):
            yield Outlier(gpu, name, own, median(others))


def _hot(alike: Sequence[Gpu]) -> Iterator[Outlier]:
    """One that is hot with nothing to do: under load, heat lowers the clocks, which is told by itself."""
    idle = [gpu for gpu in alike if gpu.utilization == 0 and gpu.temperature is not None]
    for gpu in idle:
        others = [one.temperature or 0 for one in idle if one is not gpu]
        own = gpu.temperature or 0
        if len(others) >= FEWEST - 1 and own >= HOT and own - median(others) >= WARMER:
            yield Outlier(gpu, "temperature", own, median(others))


def _busy(gpu: Gpu) -> bool:
    return (gpu.utilization or 0) >= BUSY


def links_up(gpu: Gpu) -> int | None:
    """How many NVLinks are up on a board with NVSwitch, where all cards have as many; None elsewhere: bridges join pairs."""
    switched = gpu.fabric_state not in (None, "not_supported")
    return sum(link.active is True for link in gpu.nvlinks) if gpu.nvlinks and switched else None
