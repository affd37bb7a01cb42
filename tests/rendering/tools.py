"""The checkers of other languages: wheels of the extra `dev`, and so beside the Python that runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Its default, but for the length of lines: a comment of 80 columns wraps commands that people copy.
YAMLLINT = "{extends: default, rules: {line-length: {max: 130}}}"


def tool(name: str) -> str:
    """Its path, from this environment or, in tests of the group `system`, the machine."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found is not None, f"{name} is not installed: make test, or pip install -e .[dev]"
    return found


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
