"""Figures about figures, held against the standard library and against what is known of random numbers."""

from __future__ import annotations

import math
import random
import statistics as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import statistics

FLOATS = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=80)


@given(FLOATS)
def test_the_median_is_the_median(values: list[float]) -> None:
    assert statistics.median(values) == pytest.approx(standard.median(values))


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=60))
def test_deciles_are_those_of_the_standard_library(values: list[float]) -> None:
    deciles = standard.quantiles(values, n=10, method="inclusive")
    assert statistics.quantile(values, 0.1) == pytest.approx(deciles[0])
    assert statistics.quantile(values, 0.9) == pytest.approx(deciles[-1])


@given(st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=40))
def test_the_interval_is_around_the_median_and_holds_for_any_unit(values: list[float]) -> None:
    low, high = statistics.interval(values, resamples=50) or (math.nan, math.nan)
    middle = statistics.median(values)
    assert -1e-9 * middle <= low <= middle <= high <= 2.000001 * max(values)
    scaled = statistics.interval([value * 1024 for value in values], resamples=50) or (math.nan, math.nan)
    assert list(scaled) == pytest.approx([low * 1024, high * 1024])


def test_few_samples_have_no_interval() -> None:
    assert statistics.interval([1.0] * 5) is None
    assert statistics.half_width([1.0] * 5) == math.inf
    assert statistics.summarise([2.0])["ci95"] is None


def test_the_robust_spread_of_normal_noise_is_its_standard_deviation() -> None:
    draw = random.Random(1)
    values = [draw.gauss(100, 2) for _ in range(5000)]
    assert statistics.robust_cv(values) == pytest.approx(0.02, rel=0.05)


def test_an_interval_holds_the_true_median_about_95_times_in_100() -> None:
    draw = random.Random(2)
    held = 0
    for trial in range(200):
        values = [draw.gauss(10, 1) for _ in range(100)]
        low, high = statistics.interval(values, seed=trial, resamples=200) or (math.nan, math.nan)
        held += low <= 10 <= high
    # Binomial: 95 % of 200 is 190 +- 3; a block bootstrap of 100 samples promises a little too much.
    assert 176 <= held <= 199


def test_samples_that_resemble_their_neighbours_give_a_wider_interval() -> None:
    draw = random.Random(3)
    slow, level = [], 0.0
    for _ in range(300):
        level = 0.95 * level + draw.gauss(0, 1)
        slow.append(100 + level)
    shuffled = random.Random(4).sample(slow, len(slow))
    assert statistics.half_width(slow, block=25) > 1.7 * statistics.half_width(shuffled)


def test_outliers_are_counted_and_move_the_median_hardly() -> None:
    values = [10 + number % 5 / 100 for number in range(100)] + [50.0, 60.0]
    summary = statistics.summarise(values)
    assert summary["outliers"] == 2
    assert summary["n"] == 102
    assert summary["value"] == pytest.approx(10.02, abs=0.01)


def test_drift_is_the_last_third_over_the_first() -> None:
    assert statistics.drift([1.0] * 10 + [1.5] * 10 + [1.1] * 10) == pytest.approx(0.1)
    assert statistics.drift([1.0, 2.0]) is None


def test_the_same_samples_give_the_same_summary() -> None:
    draw = random.Random(5)
    values = [draw.random() for _ in range(50)]
    assert statistics.summarise(values) == statistics.summarise(values)


def test_no_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        statistics.summarise([])


@pytest.mark.parametrize(("n", "block", "length"), [(30, 1, 4), (30, 100, 5), (1000, 1, 10), (1000, 40, 40), (6, 6, 1)])
def test_blocks_of_the_bootstrap_follow_the_blocks_of_the_measurement(n: int, block: int, length: int) -> None:
    assert statistics.block_length(n, block) == length


def test_the_interval_of_a_ratio_holds_the_true_one_as_often_as_it_says() -> None:
    noise = random.Random(5)
    held = 0
    for _ in range(200):
        over, under = ([noise.gauss(mean, 0.05 * mean) for _ in range(60)] for mean in (2.4, 1.0))
        found = statistics.median(over) / statistics.median(under)
        halves = (statistics.half_width(values, resamples=200) for values in (over, under))
        low, high = statistics.ratio_interval(found, *halves) or (0.0, 0.0)
        held += low <= 2.4 <= high
    assert 180 <= held <= 199


def test_a_ratio_to_something_unknown_has_no_interval() -> None:
    assert statistics.ratio_interval(2.0, 0.01, math.inf) is None
