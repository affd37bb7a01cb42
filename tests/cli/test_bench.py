"""`envdoctor bench` as people and scripts call it: what it measures is kept, whatever becomes of the process that measures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench.scripts import bench, benchmark, envdoctor, saved, workload


def test_a_run_measures_shows_saves_and_exits_0(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    code, out, err = bench(tmp_path, benchmark(tmp_path), "--save", file)
    assert code == 0, out + err
    assert "4 workloads measured, all valid" in out and "TFLOP/s" in out and "50 %" in out
    data = saved(file)
    assert [w["name"] for w in data["workloads"]] == ["alpha", "beta.one", "beta.two", "gamma"]
    metric = workload(data, "alpha")["metrics"]["throughput"]
    assert metric["unit"] == "TFLOP/s" and metric["better"] == "higher" and len(metric["samples"]) == 40
    assert metric["p10"] < metric["value"] < metric["p90"] and len(metric["ci95"]) == 2
    assert data["environment"]["torch"] == "2.15.0" and not data.get("partial", False)


def test_three_launches_are_three_processes_and_the_interval_is_of_their_medians(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    code, _, err = bench(tmp_path, benchmark(tmp_path), "--suite", "standard", "--save", file)
    assert code == 0, err
    metric = workload(saved(file), "alpha")["metrics"]["throughput"]
    assert len(metric["launches"]) == 3 and len(set(metric["launches"])) == 3
    assert metric["n"] == 120 and len(metric["samples"]) == 120
    assert metric["ci95"][0] < min(metric["launches"]) and metric["ci95"][1] > max(metric["launches"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workload", "alhpa"], ["alhpa", "alpha"]),
        (["--python", "/no/such/python"], ["/no/such/python"]),
        (["--save", "/no/such/folder/x.json"], ["/no/such/folder"]),
        (["--suite", "endless"], ["endless"]),
        (["--launches", "0"], ["--launches"]),
        (["--parameter", "size"], ["KEY=VALUE"]),
        (["--benchmarks", "/no/such/folder"], ["/no/such/folder"]),
        (["compare", "one.json"], ["two results"]),
        (["compare", "/no/such.json", "/no/such.json"], ["/no/such.json", "No such file"]),
        (["compare", "@zx81", "@zx81"], ["@zx81"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    given = [] if arguments[0] == "compare" else ["--benchmarks", str(benchmark(tmp_path)), "--python", sys.executable]
    code, out, err = envdoctor("bench", *given, *arguments, home=tmp_path)
    assert code == 2 and out == ""
    line = err.strip().splitlines()[-1]
    assert line.startswith("Error: ") and all(word in line for word in words), err


def test_check_reads_a_result_file(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert bench(tmp_path, benchmark(tmp_path), "--save", file)[0] == 0
    code, out, err = envdoctor("check", "--from", file, "--format", "json", home=tmp_path)
    assert code in (0, 1), err
    assert json.loads(out)["snapshot"] == saved(file)["snapshot"]


def test_json_on_stdout_is_the_file_and_progress_goes_to_stderr(tmp_path: Path) -> None:
    code, out, err = bench(tmp_path, benchmark(tmp_path), "--format", "json")
    assert code == 0 and json.loads(out)["schema"] == "envdoctor.bench/1"
    assert [line.split()[1] for line in err.splitlines() if line.startswith("done")] == [
        "alpha",
        "beta.one",
        "beta.two",
        "gamma",
    ]


def test_the_list_names_every_workload_and_suite(tmp_path: Path) -> None:
    code, out, _ = envdoctor("bench", "list", home=tmp_path)
    assert code == 0 and "matmul.bf16" in out and "quick (about 1 min" in out
    code, out, _ = envdoctor("bench", "list", "--format", "json", home=tmp_path)
    assert code == 0 and {w["name"] for w in json.loads(out)["workloads"]} >= {"matmul.fp32", "memory.copy"}
