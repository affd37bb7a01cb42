"""`recipe requirements --hashes`: everything that would be installed, with digests that pip itself then insists on."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.hashes import ResolveError, locked
from envdoctor.rendering.model import Options
from tests.rendering.plans import PLANS
from tests.rendering.test_apply import wheel

STACK = Stack(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    torch="2.13.0",
    channel="cpu",
    requirements=("torch==2.13.0",),
    packages=("einops",),
    platform=f"linux_{platform.machine()}",
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    wheel(folder, "torch", "2.13.0", requires=("sympy>=1", 'colorama; sys_platform == "win32"'))
    wheel(folder, "sympy", "1.14.0")
    wheel(folder, "einops", "0.8.2")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    # A page with digests, as an index has them: of a folder's files, pip tells them only from 23.1 on.
    page = tmp_path / "index.html"
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    page.write_text("".join(f'<a href="{path.as_uri()}#sha256={digests[path]}">{path.name}</a>\n' for path in digests))
    monkeypatch.setenv("PIP_FIND_LINKS", str(page))
    return folder


def test_what_is_needed_is_named_with_the_digest_that_pip_then_insists_on(index: Path, tmp_path: Path) -> None:
    (file,) = render("requirements", STACK, Options(hashes=True))
    lines = [line for line in file.text.splitlines() if line and not line.startswith("#")]
    expected = [
        f"{path.name.split('-')[0]}=={path.name.split('-')[1]} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(index.iterdir())
    ]
    assert lines == expected
    assert "pip install --require-hashes -r requirements.txt" in file.text

    listed = tmp_path / "requirements.txt"
    listed.write_text(file.text)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(listed)]
    done = subprocess.run(
        [*install, "-t", str(tmp_path / "ok")], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ok/sympy").is_dir()
    wheel(index, "sympy", "1.14.0", "changed = True")
    done = subprocess.run(
        [*install, "-t", str(tmp_path / "no")], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode != 0
    assert "HASHES" in done.stderr


@pytest.mark.usefixtures("index")
def test_what_is_not_to_be_had_is_said_in_pips_words() -> None:
    with pytest.raises(ResolveError, match=r"No matching distribution found for nowhere"):
        locked(STACK, ("nowhere",))


def test_another_platform_is_refused_rather_than_guessed() -> None:
    with pytest.raises(InputError, match="the plan is for windows_amd64"):
        render("requirements", PLANS["windows"], Options(hashes=True))
    with pytest.raises(InputError, match=r"no Python 3\.99"):
        locked(msgspec.structs.replace(STACK, python="3.99"))
