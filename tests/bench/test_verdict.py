"""What a run's figures mean: each sentence comes where it holds, and stays away where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.bench.results import BenchResult, PhysicalLimit, Telemetry, WorkloadResult
from envdoctor.bench.verdict import Statement, read
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu, Nvml
from tests.bench.made import metric, result, watts, workload


def said(*workloads: WorkloadResult, **more: Any) -> list[Statement]:
    return read(result(*workloads, **more))


def training(percent: float = 75.0, what: str = "the kernel-sum roofline", **more: Any) -> WorkloadResult:
    limit = PhysicalLimit(value=100 * 6000 / percent, percent=percent, what=what)
    return workload("refcnn.train", metrics={"throughput": metric((6000, 6010, 5990), "img/s", limit=limit)}, **more)


@pytest.mark.parametrize("bound", ["memory", "compute"])
def test_what_holds_a_training_step_is_what_its_workload_found(bound: str) -> None:
    (statement,) = said(training(details={"bound": bound}))
    assert statement.tone == "good" and statement.kind == f"{bound}-bound"
    assert f"refcnn.train is {bound}-bound, at 75 % of the kernel-sum roofline" in statement.text


def test_who_computed_wrongly_is_named_and_who_was_only_too_slow_to_tell_is_not() -> None:
    wrong = workload("numerics.matmul", invalid_because=("numerics: fp16 matmul: one tile is wrong (launch 2)",))
    unsure = workload("conv.fwd", invalid_because=("interval not reached in the time given",))
    (statement,) = said(wrong, unsure, kind="cpu")
    assert (statement.tone, statement.kind) == ("bad", "arithmetic")
    assert "this CPU computed wrongly in numerics.matmul: trust" in statement.text
    assert said(unsure) == []


def test_without_its_word_the_name_of_the_limit_tells() -> None:
    assert said(training(what="the bf16 matmul ceiling"))[0].kind == "compute-bound"
    assert said(training(what="the copy bandwidth"))[0].kind == "memory-bound"


def test_far_from_its_roofline_it_is_said_to_be_neither() -> None:
    (statement,) = said(training(40.0, details={"bound": "memory"}))
    assert statement.tone == "plain" and "reaches 40 %" in statement.text and "memory-bound" not in statement.text


def test_a_gpu_that_waits_for_the_host_is_launch_bound_and_nothing_else() -> None:
    waits = training(details={"bound": "memory", "timing": {"tuned": {"host_gap": 0.3}}})
    assert [s.kind for s in said(waits)] == ["launch-bound"]
    assert "30%" in said(waits)[0].text
    assert [s.kind for s in said(training(details={"bound": "memory", "timing": {"tuned": {"host_gap": 0.05}}}))] == [
        "memory-bound"
    ]


def test_training_that_waits_for_data_is_input_bound_and_the_cure_has_a_number() -> None:
    def feed(wait: float) -> WorkloadResult:
        return workload(
            "loader.feed",
            metrics={"data_wait": metric((wait,) * 3, "%"), "workers_needed": metric((12, 12, 12), "1")},
        )

    (statement,) = said(feed(34.0))
    assert statement.kind == "input-bound" and statement.tone == "bad" and "about 12 loader workers" in statement.text
    assert said(feed(9.0)) == []


@pytest.mark.parametrize(
    ("reason", "words", "tone"),
    [
        ("sw_power_cap", "power-capped", "plain"),
        ("hw_thermal_slowdown", "for its temperature by the hardware", "bad"),
        ("hw_power_brake_slowdown", "power supply", "bad"),
    ],
)
def test_a_throttled_gpu_is_told(reason: str, words: str, tone: str) -> None:
    (statement,) = said(workload("x", telemetry=watts(600, throttled={reason: 0.5})))
    assert statement.kind == "throttled" and words in statement.text and statement.tone == tone
    assert said(workload("x", telemetry=watts(600, throttled={reason: 0.04}))) == []
    assert said(workload("x", telemetry=watts(600, throttled={"gpu_idle": 1.0}))) == []


def test_a_link_that_is_narrower_than_the_card_is_pcie_bound() -> None:
    def on(generation: int, width: int) -> BenchResult:
        seen = Telemetry(pcie_generation=generation, pcie_width=width)
        gpu = Gpu(index=0, pcie_generation_gpu_max=5, pcie_width_max=16)
        return result(workload("transfer.h2d.pinned", telemetry=seen), snapshot=Snapshot(nvml=Nvml(gpus=(gpu,))))

    (statement,) = read(on(4, 8))
    assert statement.kind == "PCIe-bound" and "PCIe 4 x8 under load" in statement.text
    assert read(on(5, 16)) == []


def test_which_format_to_train_in() -> None:
    fp32 = workload("matmul.fp32", (50, 50.1, 49.9))
    (good,) = said(fp32, workload("matmul.bf16", (400, 401, 399)), kind="cpu", device="Test CPU")
    assert "bf16 multiplies matrices 8.0 times as fast as fp32" in good.text
    (plain,) = said(fp32, workload("matmul.bf16", (5, 5.01, 4.99)), kind="cpu", device="Test CPU")
    assert plain.tone == "plain" and "does not pay" in plain.text
    assert said(fp32, workload("matmul.bf16", (51, 51.1, 50.9)), kind="cpu", device="Test CPU") == []


def test_invalid_figures_say_nothing() -> None:
    assert said(training(details={"bound": "memory"}, invalid_because=("the SM clock drifted",))) == []


def test_it_is_held_against_the_reference_result_of_its_card() -> None:
    reference = result(workload("a", (100, 100, 100)), workload("b", (100, 100, 100)), workload("c", work_hash="other"))
    own = result(workload("a", (99, 99, 99)), workload("b", (80, 80, 80)), workload("c", (1, 1, 1)))
    (statement,) = read(own, ("@h100", reference))
    assert statement.tone == "bad" and "89% of the reference result @h100 over 2 workloads" in statement.text
    assert "furthest behind: b (80%)" in statement.text
    (fine,) = read(reference, ("@h100", reference))
    assert fine.tone == "good" and "over 3 workloads" in fine.text
