"""The overhead script, with a harness that takes a half more time for each step than the step takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import overhead
from benchmarks.harness import timing

measure = timing.measure


def dragging(device: Any, step: Callable[[], Any], *arguments: Any, **options: Any) -> Any:
    def slower() -> None:
        begun = time.perf_counter()
        step()
        until = time.perf_counter() + 0.5 * (time.perf_counter() - begun)
        while time.perf_counter() < until:
            pass

    return measure(device, slower, *arguments, **options)


def too_large(device: Any) -> Any:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\nand more of that kind")


if "--case=copy" in sys.argv:
    overhead.CASES["copy"] = too_large
timing.measure = dragging
sys.exit(overhead.main(["--device=cpu", "--json", "--seconds=15", *sys.argv[1:]]))
