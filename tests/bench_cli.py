"""How fast the command line is, as ratios within one run: `make bench-cli`.

Absolute times say more about a machine than about a program, so each figure is the median ratio of interleaved pairs.
"""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import envdoctor
from tests import real_torch

PAIRS = 9
ENVDOCTOR = str(Path(sys.executable).with_name("envdoctor"))


def seconds(command: Sequence[str]) -> float:
    """Wall time of one run; any exit code that envdoctor documents is fine."""
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=False)
    elapsed = time.perf_counter() - started
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}")
    return elapsed


def ratio(ours: Sequence[str], theirs: Sequence[str], pairs: int = PAIRS) -> tuple[float, float, float]:
    """Median ratio of interleaved pairs, and the two medians in seconds. The first pair warms the caches and is dropped."""
    measured = [(seconds(ours), seconds(theirs)) for _ in range(pairs + 1)][1:]
    return (
        statistics.median(a / b for a, b in measured),
        statistics.median(a for a, _ in measured),
        statistics.median(b for _, b in measured),
    )


def main() -> int:
    os.environ.pop("VIRTUAL_ENV", None)
    # pip compiles what it installs; an editable install under PYTHONDONTWRITEBYTECODE would compile in every run.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(Path(envdoctor.__file__).parent, quiet=2)
    target = str(real_torch.environment().python)
    trials = [
        ("envdoctor --help / import click", 1.3, [ENVDOCTOR, "--help"], [sys.executable, "-c", "import click"]),
        (
            "check --fast / import torch",
            0.10,
            [ENVDOCTOR, "check", "--fast", "--python", target],
            [target, "-c", "import torch"],
        ),
        (
            "check / import torch, is_available",
            1.15,
            [ENVDOCTOR, "check", "--python", target],
            [target, "-c", "import torch; torch.cuda.is_available()"],
        ),
        (
            "check / collect_env",
            0.7,
            [ENVDOCTOR, "check", "--python", target],
            [target, "-m", "torch.utils.collect_env"],
        ),
    ]
    slow = 0
    print(f"{'what':<36} {'ratio':>6} {'limit':>6} {'ours':>8} {'theirs':>8}")
    for what, limit, ours, theirs in trials:
        found, mine, other = ratio(ours, theirs)
        slow += found > limit
        print(
            f"{what:<36} {found:>6.2f} {limit:>6.2f} {mine:>7.3f}s {other:>7.3f}s{'  too slow' if found > limit else ''}"
        )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
