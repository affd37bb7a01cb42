"""`envdoctor bench` as people and scripts call it: what it measures is kept, whatever becomes of the process that measures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.bench.scripts import benchmark, envdoctor, surroundings


def bench(folder: Path, program: Path, *more: str | Path) -> tuple[int, str, str]:
    return envdoctor("bench", "--benchmarks", program, "--python", sys.executable, *more, home=folder)


def saved(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    assert data["schema"] == "envdoctor.bench/1"
    return data


def workload(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(w for w in data["workloads"] if w["name"] == name)
    return found


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
    ("fault", "kind", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "crash", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crash", "SIGSEGV"),
        ("os._exit(4)", "crash", "exit code 4"),
        ("time.sleep(600)", "hang", "no sign of life for 2 s"),
    ],
    ids=["killed", "segfault", "device lost", "hang"],
)
def test_a_lost_process_costs_its_workload_and_the_rest_is_measured(
    tmp_path: Path, fault: str, kind: str, words: str
) -> None:
    file = tmp_path / "result.json"
    program = benchmark(tmp_path, f"FAULTS = {{'beta.one': {fault!r}}}\n")
    code, out, _ = bench(tmp_path, program, "--hang-after", "2", "--save", file)
    assert code == 1
    data = saved(file)
    assert [w["name"] for w in data["workloads"] if w["valid"]] == ["alpha", "beta.two", "gamma"]
    lost = workload(data, "beta.one")
    assert lost["failure"]["kind"] == kind and words in lost["failure"]["message"]
    assert lost["invalid_because"] == [lost["failure"]["message"]]
    assert words in " ".join(out.split()) and "1 of 4 workloads" in out


def test_an_error_is_shown_with_its_diagnosis(tmp_path: Path) -> None:
    message = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    fault = f'emit("error", workload=name, kind="cuda", message={message!r}, traceback="", log_tail=[]); return'
    program = benchmark(
        tmp_path,
        f"""
honest = measure
def measure(name):
    if name != "gamma":
        return honest(name)
    {fault}
""",
    )
    file = tmp_path / "result.json"
    code, out, _ = bench(tmp_path, program, "--save", file)
    assert code == 1
    failure = workload(saved(file), "gamma")["failure"]
    assert failure["kind"] == "cuda" and failure["diagnosed"][0]["code"].startswith("gpu-arch-too-")
    assert failure["diagnosed"][0]["code"] in out and message.split(": ", 1)[1] in " ".join(out.split())


def test_an_error_that_is_no_fault_of_the_environment_gets_no_diagnosis(tmp_path: Path) -> None:
    program = benchmark(
        tmp_path,
        """
def measure(name):
    emit("error", workload=name, kind="exception", message="ValueError: shapes (3,4) and (5,6)", traceback="", log_tail=[])
""",
    )
    file = tmp_path / "result.json"
    assert bench(tmp_path, program, "--workload", "alpha", "--save", file)[0] == 1
    assert workload(saved(file), "alpha")["failure"].get("diagnosed", []) == []


def test_garbage_on_stdout_is_reported_and_costs_nothing(tmp_path: Path) -> None:
    program = benchmark(
        tmp_path,
        "FAULTS = {'alpha': 'print(\"Downloading: 42%\"); os.write(1, bytes(range(128, 256)) + b\"\\\\n\")'}\n",
    )
    file = tmp_path / "result.json"
    code, out, _ = bench(tmp_path, program, "--save", file)
    assert code == 0
    assert "2 lines" in out and "Downloading: 42%" in " ".join(out.split())
    assert len(saved(file)["workloads"]) == 4


def test_a_result_that_cannot_be_read_is_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    program = benchmark(tmp_path, "FAULTS = {'alpha': 'emit(\"result\", workload={\"name\": 5})'}\n")
    code, out, _ = bench(tmp_path, program)
    assert code == 0 and "cannot be read" in " ".join(out.split())


def test_a_process_that_dies_before_each_workload_does_not_go_on_for_ever(tmp_path: Path) -> None:
    main = 'hello()\nif len(options("--workload")) < 4: os._exit(9)\nmeasure("alpha")\nos._exit(9)\n'
    began = time.monotonic()
    code, out, _ = bench(tmp_path, benchmark(tmp_path, main=main))
    assert code == 1 and time.monotonic() - began < 60
    assert "3 of 4 workloads" in out and "exit code 9" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["before the first event", "in the second workload"])
def test_an_interrupt_keeps_what_was_measured_marks_it_and_exits_130(
    tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    ready = tmp_path / "ready"
    wait = f"open({str(ready)!r}, 'w').close(); time.sleep(600)"
    if moment == "before the first event":
        program = benchmark(tmp_path, main=wait)
    else:
        program = benchmark(tmp_path, f"FAULTS = {{'beta.one': {wait!r}}}\n")
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", "envdoctor", "bench", "--benchmarks", str(program), "--python", sys.executable]
    process = subprocess.Popen(
        [*command, "--save", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(tmp_path),
        text=True,
    )
    deadline = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    data = saved(file)
    assert data["partial"] is True and data["partial_because"] == "interrupted"
    done = [w["name"] for w in data["workloads"]]
    assert done == ([] if moment == "before the first event" else ["alpha"])
    assert "partial" in out and "Traceback" not in err


def test_a_full_disk_costs_the_file_and_not_the_report(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no /dev/full on this system")
    limits = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
    limits += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); sys.argv[0] = 'envdoctor'; "
    limits += "from envdoctor.__main__ import main; main()"
    program, file = benchmark(tmp_path), tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "-c", limits, "bench", "--benchmarks", str(program), "--python", sys.executable, "--save", str(file)],
        capture_output=True, text=True, timeout=60, env=surroundings(tmp_path), check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"cannot write {file}" in done.stderr and "Traceback" not in done.stderr
    assert "4 workloads measured" in done.stdout and "the history is not kept" in " ".join(done.stdout.split())
    assert not file.exists()


def test_a_full_output_device_is_one_line(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no /dev/full on this system")
    command = [
        sys.executable,
        "-m",
        "envdoctor",
        "bench",
        "--benchmarks",
        str(benchmark(tmp_path)),
        "--format",
        "json",
    ]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*command, "--python", sys.executable], stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=60, env=surroundings(tmp_path), check=False,
        )  # fmt: skip
    assert done.returncode != 0 and "Traceback" not in done.stderr and "No space left" in done.stderr


def test_a_read_only_home_costs_the_history_and_not_the_run(tmp_path: Path) -> None:
    # A file in the folder's place: root may write into a folder that is closed to everybody else.
    (tmp_path / "data").write_text("")
    code, out, _ = bench(tmp_path, benchmark(tmp_path))
    assert code == 0 and "the history is not kept" in " ".join(out.split())


@pytest.mark.parametrize(
    ("main", "code", "words"),
    [
        ("fail(\"/x cannot import torch: No module named 'torch'\")", 2, ["--python", "recipe venv"]),
        ("fail('/x cannot import torch: libcudart.so.12: cannot open')", 1, ["libcudart", "envdoctor check"]),
        ("fail('--device cuda:9: there is 1 GPU')", 2, ["cuda:9"]),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 1, ["SIGSEGV", "envdoctor check"]),
    ],
    ids=["no torch", "torch that does not load", "no such device", "crash"],
)
def test_a_target_in_which_nothing_can_be_measured_is_one_clear_line(
    tmp_path: Path, main: str, code: int, words: list[str]
) -> None:
    failing = "def fail(text):\n    sys.stderr.write('benchmarks: ' + text)\n    sys.exit(2)\n"
    got, out, err = bench(tmp_path, benchmark(tmp_path, failing, main=main))
    assert got == code and out == ""
    line = err.strip().splitlines()[-1]
    assert line.startswith("Error: ") and all(word in line for word in words), err


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
