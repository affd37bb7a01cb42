"""The venv and uv recipes carried out for real: with the real torch, to the end, by their own checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.writing import write
from tests import real_torch
from tests.groups import absent
from tests.real_torch import TORCH
from tests.rendering.plans import PLANS, here
from tests.rendering.tools import tool

BIN = Path(sys.executable).parent
# Two cores that others use too take minutes to unpack torch.
pytestmark = [pytest.mark.torch, pytest.mark.timeout(900)]


def run(*command: str | Path, cwd: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture
def stack() -> Stack:
    return here(torchvision=None, requirements=(f"torch=={TORCH}",), packages=("einops>=0.8",))


@pytest.fixture
def built(stack: Stack) -> str:
    """What the installed torch calls itself."""
    return f"{TORCH}+{stack.channel}"


@pytest.fixture
def folder() -> Iterator[Path]:
    with real_torch.scratch() as made:
        yield made


@pytest.fixture
def machine(folder: Path) -> dict[str, str]:
    """A shell's environment with a home of its own, in which envdoctor and uv are commands, and torch need not be fetched."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("PIP_CACHE_DIR", "VIRTUAL_ENV")}
    return {
        **kept,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PIP_FIND_LINKS": str(real_torch.wheels()),
        "UV_FIND_LINKS": str(real_torch.wheels()),
        # uv keeps there what it unpacked: nothing that should stay.
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "PYTHON": sys.executable,
        # pip asks rustc for its version (for its User-Agent), and rustup's rustc makes itself a home where it has none.
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup"),
    }


def installed(environment: Path) -> dict[str, str]:
    """What is in it, by its own metadata."""
    program = (
        "import json; from importlib.metadata import distributions as d\n"
        "print(json.dumps({x.metadata['Name']: x.version for x in d()}))"
    )
    done = subprocess.run(
        [environment / "bin/python", "-I", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_the_venv_script_makes_an_environment_that_passes_its_own_check(
    stack: Stack, built: str, machine: dict[str, str], folder: Path
) -> None:
    write(render("venv", stack), folder / "project")
    said = run("./venv.sh", "my env", cwd=folder / "project", environment=machine)
    assert f"torch {built} computes correctly on the CPU" in said
    assert "Healthy" in said  # by `envdoctor check`, which it ends with
    environment = folder / "project/my env"
    assert installed(environment)["torch"] == TORCH
    assert "einops" in installed(environment)
    held = (environment / "torch-constraints.txt").read_text().split()
    assert f"torch=={TORCH}" in held and f"nvidia-cudnn-cu13=={installed(environment)['nvidia-cudnn-cu13']}" in held
    before = installed(environment)
    assert "is there already" in run("./venv.sh", "my env", cwd=folder / "project", environment=machine)
    assert installed(environment) == before

    # It says so when somebody has put another torch into it meanwhile: the check at its end is no ornament.
    version = next(environment.glob("lib/*/site-packages/torch/version.py"))
    version.write_text(version.read_text().replace(TORCH, "2.12.0"))
    done = subprocess.run(
        ["./venv.sh", "my env"],
        cwd=folder / "project",
        env=machine,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 1
    assert f"torch is {built.replace(TORCH, '2.12.0')}, the plan says {TORCH}" in done.stderr
    assert environment.exists()  # it was there before this run


def test_the_uv_recipe_makes_an_environment_that_passes_its_own_check(
    stack: Stack, built: str, machine: dict[str, str], folder: Path
) -> None:
    tool("uv")
    write(render("uv", stack), folder / "project")
    said = run("./uv.sh", cwd=folder / "project", environment=machine)
    assert f"torch {built} computes correctly on the CPU" in said
    assert "Healthy" in said
    assert installed(folder / "project/.venv")["torch"] == TORCH
    assert (folder / "project/uv.lock").exists()


def test_apply_makes_it_too_and_touches_nothing_but_its_folder(
    stack: Stack, built: str, machine: dict[str, str], folder: Path
) -> None:
    directory = folder / "env"
    program = (
        "import sys, msgspec\n"
        "from pathlib import Path\n"
        "from rich.console import Console\n"
        "from envdoctor.planning.model import Stack\n"
        "from envdoctor.rendering.apply import apply\n"
        "stack = msgspec.json.decode(sys.argv[1], type=Stack)\n"
        "made = apply(stack, Path(sys.argv[2]), Console(stderr=True))\n"
        "print(made.proof, made.on_gpu, made.python, [finding.code for finding in made.diagnosed.findings])\n"
    )
    said = run(
        sys.executable,
        "-B",
        "-c",
        program,
        msgspec.json.encode(stack).decode(),
        directory,
        cwd=folder,
        environment=machine,
    )
    assert said.strip() == f"torch {built} computes correctly on the CPU False {directory}/bin/python []"
    assert {"torch", "einops"} <= set(installed(directory))
    assert sorted(entry.name for entry in directory.iterdir() if entry.name.startswith(".")) == []
    for name in ("home", "tmp"):
        assert [str(path) for path in (folder / name).rglob("*")] == [], f"something was left in {name}"


def test_the_verification_accepts_the_real_cuda_build_and_refuses_another_plan(tmp_path: Path) -> None:
    target = real_torch.environment(torchvision=True)
    (script,) = [file for file in render("conda", PLANS["rtx5090"]) if file.path == "conda.sh"]
    program = script.text.split("<<'PY'\n")[1].split("\nPY\n")[0]

    def verify(text: str, expect: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [target.python, "-I", "-"], input=text, env={**os.environ, "EXPECT_GPU": expect},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    done = verify(program, "0")
    assert done.returncode == 0, done.stderr
    assert "torch 2.15.0+cu132 computes correctly on" in done.stdout
    other = verify(program.replace("'13.2'", "'12.6'"), "0")
    assert other.returncode == 1
    assert "built for CUDA 13.2, the plan says 12.6" in other.stderr
    if "the CPU" in done.stdout:
        without = verify(program, "1")
        assert without.returncode == 1
        assert "torch sees no GPU" in without.stderr


def test_uv_resolves_the_plan_for_pypi_against_the_registry(tmp_path: Path) -> None:
    stack = here(packages=("numpy>=2", "timm"))
    write(render("uv", stack), tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    command = [tool("uv"), "lock", "--no-python-downloads", "--python-preference", "only-system", "--no-config"]
    done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=300, check=False)
    if "error sending request" in done.stderr or "dns error" in done.stderr:
        absent("torch", "uv cannot reach the package registry")
    assert done.returncode == 0, done.stderr
    lock = (tmp_path / "uv.lock").read_text()
    for name, version in (
        ("torch", stack.torch),
        ("torchvision", stack.torchvision),
        ("nvidia-cudnn-cu13", stack.cudnn),
    ):
        assert f'name = "{name}"\nversion = "{version}"' in lock
