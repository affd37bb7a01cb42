"""How figures are written for people: few digits, a unit, a bar, a distribution in eight characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"
FULL, EMPTY = "━", "─"


def number(value: float | None) -> str:
    """Three to four digits that count: '0.0123', '7.13', '71.3', '713', '12,300', '1.2e-07'."""
    if value is None or math.isnan(value):
        return "-"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e7 or size < 1e-4:
        return f"{value:.2g}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 - math.floor(math.log10(size))}f}"


def quantity(value: float | None, unit: str) -> str:
    """'713 TFLOP/s', '42 %'; a dimensionless one is the number alone."""
    return number(value) if unit in ("1", "ratio", "") else f"{number(value)} {unit}"


def percent(ratio: float) -> str:
    """A small ratio as '0.4 %', '12 %'."""
    value = abs(ratio) * 100
    return f"{value:.1f} %" if value < 9.95 else f"{min(value, 999):.0f} %"


def bar(share: float, width: int = 8, *, plain: bool = False) -> str:
    """A bar for a share of 1; what exceeds 1 fills it. `plain`: in ASCII."""
    full = round(max(0.0, min(share, 1.0)) * width)
    return ("=" if plain else FULL) * full + ("." if plain else EMPTY) * (width - full)


def sparkline(samples: Sequence[float], width: int = 8) -> str:
    """The distribution of the samples from their 1st to their 99th percentile, low values on the left; '' for fewer than 8."""
    if len(samples) < 8:
        return ""
    ordered = sorted(samples)
    low, high = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    if high <= low:
        return ""
    counts = [0] * width
    for value in ordered:
        if low <= value <= high:
            counts[min(int((value - low) / (high - low) * width), width - 1)] += 1
    most = max(counts)
    return "".join(BARS[round(count / most * (len(BARS) - 1))] for count in counts)


def course(values: Sequence[float], width: int = 24) -> str:
    """How a figure went, from left to right: the mean of each stretch, from the lowest to the highest; '' for fewer than 2."""
    if len(values) < 2:
        return ""
    width = min(width, len(values))
    edges = [index * len(values) // width for index in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    return "".join(BARS[round((mean - low) / (high - low) * (len(BARS) - 1)) if high > low else 0] for mean in means)


def duration(seconds: float) -> str:
    """'8 s', '1 min 05 s', '2 h 03 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
