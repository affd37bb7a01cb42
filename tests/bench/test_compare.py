"""Comparing: only like with like, no verdict without enough launches, and everything else that differs is said."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from envdoctor.bench.compare import NO_DIFFERENCE, ComparedFigure, compare
from envdoctor.bench.confounders import confounders
from envdoctor.bench.results import BenchResult, Device, Metric, PhysicalLimit
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu, Nvml
from envdoctor.report.bench.comparison_text import row_verdict, short_verdict
from envdoctor.report.bench.table import half_words, span
from tests.bench.made import metric, result, watts, workload


def sides(*results: BenchResult) -> list[tuple[str, BenchResult]]:
    return [(f"{index}.json", each) for index, each in enumerate(results)]


def test_faster_and_slower_whichever_way_a_figure_counts() -> None:
    a = result(workload("rate", (100, 101, 99)), workload("time", (10, 10.1, 9.9), "ms", better="lower"))
    b = result(workload("rate", (200, 202, 198)), workload("time", (20, 20.2, 19.8), "ms", better="lower"))
    (found,) = compare(sides(a, b)).against
    rate, time = found.rows
    assert (rate.verdict, time.verdict) == ("faster", "slower")
    assert rate.ratio == pytest.approx(2) and time.ratio == pytest.approx(0.5)
    assert rate.firm and time.firm and compare(sides(a, b)).slower


def test_the_mean_is_geometric_and_counts_times_as_speeds() -> None:
    a = result(workload("x", (100, 100.1, 99.9)), workload("y", (10, 10.01, 9.99), "ms", better="lower"))
    b = result(workload("x", (400, 400.1, 399.9)), workload("y", (10, 10.01, 9.99), "ms", better="lower"))
    (found,) = compare(sides(a, b)).against
    assert found.mean == pytest.approx(2, rel=1e-3) and found.verdict == "faster" and found.common == 2
    assert found.interval is not None and found.interval[0] < 2 < found.interval[1]


def test_one_launch_a_side_is_a_ratio_without_a_verdict() -> None:
    (found,) = compare(sides(result(workload("x", (100,))), result(workload("x", (150,))))).against
    assert found.rows[0].ratio == pytest.approx(1.5) and found.rows[0].interval is None
    assert found.rows[0].verdict == "no verdict" and found.verdict == "no verdict"
    assert found.rows[0].why == "1 launch a side" and "3 launches" in found.notes[0]


def test_different_work_is_refused_with_what_differs() -> None:
    a = result(workload("x", parameters={"batch": 64, "shape": [8, 8]}), workload("y"))
    b = result(workload("x", work_hash="other", parameters={"batch": 256, "shape": [8, 8]}), workload("y"))
    (found,) = compare(sides(a, b)).against
    assert found.rows[0].verdict == "different work" and found.rows[0].why == "batch 64 and 256"
    assert found.rows[0].ratio is None and found.common == 1


def test_nothing_in_common_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="no workload in common"):
        compare(sides(result(workload("x")), result(workload("y"))))
    with pytest.raises(InputError, match=r"different work.*version 1 of the workload, and version 2"):
        compare(sides(result(workload("x")), result(workload("x", work_hash="other", version=2))))
    with pytest.raises(InputError, match="two results"):
        compare(sides(result(workload("x"))))


def test_invalid_figures_are_shown_and_not_judged_unless_asked_for() -> None:
    a = result(workload("x"), workload("y"))
    b = result(workload("x", (200, 201, 199), invalid_because=("throttled",)), workload("y"))
    (found,) = compare(sides(a, b)).against
    assert (
        found.rows[0].verdict == "invalid"
        and found.rows[0].why == "in B, throttled"
        and found.rows[0].ratio == pytest.approx(2, rel=1e-3)
    )
    assert found.common == 1 and found.mean == pytest.approx(1)
    (asked,) = compare(sides(a, b), invalid=True).against
    assert asked.rows[0].verdict == "faster" and asked.common == 2 and "found invalid" in asked.notes[0]


def test_errors_are_judged_by_their_gates_and_not_against_each_other() -> None:
    def run(error: float, **more: Any) -> BenchResult:
        gate = PhysicalLimit(value=1e-5, percent=3, what="the gate")
        figures = {"error_fp32": metric((error,) * 3, "ratio", "lower", limit=gate)}
        return result(workload("numerics.matmul", metrics=figures, **more))

    (found,) = compare(sides(run(2e-7), run(4e-7))).against
    (row,) = found.rows
    assert row.verdict == "both pass" and row.ratio is None and found.common == 0
    (found,) = compare(sides(run(2e-7), run(4e-4, invalid_because=("numerics: error 4e-4",)))).against
    assert (found.rows[0].verdict, found.rows[0].why) == ("invalid", "in B, numerics: error 4e-4")


def test_what_only_one_side_has_is_said_of_that_side() -> None:
    both, mine, theirs = workload("x"), workload("mine"), workload("theirs")
    (found,) = compare(sides(result(both, mine), result(both, theirs))).against
    assert {row.workload: row.why for row in found.rows if row.verdict == "not in both"} == {
        "mine": "only in A",
        "theirs": "only in B",
    }


def test_gates_and_counts_are_not_compared() -> None:
    metrics = {"throughput": metric((5, 5.1, 4.9)), "different": metric((0, 0, 0), "1", "lower")}
    rows = (
        compare(sides(result(workload("x", metrics=metrics)), result(workload("x", metrics=metrics)))).against[0].rows
    )
    assert [row.metric for row in rows] == ["throughput"]


def test_what_else_differs_is_listed_and_what_is_unknown_is_not() -> None:
    a = result(
        workload("x", knobs={"compile": False}, telemetry=watts(600, sm_clock=(1900, 1980, 1980))),
        environment={"power_limit": 700.0},
    )
    b = result(
        workload("x", knobs={"compile": True}, telemetry=watts(500, sm_clock=(1700, 1755, 1755))),
        environment={"torch": "2.16.0", "power_limit": 500.0, "python": "3.12.7", "driver": None, "cuda": "13.2"},
    )  # fmt: skip
    found = {c.what: (c.baseline, c.other) for c in compare(sides(a, b)).against[0].confounders}
    assert found == {
        "torch": ("2.15.0", "2.16.0"),
        "power limit": ("700 W", "500 W"),
        "SM clock": ("1980 MHz", "1755 MHz"),
        "x: compile": ("False", "True"),
    }


def test_per_watt_and_per_price() -> None:
    a = result(workload("train", (1000, 1001, 999), "img/s", telemetry=watts(500)))
    b = result(workload("train", (2000, 2001, 1999), "img/s", telemetry=watts(700)))
    (found,) = compare(sides(a, b), [1600, 30000], "EUR").against
    watt, money = found.efficiency
    assert (watt.unit, money.unit) == ("img/s per W", "img/s per EUR")
    assert watt.ratio == pytest.approx(2 * 500 / 700) and money.baseline == pytest.approx(1000 / 1600, rel=1e-4)
    with pytest.raises(InputError, match="one for each of the 2 results"):
        compare(sides(a, b), [1600], "EUR")


def test_several_are_each_held_against_the_first() -> None:
    found = compare(sides(*(result(workload("x", (v, v * 1.001, v * 0.999))) for v in (100, 150, 50))))
    assert [(each.other, each.verdict) for each in found.against] == [("B", "faster"), ("C", "slower")]


def test_of_many_equal_figures_hardly_any_is_called_firm() -> None:
    """Twenty figures at 95 %: one differs by chance in most comparisons; Holm's method keeps that to one table in twenty."""
    rng = random.Random(11)

    def run() -> BenchResult:
        return result(*(workload(f"w{i}", [100 * rng.lognormvariate(0, 0.01) for _ in range(3)]) for i in range(20)))

    tables = [compare(sides(run(), run())).against[0] for _ in range(100)]
    some = sum(any(row.verdict in ("faster", "slower") for row in table.rows) for table in tables)
    firm = sum(any(row.firm for row in table.rows) for table in tables)
    assert some > 30 and firm <= 8


def test_what_differs_is_said_of_the_gpu_that_was_measured_and_not_of_the_first_one() -> None:
    def on(uuid: str) -> BenchResult:
        gpus = (Gpu(index=0, uuid="GPU-a", pcie_width=16), Gpu(index=1, uuid="GPU-b", pcie_width=8))
        found = result(workload("matmul.bf16"), snapshot=Snapshot(nvml=Nvml(gpus=gpus)))
        return msgspec.structs.replace(found, device=Device(type="cuda", name="NVIDIA L4", uuid=uuid))

    (only,) = confounders(on("GPU-a"), on("GPU-b"))
    assert (only.what, only.baseline, only.other) == ("PCIe width", "16", "8")
    assert not list(confounders(on("GPU-b"), on("GPU-b")))
    by_address = msgspec.structs.replace(
        on("GPU-b"), device=Device(type="cuda", name="NVIDIA L4", pci="00000000:3b:00.0")
    )
    assert [c.what for c in confounders(on("GPU-b"), by_address)] == [], "which one it was is not known"


@pytest.mark.parametrize(
    ("detectable", "words"), [(1.023, "2.3 %"), (1.4, "40 %"), (2.0, "x2"), (167.2, "x167"), (1e9, "x1000")]
)
def test_the_smallest_difference_is_a_percentage_only_where_one_can_be_read(detectable: float, words: str) -> None:
    row = ComparedFigure(workload="x", metric="a", verdict=NO_DIFFERENCE, detectable=detectable)
    assert words in row_verdict(row) and words in short_verdict(row)


def test_a_range_whose_ends_read_alike_is_one_number_and_an_interval_beyond_the_figure_says_no_more() -> None:
    assert span("2.13", "2.13") == "2.13" and span("2.13", "2.2") == "2.13 to 2.2"
    assert half_words(Metric(value=2.0, unit="s", ci95=(-300.0, 300.0))) == ">100 %"
