"""What the instrument does where something is missing, noisy or not a GPU."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.benchmarks.target import scenario

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = scenario("instrument.py")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_no_step_waits_for_what_it_sends_to_the_device(found: dict[str, Any]) -> None:
    planted = found["waits"].pop("planted")
    assert len(planted) == 2, "a copy and a constant are both seen"
    assert found["waits"] == {"tuned": [], "article": [], "augmented": []}


def test_without_a_compiler_a_step_runs_as_it_is_and_says_so(found: dict[str, Any]) -> None:
    why, compiled, trains = found["uncompiled"]
    assert "C compiler" in why and not compiled and trains
    knob, warnings, metrics = found["workload without a compiler"]
    assert knob is False and "C compiler" in warnings[0] and "throughput" in metrics
    assert "C compiler" in found["ablation without a compiler"]


def test_the_quick_suite_compiles_nothing(found: dict[str, Any]) -> None:
    assert found["compiled in quick"] is False


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_kept_while_it_is_asked_for_and_given_back_after(found: dict[str, Any]) -> None:
    if not found["can keep"]:
        pytest.skip("this C library is not glibc")
    before, kept, after = found["faults"]
    assert before > 1000 and after > 1000
    assert kept < 100


def test_a_ceiling_that_is_beaten_is_measured_again_before_anything_is_said(found: dict[str, Any]) -> None:
    bound, known = found["bound"]
    assert known["copy"] == 3e9 and bound == pytest.approx(1 / 3)
    calm, unchanged = found["bound in a calm moment"]
    assert unchanged["copy"] == 1.9e9 and calm == pytest.approx(0.9 / 1.9)


def test_a_worker_that_dies_of_a_small_shm_is_told_with_its_cause(found: dict[str, Any]) -> None:
    assert "No space left on device" in found["worker's error"] and "Caught" not in found["worker's error"]
    assert found["small shm"].startswith("/dev/shm has 67 MB free") and "--shm-size=3g" in found["small shm"]
    assert found["large shm"] == ""


def test_a_soak_that_drifts_is_objected_to(found: dict[str, Any]) -> None:
    far, near = found["soak"]
    assert "-3.1 %" in far and near == ""


def test_a_mig_instance_is_told_by_its_name(found: dict[str, Any]) -> None:
    assert found["mig"] == [True, False]
