"""The statistics: quantiles against an independent table, and the promise that equal machines are called equal."""

from __future__ import annotations

import importlib
import math
import random
from typing import Any

import pytest

from envdoctor.bench.statistics import compare, geometric_mean, launch_interval, t_cdf, t_quantile

# t with P(|T| > t) = 0.05 and 0.01, from the table of NIST's Engineering Statistics Handbook, 1.3.6.7.2.
TABLE = [
    (1, 12.706, 63.657), (2, 4.303, 9.925), (3, 3.182, 5.841), (4, 2.776, 4.604), (5, 2.571, 4.032), (7, 2.365, 3.499),
    (10, 2.228, 3.169), (20, 2.086, 2.845), (30, 2.042, 2.750), (60, 2.000, 2.660), (100, 1.984, 2.626),
]  # fmt: skip


@pytest.mark.parametrize(("df", "five", "one"), TABLE)
def test_quantiles_agree_with_the_published_table(df: int, five: float, one: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(five, abs=6e-4)
    assert t_quantile(0.995, df) == pytest.approx(one, abs=6e-4)


@pytest.mark.parametrize("t", [-30.0, -2.5, -1e-6, 0.0, 0.3, 4.0, 1e4])
def test_the_cdf_of_one_and_two_degrees_has_a_closed_form(t: float) -> None:
    assert t_cdf(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-10)
    assert t_cdf(t, 2) == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t * t)), abs=1e-10)


@pytest.mark.parametrize("df", [1.0, 1.37, 2.9, 4.0, 17.3, 250.0])
def test_quantile_and_cdf_are_inverse_for_any_degrees_of_freedom(df: float) -> None:
    for p in (0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9999):
        assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (0.5, 0)])
def test_there_is_no_quantile_outside(p: float, df: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        t_quantile(p, df)


def test_agrees_with_scipy() -> None:
    scipy: Any = importlib.import_module("scipy.stats")  # it brings no types
    rng = random.Random(5)
    for _ in range(200):
        a = [rng.lognormvariate(0, 0.05) for _ in range(rng.randint(2, 7))]
        b = [rng.lognormvariate(0.03, 0.02) for _ in range(rng.randint(2, 7))]
        oracle = scipy.ttest_ind([math.log(v) for v in b], [math.log(v) for v in a], equal_var=False)
        found, interval = compare(a, b), oracle.confidence_interval(0.95)
        assert found.p == pytest.approx(oracle.pvalue, rel=1e-8)
        assert found.interval is not None
        assert [math.log(bound) for bound in found.interval] == pytest.approx([interval.low, interval.high], rel=1e-7)


def test_a_verdict_needs_three_launches_a_side() -> None:
    assert compare([100.0], [200.0]).verdict is None and compare([100.0], [200.0]).interval is None
    two = compare([100.0, 101.0], [200.0, 201.0])
    assert two.verdict is None and two.interval is not None and two.value == pytest.approx(1.995, abs=0.01)
    assert compare([100, 101, 102], [200, 201]).verdict is None
    assert compare([100, 101, 102], [200, 201, 202]).verdict == "higher"
    assert compare([200, 201, 202], [100, 101, 102]).verdict == "lower"
    assert compare([100, 101, 102], [100, 101, 102]).verdict == "no difference shown"


def test_equal_launches_are_no_proof_of_any_difference() -> None:
    assert compare([100.0] * 3, [100.0] * 3).verdict == "no difference shown"


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([1.0, 0.0], [1.0, 1.0]), ([1.0], [-1.0])])
def test_what_has_no_logarithm_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        compare(a, b)


def test_intervals_of_launches_hold_their_mean_and_widen_with_their_scatter() -> None:
    narrow, wide = launch_interval([100.0, 101.0, 99.0]), launch_interval([100.0, 120.0, 80.0])
    assert narrow is not None and wide is not None
    assert wide[0] < narrow[0] < geometric_mean([100.0, 101.0, 99.0]) < narrow[1] < wide[1]
    assert launch_interval([100.0]) is None and launch_interval([1.0, 0.0]) is None


# --- the promise ----------------------------------------------------------------------------------------------------------


def launch(rng: random.Random, mean: float = 1.0, steps: int = 60) -> list[float]:
    """Step times of one launch as real ones are: a level of its own (1 %, now and then a slow one), slow wander between
    neighbouring steps, and a long tail (2 % of the steps are disturbed)."""
    level = mean * rng.lognormvariate(0, 0.01) * (1.03 if rng.random() < 0.05 else 1.0)
    wander, times = 0.0, []
    for _ in range(steps):
        wander = 0.9 * wander + rng.gauss(0, 0.002)
        tail = rng.expovariate(10) if rng.random() < 0.02 else 0.0
        times.append(level * (1 + wander + rng.gauss(0, 0.01) + tail))
    return times


def medians(rng: random.Random, launches: int, mean: float = 1.0) -> list[float]:
    return [sorted(launch(rng, mean))[30] for _ in range(launches)]


@pytest.mark.parametrize("launches", [3, 5])
def test_of_equal_pairs_at_most_6_percent_are_called_different(launches: int) -> None:
    rng = random.Random(20261123)
    pairs = 1500
    different = sum(
        compare(medians(rng, launches), medians(rng, launches)).verdict != "no difference shown" for _ in range(pairs)
    )
    # 6 % is the promise; the count itself scatters by 0.6 points.
    assert 0.01 <= different / pairs <= 0.06


def test_steps_of_one_launch_a_side_would_break_that_promise() -> None:
    """Why the launches' medians are compared: the same data, taken as if steps were independent, calls most pairs different."""
    rng = random.Random(7)
    different = sum(compare(launch(rng), launch(rng)).verdict != "no difference shown" for _ in range(200))
    assert different / 200 > 0.5


def test_a_difference_of_the_size_that_is_called_detectable_is_found_in_four_of_five_comparisons() -> None:
    rng = random.Random(3)
    detectable = sorted(compare(medians(rng, 5), medians(rng, 5)).detectable or 0 for _ in range(300))[150]
    found = sum(compare(medians(rng, 5), medians(rng, 5, detectable)).verdict == "higher" for _ in range(400)) / 400
    assert 0.65 <= found <= 0.95
