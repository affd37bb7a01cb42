"""Bad input gets one clear line and the documented exit code, whatever it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENVDOCTOR = (sys.executable, "-m", "envdoctor")


def run(*arguments: str | Path, stdin: bytes = b"", **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*ENVDOCTOR, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def assert_one_clear_line(result: tuple[int, str, str], *words: str) -> None:
    code, stdout, stderr = result
    assert code == 2, result
    assert stdout == "" and "Traceback" not in stderr
    line = stderr.strip().splitlines()[-1]
    assert line.startswith("Error: "), stderr
    for word in words:
        assert word in line, line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chekc"], ["chekc", "check"]),
        (["check", "--frobnicate"], ["--frobnicate"]),
        (["check", "--format", "yaml"], ["yaml"]),
        (["check", "--only", "driver-to-old"], ["driver-to-old", "driver-too-old"]),
        (["check", "--from", "/no/such/file"], ["/no/such/file", "No such file"]),
        (["check", "--from", "/"], ["directory"]),
        (["check", "--python", "/no/such/python"], ["/no/such/python"]),
        (["check", "--python", "/etc"], ["/etc"]),
        (["check", "--python", "/etc/passwd"], ["/etc/passwd"]),
        (["check", "--python", "no-such-command"], ["no-such-command"]),
        (["check", "--python", ""], ["--python"]),
        (["check", "--python", "/bin/true"], ["/bin/true"]),
        (["check", "--from", "x.json", "--python", "python3"], ["--from", "--python"]),
        (["snapshot", "-o", "/no/such/folder/x.json", "--fast"], ["/no/such/folder"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], words: list[str]) -> None:
    assert_one_clear_line(run(*arguments), *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", ["nothing to read"]),
        (b"{", []),
        (b'{"schema": "envdoctor.snapshot/1", "host": {"system": "Lin', []),
        (b'{"schema": "envdoctor.snapshot/2"}', ["envdoctor.snapshot/2"]),
        (b'{"schema": "envdoctor.snapshot/1", "host": {"cpu_count": "many"}}', ["cpu_count"]),
        (b"[" * 200_000, []),
        (b"\x00\xff\xfe\x01" * 100, []),
    ],
    ids=["empty", "brace", "truncated", "newer schema", "wrong type", "deeply nested", "binary"],
)
def test_a_hostile_or_broken_snapshot_is_one_line_and_exit_code_2(text: bytes, words: list[str]) -> None:
    assert_one_clear_line(run("check", "--from", "-", stdin=text), *words)


def test_an_interpreter_that_prints_garbage_is_told(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho \'{"python": "3.11"}\'\nhead -c 10000 /dev/urandom\n')
    fake.chmod(0o755)
    assert_one_clear_line(run("check", "--python", fake), str(fake))


def test_a_sysroot_that_is_not_there_is_told() -> None:
    assert_one_clear_line(
        run("check", "--fast", ENVDOCTOR_SYSROOT="/no/such/root"), "ENVDOCTOR_SYSROOT", "/no/such/root"
    )


def test_an_existing_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    target = tmp_path / "machine.json"
    target.write_text("mine")
    assert_one_clear_line(run("snapshot", "--fast", "-o", target), "--force")
    assert target.read_text() == "mine"


def test_a_defect_of_ours_is_one_line_and_exit_code_3() -> None:
    code = "import envdoctor.cli.gathering as g\ndef broken(**_):\n    raise RuntimeError('boom')\n"
    code += "import envdoctor.cli.check as c; c.gather = broken\nimport sys; from envdoctor.cli import run\n"
    code += "sys.exit(run(['check']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "RuntimeError: boom" in done.stderr and "report" in done.stderr


def test_help_needs_nothing_but_click() -> None:
    code = "import sys; from envdoctor.cli import run; run(['--help']); print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"rich", "msgspec", "packaging", "psutil", "pynvml", "jinja2", "platformdirs"}


def test_every_command_of_the_table_exists_and_explains_itself() -> None:
    from envdoctor.cli import COMMANDS

    code, stdout, _ = run("--help")
    assert code == 0
    for name, summary in COMMANDS.items():
        assert name in stdout and summary.split(",")[0] in " ".join(stdout.split())
        assert run(name, "--help")[0] == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m envdoctor check --fast --format json | head -c 1",
        shell=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == b""


def test_ascii_terminals_get_readable_text() -> None:
    code, stdout, stderr = run("check", "--fast", LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii:strict", NO_COLOR="1")
    assert code in (0, 1) and "Traceback" not in stderr and stdout.isascii()
