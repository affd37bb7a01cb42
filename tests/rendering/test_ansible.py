"""The playbook: it passes ansible-lint's production profile, changes nothing in check mode, does its work, and then none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.writing import write
from tests import real_torch
from tests.real_torch import TORCH
from tests.rendering.plans import here, plans
from tests.rendering.tools import check_with, tool

# One of each form: with and without driver, with the toolkit, with packages of the user's own, for another processor.
FORMS = ("rtx5090", "build-extensions", "no-gpu", "packages", "gb10", "v100")


def stack(name: str = "rtx5090", **changes: Any) -> Stack:
    return msgspec.structs.replace(plans()[name], **changes)


def project(plan: Stack, folder: Path) -> Path:
    write(render("ansible", plan), folder)
    return folder


def play(folder: Path, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """ansible-playbook against this machine. `variables` go before those of the playbook."""
    given = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
    return subprocess.run(
        [tool("ansible-playbook"), "-i", "localhost,", "playbook.yml", "-e", json.dumps(given), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder / ".ansible"), "LC_ALL": "C.UTF-8"},
    )


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    line = next(line for line in done.stdout.splitlines() if line.startswith("localhost") and "ok=" in line)
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}


def test_every_form_passes_the_production_profile(tmp_path: Path) -> None:
    for name in FORMS:
        project(stack(name), tmp_path / name)
    check_with("ansible-lint", "--offline", "--profile", "production", "--strict", "--nocolor", cwd=tmp_path)


def test_every_form_passes_yamllint_and_its_scripts_shellcheck(tmp_path: Path) -> None:
    for name in FORMS:
        project(stack(name), tmp_path / name)
    rules = "{extends: default, rules: {line-length: {max: 160}, comments: {min-spaces-from-content: 1}}}"
    check_with("yamllint", "--strict", "-d", rules, files=sorted(tmp_path.rglob("*.yml")))
    check_with("shellcheck", files=sorted(tmp_path.rglob("*.sh")))


def test_every_file_that_a_task_names_is_there(tmp_path: Path) -> None:
    for name in FORMS:
        folder = project(stack(name), tmp_path / name)
        text = "".join(path.read_text() for path in folder.rglob("*.yml"))
        for path in re.findall(r"include_tasks: (\S+)|vars_files:\s+- (\S+)", text):
            assert (folder / "".join(path)).is_file()
        for script in re.findall(r"[\w-]+\.(?:sh|py)\b", " ".join(re.findall(r"(?:src: |loop: \[)(.*)", text))):
            assert (folder / "files" / script).is_file(), script


def test_without_being_asked_it_installs_no_driver_and_says_how(tmp_path: Path) -> None:
    if Path("/sys/module/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    done = play(project(stack("rtx5090"), tmp_path), ansible_become=False)
    assert done.returncode == 2
    assert "runs driver none, and torch 2.15.0 needs 580; -e torch_stack_install_driver=true" in " ".join(
        done.stdout.split()
    )
    assert recap(done)["changed"] == 0


def test_check_mode_tells_of_the_driver_and_touches_nothing(tmp_path: Path) -> None:
    if Path("/sys/module/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    home = tmp_path / "home"
    done = play(
        project(stack("rtx5090"), tmp_path),
        "--check",
        ansible_become=False,
        torch_stack_install_driver=True,
        torch_stack_home=str(home),
        torch_stack_snapshots=str(tmp_path / "snapshots"),
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "driver.sh would install the driver" in done.stdout
    assert "venv.sh would make" in done.stdout
    assert recap(done)["changed"] > 0
    assert not home.exists()
    assert not Path("/usr/local/sbin/torch-stack-driver.sh").exists()
    assert not (tmp_path / "snapshots").exists()


def test_a_machine_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = project(stack("no-gpu"), tmp_path)
    done = play(folder, torch_stack_architecture="riscv64")
    assert done.returncode == 2
    assert "the plan is for Linux on riscv64" in " ".join(done.stdout.split())


@pytest.fixture
def scratch() -> Iterator[Path]:
    with real_torch.scratch() as folder:
        yield folder


@pytest.mark.torch
@pytest.mark.timeout(900)
def test_it_makes_the_environment_proves_it_and_then_changes_nothing(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(real_torch.wheels()))
    plan = here(os="debian12", torchvision=None, requirements=(f"torch=={TORCH}",))
    folder, home = project(plan, scratch / "project"), scratch / "home"
    home.mkdir()
    own = f"import os, sys; os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'envdoctor', *sys.argv[1:]])"
    (folder / "files/envdoctor.pyz").write_text(own)  # the one that is being tested
    variables = {
        "torch_stack_home": str(home),
        "torch_stack_become": False,
        "torch_stack_snapshots": str(scratch / "snapshots"),
    }
    done = play(folder, **variables)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert recap(done)["failed"] == 0
    said = subprocess.run(
        [home / "venv/bin/python", "-c", "import torch; print(torch.__version__)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.startswith(TORCH)
    snapshot = json.loads((scratch / "snapshots/localhost.json").read_text())
    assert snapshot["schema"].startswith("envdoctor.snapshot/")

    again = play(folder, **variables)
    assert again.returncode == 0, again.stdout[-3000:]
    assert recap(again)["changed"] == 0


def test_other_systems_than_linux_are_refused() -> None:
    with pytest.raises(InputError, match="for Linux machines"):
        render("ansible", stack("windows"))
