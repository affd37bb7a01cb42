"""A run in an interpreter with the real torch: what is said, and what a failing workload costs."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.command import BUDGETS
from benchmarks.workloads import WORKLOADS
from envdoctor.knowledge import load
from tests import real_torch
from tests.benchmarks.target import ROOT, bench, events, results, run, scenario
from tests.real_torch import TORCH

pytestmark = pytest.mark.torch
FAILING = ("oom", "exception", "cuda", "cudnn", "nan", "skip", "undeclared", "noisy", "good")


@pytest.fixture(scope="module")
def faults() -> list[dict[str, Any]]:
    names = [f"--workload=planted.{name}" for name in FAILING]
    done = scenario("faults.py", "--events", "--device=cpu", "--budget=12", *names)
    assert done.returncode == 1, done.stderr
    assert "a library that prints" in done.stderr
    assert "C code that prints" in done.stderr
    assert "a child that prints" in done.stderr
    # A second or more, which a run that compiles nothing need not spend.
    assert "torch._dynamo imported: False" in done.stderr
    return events(done)


def of(said: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The errors of a workload."""
    return [e for e in said if e["event"] == "error" and e["workload"] == f"planted.{name}"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("oom", "out-of-memory", "memory"),
        ("exception", "exception", "KeyError: 'weights'"),
        ("cuda", "cuda", "no kernel image is available"),
        ("cudnn", "cuda", "CUDNN_STATUS_EXECUTION_FAILED"),
        ("nan", "numerics", "the loss is not finite after 3 steps"),
        ("undeclared", "exception", "declare the work"),
    ],
)
def test_a_failure_is_told_by_its_kind_with_its_text(
    faults: list[dict[str, Any]], name: str, kind: str, message: str
) -> None:
    (error,) = of(faults, name)
    assert error["kind"] == kind
    assert message in error["message"] and "\n" not in error["message"]
    assert "Traceback" in error["traceback"]


def test_what_fails_costs_itself_and_the_rest_is_measured(faults: list[dict[str, Any]]) -> None:
    measured = [e["workload"]["name"] for e in faults if e["event"] == "result"]
    assert set(measured) == {"planted.noisy", "planted.good"}
    assert faults[-1]["event"] == "bye"


def test_a_skip_has_a_reason_and_is_no_failure(faults: list[dict[str, Any]]) -> None:
    (skipped,) = [e for e in faults if e["event"] == "skipped"]
    assert skipped["reason"] == "there is no such thing here"
    assert not of(faults, "skip")


def test_a_second_pass_that_would_only_set_up_again_is_not_begun() -> None:
    done = scenario(
        "faults.py", "--events", "--device=cpu", "--budget=14", "--workload=planted.slow", "--workload=planted.good"
    )
    said = events(done)
    begun = [e["name"] for e in said if e["event"] == "workload"]
    assert begun.count("planted.slow") == 1 and said[-1]["event"] == "bye"
    assert not results(done)["planted.slow"]["valid"]


def test_a_device_that_is_lost_ends_the_process_before_the_next_workload() -> None:
    done = scenario("faults.py", "--events", "--device=cpu", "--workload=planted.lost", "--workload=planted.after")
    said = events(done)
    assert done.returncode == 4
    assert [e["event"] for e in said if e["event"] in ("error", "result", "bye")] == ["error"]


def test_a_defect_of_the_harness_is_not_told_as_wrong_usage() -> None:
    done = scenario("faults.py", "--events", "--device=cpu", "--workload=planted.harness", "--budget=3")
    assert done.returncode == 1
    assert "ValueError: a defect of the harness itself" in done.stderr and "Traceback" in done.stderr


def test_an_interrupt_ends_it_quietly() -> None:
    done = scenario("faults.py", "--events", "--device=cpu", "--workload=planted.interrupted")
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def said() -> list[dict[str, Any]]:
    done = bench(
        "--workload=memory.copy", "--workload=matmul.fp32", "--device=cpu", "--events", "--budget=12", "--seed=3"
    )
    assert done.returncode == 0, done.stderr
    return events(done)


def test_hello_says_what_is_measured_with_what(said: list[dict[str, Any]]) -> None:
    hello = said[0]
    assert (hello["event"], hello["t"], hello["schema"]) == ("hello", 0.0, "envdoctor.events/1")
    (build,) = [
        build
        for build in load().torch_builds(TORCH)
        if build.platform == f"linux_{platform.machine()}" and build.index_url is None
    ]
    assert hello["torch"].partition("+")[0] == TORCH and hello["torchvision"] is None and hello["cuda"] == build.cuda
    assert hello["device"]["type"] == "cpu" and hello["device"]["memory_bytes"] > 1 << 30
    assert hello["seed"] == 3
    assert hello["precision"]["matmul_tf32"] is False


def test_the_work_is_named_before_it_is_done_and_its_hash_is_in_the_result(said: list[dict[str, Any]]) -> None:
    named = {e["name"]: e["work_hash"] for e in said if e["event"] == "workload"}
    found = {e["workload"]["name"]: e["workload"]["work_hash"] for e in said if e["event"] == "result"}
    assert named == found and len(found) == 2


def test_a_metric_has_its_unit_its_distribution_and_its_samples(said: list[dict[str, Any]]) -> None:
    (*_, last) = [e["workload"] for e in said if e["event"] == "result" and e["workload"]["name"] == "memory.copy"]
    metric = last["metrics"]["bandwidth"]
    assert metric["unit"] == "GB/s" and metric["better"] == "higher"
    assert metric["p10"] <= metric["value"] <= metric["p90"]
    assert metric["n"] >= len(metric["samples"]) > 0
    # Between a slow bus and what no memory of a CPU does.
    assert 0.1 < metric["value"] < 5000
    assert last["valid"] is (not last["invalid_because"])


def test_windows_are_in_the_clock_that_hello_tells(said: list[dict[str, Any]]) -> None:
    start = said[0]["monotonic"]
    windows = [w for e in said if e["event"] == "result" for w in e["workload"]["windows"]]
    assert windows
    assert all(start <= first < last <= start + said[-1]["t"] + 0.1 for first, last in windows)


def test_the_budget_is_kept_and_progress_is_told(said: list[dict[str, Any]]) -> None:
    assert said[-1]["event"] == "bye" and said[-1]["t"] < 12
    phases = {e["phase"] for e in said if e["event"] == "progress"}
    assert {"warmup", "measure"} <= phases
    assert all(e["remaining_s"] >= 0 for e in said if e["event"] == "progress")


def test_a_time_limit_that_nothing_can_keep_still_gives_figures() -> None:
    done = bench("--workload=matmul.fp32", "--device=cpu", "--events", "--budget=0.5")
    metrics = results(done)["matmul.fp32"]["metrics"]
    assert set(metrics) == {"throughput", "skinny"}
    assert results(done)["matmul.fp32"]["invalid_because"][0].startswith("interval not reached")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--workload=matmull"], "no workload 'matmull'; there are: ablation"),
        ([], "name a --suite or a --workload"),
        (["--workload=launch", "--device=cuda"], "no CUDA device: "),
        (["--workload=launch", "--device=tpu"], "no such device: 'tpu'"),
        (["--workload=launch", "--device=cuda:x"], "no such device: 'cuda:x'; use cpu, cuda or cuda:N"),
        (["--workload=launch", "--threads=0"], "--threads 0: use 1 to "),
        (["--workload=launch", "--threads=100000000"], "--threads 100000000: use 1 to "),
        (["--workload=launch", "--parameter=size"], "--parameter size: give it as KEY=VALUE"),
        (["--workload=launch", "--parameter=sise=3"], "--parameter sise=3: no workload has it; there are batch, "),
        (["--workload=matmul", "--parameter=size=big"], "--parameter size=big: it must be a whole number from 1"),
        (["--workload=matmul", "--parameter=size=0"], "--parameter size=0: it must be a whole number from 1"),
        (["--workload=resnet50", "--parameter=compile=yes"], "--parameter compile=yes: it must be true or false"),
        (["--suite=quick", "--parameter=tier=64"], "--parameter tier=64: it must be one of 224, 112, 32"),
        (["--workload=launch", "--budget=-3"], "--budget -3: not a time"),
        (["--workload=launch", "--budget=0"], "--budget 0: not a time"),
        (["--workload=launch", "--budget=nan"], "--budget nan: not a time"),
        (["--workload=launch", "--seed=-1"], "--seed -1: use 0 to "),
        (["--workload=loader", "--data=/no/such/folder"], "--data /no/such/folder: no such file or folder"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], text: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("benchmarks: " + text)
    assert done.stdout == ""


def test_every_parameter_that_a_workload_asks_for_is_in_the_table() -> None:
    asked = {
        (file.stem, key)
        for file in (ROOT / "benchmarks" / "workloads").glob("*.py")
        for key in re.findall(r'context\.option\(\s*"(\w+)"', file.read_text())
    }
    listed = {(entry.module, key) for entry in WORKLOADS.values() for key in entry.options}
    assert asked == listed


def test_a_parameter_reaches_the_work_and_one_that_nothing_uses_is_said() -> None:
    done = bench(
        "--workload=matmul.fp32", "--device=cpu", "--events", "--budget=1", "--parameter=size=64", "--parameter=batch=2"
    )
    assert done.returncode == 0, done.stderr
    assert results(done)["matmul.fp32"]["parameters"]["square"] == [64, 64, 64]
    assert [e["text"] for e in events(done) if e["event"] == "log"] == [
        "--parameter batch: none of these workloads uses it"
    ]


def test_a_torch_that_is_built_without_cuda_is_named() -> None:
    code = (
        "import runpy, sys, torch\n"
        "torch.version.cuda = None\n"
        "sys.argv = ['benchmarks', '--workload=launch', '--device=cuda']\n"
        f"runpy.run_path({str(ROOT / 'benchmarks')!r}, run_name='__main__')"
    )
    done = run("-W", "ignore", "-c", code)
    assert done.returncode == 2
    assert re.fullmatch(r"benchmarks: no CUDA device: this torch \(.*\) is built without CUDA\n", done.stderr)


def test_by_hand_from_a_checkout_a_person_can_read_it() -> None:
    done = run("-m", "benchmarks", "--workload", "matmul", "--device", "cpu", "--budget", "8", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(re.match(r"matmul\.fp32 +throughput +\d[\d.]* TFLOP/s", line) for line in lines), done.stdout
    assert "matmul.tf32              skipped: tf32 is a format of NVIDIA's tensor cores; this device is a CPU" in lines
    assert (
        done.stderr.startswith(f"torch {TORCH}") and ", Python " in done.stderr and len(done.stderr.splitlines()) == 1
    )


def test_the_list_needs_no_torch() -> None:
    listed = subprocess.run(
        [sys.executable, "-I", ROOT / "benchmarks", "--list", "--events"], capture_output=True, check=True, timeout=60
    )
    found = json.loads(listed.stdout)
    assert found["budgets"] == BUDGETS and {one["name"] for one in found["workloads"]} == set(WORKLOADS)
    by_hand = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT
    )
    assert [line.split()[0] for line in by_hand.stdout.splitlines()] == list(WORKLOADS)


def test_nothing_beside_the_folder_becomes_importable(tmp_path: Path) -> None:
    # In an install its parent is the envdoctor package, whose modules would hide the user's own.
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['benchmarks', '--list']\n"
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'benchmarks')!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "import importlib.util as u\n"
        "print([n for n in ('envdoctor', 'harness', 'models', 'data', 'workloads') if u.find_spec(n)], file=sys.stderr)"
    )
    python = real_torch.environment().python
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert done.stderr.strip() == "[]"
    assert "matmul.fp32" in done.stdout


def test_nobody_listening_any_more_ends_it_without_a_traceback() -> None:
    python = real_torch.environment().python
    command = f"{python} {ROOT / 'benchmarks'} --workload=launch.dispatch --device=cpu --events --budget=30 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=100, check=False)
    assert '"hello"' in done.stdout
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_every_field_that_is_sent_is_in_the_readme(said: list[dict[str, Any]], faults: list[dict[str, Any]]) -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text()
    words = set(re.findall(r"\w+", text[text.index("## Events") : text.index("## How it is measured")]))
    sent = {key for event in said + faults for key in event}
    for event in said + faults:
        if event["event"] == "hello":
            sent |= set(event["device"])
        if event["event"] == "result":
            workload = event["workload"]
            sent |= set(workload)
            sent |= {key for metric in workload["metrics"].values() for key in (*metric, *(metric["limit"] or ()))}
            sent |= {key for timing in workload["details"]["timing"].values() for key in timing}
    assert sent - words == set()
