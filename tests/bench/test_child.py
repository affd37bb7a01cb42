"""A benchmark process is listened to whatever it does, and never outlives the one who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from envdoctor.bench.child import LONGEST_LINE, STDERR_KEPT, Child
from tests.bench.scripts import script


def start(folder: Path, body: str, *arguments: str, **limits: float) -> Child:
    return Child(sys.executable, arguments, script=script(folder, body), **limits)  # type: ignore[arg-type]


def test_events_come_in_order_with_their_fields(tmp_path: Path) -> None:
    with start(
        tmp_path, 'emit("hello", pid=os.getpid())\nemit("log", text=sys.argv[1:])\nemit("bye")', "--x", "1"
    ) as child:
        events = list(child)
    assert [e.name for e in events] == ["hello", "log", "bye"]
    assert events[0].fields == {"pid": child.pid}
    assert events[1].fields["text"] == ["--events", "--x", "1"]
    assert events[0].t <= events[1].t <= events[2].t
    assert child.ending is not None and child.ending.kind == "finished" and child.garbage == 0


def test_garbage_on_stdout_is_counted_and_costs_nothing(tmp_path: Path) -> None:
    body = f"""
print("Downloading weights: 100%")
print('{{"event": 5}}'); print('{{"no": "event"}}'); print('[1, 2]'); print('{{"event": "x", "t": "soon"}}'); print("{{" * 100000)
sys.stdout.flush()
sys.stdout.buffer.write(bytes(range(256)) + b"\\n" + b"x" * {LONGEST_LINE + 5} + b"\\n\\n")
sys.stdout.flush()
emit("hello")
"""
    with start(tmp_path, body) as child:
        assert [e.name for e in child] == ["hello"]
    assert child.ending is not None and child.ending.kind == "finished"
    assert child.garbage >= 8
    assert child.garbage_lines[0] == "Downloading weights: 100%" and len(child.garbage_lines) == 5


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal", "SIGSEGV"),
        ("sys.stderr.write('out of luck'); sys.exit(7)", "failed", "exit code 7"),
        ("raise ValueError('no')", "failed", "exit code 1"),
    ],
)
def test_a_crash_is_told_by_its_signal_or_exit_code(tmp_path: Path, body: str, kind: str, words: str) -> None:
    with start(tmp_path, f'emit("hello")\n{body}') as child:
        assert len(list(child)) == 1
    assert child.ending is not None and child.ending.kind == kind and words in child.ending.words
    if kind == "failed":
        assert "out of luck" in child.ending.stderr or "ValueError: no" in child.ending.stderr


def test_an_interpreter_that_is_none_is_an_ending(tmp_path: Path) -> None:
    with Child(tmp_path / "python") as child:
        assert list(child) == []
    assert child.ending is not None and child.ending.kind == "unstartable" and "No such file" in child.ending.words


def test_a_hang_is_given_up_and_its_children_go_with_it(tmp_path: Path) -> None:
    body = """
import subprocess
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
emit("hello", worker=worker.pid)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
    began = time.monotonic()
    with start(tmp_path, body, silence=1.0) as child:
        (hello,) = child
    assert time.monotonic() - began < 10
    assert child.ending is not None and child.ending.kind == "hang" and "1 s" in child.ending.words
    assert not _alive(child.pid) and not _alive(hello.fields["worker"])


def test_a_worker_that_outlives_a_dead_child_and_holds_its_pipe_does_not_hold_us(tmp_path: Path) -> None:
    body = """
import subprocess
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
emit("hello", worker=worker.pid)
os._exit(0)
"""
    began = time.monotonic()
    with start(tmp_path, body) as child:
        (hello,) = child
    assert time.monotonic() - began < 10
    assert child.ending is not None and child.ending.kind == "finished"
    assert not _alive(hello.fields["worker"])


def test_a_child_that_never_stops_talking_still_meets_its_deadline(tmp_path: Path) -> None:
    with start(tmp_path, 'while True: emit("progress"); time.sleep(0.01)', deadline=time.monotonic() + 1) as child:
        for _ in child:
            pass
    assert child.ending is not None and child.ending.kind == "overran" and not _alive(child.pid)


def test_a_silent_start_is_given_more_time_than_silence_later(tmp_path: Path) -> None:
    with start(tmp_path, 'time.sleep(1.5); emit("hello")', silence=0.5, startup=30) as child:
        assert len(list(child)) == 1
    assert child.ending is not None and child.ending.kind == "finished"


def test_only_the_end_of_a_flood_on_stderr_is_kept(tmp_path: Path) -> None:
    body = 'sys.stderr.write("x" * (8 << 20) + "the end")\nsys.stderr.flush()\nemit("hello")'
    with start(tmp_path, body) as child:
        assert len(list(child)) == 1
    assert child.ending is not None and child.ending.stderr.endswith("the end")
    assert len(child.ending.stderr) <= STDERR_KEPT


@pytest.mark.parametrize("stubborn", [False, True])
def test_stop_ends_it_politely_first_and_surely(tmp_path: Path, stubborn: bool) -> None:
    marker = tmp_path / "asked"
    polite = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    if not stubborn:
        polite = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(marker)!r}, 'w').close(), sys.exit(0)))"
    child = start(tmp_path, f'{polite}\nemit("hello")\nwhile True: time.sleep(0.1)')
    assert child.next() is not None
    assert child.stop(grace=1.0).kind == "stopped"
    assert not _alive(child.pid) and marker.exists() is not stubborn
    assert child.next() is None and child.stop().kind == "stopped"


def test_one_that_was_stopped_goes_on_so_that_it_can_end_politely(tmp_path: Path) -> None:
    marker = tmp_path / "asked"
    polite = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(marker)!r}, 'w').close(), sys.exit(0)))"
    child = start(tmp_path, f'{polite}\nemit("hello")\nwhile True: time.sleep(0.1)')
    assert child.next() is not None and child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    began = time.monotonic()
    child.stop(grace=20.0)
    assert time.monotonic() - began < 10 and marker.exists() and not _alive(child.pid)


def test_an_interrupt_while_listening_leaves_no_child(tmp_path: Path) -> None:
    child = start(tmp_path, 'emit("hello")\ntime.sleep(600)')
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), child:
        for _ in child:
            pass
    timer.join()
    assert not _alive(child.pid)


def test_an_interrupt_in_the_moment_of_the_start_leaves_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, "time.sleep(600)")
    assert len(started) == 1 and not _alive(started[0])


def _alive(pid: int | None) -> bool:
    """Whether it still runs after the moment that a kill takes."""
    assert pid is not None
    until = time.monotonic() + 2
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.02)
    return True
