"""The table of workloads: imports nothing, so that it can be listed without torch.

To add one, write its file with `measure(context) -> Result` and add it here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Tuple

QUICK, STANDARD, FULL, SOAK = "quick", "standard", "full", "soak"
ALL = (QUICK, STANDARD, FULL)
LONG = (STANDARD, FULL)


@dataclass(frozen=True)
class Entry:
    """A workload: the module that measures it, and how much of a suite's time it gets beside the others."""

    module: str
    summary: str
    suites: Tuple[str, ...]
    weight: float = 1.0

    def load(self) -> Callable[[Any], Any]:
        measure: Callable[[Any], Any] = importlib.import_module("." + self.module, __name__).measure
        return measure


# Ceilings first: what comes later is held against them.
WORKLOADS: Dict[str, Entry] = {
    "matmul.fp32": Entry("matmul", "IEEE fp32 matrix products, square and skinny", ALL),
    "matmul.tf32": Entry("matmul", "TF32 matrix products, square and skinny", ALL),
    "matmul.bf16": Entry("matmul", "bf16 matrix products, square and skinny", ALL),
    "matmul.fp16": Entry("matmul", "fp16 matrix products, square and skinny", LONG),
    "matmul.fp8": Entry("matmul", "fp8 (e4m3) matrix products, square and skinny", LONG),
    "memory.copy": Entry("memory", "device copy, read and written", ALL),
    "memory.triad": Entry("memory", "STREAM triad", LONG, 0.7),
    "memory.rmw": Entry("memory", "read, modify, write in place", LONG, 0.7),
}


def select(names: Iterable[str]) -> List[str]:
    """Workloads by name ('matmul.bf16') or by family ('matmul'), in the table's order. Raises ValueError on an unknown one."""
    chosen = set()
    for name in names:
        found = [known for known in WORKLOADS if known == name or known.startswith(name + ".")]
        if not found:
            families = sorted({known.partition(".")[0] for known in WORKLOADS})
            raise ValueError("no workload {!r}; there are: {}".format(name, ", ".join(families)))
        chosen.update(found)
    return [known for known in WORKLOADS if known in chosen]


def suite(name: str) -> List[str]:
    """The workloads of a suite."""
    return [known for known, entry in WORKLOADS.items() if name in entry.suites]
