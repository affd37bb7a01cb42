"""The limits that other figures are held against, measured in the same run on the same device.

A ceiling is what this device really reached a moment ago: the fast decile of a large square matrix product (FLOP/s) and of a
large device copy (bytes read and written a second). A datasheet's peak is the parent's to add.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional

from . import kernels, precision, statistics, timing
from .device import Device

MEASURE_S = 1.0
"""What a ceiling may cost where no workload has measured it."""


class Ceilings:
    """Measured when first asked for; workloads that measure the same thing better hand their figure in."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._known: Dict[str, float] = {}

    def adopt(self, name: str, value: float) -> None:
        """A figure that a workload reached: 'copy' in bytes/s, 'matmul.bf16' in FLOP/s. The best one counts."""
        self._known[name] = max(value, self._known.get(name, 0.0))

    def measure_again(self) -> None:
        """All that is known, once more: the best figure counts, as a noisy second only makes it lower."""
        for name in list(self._known):
            kind, _, dtype = name.partition(".")
            self.adopt(name, self._measure_copy() if kind == "copy" else self._measure_matmul(dtype))

    def known(self) -> Dict[str, float]:
        return dict(self._known)

    def matmul(self, dtype: str) -> float:
        """FLOP/s of a large square product in 'fp32', 'tf32', 'bf16' or 'fp16'."""
        return self._ceiling("matmul." + dtype, lambda: self._measure_matmul(dtype))

    def copy(self) -> float:
        """Bytes read and written a second by a copy far larger than the caches."""
        return self._ceiling("copy", self._measure_copy)

    def bound(self, flop: float, moved: float, dtype: str) -> float:
        """Least seconds for that many operations and bytes: whichever ceiling binds."""
        return max(flop / self.matmul(dtype), moved / self.copy())

    def _ceiling(self, name: str, measure: Callable[[], float]) -> float:
        if name not in self._known:
            self._known[name] = measure()
        return self._known[name]

    def _measure_matmul(self, dtype: str) -> float:
        n = kernels.square_size(self._device)
        with precision.tf32(dtype == "tf32", dtype == "tf32"):
            step = kernels.rotating_product(self._device, dtype, n, n, n)
            return 2.0 * n**3 / self._fast_decile(step)

    def _measure_copy(self) -> float:
        step, moved = kernels.operation(self._device, "copy")
        return moved / self._fast_decile(step)

    def _fast_decile(self, step: Callable[[], Any]) -> float:
        rules = timing.Rules(target=0.01, min_samples=10, min_blocks=1, warmup_s=0.2, warmup_share=0.3)
        taken = timing.measure(self._device, step, rules, time.monotonic() + MEASURE_S)
        return statistics.quantile(taken.samples, 0.1)


def limit(value: float, ceiling: Optional[float], what: str, better: str = "higher") -> Optional[Dict[str, Any]]:
    """A metric's `limit`: the ceiling in the metric's unit, and how much of it was reached, in percent."""
    if not ceiling or not value:
        return None
    share = value / ceiling if better == "higher" else ceiling / value
    return {"value": ceiling, "percent": 100 * share, "what": what}
