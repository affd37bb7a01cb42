"""envdoctor.pyz as somebody gets it: one file, on a Python that has nothing, not even pip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_BYTES = 12_000_000
pytestmark = pytest.mark.slow


def _python(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _python("-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (wheel,) = folder.glob("*.whl")
    _python("-m", "envdoctor.distribution.pyz", wheel, "-o", folder / "envdoctor.pyz")
    return folder / "envdoctor.pyz"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without packages."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def start(
    python: Path, pyz: Path, home: Path, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, pyz, *arguments],
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(home), **variables},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_checks_on_a_python_without_pip(pyz: Path, bare: Path, tmp_path: Path) -> None:
    assert subprocess.run([bare, "-c", "import pip"], capture_output=True, check=False).returncode == 1
    done = start(bare, pyz, tmp_path, "check", "--fast", "--python", bare, "--format", "json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["primary"] == "torch-missing"
    assert done.stderr == ""
    assert pyz.stat().st_size < MOST_BYTES


def test_everything_that_envdoctor_reads_is_in_it(pyz: Path, bare: Path, tmp_path: Path) -> None:
    for command in (
        ("explain", "driver-too-old"),
        ("bench", "list"),
        ("compat", "gpu", "RTX 5090"),
        ("recipe", "--list"),
    ):
        done = start(bare, pyz, tmp_path, *command)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert len(done.stdout.splitlines()) > 3


def test_it_is_unpacked_once_whoever_comes_first(pyz: Path, bare: Path, tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [bare, pyz, "--version"],
            env={"HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    said = {child.communicate(timeout=100)[0] for child in started}
    assert len(said) == 1 and said.pop().startswith("envdoctor ")
    (kept,) = (tmp_path / ".cache/envdoctor/pyz").iterdir()
    moment = kept.stat().st_ino
    assert start(bare, pyz, tmp_path, "--version").returncode == 0
    assert kept.stat().st_ino == moment


def test_where_nothing_can_be_kept_it_runs_and_leaves_nothing(pyz: Path, bare: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    done = start(bare, pyz, tmp_path, "--version", XDG_CACHE_HOME=str(tmp_path / "file"), TMPDIR=str(tmp_path / "tmp"))
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((tmp_path / "tmp").iterdir())


def test_what_others_may_write_is_not_run(pyz: Path, bare: Path, tmp_path: Path) -> None:
    shared = tmp_path / ".cache/envdoctor/pyz"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    assert start(bare, pyz, tmp_path, "--version").returncode == 0
    assert not list(shared.iterdir())


def test_it_writes_itself_beside_the_files_that_run_it(pyz: Path, bare: Path, tmp_path: Path) -> None:
    plan = ("--gpu", "H100", "--driver", "580", "--os", "ubuntu24.04")
    for name, place in (("slurm", "envdoctor.pyz"), ("ansible", "files/envdoctor.pyz")):
        done = start(bare, pyz, tmp_path, "recipe", name, *plan, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name / place).read_bytes() == pyz.read_bytes()


def test_a_python_that_it_has_nothing_for_is_told_so(pyz: Path, bare: Path, tmp_path: Path) -> None:
    for setting, said in (
        ("sys.version_info = (3, 6, 8)", "needs Python 3.10 or newer, and this is 3.6"),
        ("sys.version_info = (3, 99, 0)", "holds no msgspec for this Python"),
    ):
        code = f"import runpy, sys; {setting}; sys.argv = ['x']; runpy.run_path({str(pyz)!r}, run_name='__main__')"
        done = subprocess.run(
            [bare, "-c", code], env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2
        assert done.stderr.startswith("envdoctor.pyz: ") and said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".cache/envdoctor/pyz").exists() or not list((tmp_path / ".cache/envdoctor/pyz").iterdir())


def test_it_holds_the_licences_of_what_it_holds(pyz: Path) -> None:
    names = zipfile.ZipFile(pyz).namelist()
    packages = {name.split("/")[1].partition("-")[0] for name in names if ".dist-info/" in name}
    assert {"envdoctor", "click", "rich", "msgspec", "psutil"} <= packages
    for package in ("envdoctor", "click", "rich", "msgspec", "psutil"):
        assert [name for name in names if f"{package}-" in name and "LICENSE" in name.upper()], package
    assert os.access(pyz, os.X_OK)
