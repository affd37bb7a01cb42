"""`envdoctor check FILE...`: what a person, a script and GitHub see."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from envdoctor.cli import run
from tests.linting.files import card


@pytest.fixture
def machine(tmp_path: Path) -> str:
    """A workstation with driver 535."""
    path = tmp_path / "snapshot.json"
    path.write_bytes(msgspec.json.encode(card("NVIDIA GeForce RTX 4090", "8.9", driver="535.183.01")))
    return str(path)


@pytest.fixture
def requirements(tmp_path: Path) -> str:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy\ntorch\n")
    return str(path)


def test_the_line_the_cause_and_what_to_write_instead(
    machine: str, requirements: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", requirements, "--from", machine]) == 1
    out = capsys.readouterr().out
    assert f"{requirements}:2" in out
    assert "driver-too-old" in out
    assert "+ --extra-index-url https://download.pytorch.org/whl/cu126" in " ".join(out.split())


def test_json_names_file_and_line(machine: str, requirements: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", requirements, "--from", machine, "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "envdoctor.report/1"
    assert report["primary"] == "driver-too-old"
    assert [(f["file"], f["line"]) for f in report["findings"]] == [(requirements, 2)]


def test_github_puts_its_mark_on_the_line(machine: str, requirements: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", requirements, "--from", machine, "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith(f"::error file={requirements},line=2,title=driver-too-old::")


def test_a_file_without_faults_is_said_to_be_so(
    machine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("torch==2.8.0\n")
    for style in ("text", "markdown", "github", "junit", "html", "json"):
        assert run(["check", str(path), "--from", machine, "--format", style]) == 0
        out = capsys.readouterr().out
        assert "No problems found" in out or style in ("junit", "json")
        assert "driver-too-old" not in out


def test_only_asks_for_one_code(machine: str, requirements: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", requirements, "--from", machine, "--only", "torchvision-mismatch"]) == 0
    assert "No problems found" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_what_cannot_be_read_ends_before_the_machine_is_looked_at(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["check", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1 and name in error
