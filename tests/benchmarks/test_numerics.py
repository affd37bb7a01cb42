"""The gates: correct answers pass, every planted error is caught. All of it by the real gates, in a Python with torch."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks.target import scenario

pytestmark = pytest.mark.torch
DTYPES = ("fp32", "tf32", "bf16", "fp16", "fp8")
ERRORS = (
    "tile of zeros",
    "tile swapped",
    "one element",
    "one nan",
    "one infinity",
    "rows left out",
    "reduction without its last part",
    "reduction with a part twice",
    "operand transposed",
    "scaled",
)
Judged = dict[str, list[str]]


@pytest.fixture(scope="module")
def judged() -> Judged:
    done = scenario("planted.py")
    assert done.returncode == 0, done.stderr
    found: Judged = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_correct_product_passes(judged: Judged, dtype: str) -> None:
    assert judged[f"{dtype} correct"] == []


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_wrong_product_is_caught(judged: Judged, dtype: str, error: str) -> None:
    assert judged[f"{dtype} {error}"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_never_passes_and_is_said_to_be_nan(judged: Judged, dtype: str) -> None:
    assert judged[f"{dtype} one nan"] == [f"{dtype} matmul: 1 of 49152 results are not finite numbers"]
    assert "256 of 49152 results" in judged[f"{dtype} rows left out"][0]


def test_tf32_that_nobody_asked_for_is_caught_and_named(judged: Judged) -> None:
    assert "TF32" in judged["silent tf32 matmul"][0]
    assert "TF32" in judged["silent tf32 conv"][0]


def test_a_product_that_is_better_than_tf32_is_no_fault_of_the_device(judged: Judged) -> None:
    assert judged["tf32 not on"] == []
    assert "was not computed in TF32" in judged["remark on tf32"][0]


def test_a_lower_precision_than_asked_for_is_caught(judged: Judged) -> None:
    assert judged["silent bf16 matmul"]
    assert judged["fp16 accumulated in bf16"]


def test_gradients_may_be_noisy_and_must_point_the_right_way(judged: Judged) -> None:
    assert judged["gradient 10 % off"] == []
    assert judged["gradient turned round"] and judged["gradient of zeros"] and judged["gradient of nan"]


def test_one_bit_is_a_difference(judged: Judged) -> None:
    assert judged["bits equal"] == []
    assert len(judged["one bit"]) == 1
    assert len(judged["sign of zero"]) == 3


@pytest.mark.parametrize("workload", ["matmul", "conv", "gradients", "determinism"])
def test_the_workloads_pass_on_a_device_that_computes_correctly(judged: Judged, workload: str) -> None:
    assert judged[f"workload {workload}, correct"] == []


def test_a_speed_of_wrong_products_is_invalid(judged: Judged) -> None:
    assert judged["speed of matmul, correct"] == []
    (reason,) = judged["speed of matmul, wrong rows"]
    assert reason.startswith("numerics: fp32 matmul: relative error ")


@pytest.mark.parametrize("case", ["matmul, wrong tile", "conv, wrong tile", "determinism, one bit"])
def test_the_workloads_are_invalid_on_a_device_that_does_not(judged: Judged, case: str) -> None:
    (reason, *_) = judged[f"workload {case}"]
    assert reason.startswith("numerics: ")
