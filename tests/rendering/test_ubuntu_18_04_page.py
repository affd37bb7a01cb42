"""docs/ubuntu-18.04-pytorch-2.0.md says what the recipes really give."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from envdoctor.cli import cli
from tests.rendering.machines import NVIDIA_GPU, ScriptMachine, apt_cache
from tests.rendering.test_toolkit import compiler
from tests.rendering.tools import check_with

PAGE = Path(__file__).parents[2] / "docs/ubuntu-18.04-pytorch-2.0.md"
TEXT = PAGE.read_text(encoding="utf-8")
DESCRIPTION = ["--os", "ubuntu18.04", "--torch", "2.0", "--gpu", "RTX 3080"]


def envdoctor(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    result = envdoctor("recipe", "plan", *DESCRIPTION, "--format", "json")
    assert result.exit_code == 0, result.output
    stack: dict[str, Any] = json.loads(result.stdout)["stack"]
    return stack


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the page's own commands wrote their files."""
    folder = tmp_path_factory.mktemp("page")
    for line in re.findall(r"^envdoctor (recipe .*)$", TEXT, re.MULTILINE):
        words = shlex.split(line)
        if "-o" in words:
            words[words.index("-o") + 1] = str(folder / words[words.index("-o") + 1])
        result = envdoctor(*words)
        assert result.exit_code == 0, f"{line}\n{result.output}"
    return folder


def row(name: str) -> str:
    found = re.search(rf"^\| {re.escape(name)} \| ([^|]+) \|", TEXT, re.MULTILINE)
    assert found, name
    return found[1].strip()


def test_the_table_is_the_plan(plan: dict[str, Any]) -> None:
    assert row("driver") == f"{plan['min_driver']} or newer"
    assert row("CUDA runtime") == plan["cuda"]
    assert row("cuDNN") == plan["cudnn"]
    assert row("NCCL") == plan["nccl"]
    assert row("Python") == plan["python"]
    for name in ("torch", "torchvision", "torchaudio"):
        assert f"{name}=={row(name)}" in plan["requirements"]
    assert f"numpy{row('NumPy')}" in plan["requirements"]
    assert plan["index_url"] is None, "the page says PyPI"
    assert plan["glibc"] == "2.27"
    assert f"CUDA_HOME to /usr/local/cuda-{plan['cuda']}" in TEXT
    assert f"TORCH_CUDA_ARCH_LIST to {plan['arch_list']}" in TEXT


def test_every_path_in_its_commands_is_written_by_its_commands(written: Path) -> None:
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
    named = set(re.findall(r"\b(?:driver|toolkit|venv)/[\w-]+\.sh\b", commands))
    assert named == {"driver/driver.sh", "toolkit/toolkit.sh", "toolkit/cuda-env.sh", "venv/venv.sh"}
    for path in named:
        assert (written / path).is_file(), path
    check_with("shellcheck", files=sorted(written.rglob("*.sh")))


def test_what_the_page_says_of_the_scripts_is_in_them(written: Path, plan: dict[str, Any]) -> None:
    driver = (written / "driver/driver.sh").read_text()
    assert f"\nMINIMUM={plan['min_driver']} " in driver
    assert "\nFLAVOUR=either " in driver
    toolkit = (written / "toolkit/toolkit.sh").read_text()
    assert "\nPACKAGE=cuda-toolkit-11-7 " in toolkit
    assert "/repos/ubuntu1804/x86_64/cuda-keyring_1.1-1_all.deb" in toolkit
    assert '[ "$major" -le 11 ]' in toolkit
    assert "setuptools<70" in (written / "toolkit/check_extension.py").read_text()
    venv = (written / "venv/venv.sh").read_text()
    assert "uv python install 3.11" in venv
    assert "apt-get install -y python3.11" not in venv, "Ubuntu 18.04 has no such package"


def test_the_driver_script_runs_on_such_a_machine(written: Path, tmp_path: Path) -> None:
    machine = ScriptMachine(tmp_path, commands=("apt-get", "systemctl"))
    machine.linux("ubuntu", "18.04", NVIDIA_GPU, kernel="5.4.0-150-generic")
    packages = ("nvidia-driver-525", "nvidia-driver-525-open", "linux-modules-nvidia-525-5.4.0-150-generic")
    machine.answers |= {
        "apt-cache": apt_cache(dict.fromkeys(packages, "525.116.04-0ubuntu0.18.04.1")),
        "dpkg-query": "",
    }
    done = machine.run((written / "driver/driver.sh").read_text(), "--yes")
    assert done.returncode == 0, done.stderr
    assert machine.calls("apt-get")[1] == (
        "apt-get install -y nvidia-driver-525 linux-modules-nvidia-525-5.4.0-150-generic"
    )


def test_the_toolkit_script_runs_on_such_a_machine(written: Path, tmp_path: Path) -> None:
    machine = ScriptMachine(tmp_path, commands=("apt-get", "curl", "dpkg"))
    machine.linux("ubuntu", "18.04", NVIDIA_GPU)
    machine.answers |= {"apt-cache": apt_cache({"cuda-toolkit-11-7": "11.7.1-1"}), "dpkg-query": "exit 1"}
    machine.answers |= {"gcc": compiler("7"), "g++": compiler("7")}
    done = machine.run((written / "toolkit/toolkit.sh").read_text(), "--yes")
    assert done.returncode == 0, done.stderr
    assert machine.calls("apt-get")[-1].endswith("install -y --no-install-recommends cuda-toolkit-11-7")


@pytest.mark.registry
def test_every_wheel_installs_with_the_c_library_of_ubuntu_18_04(plan: dict[str, Any], tmp_path: Path) -> None:
    platforms = ("manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux2010", "manylinux1")
    pip = [sys.executable, "-m", "pip", "install", "--isolated", "--dry-run", "--quiet", "--ignore-installed"]
    only = ["--only-binary=:all:", "--implementation=cp", f"--python-version={plan['python']}", f"--target={tmp_path}"]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *pip,
            *only,
            *(f"--platform={name}_x86_64" for name in platforms),
            f"--report={report}",
            *plan["requirements"],
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {
        item["metadata"]["name"]: item["metadata"]["version"] for item in json.loads(report.read_text())["install"]
    }
    assert found["nvidia-cudnn-cu11"] == plan["cudnn"]
    assert found["torch"] == plan["torch"]
