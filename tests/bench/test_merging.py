"""Launches put together."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.bench import merging
from envdoctor.bench.protocol import Measured, MeasuredMetric
from envdoctor.bench.runner import Launch
from envdoctor.report.bench.result_text import grouped


def launch(number: int, value: float, reasons: tuple[str, ...] = (), **more: Any) -> Launch:
    metrics = {"cold_start": MeasuredMetric(value=value, unit="s", better="lower", samples=(value,), n=1, once=True)}
    made = Launch(number)
    made.measured["x"] = Measured(name="x", work_hash="h", metrics=metrics, invalid_because=reasons, **more)
    return made


def test_a_cold_start_is_the_first_launches_and_not_a_mean_with_those_that_found_a_cache() -> None:
    merged = merging.merge("x", [launch(1, 30.0), launch(2, 4.0), launch(3, 4.1)])
    assert merged.metrics["cold_start"].value == pytest.approx(30.0)
    assert merged.metrics["cold_start"].launches == (30.0,)


def test_a_reason_of_some_launches_is_read_before_their_numbers() -> None:
    wide = "interval not reached in the time given: step +-2.5 % from 40 samples"
    merged = merging.merge("x", [launch(1, 1.0, (wide,)), launch(2, 1.0), launch(3, 1.0, (wide,))])
    other = merging.merge("x", [launch(1, 1.0), launch(2, 1.0, ("other processes computed on the GPU: python",))])
    said = [("x", merged.invalid_because[0]), ("y", other.invalid_because[0])]
    assert merged.invalid_because == (f"{wide} (launches 1, 3)",)
    assert [text for _, text in grouped(said)] == [text for _, text in said]
    # Where the details differ, what is left over is still a reason.
    unlike = [
        ("a", "interval not reached: step (launch 1)"),
        ("b", "interval not reached: fed and resident (launch 1)"),
    ]
    assert [text for _, text in grouped(unlike)] == ["interval not reached"]


def test_only_timings_in_which_the_device_computes_are_asked_for_their_clocks() -> None:
    timing = {"square": {"computes": True}, "host": {"computes": False}, "old": {}}
    windows = dict.fromkeys(timing, ((0.0, 1.0),))
    found = merging.timings("x", [launch(1, 1.0, timed=windows, details={"timing": timing})])
    assert [key for key, _ in found] == ["square", "old"]
