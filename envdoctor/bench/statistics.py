"""Student's t, and what launches of the same work tell: means and intervals on the logarithm.

Times and rates vary by factors, not by amounts, so everything is done on logarithms: the interval of a ratio is then the
difference of two means. An interval from the steps of one launch a side calls 72-88 % of identical pairs different, because the
steps of one launch resemble each other; Welch's t on the medians of several launches keeps to its 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95
POWER = 0.8
"""Probability with which the smallest detectable difference would be found."""
LEAST_LAUNCHES = 3
"""Launches a side without which a ratio has no verdict."""


def t_cdf(t: float, df: float) -> float:
    """P(T <= t) of Student's t with `df` > 0 degrees of freedom, which need not be whole."""
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    tail = 0.5 * _incomplete_beta(df / 2, 0.5, df / (df + t * t))
    return 1 - tail if t > 0 else tail


def t_quantile(p: float, df: float) -> float:
    """The t with t_cdf(t, df) = p, for 0 < p < 1. Raises ValueError outside."""
    if not 0 < p < 1 or df <= 0:
        raise ValueError(f"no quantile of {p} with {df} degrees of freedom")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    high = 1.0
    while t_cdf(high, df) < p:
        high *= 2
    low = 0.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 400):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + factor * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + factor / c
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """The unbiased sample variance; 0 for a single value."""
    middle = mean(values)
    return math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1) if len(values) > 1 else 0.0


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive values; the arithmetic mean where one is not positive (an error count, a difference)."""
    return math.exp(mean([math.log(value) for value in values])) if all(v > 0 for v in values) else mean(values)


def launch_interval(medians: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """The interval of the geometric mean of launch medians; None for fewer than two, or where one is not positive."""
    if len(medians) < 2 or any(value <= 0 for value in medians):
        return None
    logs = [math.log(value) for value in medians]
    half = t_quantile(0.5 + level / 2, len(logs) - 1) * math.sqrt(variance(logs) / len(logs))
    return math.exp(mean(logs) - half), math.exp(mean(logs) + half)


@dataclass(frozen=True)
class Ratio:
    """How one side's launches compare with the other's. `value`: second over first."""

    value: float
    interval: tuple[float, float] | None = None
    """None with fewer than two launches a side."""
    detectable: float | None = None
    """The smallest ratio above 1 that so many launches, scattered so, would find in 4 of 5 comparisons."""
    p: float | None = None
    verdict: str | None = None
    """'higher', 'lower', 'no difference shown'; None: too few launches for one."""


def compare(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Ratio:
    """Welch's t on the logarithms of two sides' launch medians. Raises ValueError on an empty side or a value <= 0."""
    if not first or not second or min(*first, *second) <= 0:
        raise ValueError("launch medians are positive numbers, one at least a side")
    a, b = [math.log(value) for value in first], [math.log(value) for value in second]
    difference = mean(b) - mean(a)
    if min(len(a), len(b)) < 2:
        return Ratio(math.exp(difference))
    # A clock's granularity can make all launches equal; no measurement is that exact.
    parts = [max(variance(side), 1e-12) / len(side) for side in (a, b)]
    error = math.sqrt(sum(parts))
    df = sum(parts) ** 2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (a, b), strict=True))
    half = t_quantile(0.5 + level / 2, df) * error
    p = 2 * (1 - t_cdf(abs(difference) / error, df))
    detectable = math.exp((t_quantile(0.5 + level / 2, df) + t_quantile(POWER, df)) * error)
    interval = (math.exp(difference - half), math.exp(difference + half))
    verdict = None
    if min(len(a), len(b)) >= LEAST_LAUNCHES:
        verdict = "higher" if interval[0] > 1 else "lower" if interval[1] < 1 else "no difference shown"
    return Ratio(math.exp(difference), interval, detectable, p, verdict)
