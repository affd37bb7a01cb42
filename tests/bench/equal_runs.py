"""Measures how often two equal runs of this very machine are called different: `python -m tests.bench.equal_runs --help`.

Each launch is a process of its own, as in `envdoctor bench --launches`. The launches are drawn into pairs of sides at random, so
that slow changes of the machine fall on both. At 95 %, no more than 6 % of the pairs may be called different.
"""

from __future__ import annotations

import argparse
import random
import sys

from envdoctor.bench.runner import Launch, Runner
from envdoctor.bench.statistics import compare
from envdoctor.bench.suites import listing, plan
from envdoctor.facts.host import Machine


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--python", default=sys.executable, help="an interpreter with torch")
    options.add_argument("--workload", default="matmul.fp32")
    options.add_argument("--device", default="cpu")
    options.add_argument("--launches", type=int, default=18)
    options.add_argument("--seconds", type=float, default=10.0, help="of each launch")
    options.add_argument("--pairs", type=int, default=2000, help="drawn from the launches")
    given = options.parse_args()
    chosen = plan(listing(Machine.here()), suite="quick", workloads=[given.workload], budget=given.seconds, launches=1)
    runner = Runner(given.python, chosen)
    medians: dict[str, list[float]] = {}
    for number in range(1, given.launches + 1):
        launch = Launch(number)
        runner.run(launch)
        for name, measured in launch.measured.items():
            value = next(iter(measured.metrics.values())).value
            if value is not None:
                medians.setdefault(name, []).append(value)
                print(f"launch {number}: {name} {value:.5g}", flush=True)
    worst = 0.0
    for name, values in medians.items():
        if len(values) < 6:
            continue
        rng = random.Random(1)
        drawn = [rng.sample(values, 6) for _ in range(given.pairs)]
        different = sum(compare(six[:3], six[3:]).verdict != "no difference shown" for six in drawn) / given.pairs
        worst = max(worst, different)
        print(
            f"{name}: {different:.1%} of {given.pairs} equal pairs of 3 launches a side are called different (6 % at most)"
        )
    return int(worst > 0.06)


if __name__ == "__main__":
    sys.exit(main())
