"""README's pictures show what is printed today, and the commands in their titles are ones that print it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import COLUMNS, FOLDER, PICTURES, drawn, words


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_current(name: str) -> None:
    committed = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert words(committed) == words(drawn(name)), "make pictures"


@pytest.mark.parametrize("name", PICTURES)
def test_its_command_prints_it(name: str, tmp_path: Path) -> None:
    command = PICTURES[name][0].replace("envdoctor", f"{sys.executable} -m envdoctor", 1)
    done = subprocess.run(
        ["bash", "-c", f"COLUMNS={COLUMNS} {command}"],
        capture_output=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
        env={
            "PYTHONPATH": str(FOLDER.parent.parent),
            "LANG": "C.UTF-8",
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
        },
    )
    printed = "".join(done.stdout.decode().split())
    assert printed and printed in words(drawn(name)).replace(" ", ""), done.stderr.decode()
