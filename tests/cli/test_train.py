"""`envdoctor train` as people and scripts call it: whatever becomes of the child, they learn what and why."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.bench.scripts import envdoctor, surroundings
from tests.targets import bare_environment, stub_torch_environment
from tests.training.training_scripts import trainer

H100 = {"type": "cuda", "index": 0, "name": "NVIDIA H100 80GB HBM3", "capability": "9.0", "memory_bytes": 80 << 30}


def train(folder: Path, program: Path, *more: str | Path, python: str | Path = sys.executable) -> tuple[int, str, str]:
    out: list[str | Path] = [] if "-o" in more else ["-o", folder / "run"]
    return envdoctor("train", "--trainer", program, "--python", python, *out, *more, home=folder)


def document(folder: Path, program: Path, *more: str | Path, python: str | Path = sys.executable) -> tuple[int, Any]:
    code, out, _ = train(folder, program, "--format", "json", *more, python=python)
    found = json.loads(out)
    assert found["schema"] == "envdoctor.train/1"
    return code, found


def words(text: str) -> str:
    return " ".join(text.split())


# --- a run that goes well ---------------------------------------------------------------------------------------------


def test_a_run_ends_with_a_verdict_scores_the_folder_and_what_comes_next(tmp_path: Path) -> None:
    code, out, err = train(tmp_path, trainer(tmp_path))
    assert code == 0, err
    for part in ("trained", "95.0 %", "76.4 to 99.1 %", "precision", "F1", "900 img/s", "MODEL_CARD.md", "--export"):
        assert part in words(out), part
    assert "a | b taken for cat" not in out  # one image is chance
    assert len(err.strip().splitlines()) == 4 and "epoch 3/3" in err  # where it is kept, and three epochs
    # The folder's path, which may be as long as it likes, and the commands stay whole.
    longest = max(len(line) for line in out.splitlines() if str(tmp_path) not in line)
    assert longest <= 80 and "\x1b" not in out + err


def test_the_document_says_everything_and_stands_alone_on_stdout(tmp_path: Path) -> None:
    code, found = document(tmp_path, trainer(tmp_path))
    assert code == 0 and found["ok"] is True and found["status"] == "trained"
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2, 3]
    assert found["outcome"]["test"]["recall"] == 0.949 and found["data"]["digest"] == "d1"
    assert set(found["files"]) >= {"config.json", "metrics.jsonl", "final.pt", "curves.svg", "MODEL_CARD.md"}
    assert found["settings"]["batch"] == 64 and found["environment"]["torch"] == "2.15.0" and not found["resumable"]


def test_the_folder_holds_curves_and_a_card_that_can_be_read(tmp_path: Path) -> None:
    assert train(tmp_path, trainer(tmp_path))[0] == 0
    picture = ET.fromstring((tmp_path / "run/curves.svg").read_text())
    lines = picture.findall(".//{*}polyline")
    assert [len((line.get("points") or "").split()) for line in lines] == [3, 3, 3, 3]
    assert "test 95.0 %" in "".join(picture.itertext())
    card = (tmp_path / "run/MODEL_CARD.md").read_text()
    assert "| cat | 10 | 90.9 % | 100.0 % |" in card and "a \\| b" in card and "must not be trusted" not in card


def test_three_hundred_epochs_are_no_three_hundred_lines_in_a_log(tmp_path: Path) -> None:
    many = "EPOCHS = 300; SETTINGS = dict(SETTINGS, epochs=300); OUTCOME = dict(OUTCOME, epochs=300)"
    code, _, err = train(tmp_path, trainer(tmp_path, many))
    assert code == 0 and len(err.splitlines()) < 30 and "epoch 300/300" in err


def test_on_a_terminal_progress_shows_loss_accuracy_speed_and_time_left(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="terminals as files are POSIX's")
    ours, theirs = pty.openpty()
    program = trainer(tmp_path, faults={"epoch 2": "time.sleep(0.6)"})
    command = [sys.executable, "-m", "envdoctor", "train", "--trainer", str(program), "--python", sys.executable]
    environment = {**surroundings(tmp_path), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        [*command, "-o", str(tmp_path / "run")], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 1 << 16):
                seen += chunk
        except OSError:  # Linux says so when the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", seen)  # NO_COLOR
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    for part in (
        "starting Python and torch",
        "loss 0.500",
        "accuracy 50.0 %",
        "900 img/s",
        "about 12 s left",
        "trained",
    ):
        assert part in text, part


def test_a_run_without_a_folder_gets_the_next_free_one(tmp_path: Path) -> None:
    (tmp_path / "runs/digits-1").mkdir(parents=True)
    command = [sys.executable, "-m", "envdoctor", "train", "--trainer", str(trainer(tmp_path)), "--format", "json"]
    done = subprocess.run(
        [*command, "--python", sys.executable],
        cwd=tmp_path,
        env=surroundings(tmp_path),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["folder"] == "runs/digits-2" and (tmp_path / "runs/digits-2/final.pt").exists()


def test_a_model_that_guesses_is_not_praised(tmp_path: Path) -> None:
    guesses = "OUTCOME = dict(OUTCOME, test=dict(OUTCOME['test'], accuracy=0.5), confusion=[[10, 0], [10, 0]])"
    code, out, _ = train(tmp_path, trainer(tmp_path, guesses))
    assert code == 0 and out.startswith("! ") and "learnt nothing" in words(out)


def test_two_runs_at_once_get_a_folder_each(tmp_path: Path) -> None:
    program = trainer(tmp_path, faults={"start": "time.sleep(0.5)"})
    command = [sys.executable, "-m", "envdoctor", "train", "--trainer", str(program), "--python", sys.executable]
    both = [
        subprocess.Popen(
            command, cwd=tmp_path, env=surroundings(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    assert all((tmp_path / f"runs/digits-{number}/final.pt").exists() for number in (1, 2))


# --- what goes wrong in the child -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "crash", "SIGKILL (the kernel's out-of-memory killer"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crash", "SIGSEGV"),
        ("sys.exit('something broke')", "crash", "exit code 1"),
        ("os._exit(0)", "crash", "without a result"),
        ("time.sleep(600)", "hang", "no sign of life for 2 s"),
        ("fail('out-of-memory', 'CUDA out of memory. A smaller --batch', 1)", "out-of-memory", "A smaller --batch"),
    ],
    ids=["killed", "segfault", "exit", "silent exit", "hang", "out of memory"],
)
def test_a_lost_child_is_a_failure_with_its_reason_and_the_way_to_resume(
    tmp_path: Path, fault: str, kind: str, said: str
) -> None:
    program = trainer(tmp_path, faults={"epoch 2": fault})
    code, found = document(tmp_path, program, "--hang-after", "2")
    assert code == 1 and found["status"] == "failed" and not found["ok"]
    assert found["failure"]["kind"] == kind and said in found["failure"]["message"]
    assert len(found["epochs"]) == 1 and found["resumable"] and "--resume" in found["resume"]
    assert (tmp_path / "run/curves.svg").exists() and not (tmp_path / "run/MODEL_CARD.md").exists()
    trainer(tmp_path)  # and without the fault it goes on
    code, out, err = train(tmp_path, program, "--resume")
    assert code == 0 and "epoch 2/3" in err and "epoch 1/3" not in err and "in 3 epochs" in words(out)


def test_an_error_of_the_environment_comes_with_its_diagnosis_and_fix(tmp_path: Path) -> None:
    message = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    program = trainer(tmp_path, faults={"epoch 1": f"fail('cuda', {message!r}, 1)"})
    code, out, _ = train(tmp_path, program)
    assert code == 1 and "gpu-arch-too-" in out and "no kernel image" in words(out) and "Fix:" in out
    assert "training failed after 0 of 3 epochs" in out and "Resume with: envdoctor train -o" in out


def test_a_defect_shows_its_last_words_and_claims_no_cause(tmp_path: Path) -> None:
    program = trainer(tmp_path, faults={"epoch 1": "fail('exception', 'ValueError: shapes (3,4)', 1)"})
    code, out, _ = train(tmp_path, program)
    assert code == 1 and "No known fault of the environment" in words(out) and "shapes (3,4)" in out


def test_a_result_that_must_not_be_trusted_fails_with_a_diagnosis_of_the_machine(tmp_path: Path) -> None:
    wrong = stub_torch_environment(
        tmp_path / "env", gpus=[{"name": H100["name"], "capability": [9, 0], "memory": 80 << 30}], mm="wrong"
    )
    text = "test accuracy 11.00 % after 3 epochs; at least 97.00 % is expected of this data"
    finish = (
        f"emit('finished', **dict(OUTCOME, valid=False, invalid_because=[{text!r}])); fail('validation', {text!r}, 1)"
    )
    program = trainer(tmp_path, f"DEVICE = {H100!r}", {"finish": finish})
    code, found = document(tmp_path, program, python=wrong.python)
    assert code == 1 and found["status"] == "invalid" and found["invalid_because"] == [text]
    assert found["failure"]["diagnosed"], found["failure"]
    assert "must not be trusted" in (tmp_path / "run/MODEL_CARD.md").read_text()
    code, out, _ = train(tmp_path, program, "--force", python=wrong.python)
    assert code == 1 and "must not be trusted" in out.splitlines()[0] and re.search(r"accuracy +95.0 % +invalid", out)
    assert found["failure"]["diagnosed"][0]["code"] in out


def test_a_first_step_that_differs_from_the_cpus_is_no_trained_model(tmp_path: Path) -> None:
    text = "the first step's loss is 9.1 here and 2.3 on the CPU: this device does not compute what the CPU computes"
    code, found = document(tmp_path, trainer(tmp_path, faults={"run": f"fail('validation', {text!r}, 1)"}))
    assert code == 1 and found["status"] == "invalid" and found["invalid_because"] == [text] and not found["outcome"]


def test_what_is_no_event_is_told_and_costs_nothing(tmp_path: Path) -> None:
    noise = (
        "print('Downloading: 42%', flush=True); os.write(1, bytes(range(128, 256)) + b'\\n'); "
        "emit('epoch', epoch='x'); emit('run')"
    )
    code, found = document(tmp_path, trainer(tmp_path, faults={"epoch 2": noise}))
    assert code == 0 and len(found["epochs"]) == 3
    assert any("2 lines" in note and "Downloading: 42%" in note for note in found["notes"])
    assert sum("cannot be read" in note for note in found["notes"]) == 2


def test_a_full_disk_is_one_reason_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    text = "cannot write last.pt: No space left on device; free some space and continue the run with --resume"
    code, out, err = train(tmp_path, trainer(tmp_path, faults={"epoch 2": f"fail('input', {text!r}, 2)"}))
    assert code == 2 and "No space left on device" in words(out) and "Resume with: envdoctor train -o" in out, err
    assert "No known fault" not in out


def test_curves_that_cannot_be_written_are_a_note_and_the_run_stands(tmp_path: Path) -> None:
    limits = "import resource, runpy, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)); "
    limits += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from envdoctor.__main__ import main; main()"
    command = ["train", "--trainer", str(trainer(tmp_path)), "--python", sys.executable, "-o", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-c", limits, *command],
        capture_output=True, text=True, timeout=60, env=surroundings(tmp_path), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "trained" in done.stdout and "curves.svg: File too large" in words(done.stdout)
    assert not list((tmp_path / "run").glob(".curves*"))


# --- interrupted ------------------------------------------------------------------------------------------------------

SAVES = """
def stop(*_):
    write("saved", "yes")
    emit("checkpoint", path=path("last.pt"))
    emit("stopped", reason="SIGTERM", folder=folder)
    os._exit(130)
signal.signal(signal.SIGTERM, stop)
"""


def interrupted(
    folder: Path, place: str, fault: str, *numbers: signal.Signals, settings: str = ""
) -> tuple[int, str, str]:
    """The signals are sent when the trainer has come to that place."""
    ready = folder / "ready"
    program = trainer(folder, settings, {place: f"open({str(ready)!r}, 'w').close(); {fault}"})
    command = [sys.executable, "-m", "envdoctor", "train", "--trainer", str(program)]
    process = subprocess.Popen(
        [*command, "--python", sys.executable, "-o", str(folder / "run"), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings(folder), text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.7)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_the_run_says_how_to_resume_and_exits_130(tmp_path: Path, number: signal.Signals) -> None:
    code, out, err = interrupted(tmp_path, "epoch 3", "time.sleep(600)", number, settings=SAVES)
    assert code == 130 and "stopped after 2 of 3 epochs" in out and "Saving" in err, (out, err)
    assert (tmp_path / "run/saved").exists() and (tmp_path / "run/curves.svg").exists()
    line = next(line for line in out.splitlines() if line.startswith("Resume with: "))
    assert line.endswith(f"train -o {tmp_path}/run --resume --python={sys.executable} --device=cpu")


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    both = (signal.SIGINT, signal.SIGINT)
    code, out, _ = interrupted(tmp_path, "epoch 3", "time.sleep(600)", *both, settings=deaf)
    assert code == 130 and "Resume with: " in out  # and it did not take the two minutes that saving may take


def test_an_interrupt_before_anything_was_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    code, out, _ = interrupted(tmp_path, "start", "time.sleep(600)", signal.SIGINT)
    assert code == 130 and "Resume with" not in out and not (tmp_path / "run").exists()


def test_a_child_that_a_scheduler_stopped_by_itself_is_stopped_and_not_failed(tmp_path: Path) -> None:
    program = trainer(tmp_path, SAVES, {"epoch 2": "stop()"})
    code, found = document(tmp_path, program)
    assert code == 130 and found["status"] == "stopped" and found["resumable"] and found["failure"] is None


# --- the folder -------------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_a_run_is_refused_in_one_line_and_replaced_with_force(tmp_path: Path) -> None:
    program = trainer(tmp_path)
    assert train(tmp_path, program)[0] == 0
    (tmp_path / "run/notes.txt").write_text("mine")
    code, out, err = train(tmp_path, program)
    assert code == 2 and out == "" and len(err.strip().splitlines()) == 1
    assert all(part in err for part in ("3 of 3 epochs", "--resume", "--force"))
    code, found = document(tmp_path, program, "--force")
    assert code == 0 and len(found["epochs"]) == 3 and (tmp_path / "run/notes.txt").read_text() == "mine"


def test_files_of_something_else_are_never_overwritten_unasked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "best.pt").write_text("weeks of work")
    code, _, err = train(tmp_path, trainer(tmp_path))
    assert code == 2 and "best.pt" in err and (folder / "best.pt").read_text() == "weeks of work"


def test_a_run_that_is_under_way_is_not_replaced(tmp_path: Path) -> None:
    program = trainer(tmp_path)
    assert train(tmp_path, program)[0] == 0
    with (tmp_path / "run/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = train(tmp_path, program, "--force")
    assert code == 2 and "another process is training" in err and (tmp_path / "run/final.pt").exists()


# --- what was asked for cannot be ---------------------------------------------------------------------------------------


def test_a_python_without_torch_is_one_line_with_the_fix_and_leaves_no_folder(tmp_path: Path) -> None:
    empty = bare_environment(tmp_path / "env")
    code, out, err = envdoctor("train", "--python", empty.python, "-o", tmp_path / "a/b", home=tmp_path)
    assert code == 2 and out == "" and len(err.strip().splitlines()) == 1
    assert "has no torch" in err and "envdoctor recipe venv" in err and not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (
            "fail('input', '/x cannot import torch: libcudart.so.12: cannot open', 2)",
            1,
            ["libcudart", "envdoctor check"],
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 1, ["SIGSEGV", "envdoctor check"]),
        ("time.sleep(0.3); sys.exit('train.py: error: unrecognized arguments: --warp=9')", 1, ["warp"]),
        (
            "sys.stderr.write('train.py: error: unrecognized arguments: --warp=9'); sys.exit(2)",
            2,
            ["no setting 'warp'"],
        ),
        (
            "sys.stderr.write('train.py: error: argument --crop: invalid int value'); sys.exit(2)",
            2,
            ["--setting crop: invalid"],
        ),
        ("fail('input', '/data has no class folders', 2)", 2, ["/data has no class folders"]),
    ],
    ids=["torch does not load", "crash", "exit 1", "unknown setting", "wrong value", "data"],
)
def test_a_run_that_cannot_begin_is_one_clear_line(tmp_path: Path, fault: str, code: int, said: list[str]) -> None:
    got, out, err = train(tmp_path, trainer(tmp_path, faults={"start": fault}))
    assert got == code and out == ""
    assert err.strip().startswith("Error: ") and all(part in err for part in said), err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume"], "holds no run"),
        (["--resume", "--force"], "--force"),
        (["--epochs", "0"], "--epochs"),
        (["--preset", "fast"], "fast"),
        (["--setting", "crop"], "KEY=VALUE"),
        (["--freeze"], "--finetune-from"),
        (["--export", "/no/such/folder/m.onnx"], "/no/such/folder"),
        (["--export", "/tmp"], "/tmp/model.onnx"),
        (["--python", "/no/such/python"], "/no/such/python"),
        (["-o", "/dev/null"], "is a file"),
        (["-o", "/dev/null/run"], "cannot make /dev/null/run"),
    ],
)
def test_wrong_usage_is_said_before_anything_runs(tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, err = train(tmp_path, trainer(tmp_path), *arguments)
    assert code == 2 and out == "" and said in err.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_help_imports_nothing_that_training_needs(tmp_path: Path) -> None:
    code = "import sys; from envdoctor.cli import run; run(['train', '--help']); "
    code += "print(sorted({'rich', 'msgspec', 'jinja2', 'psutil'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
