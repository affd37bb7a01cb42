"""The package as somebody gets it: a wheel, installed by itself into a fresh environment."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from envdoctor import resources

ROOT = Path(__file__).parent.parent
MOST_DISTRIBUTIONS = 15


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=280, cwd=cwd, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel and nothing that had to be compiled."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", wheel)
    return python


def test_a_checkout_finds_what_travels_beside_the_code() -> None:
    assert resources.resource_folder("recipes") == ROOT / "recipes"
    assert resources.resource_folder("benchmarks") == ROOT / "benchmarks"


def test_a_wheel_finds_what_travels_inside_the_package(installed: Path) -> None:
    code = "from envdoctor.resources import resource_folder as f; print(f('recipes')); print(f('benchmarks'))"
    recipes, benchmarks = run(installed, "-c", code, cwd=installed.parent).split()
    assert Path(recipes).parts[-2:] == ("envdoctor", "recipes") and (Path(recipes) / "README.md").is_file()
    assert Path(benchmarks).parts[-2:] == ("envdoctor", "benchmarks")


def test_a_damaged_install_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "envdoctor")
    with pytest.raises(FileNotFoundError, match="reinstall envdoctor"):
        resources.resource_folder("recipes")


def test_the_core_install_is_small_and_needs_no_compiler(installed: Path) -> None:
    listed = json.loads(run(installed, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"))
    names = {d["name"].lower() for d in listed} - {"pip", "setuptools", "wheel"}
    assert len(names) <= MOST_DISTRIBUTIONS, names
    assert "torch" not in names


def test_the_installed_command_runs(installed: Path) -> None:
    command = installed.with_name("envdoctor")
    assert run(command, "--version").startswith("envdoctor ")
    assert run(installed, "-m", "envdoctor", "--version").startswith("envdoctor ")
    assert "check" in run(command, "--help")


def test_the_wheel_holds_no_tests_and_no_caches(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]
    assert any(name.startswith("envdoctor/knowledge/data/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_installed_envdoctor_renders_its_recipes_and_plans_without_a_machine(
    installed: Path, tmp_path: Path
) -> None:
    command = installed.with_name("envdoctor")
    asked = ("--gpu", "RTX 5090", "--driver", "580", "--os", "ubuntu24.04")
    for name in ("venv", "uv", "docker", "kubernetes"):
        run(command, "recipe", name, *asked, "-o", tmp_path / name, cwd=tmp_path)
    script = tmp_path / "venv/venv.sh"
    run("bash", "-n", script)
    assert script.stat().st_mode & 0o100
    assert (tmp_path / "docker/Dockerfile").is_file()
