"""Figures about figures: standard library only, so that they work where numpy does not.

Intervals come from a moving-block bootstrap (Kunsch 1989): neighbouring samples resemble each other (clocks, other
processes), and drawing them one by one would promise too narrow an interval. What wanders more slowly than a block (a clock
under a power limit) it does not see: the interval is at least that of a first-order autoregression fitted to some two dozen
consecutive parts of the samples, whatever these last (see `wander`).
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
PARTS = 24
"""Consecutive parts of the samples, in which a slow wander is looked for."""
MOST_PERSISTENT = 0.99
"""Of a part in the next one: a random walk has no mean that could be told."""
UNSURE = 0.5
"""Standard errors that the persistence is taken higher: more would call steady samples uncertain, too."""


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
    middle, half = _quantile(ordered, 0.5), wander(values)
    return min(_quantile(medians, tail), middle - half), max(_quantile(medians, 1 - tail), middle + half)


def wander(values: Sequence[float]) -> float:
    """Half the 95 % interval of the middle of samples that wander slowly, in their unit; for 6 samples or more.

    An AR(1) process is fitted to the means of PARTS consecutive parts. Its persistence is biased downwards in short series
    (corrected after Kendall 1954) and uncertain (taken half a standard error higher). Simulated with 1 % of wander and the rule
    that stops at a narrow interval, it holds the truth in 84 to 100 % of runs for noise with correlation times up to half of the
    time measured and for waves up to two and a half times it; the bootstrap alone in 11 to 60 %. Of what is slower no short run
    can tell.
    """
    middle = median(values)
    sigma = MAD_TO_SIGMA * median([abs(value - middle) for value in values])
    # An outlier moves a mean, and hardly the median.
    low, high = middle - OUTLIER_Z * sigma, middle + OUTLIER_Z * sigma
    size = max(1, len(values) // PARTS)
    count = len(values) // size
    means = [
        sum(min(max(value, low), high) for value in values[index * size : (index + 1) * size]) / size
        for index in range(count)
    ]
    centre = sum(means) / count
    off = [mean - centre for mean in means]
    squares = sum(one * one for one in off)
    if not squares:
        return 0.0
    found = sum(one * following for one, following in zip(off, off[1:])) / squares
    stays = min(max((count * found + 1) / (count - 3), 0.0), MOST_PERSISTENT)
    stays = min(stays + UNSURE * math.sqrt((1 - stays * stays) / count), MOST_PERSISTENT)
    innovations = sum((following - stays * one) ** 2 for one, following in zip(off, off[1:])) / (count - 2)
    variance = max(squares / (count - 1), innovations / (1 - stays * stays))
    of_mean = (1 + stays) / (1 - stays) - 2 * stays * (1 - stays**count) / (count * (1 - stays) ** 2)
    # More than the figure itself says no more than that: nothing is known.
    return min(_t95(max(3.0, count / 3)) * math.sqrt(variance / count * of_mean), abs(middle))


def _t95(df: float) -> float:
    """Student's 0.975 quantile (Abramowitz and Stegun 26.7.5): within 1 % from 3 degrees of freedom on."""
    z = 1.959964
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term / df ** (index + 1) for index, term in enumerate(terms))


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
