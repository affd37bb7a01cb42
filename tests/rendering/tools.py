"""The checkers of other languages, where they are installed; where they must be (CI), their absence is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

# Its default, but for the length of lines: a comment of 80 columns wraps commands that people copy.
YAMLLINT = "{extends: default, rules: {line-length: {max: 130}}}"


def tool(name: str) -> str:
    """Its path, from this environment or the machine; skips the test without it, and fails it where CI is set."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        absent(f"{name} is not installed: make system-packages, and pip install -e .[dev]")
    return found


def absent(why: str) -> NoReturn:
    """Skips the test for that reason, and fails it where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def check_with(name: str, *arguments: str, files: Sequence[Path] = (), cwd: Path | None = None) -> None:
    """Fails the test with what the checker says."""
    done = subprocess.run(
        [tool(name), *arguments, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, f"{name} says:\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
