"""How long a plan takes after start-up: `make bench-plan`.

Each figure is the median over fresh interpreters of the wall time from the words of a description to the Plan, tables and all;
imports are start-up and are not in it. Limit: 50 ms.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from tests.planning.test_speed import BUDGET_S, DESCRIPTIONS

RUNS = 9
TIMED = """\
import json, sys, time
import envdoctor.planning.changes, envdoctor.planning.planner as planner, envdoctor.planning.target as target
import envdoctor.planning.wishes as wishes
from envdoctor.knowledge import load
words = json.loads(sys.argv[1])
machine = {name: words.pop(name) for name in ("gpus", "driver", "os") if name in words}
started = time.perf_counter()
world = load()
planner.plan(target.describe(world, **machine), wishes.checked(world, **words), world)
print(time.perf_counter() - started)
"""


def median_seconds(words: object) -> float:
    command = [sys.executable, "-c", TIMED, json.dumps(words)]
    runs = [float(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout) for _ in range(RUNS)]
    return statistics.median(runs)


def main() -> int:
    slow = 0
    for name, words in DESCRIPTIONS.items():
        found = median_seconds(words)
        slow += found > BUDGET_S
        print(f"{name:<14} {found * 1e3:>6.1f} ms{'  too slow' if found > BUDGET_S else ''}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
