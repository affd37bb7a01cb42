"""`envdoctor bench` as people and scripts call it: what it measures is kept, whatever becomes of the process that measures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor.bench.results import save
from tests.bench.made import result, watts
from tests.bench.made import workload as made
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


def test_what_the_benchmarks_remark_is_a_note(tmp_path: Path) -> None:
    remark = "--parameter beta: none of these workloads uses it"
    faults = dict.fromkeys(("alpha", "gamma"), f'emit("log", text="{remark}")')
    code, out, _ = bench(tmp_path, benchmark(tmp_path, f"FAULTS = {faults!r}\n"))
    assert code == 0 and " ".join(out.split()).count(f"Note: {remark}") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workload", "alhpa"], ["alhpa", "alpha"]),
        (["--python", "/no/such/python"], ["/no/such/python"]),
        (["--save", "/no/such/folder/x.json"], ["/no/such/folder"]),
        (["--save", "/tmp"], ["/tmp", "folder"]),
        (["--save", "/proc/x.json"], ["/proc"]),
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


# --- what scripts rely on -------------------------------------------------------------------------------------------------


def test_the_files_fields_keep_their_names(tmp_path: Path) -> None:
    """Fields may be added; one that is renamed or gone breaks scripts."""
    file = tmp_path / "result.json"
    fault = "emit('error', workload=name, kind='exception', message='no', traceback='', log_tail=[]); "
    program = benchmark(tmp_path, f"FAULTS = {{'beta.one': {fault + 'raise SystemExit(0)'!r}}}\n")
    assert bench(tmp_path, program, "--save", file)[0] == 1
    data = saved(file)
    assert data.keys() >= {
        "schema", "snapshot", "workloads", "envdoctor", "created", "seconds", "suite", "launches", "device", "environment",
        "skipped", "partial", "partial_because", "notes",
    }  # fmt: skip
    assert data["device"].keys() >= {"type", "index", "name", "capability", "memory_bytes", "uuid"}
    assert data["environment"].keys() >= {
        "python",
        "torch",
        "cuda",
        "cudnn",
        "driver",
        "threads",
        "power_limit",
        "seed",
    }
    good, failed = workload(data, "alpha"), workload(data, "beta.one")
    assert good.keys() >= {
        "name", "version", "parameters", "work_hash", "knobs", "metrics", "valid", "invalid_because", "warnings", "launches",
        "failure", "telemetry", "details",
    }  # fmt: skip
    assert good["metrics"]["throughput"].keys() >= {
        "value", "unit", "better", "samples", "p10", "p90", "ci95", "n", "rcv", "drift", "outliers", "limit", "launches",
    }  # fmt: skip
    assert good["metrics"]["throughput"]["limit"].keys() >= {"value", "percent", "what"}
    assert failed["failure"].keys() >= {"kind", "message", "launch", "traceback", "log_tail", "diagnosed"}
    assert failed["metrics"] == {} and failed["valid"] is False and failed["invalid_because"] == ["no"]


def test_the_same_result_is_written_the_same_and_read_back_whole(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert bench(tmp_path, benchmark(tmp_path), "--save", file)[0] == 0
    code, out, _ = envdoctor("bench", "show", file, "--format", "json", home=tmp_path)
    assert code == 0 and out == file.read_text()


def test_exit_codes_of_what_looks_at_results(tmp_path: Path) -> None:
    def kept(name: str, rate: float, **more: Any) -> Path:
        path = tmp_path / f"{name}.json"
        save(result(made("x", (rate, rate * 1.001, rate * 0.999), **more)), path)
        return path

    fast, slow, struck = kept("fast", 200), kept("slow", 100), kept("struck", 100, invalid_because=("throttled",))
    other = kept("other", 100, work_hash="other", parameters={"batch": 8})
    expected: list[tuple[int, tuple[str | Path, ...]]] = [
        (0, ("show", fast)),
        (1, ("show", struck)),
        (2, ("show", tmp_path / "none.json")),
        (0, ("compare", fast, slow)),
        (1, ("compare", fast, slow, "--fail-slower")),
        (0, ("compare", slow, fast, "--fail-slower")),
        (0, ("compare", fast, struck, "--fail-slower")),
        (1, ("compare", fast, struck, "--fail-slower", "--include-invalid")),
        (2, ("compare", fast, other)),
        (2, ("compare", fast, slow, "-o", "/no/such/folder/x.txt")),
        (2, ("compare", fast, slow, "--price", "1EUR", "--price", "1USD")),
        (0, ("history",)),
        (0, ("list",)),
    ]
    for code, arguments in expected:
        got, out, err = envdoctor("bench", *arguments, home=tmp_path)
        assert got == code, (arguments, out, err)
        assert (code != 2) or (out == "" and err.startswith("Error: ") and err.count("\n") == 1), (arguments, err)


def test_the_comparisons_json_keeps_its_names(tmp_path: Path) -> None:
    for name, rate in (("a", 100.0), ("b", 120.0)):
        save(result(made("x", (rate, rate + 1, rate - 1), telemetry=watts(500))), tmp_path / f"{name}.json")
    code, out, _ = envdoctor(
        "bench", "compare", tmp_path / "a.json", tmp_path / "b.json", "--format", "json", home=tmp_path
    )
    data = json.loads(out)
    assert code == 0 and data["schema"] == "envdoctor.compare/1"
    assert data["sides"][0].keys() >= {"name", "source", "device", "torch", "driver", "created", "launches", "partial"}
    found = data["against"][0]
    assert found.keys() >= {
        "other", "rows", "mean", "interval", "verdict", "common", "efficiency", "confounders", "notes",
    }  # fmt: skip
    assert found["rows"][0].keys() >= {
        "workload", "metric", "unit", "better", "baseline", "other", "ratio", "interval", "detectable", "p", "verdict", "firm",
    }  # fmt: skip
    assert found["efficiency"][0].keys() >= {"workload", "unit", "baseline", "other"}


def test_the_page_on_benchmarks_names_every_workload_and_every_exit_code(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    _, out, _ = envdoctor("bench", "list", "--format", "json", home=tmp_path)
    for each in json.loads(out)["workloads"]:
        family, _, member = each["name"].partition(".")
        assert family in page and (not member or member.split(".")[0] in page), each["name"]
    for code in (0, 1, 2, 130):
        assert f"\n| {code} | " in page
