"""`envdoctor explain`: what it takes, what it answers, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_errors import assert_one_clear_line, run

ERROR = "RuntimeError: CUDA error: uncorrectable ECC error encountered"
ALONE = "--no-machine"


def explained(*arguments: str | Path, stdin: bytes = b"") -> dict[str, Any]:
    code, stdout, stderr = run("explain", "--format", "json", *arguments, stdin=stdin)
    assert (code, stderr) == (0, "")
    found: dict[str, Any] = json.loads(stdout)
    assert found["schema"] == "envdoctor.explain/1"
    return found


def test_text_file_and_standard_input_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "train.log"
    file.write_text(f"epoch 1\n{ERROR}\n")
    as_text = explained(ERROR, ALONE)
    as_words = explained(*ERROR.split(), ALONE)
    as_file = explained(file, ALONE)
    as_input = explained("-", ALONE, stdin=ERROR.encode())
    unasked = explained(ALONE, stdin=ERROR.encode())
    assert {found["primary"] for found in (as_text, as_words, as_file, as_input, unasked)} == {"gpu-hw-fault"}
    assert as_file["matches"][0]["line_number"] == 2


def test_a_match_has_what_scripts_rely_on() -> None:
    match = explained(ERROR, ALONE)["matches"][0]
    assert match["code"] == "gpu-hw-fault" and 0.5 < match["confidence"] <= 0.99
    assert match["line"] == ERROR and match["summary"].endswith(".")
    fix = match["fixes"][0]
    assert fix["title"] and fix["commands"] and fix["needs_root"] is True and fix["needs_reboot"] is False


def test_without_a_gpu_to_look_at_each_cause_has_a_repair_of_its_own() -> None:
    found = explained("RuntimeError: CUDA error: no kernel image is available for execution on the device", ALONE)
    fixes = {match["code"]: match["fixes"][0] for match in found["matches"]}
    question, new = found["matches"][0]["fixes"][:2]
    assert found["matches"][0]["code"] == "gpu-arch-too-new-for-torch"
    assert "torch.cuda.get_device_capability()" in question["commands"][0]
    old = fixes["gpu-arch-too-old-for-torch"]
    assert "Maxwell, Pascal and Volta" in old["title"]
    assert new["commands"] != old["commands"] and any("whl/cu126" in line for line in old["commands"])
    assert "nvidia-smi --query-gpu=compute_cap" in fixes["extension-arch-missing"]["commands"][0]


def test_what_is_no_environment_problem_is_an_answer() -> None:
    found = explained("RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x512 and 1024x10)", ALONE)
    assert found["primary"] is None and found["matches"] == []
    code, stdout, _ = run("explain", ALONE, "KeyError: 'labels'")
    assert code == 0 and "The program's own error" in stdout


def test_unknown_own_and_no_error_are_three_answers() -> None:
    strange = explained("FrobnicationError: the flux capacitor of the GPU is dry", ALONE)
    assert (strange["verdict"], strange["matches"]) == ("unknown", [])
    assert strange["not_understood"] == ["FrobnicationError: the flux capacitor of the GPU is dry"]
    assert explained("KeyError: 'labels'", ALONE)["own_errors"] == ["KeyError: 'labels'"]
    nothing = explained("epoch 3, step 400", ALONE)
    assert nothing["not_understood"] == nothing["own_errors"] == []
    outputs = {text: run("explain", ALONE, text)[1] for text in ("FrobnicationError: x", "KeyError: 'x'", "epoch 3")}
    assert len({out.splitlines()[0].split("(")[0] for out in outputs.values()}) == 3


def test_an_empty_text_is_no_problem() -> None:
    assert explained("-", ALONE)["matches"] == []


def test_a_code_shows_its_page() -> None:
    code, stdout, _ = run("explain", "driver-too-old")
    assert code == 0
    for words in ("driver-too-old", "What it is", "Told apart by", "Repair", "too old (found version"):
        assert words in stdout
    found = explained("driver-too-old")
    assert found["primary"] == "driver-too-old" and "What it is" in found["page"]


def test_every_page_fits_the_terminal() -> None:
    from envdoctor.diagnosis.catalogue import all_diagnoses

    for d in all_diagnoses()[::10]:
        _, stdout, _ = run("explain", d.code, COLUMNS="60")
        assert max(len(line) for line in stdout.splitlines()) <= 60


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["driver-to-old"], ["driver-to-old", "did you mean", "driver-too-old"]),
        (["no/such/train.log"], ["no/such/train.log", "No such file"]),
        (["train.log"], ["train.log", "No such file"]),
        (["/"], ["directory"]),
        (["x", "--no-machine", "--from", "y"], ["--from", "--no-machine"]),
        (["x", "--no-machine", "--python", "y"], ["--no-machine", "--python"]),
        (["-", "--from", "-"], ["standard input"]),
        (["some text", "--from", "/no/such/snapshot.json"], ["/no/such/snapshot.json"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], words: list[str]) -> None:
    assert_one_clear_line(run("explain", *arguments), *words)


def test_facts_confirm_a_candidate_and_rule_others_out(tmp_path: Path) -> None:
    dump = """Collecting environment information...
PyTorch version: 2.9.1+cu128
CUDA used to build PyTorch: 12.8
OS: Ubuntu 24.04.3 LTS (x86_64)
Libc version: glibc-2.39
Python version: 3.12.10 (64-bit runtime)
Python platform: Linux-6.8.0-87-generic-x86_64-with-glibc2.39
Is CUDA available: {available}
GPU models and configuration: GPU 0: NVIDIA GeForce RTX 4090
Nvidia driver version: {driver}
[pip3] torch==2.9.1+cu128
"""
    error = "The NVIDIA driver on your system is too old (found version 11040)."
    old, new = tmp_path / "old.txt", tmp_path / "new.txt"
    old.write_text(dump.format(available="False", driver="470.82.01"))
    new.write_text(dump.format(available="True", driver="580.159.04"))
    alone = explained(error, ALONE)["matches"][0]
    confirmed = explained(error, "--from", old)["matches"][0]
    ruled_out = explained(error, "--from", new)["matches"][0]
    assert confirmed["machine"] == "confirms" and "470.82.01" in confirmed["summary"]
    assert ruled_out["machine"] == "rules-out" and "CUDA starts" in ruled_out["machine_says"]
    assert ruled_out["confidence"] < alone["confidence"] <= confirmed["confidence"]
    _, stdout, _ = run("explain", error, "--from", new)
    assert "Ruled out here: " in stdout


def test_the_same_question_has_the_same_answer_through_a_pipe_in_ascii() -> None:
    code, stdout, stderr = run(
        "explain", ERROR, ALONE, LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii:strict", NO_COLOR="1"
    )
    assert (code, stderr) == (0, "") and stdout.isascii() and "\x1b" not in stdout and "gpu-hw-fault" in stdout


def test_a_whole_dump_has_one_cause_for_explain_and_for_check(tmp_path: Path) -> None:
    dump = tmp_path / "env.txt"
    dump.write_text(
        "Collecting environment information...\nPyTorch version: 2.9.1+cu128\nIs debug build: False\n"
        "CUDA used to build PyTorch: 12.8\nROCM used to build PyTorch: N/A\n\nOS: Ubuntu 24.04.3 LTS (x86_64)\n"
        "Python version: 3.12.10 (64-bit runtime)\nIs CUDA available: False\n"
        "GPU models and configuration: GPU 0: NVIDIA GeForce RTX 4090\nNvidia driver version: 470.82.01\n"
    )
    assert explained(dump, ALONE)["primary"] == "driver-too-old"
    _, stdout, _ = run("check", "--from", dump, "--format", "json")
    assert json.loads(stdout)["primary"] == "driver-too-old"
