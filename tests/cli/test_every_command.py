"""Every command of the table, in every terminal, pipe and folder: the documented exit code and never a traceback.

The table is walked, so that a command which comes later is in here. One without a line in `CALLS` is called for its help only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from envdoctor.cli import cli

ROOT = Path(__file__).parents[2]
ENVDOCTOR = f"{sys.executable} -m envdoctor"
CALLS = {
    "completion": "completion fish",
    "help": "help check",
    "version": "version",
    "up": "up /dev/null --yes",
    "check": "check --fast",
    "explain": "explain --no-machine 'CUDA error: no kernel image is available for execution on the device'",
    "recipe": "recipe docker --gpu H100 --driver 580",
    "bench": "bench --workload no-such-workload",
    "bench history": "bench history",
    "bench list": "bench list",
    "snapshot": "snapshot --fast",
    "diff": "diff /no/such/file /no/such/other",
    "compat": "compat --gpu H100",
}
SHELL = {
    "a removed folder": "mkdir {folder}/gone && cd {folder}/gone && rmdir {folder}/gone && {command}",
    "no stdout": "{command} >&-",
    "no stderr": "{command} 2>&-",
    "no stdin": "{command} <&-",
    "nothing at all": "{command} <&- >&- 2>&-",
    "a full disk": "{command} >/dev/full",
    "a full disk for both": "{command} >/dev/full 2>&1",
    "a reader that goes away": "{command} | head -c 1",
    "a reader that never came": "{command} | true",
    "a poor terminal": "TERM=dumb NO_COLOR=1 LANG=C LC_ALL=C PYTHONIOENCODING=ascii COLUMNS=1 {command}",
}


def leaves(command: click.Command, *words: str) -> Iterator[str]:
    """The words of every command that can be called."""
    if not isinstance(command, click.Group) or (words and command.invoke_without_command):
        yield " ".join(words)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from leaves(inner, *words, name)


COMMANDS = sorted(leaves(cli))


def test_the_table_is_walked() -> None:
    assert {"check", "recipe", "train", "bench", "bench compare"} <= set(COMMANDS)
    assert set(CALLS) <= set(COMMANDS)


def assert_documented(code: int, stderr: str, *allowed: int) -> None:
    for word in ("Traceback", "Exception ignored", "has a defect", "Fatal Python error"):
        assert word not in stderr, stderr
    assert code in allowed, (code, stderr)


@pytest.mark.skipif(os.name != "posix", reason="a shell's redirections")
@pytest.mark.parametrize("place", SHELL)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_place_gets_a_documented_exit_code(command: str, place: str, tmp_path: Path) -> None:
    call = f"{ENVDOCTOR} {CALLS.get(command, f'{command} --help')}"
    done = subprocess.run(
        ["bash", "-c", "set -o pipefail; " + SHELL[place].format(command=call, folder=tmp_path)],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ENVDOCTOR_HISTORY": str(tmp_path / "history")},
        timeout=120,
        check=False,
    )
    stderr = done.stderr.decode("utf-8", "replace")
    nothing_can_be_told = place in ("no stdout", "nothing at all", "a full disk", "a full disk for both")
    assert_documented(done.returncode, stderr, *((2,) if nothing_can_be_told else (0, 1, 2)))
    if place == "a full disk" and command in ("check", "snapshot", "recipe"):
        assert stderr.strip().splitlines()[-1].startswith("Error: cannot write to standard output"), stderr


@pytest.fixture(scope="module")
def start() -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "envdoctor", "--version"], cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    return time.monotonic() - began


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
@pytest.mark.parametrize("after", [0.3, 0.6, 0.8, 1.0, 1.3, 1.7, 2.5, 4.0, 6.0])
def test_an_interrupt_at_any_moment_is_told_in_a_word(after: float, number: signal.Signals, start: float) -> None:
    """`after`: in the time that `envdoctor --version` takes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "envdoctor", "check", "--fast"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    time.sleep(after * start)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    # Until our first line runs, Python's own start answers: SIGTERM and SIGHUP end it as they end everything.
    told = stderr.decode()
    early = "Traceback" in told if number == signal.SIGINT else not told
    if early and f"{ROOT}/envdoctor" not in told and process.returncode in (1, -number):
        pytest.skip("Python itself was still starting")
    assert_documented(process.returncode, stderr.decode(), 0, 1, 130)


@pytest.mark.skipif(not Path("/proc").exists(), reason="/proc")
def test_an_interrupt_leaves_no_child_behind(tmp_path: Path) -> None:
    names = tmp_path / "pid"
    fake = tmp_path / "python3"
    fake.write_text(f"#!/bin/sh\necho $$ >> {names}\nsleep 60 & echo $! >> {names}\nwait\n")
    fake.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "envdoctor", "check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "VIRTUAL_ENV": "", "CONDA_PREFIX": ""},
    )
    until = time.monotonic() + 30
    while time.monotonic() < until and (not names.exists() or len(names.read_text().split()) < 2):
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert_documented(process.returncode, stderr.decode(), 130)
    time.sleep(0.5)
    for pid in names.read_text().split():
        status = Path(f"/proc/{pid}/status")
        assert not status.exists() or "State:\tZ" in status.read_text()
