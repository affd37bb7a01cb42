"""Figures about figures: standard library only, so that they work where numpy does not.

Intervals come from a moving-block bootstrap (Kunsch 1989): neighbouring samples resemble each other (clocks, other
processes), and drawing them one by one would promise too narrow an interval.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from typing import Any, Dict, List, Optional, Sequence, Tuple

# A sample is an outlier where its modified z-score passes this (Iglewicz and Hoaglin 1993). It is counted, never dropped.
OUTLIER_Z = 3.5
# Makes the median absolute deviation estimate a normal distribution's standard deviation.
MAD_TO_SIGMA = 1.4826
RESAMPLES = 400


def median(values: Sequence[float]) -> float:
    """The middle value. Raises ValueError where there is none."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile, linear between neighbours (numpy's default). Raises ValueError on an empty sequence."""
    return _quantile(sorted(values), q)


def _quantile(ordered: Sequence[float], q: float) -> float:
    if not ordered:
        raise ValueError("no samples")
    place = (len(ordered) - 1) * q
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def robust_cv(values: Sequence[float]) -> float:
    """1.4826 times the median absolute deviation, over the median: a ratio."""
    middle = median(values)
    return MAD_TO_SIGMA * median([abs(value - middle) for value in values]) / abs(middle) if middle else 0.0


def outliers(values: Sequence[float]) -> int:
    """How many samples stand apart from the rest."""
    middle = median(values)
    sigma = MAD_TO_SIGMA * median([abs(value - middle) for value in values])
    return sum(abs(value - middle) > OUTLIER_Z * sigma for value in values) if sigma else 0


def drift(values: Sequence[float]) -> Optional[float]:
    """Median of the last third over that of the first, less 1: a ratio; None for fewer than 6 samples."""
    third = len(values) // 3
    first = median(values[:third]) if third >= 2 else 0.0
    return median(values[-third:]) / first - 1 if first else None


def block_length(n: int, block: int = 1) -> int:
    """Samples a bootstrap block: all between two synchronisations, but n^(1/3) at least (Hall 1995) and n/6 at most."""
    return max(1, min(max(block, math.ceil(n ** (1 / 3))), n // 6))


def interval(
    values: Sequence[float], block: int = 1, seed: int = 0, resamples: int = RESAMPLES, level: float = 0.95
) -> Optional[Tuple[float, float]]:
    """The median's confidence interval by a moving-block bootstrap; None for fewer than 6 samples.

    block: samples between two synchronisations. seed: the same samples always give the same interval.
    """
    n = len(values)
    if n < 6:
        return None
    length = block_length(n, block)
    draw = random.Random(seed).randrange  # noqa: S311 - statistics, not secrets
    starts = n - length + 1
    # Medians need ranks only: sorting small integers is faster than sorting floats.
    ordered = sorted(values)
    ranks = [bisect_right(ordered, value) - 1 for value in values]
    medians: List[float] = []
    for _ in range(resamples):
        sample: List[int] = []
        while len(sample) < n:
            start = draw(starts)
            sample += ranks[start : start + length]
        del sample[n:]
        sample.sort()
        medians.append((ordered[sample[(n - 1) // 2]] + ordered[sample[n // 2]]) / 2)
    tail = (1 - level) / 2
    medians.sort()
    return _quantile(medians, tail), _quantile(medians, 1 - tail)


def half_width(values: Sequence[float], block: int = 1, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Half the interval over the median: a ratio; infinite where the samples are too few to tell."""
    bounds = interval(values, block, seed, resamples)
    middle = median(values) if values else 0.0
    return (bounds[1] - bounds[0]) / 2 / abs(middle) if bounds and middle else math.inf


def ratio_interval(ratio: float, *halves: float) -> Optional[List[float]]:
    """The interval of a ratio of independent figures from their half widths (ratios); None where one of them is unknown."""
    half = math.sqrt(sum(one**2 for one in halves))
    return [ratio * (1 - half), ratio * (1 + half)] if math.isfinite(half) else None


def summarise(values: Sequence[float], block: int = 1, seed: int = 0) -> Dict[str, Any]:
    """value (median), p10, p90, ci95, n, rcv, drift (ratios), outliers (count); ci95 and drift None: too few samples.

    Raises ValueError on an empty sequence.
    """
    ordered = sorted(values)
    bounds = interval(values, block, seed)
    return {
        "value": _quantile(ordered, 0.5),
        "p10": _quantile(ordered, 0.1),
        "p90": _quantile(ordered, 0.9),
        "ci95": list(bounds) if bounds else None,
        "n": len(values),
        "rcv": robust_cv(values),
        "drift": drift(values),
        "outliers": outliers(values),
    }
