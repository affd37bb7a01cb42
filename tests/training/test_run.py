"""`envdoctor train` with the real pipeline in a real torch on this CPU: small runs, really trained, killed and resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from envdoctor.cli.train import RARER
from envdoctor.cli.train import command as command_line
from tests import real_torch
from tests.bench.scripts import envdoctor, surroundings

pytestmark = pytest.mark.torch
SMALL = ("--size", "8")
HERE = ("--device", "cpu", "--threads", "1")
"""One thread: two that share their cores with others wait for each other, and sums in another order have other bits."""


@pytest.fixture(scope="module")
def python() -> Path:
    return real_torch.environment().python


def train(folder: Path, python: Path, *more: str | Path, small: bool = True) -> tuple[int, Any, str]:
    options = [*HERE, *(SMALL if small else ()), "--python", python, "--format", "json", *more]
    code, out, err = envdoctor("train", *options, home=folder)
    return code, json.loads(out) if out else None, err


def test_digits_are_learnt_and_a_kill_in_mid_epoch_costs_nothing(tmp_path: Path, python: Path) -> None:
    """Both processes are killed at once, as by a power cut: the resumed run ends with the same bits as the uninterrupted one."""
    epochs = ("--epochs", "4")
    code, whole, err = train(tmp_path, python, *epochs, "-o", tmp_path / "whole")
    assert code == 0, err
    assert whole["outcome"]["test"]["accuracy"] >= 0.85 and len(whole["epochs"]) == 4
    assert whole["epochs"][-1]["loss"] < 0.5 * whole["epochs"][0]["loss"]
    assert whole["outcome"]["images_per_second"] > 10 and whole["data"]["images"]["test"] == 359
    assert 0 <= whole["telemetry"]["others_cpu"] <= 1

    killed = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "envdoctor",
        "train",
        *HERE,
        *SMALL,
        *epochs,
        "--python",
        str(python),
        "-o",
        str(killed),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path)
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 2/4"):
            break
    time.sleep(0.2)
    (child,) = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _trains(entry, killed))
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stderr.close()
    assert not (killed / "result.json").exists()

    code, refused, err = train(tmp_path, python, *epochs, "-o", killed)
    assert code == 2 and refused is None and "--resume" in err
    code, resumed, err = train(tmp_path, python, "-o", killed, "--resume", small=False)
    assert code == 0 and resumed["resumed"] is True, err
    assert resumed["outcome"]["weights"]["digest"] == whole["outcome"]["weights"]["digest"]
    assert [e["loss"] for e in resumed["epochs"]] == [e["loss"] for e in whole["epochs"]]
    assert (killed / "curves.svg").exists() and "95 % interval" in (killed / "MODEL_CARD.md").read_text()
    code, again, err = train(tmp_path, python, "-o", killed, "--resume", small=False)  # it is judged again
    assert code == 0 and again["outcome"]["weights"] == whole["outcome"]["weights"], err
    assert again["outcome"]["test"] == whole["outcome"]["test"] and len(again["epochs"]) == 4
    assert again["files"]["last.pt"] < 1.1 * again["files"]["final.pt"]  # nothing goes on from it


def _trains(process: Path, folder: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(folder).encode() in words and b"--events" in words


def test_a_loss_that_is_no_number_and_an_accuracy_below_its_target_are_not_to_be_trusted(
    tmp_path: Path, python: Path
) -> None:
    few = ("--labels-per-class", "4", "--epochs", "1")
    code, found, err = train(tmp_path, python, *few, "--rate", "1e30", "-o", tmp_path / "diverged")
    assert code == 1 and found["status"] == "invalid", err
    assert "--rate" in found["failure"]["message"] and found["outcome"] is None
    code, found, err = train(tmp_path, python, *few, "--setting", "target-accuracy=0.99", "-o", tmp_path / "poor")
    assert code == 1 and found["status"] == "invalid", err
    assert "at least 99.00%" in found["invalid_because"][0] and found["outcome"]["test"]["images"] == 359
    assert "must not be trusted" in (tmp_path / "poor/MODEL_CARD.md").read_text()


def test_a_disk_that_fills_up_is_one_reason_and_room_lets_the_run_go_on(tmp_path: Path, python: Path) -> None:
    # best.pt (2 MB at this size) fits, last.pt with Adam's moments does not.
    limits = "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 64 << 20)); "
    limits += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from envdoctor.__main__ import main; main()"
    folder = tmp_path / "run"
    small = [*HERE, *SMALL, "--labels-per-class", "4", "--epochs", "2"]
    done = subprocess.run(
        [sys.executable, "-c", limits, "train", *small, "--python", str(python), "-o", str(folder)],
        capture_output=True, text=True, timeout=120, env=surroundings(tmp_path), check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "last.pt: File too large; free some space" in " ".join(done.stdout.split())
    assert "Resume with: envdoctor train -o" in done.stdout and not list(folder.glob("*.writing"))
    code, found, err = train(tmp_path, python, "-o", folder, "--resume", small=False)
    assert code == 0 and len(found["epochs"]) == 2, err


def test_every_setting_is_reachable_and_the_page_lists_it(python: Path) -> None:
    root = Path(__file__).parents[2]
    command = [str(python), str(root / "benchmarks/train.py"), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    theirs = set(re.findall(r"^  (?:-o FOLDER, )?--([a-z-]+)", said, re.MULTILINE))
    ours = {name.removeprefix("--") for parameter in command_line.params for name in parameter.opts}
    table = (root / "docs/training.md").read_text().partition("## Rarer settings")[2].partition("## ")[0]
    listed = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([a-z-]+)`", line.split("|")[1])
    }
    assert listed <= theirs and listed >= theirs - ours - {"run-folder", "events"}
    assert set(RARER.partition(";")[0].split(", ")) <= listed


def test_fine_tuning_on_a_folder_takes_the_checkpoints_size_and_a_shift_that_fits_it(
    tmp_path: Path, python: Path
) -> None:
    """The usual size and shift of a folder, or of textures, are for larger images than the checkpoint's 8 pixels."""
    make = "import sys, torch; sys.path.insert(0, sys.argv[1]); from benchmarks.models.simple_cnn import SimpleCNN; "
    make += "from benchmarks.pipeline.recipes import settings_for; "
    make += "torch.save(SimpleCNN(classes=3, size=8).state_dict(), sys.argv[2]); "
    make += "print(settings_for({'data': 'folder', 'size': 32}).crop, settings_for({'data': 'folder'}).crop)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [str(python), "-c", make, str(root), str(tmp_path / "c.pt")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == ["4", "28"]
    options = ("--finetune-from", tmp_path / "c.pt", "--data", "textures", "--epochs", "1", "-o", tmp_path / "run")
    code, found, err = train(tmp_path, python, *options, small=False)
    assert code == 0 and found["settings"]["size"] == 8 and found["settings"]["crop"] == 1, err
    assert found["settings"]["rate"] == pytest.approx(1e-4)


def test_a_setting_with_a_wrong_value_is_told_as_it_was_typed(tmp_path: Path, python: Path) -> None:
    code, _, err = train(tmp_path, python, "--setting", "workers=two", "-o", tmp_path / "run")
    assert code == 2 and "--setting workers: invalid int value: 'two'" in err


def test_a_small_folder_gets_a_small_network_and_steps_enough(tmp_path: Path, python: Path) -> None:
    """126 images were taken for ImageNet: 224 pixels, 412 million parameters, and 10 epochs of two steps."""
    for name in ("cat", "dog", "owl"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(42):
            (tmp_path / "photos" / name / f"{number}.png").write_bytes(b"")
    make = "import json, sys; sys.path.insert(0, sys.argv[1]); from benchmarks.pipeline.recipes import settings_for; "
    make += "ask = lambda **more: settings_for(dict(more, data=sys.argv[2])).as_dict(); "
    make += "print(json.dumps([ask(), ask(finetune_from='c.pt', size=32), ask(batch=64, epochs=3)]))"
    root = Path(__file__).parents[2]
    command = [str(python), "-c", make, str(root), str(tmp_path / "photos")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    scratch, tuned, given = json.loads(done.stdout)
    assert scratch["size"] == 64 and scratch["epochs"] * (88 // scratch["batch"]) >= 400
    assert tuned["size"] == 32 and tuned["epochs"] * (88 // tuned["batch"]) >= 600
    assert (given["batch"], given["epochs"]) == (64, 3), "what is asked for is done"
