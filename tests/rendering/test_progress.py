"""What an installer says becomes progress, and its failure one line; the installer itself always comes to an end."""

from __future__ import annotations

import os
import sys
import time

import psutil
import pytest

from envdoctor.rendering import child
from envdoctor.rendering.pip_progress import PipProgress, why_it_failed

# pip 26.2 with --progress-bar raw, shortened.
SAID = """Collecting torch==2.15.0
  Downloading torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl.metadata (30 kB)
Progress 30000 of 30000
Collecting filelock (from torch==2.15.0)
  Using cached filelock-4.2.12-py3-none-any.whl.metadata (2.1 kB)
Downloading torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl (534.2 MB)
Progress 0 of 534200000
Progress 534200000 of 534200000
Downloading https://download.pytorch.org/whl/cu126/torchvision-0.29.1%2Bcu126-cp312-cp312-linux_x86_64.whl (7.2 MB)
Installing collected packages: mpmath, filelock, torch
Successfully installed filelock-4.2.12 mpmath-1.3.0 torch-2.15.0
"""
REFUSED = """Looking in indexes: https://pypi.org/simple
ERROR: Could not find a version that satisfies the requirement torch==9.9 (from versions: 2.14.1, 2.15.0)
ERROR: No matching distribution found for torch==9.9

[notice] A new release of pip is available: 25.0 -> 26.2
"""
ENVIRONMENT = dict(os.environ)


def test_pips_words_become_what_is_fetched_and_how_far_it_is() -> None:
    shown: list[tuple[str, int, int]] = []
    progress = PipProgress(lambda *what: shown.append(what))
    for line in SAID.splitlines():
        progress.line(line)
    assert shown == [
        ("torch 2.15.0 (534.2 MB)", 0, 0),
        ("torch 2.15.0 (534.2 MB)", 0, 534200000),
        ("torch 2.15.0 (534.2 MB)", 534200000, 534200000),
        ("torchvision 0.29.1+cu126 (7.2 MB)", 0, 0),
        ("unpacking 3 packages", 0, 0),
    ]


def test_the_reason_is_pips_error_and_not_its_last_line() -> None:
    why = why_it_failed(tuple(REFUSED.splitlines()))
    assert why.startswith("Could not find a version that satisfies the requirement torch==9.9")
    assert why.endswith("No matching distribution found for torch==9.9")
    assert why_it_failed(("something", "")) == "something"
    assert why_it_failed(()) == "pip said nothing"


def python(program: str, **more: object) -> child.Ended:
    options: dict[str, object] = {"environment": ENVIRONMENT, "limit": 60.0, **more}
    return child.run([sys.executable, "-u", "-c", program], **options)  # type: ignore[arg-type]


def test_lines_come_as_they_are_said_both_streams_in_order() -> None:
    heard: list[str] = []
    ended = python(
        "import sys; print(input()); print('two', file=sys.stderr); sys.exit(3)", stdin="one\n", on_line=heard.append
    )
    assert (heard, ended.code, ended.ok, ended.last) == (["one", "two"], 3, False, "two")


def test_bytes_that_are_no_text_and_a_flood_cost_nothing() -> None:
    ended = python("import os; os.write(1, b'\\xff\\n' * 100000); print('end')")
    assert ended.ok
    assert ended.last == "end"
    assert len(ended.tail) == child.TAIL


@pytest.mark.parametrize(
    ("limits", "reason"), [({"limit": 1.0}, "no end within 1 s"), ({"silence": 1.0}, "not a word for 1 s")]
)
def test_what_hangs_is_ended_with_its_children(limits: dict[str, float], reason: str) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        "print(child.pid)\n"
        "time.sleep(100)\n"
    )
    began = time.monotonic()
    ended = python(program, **limits)
    assert time.monotonic() - began < 30
    assert (ended.code, ended.reason) == (None, reason)
    grandchild = int(ended.tail[0])
    deadline = time.monotonic() + 10
    while psutil.pid_exists(grandchild) and psutil.Process(grandchild).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "a grandchild lives on"
        time.sleep(0.05)


def test_one_that_ignores_a_polite_end_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "KILL_GRACE", 1.0)
    ended = python(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(100)",
        silence=1.0,
    )
    assert ended.tail == ("deaf",)


def test_a_program_that_is_not_there_is_said() -> None:
    ended = child.run(["/nowhere/python"], environment=ENVIRONMENT, limit=5)
    assert ended.code is None
    assert "cannot be started: No such file" in (ended.reason or "")
