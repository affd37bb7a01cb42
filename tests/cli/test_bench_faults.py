"""What may go wrong while `envdoctor bench` measures: it costs a workload, a file or the history, and never the rest."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.scripts import bench, benchmark, envdoctor, saved, surroundings, workload


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
    program = erring(tmp_path, "gamma", "cuda", message)
    file = tmp_path / "result.json"
    code, out, _ = bench(tmp_path, program, "--save", file)
    assert code == 1
    failure = workload(saved(file), "gamma")["failure"]
    assert failure["kind"] == "cuda" and failure["diagnosed"][0]["code"].startswith("gpu-arch-too-")
    assert failure["diagnosed"][0]["code"] in out and message.split(": ", 1)[1] in " ".join(out.split())


def test_a_process_that_dies_of_a_cuda_error_is_explained_with_the_commands_that_mend_it(tmp_path: Path) -> None:
    """It says so on stderr only, as a crash outside of Python's reach does."""
    words = "CUDA error: no kernel image is available for execution on the device"
    dies = f"sys.stderr.write('Traceback (most recent call last):\\ntorch.AcceleratorError: {words}\\n'); os._exit(1)"
    faults = {"beta.one": dies, "gamma": dies}
    program = benchmark(tmp_path, f"FAULTS = {faults!r}\n")
    file = tmp_path / "result.json"
    code, out, _ = bench(tmp_path, program, "--save", file)
    assert code == 1
    data = saved(file)
    assert [w["name"] for w in data["workloads"] if w["valid"]] == ["alpha", "beta.two"]
    failure = workload(data, "beta.one")["failure"]
    assert failure["kind"] == "crash" and any(words in line for line in failure["log_tail"])
    cause = failure["diagnosed"][0]
    assert cause["code"].startswith("gpu-arch-too-") and cause["summary"] and cause["fix"]
    assert cause["commands"]
    assert "beta.one, gamma  failed" in out, "one cause is told once"
    assert out.count(f"{cause['code']}: ") == 1 and f"envdoctor explain {cause['code']}" in out
    assert all(f"     {command}\n" in out for command in cause["commands"]), "commands come in one piece"


def test_an_unknown_crash_shows_the_last_words(tmp_path: Path) -> None:
    dies = "sys.stderr.write('a\\nb\\nc\\nd\\nFatal: the flux capacitor is empty\\n'); os._exit(7)"
    code, out, _ = bench(tmp_path, benchmark(tmp_path, f"FAULTS = {{'alpha': {dies!r}}}\n"))
    assert code == 1 and "     Fatal: the flux capacitor is empty\n" in out and "     a\n" not in out


def test_out_of_memory_ends_the_workload_only(tmp_path: Path) -> None:
    message = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 12.00 GiB. GPU 0 has a total capacity of 8 GiB"
    )
    program = erring(tmp_path, "beta.two", "out-of-memory", message)
    file = tmp_path / "result.json"
    code, out, _ = bench(tmp_path, program, "--save", file)
    data = saved(file)
    assert code == 1 and [w["name"] for w in data["workloads"] if w["valid"]] == ["alpha", "beta.one", "gamma"]
    assert workload(data, "beta.two")["failure"]["kind"] == "out-of-memory"
    assert "Tried to allocate 12.00 GiB" in " ".join(out.split())


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
        "FAULTS = {'alpha': 'print(\"Downloading: 42%\", flush=True); os.write(1, bytes(range(128, 256)) + b\"\\\\n\")'}\n",
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
    process = _started(tmp_path, program, file)
    _wait_for(ready)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    data = saved(file)
    assert data["partial"] is True and data["partial_because"] == "interrupted"
    done = [w["name"] for w in data["workloads"]]
    assert done == ([] if moment == "before the first event" else ["alpha"])
    assert "partial" in out and "Traceback" not in err


def test_impatient_interrupts_cost_nothing_that_was_measured(tmp_path: Path) -> None:
    """Ctrl-C held down, from the middle of a workload to the end of the command, and a child that does not care."""
    ready, file = tmp_path / "ready", tmp_path / "result.json"
    stubborn = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(ready)!r}, 'w').close(); time.sleep(600)"
    process = _started(tmp_path, benchmark(tmp_path, f"FAULTS = {{'gamma': {stubborn!r}}}\n"), file)
    _wait_for(ready)
    while process.poll() is None and not file.exists():
        process.send_signal(signal.SIGINT)
        time.sleep(0.003)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err, err
    data = saved(file)
    assert data["partial"] and [w["name"] for w in data["workloads"]] == ["alpha", "beta.one", "beta.two"]
    assert list(tmp_path.glob(".result*")) == []
    assert out == "" or "partial, interrupted" in out


def test_an_interrupt_while_results_are_written_is_too_late_to_cost_them(tmp_path: Path) -> None:
    file, store = tmp_path / "result.json", tmp_path / "data" / "envdoctor" / "history.sqlite3"
    assert bench(tmp_path, benchmark(tmp_path))[0] == 0
    # The history is busy with another run, and this one waits for it.
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        process = _started(tmp_path, benchmark(tmp_path), file)
        heard = _until(process, "gamma")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None, "it was to wait for the history"
        other.execute("ROLLBACK")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, heard + err
    assert not saved(file).get("partial") and len(saved(file)["workloads"]) == 4 and "all valid" in out


def erring(folder: Path, workload: str, kind: str, message: str) -> Path:
    """A benchmark in which one workload tells an error in place of figures."""
    return benchmark(
        folder,
        f"""
honest = measure
def measure(name):
    if name != {workload!r}:
        return honest(name)
    emit("error", workload=name, kind={kind!r}, message={message!r}, traceback="", log_tail=[])
""",
    )


def _started(folder: Path, program: Path, file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "envdoctor", "bench", "--benchmarks", str(program), "--python", sys.executable]
    return subprocess.Popen(
        [*command, "--save", str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings(folder), text=True,
    )  # fmt: skip


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


def _until(process: subprocess.Popen[str], word: str) -> str:
    """What it said on stderr up to a line with that word."""
    assert process.stderr is not None
    heard = ""
    for line in process.stderr:
        heard += line
        if word in line:
            break
    return heard


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
    assert not file.exists() and list(tmp_path.glob(".result*")) == []


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


def test_a_corrupt_history_costs_the_history_and_says_where_it_lies(tmp_path: Path) -> None:
    store = tmp_path / "data" / "envdoctor" / "history.sqlite3"
    store.parent.mkdir(parents=True)
    store.write_bytes(b"SQLite format 3\0" + b"\xa5" * 8192)
    code, out, _ = bench(tmp_path, benchmark(tmp_path))
    assert code == 0 and "the history is not kept" in " ".join(out.split())
    assert store.name in out.replace("\n", "") and store.read_bytes().endswith(b"\xa5"), "it is left as it was"
    code, out, err = envdoctor("bench", "history", home=tmp_path)
    assert code == 2 and out == "" and err.startswith("Error: the history cannot be read: ") and err.count("\n") == 1


def test_a_device_that_cannot_be_used_at_all_is_explained(tmp_path: Path) -> None:
    words = "no CUDA device: The NVIDIA driver on your system is too old (found version 11040)"
    main = f"sys.stderr.write('benchmarks: {words}')\nsys.exit(2)\n"
    code, out, err = bench(tmp_path, benchmark(tmp_path, main=main), "--device", "cuda")
    assert code == 1 and out == ""
    assert "driver-too-old: " in err and "Fix: " in err and err.splitlines()[-1].startswith("Error: nothing could be")


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
