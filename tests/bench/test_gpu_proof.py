"""The first contact with a GPU, rehearsed: its blocks are within their time, and go on where they were stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests import real_torch
from tests.benchmarks.target import ROOT
from tests.gpu_proof import __main__ as proof
from tests.gpu_proof.steps import BLOCK_S, Place, Step, blocks


def test_each_block_fits_in_ten_minutes_and_no_two_steps_have_one_name(tmp_path: Path) -> None:
    table = blocks(Place(sys.executable, tmp_path, "cuda"))
    for steps in table.values():
        assert sum(step.seconds for step in steps) <= BLOCK_S
    names = [step.name for steps in table.values() for step in steps]
    assert len(names) == len(set(names))


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str, **programs: str) -> int:
    """A block `a` of small programs by name, each of 20 s at most, but for one of the name `slow`."""
    steps = tuple(
        Step(name, 1.0 if name == "slow" else 20.0, (sys.executable, "-c", program))
        for name, program in programs.items()
    )
    monkeypatch.setattr(proof, "blocks", lambda _at: {"a": steps})
    return proof.main(["a", "--out", str(out), *more])


def test_what_has_ended_is_not_run_again_and_a_step_that_fails_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = f"open({str(tmp_path / 'count')!r}, 'a').write('x')"
    programs = {"bad": "import sys; sys.exit('no such thing')", "good": count}
    assert run(monkeypatch, tmp_path / "out", **programs) == 1
    assert "no such thing" in (tmp_path / "out/bad.log").read_text()
    assert run(monkeypatch, tmp_path / "out", **programs) == 1
    assert (tmp_path / "count").read_text() == "x"
    assert run(monkeypatch, tmp_path / "out", "--only", "good", "--again", "good", **programs) == 0
    assert (tmp_path / "count").read_text() == "xx"


def test_a_step_that_takes_too_long_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "child"
    child = f"import time; time.sleep(3); open({str(mark)!r}, 'w')"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert run(monkeypatch, tmp_path / "out", slow=program) == 1
    (line,) = map(json.loads, (tmp_path / "out/steps.jsonl").read_text().splitlines())
    assert line["exit_code"] is None and not mark.exists()


@pytest.mark.parametrize("words", [("d",), ("a", "--only", "nothing")])
def test_a_name_that_is_not_there_is_wrong_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        proof.main([*words, "--out", str(tmp_path)])
    assert ended.value.code == 2


@pytest.mark.torch
def test_it_is_rehearsed_on_a_cpu(tmp_path: Path) -> None:
    torch_python = real_torch.environment().python
    # What envdoctor needs, beside that torch: as on a machine that has torch and no network.
    beside = sysconfig.get_paths()["purelib"]
    done = subprocess.run(
        [torch_python, "-m", "tests.gpu_proof", "a", "c", "--rehearse", "--out", tmp_path / "out",
         "--only", "probe", "--only", "kill-and-resume"],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": beside, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + "".join(log.read_text() for log in (tmp_path / "out").glob("*.log"))
    told = [json.loads(line) for line in (tmp_path / "out/probe.jsonl").read_text().splitlines()]
    assert {line["section"] for line in told} == {"machine", "ceilings", "steps", "tf32_floor", "links"}
    assert not [line for line in told if "failed" in line]
    resumed = json.loads((tmp_path / "out/resume.json").read_text())
    assert resumed["equal"], resumed
