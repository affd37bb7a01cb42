"""Running the benchmarks, and scripts about them, in an interpreter that has torch."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests import real_torch

ROOT = Path(__file__).parents[2]
SCENARIOS = Path(__file__).parent / "scenarios"


def run(
    *arguments: str | Path,
    torchvision: bool = False,
    packages: tuple[str, ...] = (),
    cwd: Path | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """torch's Python, with these packages beside it, with these arguments, on a machine that has no GPU for it.

    No NumPy and no Pillow without torchvision.
    """
    python = real_torch.environment(*packages, torchvision=torchvision).python
    return subprocess.run(
        [python, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=cwd,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
    )


def scenario(
    name: str, *arguments: str, torchvision: bool = False, packages: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """A script of scenarios/, with the checkout's `benchmarks` importable."""
    # One thread: several wait for each other by spinning, which on a busy machine costs more than it brings.
    return run(
        SCENARIOS / name,
        *arguments,
        torchvision=torchvision,
        packages=packages,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS="1",
    )


def bench(
    *arguments: str, torchvision: bool = False, packages: tuple[str, ...] = (), cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The benchmarks by path, as envdoctor runs them."""
    return run(ROOT / "benchmarks", *arguments, torchvision=torchvision, packages=packages, cwd=cwd)


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What was said, an event each; fails on anything else on stdout."""
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def results(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """The last result of each workload, by name."""
    return {e["workload"]["name"]: e["workload"] for e in events(done) if e["event"] == "result"}
