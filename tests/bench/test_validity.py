"""What makes a figure invalid, and what does not: each rule at its edge."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.bench.gpu_watch import Sample
from envdoctor.bench.results import Metric, Telemetry, WorkloadResult
from envdoctor.bench.telemetry import summary
from envdoctor.bench.validity import invalid, judged, unsteady, warned


@pytest.mark.parametrize(
    ("seen", "bad"),
    [
        ({}, False),
        ({"throttled": {"hw_slowdown": 0.01}}, False),
        ({"throttled": {"hw_slowdown": 0.011}}, True),
        ({"throttled": {"hw_thermal_slowdown": 0.5}}, True),
        ({"throttled": {"hw_power_brake_slowdown": 0.02}}, True),
        ({"throttled": {"sw_thermal_slowdown": 0.02}}, True),
        ({"throttled": {"sw_power_cap": 1.0}}, False),
        ({"throttled": {"gpu_idle": 1.0, "sync_boost": 1.0, "0x200": 1.0}}, False),
        ({"foreign": ("python (process 7)",)}, True),
        ({"ecc": ("1 corrected memory errors (ECC)",)}, True),
        ({"xids": (13,)}, True),
        ({"lost": True}, True),
        ({"others_cpu": 0.06}, False),
        ({"others_cpu": 0.07}, True),
        ({"others_cpu": 0.07, "samples": 20}, False),  # a GPU's own work does not wait for the CPUs
    ],
)
def test_each_rule_has_its_edge(seen: dict[str, Any], bad: bool) -> None:
    assert bool(list(invalid(Telemetry(**seen)))) is bad


@pytest.mark.parametrize(
    ("seen", "bad"),
    [
        ({"sm_clock": (1790, 1980, 1980), "samples": 100}, False),
        ({"sm_clock": (1770, 1980, 1980), "samples": 100}, True),
        ({"sm_clock": (1000, 1980, 1980), "samples": 5}, False),
        ({"sm_clock_drift": 0.029}, False),
        ({"sm_clock_drift": -0.031}, True),
    ],
)
def test_the_clock_must_hold_within_a_timing(seen: dict[str, Any], bad: bool) -> None:
    assert bool(list(unsteady(Telemetry(**seen)))) is bad


def test_each_timing_may_hold_a_clock_of_its_own_and_one_that_drifts_is_named() -> None:
    """A square product at the power limit beside a skinny one at full clock; seen together that is a drift of 27 %."""
    both = Telemetry(samples=60, sm_clock=(1440, 1700, 1980), sm_clock_drift=0.275)
    steady = [("square", Telemetry(samples=30, sm_clock=(1430, 1440, 1450))), ("skinny", Telemetry(samples=30))]
    workload = WorkloadResult(name="x", metrics={"a": Metric(value=5.0, unit="TFLOP/s")}, telemetry=both)
    assert judged(workload, timings=steady).valid
    assert not judged(workload).valid
    falls = [("square", Telemetry(samples=30, sm_clock_drift=-0.05))]
    assert "in square" in judged(workload, timings=falls).invalid_because[0]


def test_where_no_timing_keeps_the_gpu_at_work_its_clocks_tell_nothing_and_a_busy_cpu_strikes() -> None:
    """A loader's GPU sleeps: -83 % of its clock."""
    idle = Telemetry(samples=60, sm_clock=(345, 345, 1980), sm_clock_drift=-0.83)
    workload = WorkloadResult(name="loader.uint8", metrics={"a": Metric(value=5.0, unit="img/s")}, telemetry=idle)
    assert judged(workload, timings=[]).valid
    busy = Telemetry(samples=60, others_cpu=0.2)
    host = WorkloadResult(name="loader.uint8", metrics={"a": Metric(value=5.0, unit="img/s")}, telemetry=busy)
    assert not judged(host, timings=[]).valid
    found = judged(host, timings=[("step", Telemetry(samples=60))])
    assert found.valid and "other processes took 20%" in found.warnings[0]


def test_a_power_cap_warns_from_a_twentieth_of_the_samples_on() -> None:
    assert not list(warned(Telemetry(throttled={"sw_power_cap": 0.04})))
    assert "power limit" in next(warned(Telemetry(throttled={"sw_power_cap": 0.5})))


def test_reasons_are_added_to_those_of_the_workload_and_the_figure_is_kept() -> None:
    metrics = {"throughput": Metric(value=5.0, unit="TFLOP/s")}
    workload = WorkloadResult(name="x", metrics=metrics, valid=False, invalid_because=("a wrong sum",))
    found = judged(WorkloadResult(name="x", metrics=metrics, telemetry=Telemetry(xids=(79,))))
    assert not found.valid and found.metrics == metrics and "Xid 79" in found.invalid_because[0]
    assert judged(workload).invalid_because == ("a wrong sum",)
    assert judged(WorkloadResult(name="x", metrics=metrics)).valid


BUSY = Telemetry(others_cpu=0.5, throttled={"hw_slowdown": 1.0}, sm_clock_drift=-0.5)


@pytest.mark.parametrize(("unit", "warns"), [("img/s", True), ("s", True), ("%", False), ("ratio", False)])
def test_without_windows_a_busy_machine_spoils_no_answers_but_a_speed_is_warned_of(unit: str, warns: bool) -> None:
    workload = WorkloadResult(name="x", metrics={"a": Metric(value=5.0, unit=unit)})
    found = judged(workload, around=BUSY)
    assert found.valid and bool(found.warnings) is warns
    assert all("speed would not count" in text and "drift" not in text for text in found.warnings)


@pytest.mark.parametrize("seen", [{"xids": (79,)}, {"lost": True}, {"ecc": ("1 uncorrected memory errors (ECC)",)}])
def test_without_windows_too_ill_hardware_makes_answers_worthless(seen: dict[str, Any]) -> None:
    workload = WorkloadResult(name="numerics.matmul", metrics={"error": Metric(value=1e-7, unit="ratio")})
    assert not judged(workload, around=Telemetry(**seen)).valid


def _samples(clocks: list[int], **more: Any) -> list[Sample]:
    return [Sample(t=0.1 * i, sm_clock=clock, **more) for i, clock in enumerate(clocks)]


def test_a_clock_that_sinks_between_the_thirds_is_a_drift() -> None:
    samples = _samples([1980] * 20 + [1900] * 20 + [1800] * 20)
    assert summary(samples, samples, [(0, 6)]).sm_clock_drift == pytest.approx(1800 / 1980 - 1)
    few = _samples([1980, 1000])
    assert summary(few, few, [(0, 6)]).sm_clock_drift is None


def test_an_ecc_error_between_two_workloads_is_nobodys() -> None:
    before = [Sample(t=0.0, ecc={"corrected": 0}), Sample(t=10.0, ecc={"corrected": 3})]
    during = [Sample(t=20.0, ecc={"corrected": 3}), Sample(t=21.0, ecc={"corrected": 3})]
    assert summary(during, [*before, *during], [(20, 21)]).ecc == ()
    after = [Sample(t=22.0, ecc={"corrected": 4})]
    assert summary(during, [*before, *during, *after], [(20, 21)]).ecc == ("1 corrected memory errors (ECC)",)


def test_short_windows_take_their_power_from_samples() -> None:
    samples = [Sample(t=0.1 * i, power=300.0, energy=50.0 * i) for i in range(100)]
    short = summary(samples[10:20], samples, [(1.0, 1.9)])
    assert (short.power, short.power_source, short.energy) == (300.0, "samples", None)
    long = summary(samples[10:30], samples, [(1.0, 3.0)])
    assert long.power == pytest.approx(500.0) and long.power_source == "energy counter"
    assert long.energy == pytest.approx(1000.0)
