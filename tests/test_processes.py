"""Whatever a child process does costs its answer and no more: real processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from envdoctor.processes import Completed, run
from envdoctor.streams import HEAD, TAIL, Kept, Lines, Marked

posix = pytest.mark.skipif(os.name != "posix", reason="process groups")


def python(program: str, *, timeout: float = 60.0, answers: str | None = None) -> Completed:
    return run([sys.executable, "-c", program], timeout=timeout, answers=answers)


def gone(pid: int) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_a_flood_is_kept_at_both_ends_and_costs_no_memory() -> None:
    before = psutil.Process().memory_info().rss
    done = python("import os\nos.write(1, b'first\\n')\nfor _ in range(4000): os.write(1, b'x' * 65536)\nprint('last')")
    assert done.ok and done.stdout.startswith("first\n") and done.stdout.endswith("last\n")
    assert len(done.stdout) <= HEAD + TAIL + 1
    assert psutil.Process().memory_info().rss - before < 100 << 20


def test_a_flood_without_an_end_ends_at_the_limit() -> None:
    began = time.monotonic()
    done = python("import os\nwhile True: os.write(2, b'y' * 65536)", timeout=1.0)
    assert done.timed_out and done.code is None and time.monotonic() - began < 10
    assert 0 < len(done.stderr) <= 4 << 20


def test_marked_lines_are_found_in_a_flood() -> None:
    program = (
        "import os\nos.write(1, b'<m>one\\n')\nfor _ in range(1000): os.write(1, b'x' * 65536)\n"
        "os.write(1, b'\\n<m>two\\n<m>half')"
    )
    assert python(program, answers="<m>").stdout.split() == ["<m>one", "<m>two"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_mark_and_a_line_may_come_in_pieces(size: int) -> None:
    text = b"<m>one\nxx<m>no\n<m>two\n\n<m\n<m>three\n"
    marked, heard = Marked("<m>"), list[bytes | None]()
    lines = Lines(heard.append, longest=1000)
    for at in range(0, len(text), size):
        marked.feed(text[at : at + size])
        lines.feed(text[at : at + size])
    lines.close()
    assert marked.text().split() == ["<m>one", "<m>two", "<m>three"]
    assert heard == [*text.split(b"\n")[:-1], None]


def test_what_is_dropped_is_counted() -> None:
    kept = Kept(head=10, tail=5)
    for _ in range(100_000):
        kept.feed(b"0123456789")
    assert kept.text() == "0123456789\n56789" and kept.dropped == 1_000_000 - 15
    whole = Kept(head=10, tail=5)
    whole.feed(b"0123456789abcde")
    assert whole.text() == "0123456789abcde" and whole.dropped == 0


@posix
def test_the_answer_is_there_when_the_child_has_ended_whoever_holds_its_output() -> None:
    began = time.monotonic()
    done = run(["sh", "-c", "sleep 60 & echo $!; echo answer"], timeout=30)
    assert time.monotonic() - began < 5
    pid, answer = done.stdout.split()
    assert done.ok and answer == "answer"
    os.kill(int(pid), signal.SIGKILL)  # it is the program's own business, and lived on


@posix
@pytest.mark.parametrize("session", [False, True])
def test_at_the_limit_the_answer_comes_even_where_a_grandchild_left_the_group(session: bool) -> None:
    began = time.monotonic()
    program = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session={session})\n"
        "print(p.pid, flush=True)\ntime.sleep(60)"
    )
    done = python(program, timeout=1.0)
    assert done.timed_out and time.monotonic() - began < 10
    pid = int(done.stdout)
    if session:
        os.kill(pid, signal.SIGKILL)
    assert gone(pid)


@posix
def test_an_interrupt_ends_the_child_and_what_it_started(tmp_path: Path) -> None:
    names = tmp_path / "pids"
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", f"sleep 60 & echo $! $$ > {names}; wait"], timeout=30)
    timer.join()
    assert all(gone(int(pid)) for pid in names.read_text().split())


def test_what_cannot_be_started_is_an_answer(tmp_path: Path) -> None:
    assert run([tmp_path / "none"], timeout=5).error
    assert run([sys.executable, "-c", "a\0b"], timeout=5).error
    assert python("import sys; sys.stdin.read()").ok


def test_one_that_does_not_read_its_input_is_no_error() -> None:
    assert run([sys.executable, "-c", "print(1)"], stdin="x" * (1 << 20), timeout=60).stdout.strip() == "1"
