"""`envdoctor recipe` as a person and as a script use it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.cli import run
from envdoctor.cli.recipe_files import with_a_python_that_is_here
from envdoctor.knowledge import load
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.planner import plan
from tests.planning.test_machines import DUMP
from tests.simulated import ubuntu_2404

CONTRACT = {
    "python",
    "torch",
    "torchvision",
    "torchaudio",
    "cuda",
    "channel",
    "index_url",
    "cudnn",
    "min_driver",
    "base_image",
}

NEWEST = load().torch_releases()[0].version


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def recipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "80")

    def ask(*words: str, stdin: str | None = None) -> Ran:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = run(["recipe", *words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return ask


def test_a_plan_keeps_its_contract(recipe: Any) -> None:
    ran = recipe("plan", "--gpu", "H100", "--driver", "580", "--os", "ubuntu24.04", "--format", "json")
    assert ran.code == 0
    plan = ran.json
    assert plan["schema"] == "envdoctor.plan/1"
    assert plan["feasible"] is True
    assert set(plan["stack"]) >= CONTRACT
    assert (plan["stack"]["torch"], plan["stack"]["channel"], plan["stack"]["index_url"]) == (NEWEST, "cu132", None)
    assert all(set(reason) == {"constraint", "text"} for reason in plan["reasons"])
    assert plan["alternatives"] == []
    assert ran.err == ""


def test_no_plan_is_an_answer_with_exit_code_1(recipe: Any) -> None:
    ran = recipe("plan", "--gpu", "RTX 4090", "--driver", "535", "--torch", ">=2.15", "--format", "json")
    assert ran.code == 1
    plan = ran.json
    assert (plan["feasible"], plan["stack"]) == (False, None)
    assert [reason["constraint"] for reason in plan["reasons"]] == ["driver", "torch", "conclusion"]
    changes = [(one["cost"], one["stack"]["torch"]) for one in plan["alternatives"]]
    assert changes[:2] == [("reinstall", "2.14.1"), ("driver", NEWEST)]


def test_a_plan_reads_well_at_80_columns(recipe: Any) -> None:
    ran = recipe("plan", "--gpu", "RTX 5090", "--gpu", "RTX 3090", "--driver", "570", "--os", "ubuntu24.04")
    assert ran.code == 0
    commands = ("    pip install", "      export")
    assert all(len(line) <= 80 for line in ran.out.splitlines() if not line.startswith(commands))
    assert "torch 2.13.0 with CUDA 12.9" in ran.out
    for heading in ("Why", "What a change would buy", "Next"):
        assert f"\n{heading}\n" in ran.out
    assert (
        "torch==2.13.0 torchvision==0.28.0 torchaudio==2.11.0 --index-url https://download.pytorch.org/whl/cu129"
        in ran.out
    )
    assert not any(line.endswith(" ") for line in ran.out.splitlines())


def test_an_infeasible_plan_reads_well_too(recipe: Any) -> None:
    ran = recipe("plan", "--gpu", "RTX 5090", "--gpu", "GTX 1080")
    assert ran.code == 1
    assert "There is no stack" in ran.out
    assert "What would work" in ran.out
    assert "CUDA_VISIBLE_DEVICES=0" in ran.out


def test_unlock_is_a_table_and_json(recipe: Any) -> None:
    words = ("unlock", "--gpu", "RTX 4090", "--driver", "535")
    text = recipe(*words)
    assert text.code == 0
    assert "525.60.13" in text.out
    assert "driver 535 is here" in text.out
    found = recipe(*words, "--format", "json").json
    assert found["schema"] == "envdoctor.unlock/1"
    assert [(step["min_driver"], step["stack"]["torch"], step["state"]) for step in found["drivers"]] == [
        ("520", "2.7.1", "past"),
        ("525.60.13", "2.14.1", "current"),
        ("580", NEWEST, "ahead"),
    ]


def test_unlock_where_nothing_runs_yet_has_exit_code_1(recipe: Any) -> None:
    ran = recipe("unlock", "--gpu", "V100", "--driver", "418")
    assert ran.code == 1
    assert "450.80.02" in ran.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["plan", "--gpu", "RTX 5900"], "RTX 5090"),
        (["plan", "--gpu", "RTX 6000"], "Quadro RTX 6000"),
        (["plan", "--gpu", "H100", "--driver", "new"], "--driver 'new'"),
        (["plan", "--gpu", "H100", "--os", "beos"], "ubuntu24.04"),
        (["plan", "--gpu", "H100", "--python", "py"], "--python"),
        (["plan", "--gpu", "H100", "--torch", "two"], "--torch"),
        (["plan", "--gpu", "H100", "--cuda", "new"], "--cuda"),
        (["plan", "--gpu", "H100", "--arch", "vax"], "--arch"),
        (["plan", "--gpu", "H100", "--with", "-r x"], "--with"),
        (["plan", "--gpu", "H100", "-o", "here"], "writes no files"),
        (["dokcer", "--gpu", "H100"], "docker"),
        (["docker", "--gpu", "H100", "--format", "json"], "--format"),
        (["docker", "--gpu", "H100", "--apply", "x"], "--apply"),
        (["plan", "--from", "/nowhere.json"], "cannot read"),
        (["--gpu", "H100"], "--list"),
    ],
)
def test_bad_input_is_told_in_one_line_with_exit_code_2(recipe: Any, words: list[str], says: str) -> None:
    ran = recipe(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert says in ran.err
    errors = [line for line in ran.err.splitlines() if line.startswith("Error")]
    assert len(errors) == 1


def test_a_pasted_dump_is_planned_for(recipe: Any) -> None:
    plan = recipe("plan", "--from", "-", "--format", "json", stdin=DUMP).json
    assert (plan["stack"]["torch"], plan["stack"]["channel"]) == ("2.7.1", "cu118")
    assert plan["target"]["driver"] == "470.199.02"


def test_words_change_a_machine_that_was_read(recipe: Any) -> None:
    plan = recipe("plan", "--from", "-", "--driver", "580", "--format", "json", stdin=DUMP).json
    assert (plan["stack"]["torch"], plan["stack"]["channel"]) == ("2.14.1", "cu126")


def test_the_list_names_every_recipe(recipe: Any) -> None:
    ran = recipe("--list")
    assert ran.code == 0
    names = [line.split()[0] for line in ran.out.splitlines()]
    assert names[:3] == ["plan", "unlock", "venv"]
    assert {"docker", "conda", "ansible", "driver", "kubernetes"} <= set(names)


def test_the_main_file_is_printed_as_it_is_and_the_others_are_named(recipe: Any, tmp_path: Path) -> None:
    plan = ("--gpu", "V100", "--driver", "535")
    for name, main, others in (
        ("requirements", "requirements.txt", ()),
        ("docker", "Dockerfile", (".dockerignore",)),
        ("slurm", "check.sbatch", ("bench.sbatch", "envdoctor.pyz")),
    ):
        printed = recipe(name, *plan)
        assert printed.code == 0
        assert recipe(name, *plan, "-o", str(tmp_path / name)).code == 0
        assert printed.out == (tmp_path / name / main).read_text()
        assert all(other in printed.err for other in others)


def test_the_header_says_how_it_was_made(recipe: Any) -> None:
    out = recipe("requirements", "--gpu", "V100", "--driver", "535", "--with", "numpy>=1.26", "--with", "timm").out
    assert "envdoctor recipe requirements --gpu V100 --driver 535" in out
    assert "--force" not in out


def test_files_are_written_whole_and_never_over_others(recipe: Any, tmp_path: Path) -> None:
    words = ("uv", "--gpu", "H100", "--driver", "580", "-o", str(tmp_path / "project"))
    assert recipe(*words).code == 0
    written = {path.name for path in (tmp_path / "project").iterdir()}
    assert "pyproject.toml" in written
    project = tmp_path / "project" / "pyproject.toml"
    project.write_text("mine")
    for other in written - {"pyproject.toml"}:
        (tmp_path / "project" / other).unlink()
    refused = recipe(*words)
    assert refused.code == 2
    assert "--force" in refused.err
    assert project.read_text() == "mine"
    assert [path.name for path in (tmp_path / "project").iterdir()] == ["pyproject.toml"], "nothing was half-written"
    assert recipe(*words, "--force").code == 0
    assert project.read_text() != "mine"


def test_a_recipe_without_a_plan_writes_nothing_and_says_what_would_help(recipe: Any, tmp_path: Path) -> None:
    ran = recipe("docker", "--gpu", "V100", "--driver", "595", "-o", str(tmp_path / "out"))
    assert ran.code == 1
    assert ran.out == ""
    assert "Install driver branch 580" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_container_is_planned_with_its_own_c_library_and_python(recipe: Any) -> None:
    out = recipe("docker", "--gpu", "RTX 3080", "--driver", "580", "--os", "ubuntu18.04").out
    assert f"torch=={NEWEST}" in out
    out = recipe("requirements", "--gpu", "RTX 3080", "--driver", "580", "--os", "ubuntu18.04").out
    assert "torch==2.6.0" in out


def test_a_described_machine_needs_nothing_of_this_one(tmp_path: Path) -> None:
    """In a folder and with a PATH where nothing is, without the network that nothing asks for."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from envdoctor.cli import main; main()",
            "recipe",
            "plan",
            "--gpu",
            "GB10",
            "--format",
            "json",
        ],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), "LANG": "C", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stack"]["platform"] == "linux_aarch64"
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []


def test_help_shows_the_ways_to_ask(recipe: Any) -> None:
    ran = recipe("--help")
    assert ran.code == 0
    assert "envdoctor recipe plan --gpu" in ran.out


def test_this_machine_is_planned_for_where_nothing_is_described(
    recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workstation of files: an RTX 4090 on its bus, driver 580.159.04 loaded, Ubuntu 24.04."""
    machine = ubuntu_2404(tmp_path)
    monkeypatch.setenv("ENVDOCTOR_SYSROOT", str(machine.root))
    plan = recipe("plan", "--format", "json").json
    assert [gpu["capability"] for gpu in plan["target"]["gpus"]] == ["8.9"]
    assert (plan["target"]["os"], plan["target"]["driver"], plan["target"]["glibc"]) == (
        "ubuntu24.04",
        "580.159.04",
        "2.39",
    )
    assert (plan["stack"]["torch"], plan["stack"]["channel"]) == (NEWEST, "cu132")
    described = recipe("plan", "--gpu", "V100", "--format", "json").json
    assert described["target"]["driver"] is None, "nothing of this machine is mixed in"


def test_an_environment_is_made_with_the_active_python_where_the_best_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no python, no uv
    found = plan(Target(gpus=(), python="3.10"), Wishes(), load())
    assert found.stack is not None
    nowhere = msgspec.structs.replace(found, stack=msgspec.structs.replace(found.stack, torch="2.15.0", python="3.2"))
    stack = with_a_python_that_is_here(nowhere)
    assert (stack.torch, stack.python) == ("2.14.1", "3.10")
    assert (
        "torch 2.15.0 wants Python 3.2, which is not here; with Python 3.10 it is torch 2.14.1"
        in capsys.readouterr().err
    )


def test_a_python_that_is_insisted_on_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = plan(Target(gpus=(), python="3.10"), Wishes(python="3.8"), load())
    assert with_a_python_that_is_here(found) is found.stack


def test_an_environment_is_made_for_this_machine_only(recipe: Any, tmp_path: Path) -> None:
    for words in (["--from", "x.json"], ["-o", str(tmp_path)]):
        ran = recipe("venv", "--apply", str(tmp_path / "env"), *words)
        assert ran.code == 2
        assert not (tmp_path / "env").exists()


def test_an_environment_that_cannot_be_made_is_told_in_one_line_and_nothing_is_left(
    recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("")
    refused = recipe("venv", "--gpu", "none", "--python", here, "--apply", str(taken))
    assert refused.code == 2
    assert str(taken) in refused.err
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # so there is no torch to be had
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    failed = recipe("venv", "--gpu", "none", "--python", here, "--apply", str(tmp_path / "new"))
    assert failed.code == 1
    assert failed.err.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "new").exists()
