"""A process of benchmarks/ in the target interpreter: started, listened to, given up when it hangs, and stopped.

It says one JSON object a line on stdout (see benchmarks/README.md). Whatever else comes is counted and kept for the report: a
library that prints where it should not must cost nothing. It runs in a process group of its own, so that the loader
workers and compilers that it started end with it, and so that Ctrl-C at the terminal reaches us alone.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from envdoctor.processes import Process, signal_name
from envdoctor.resources import resource_folder
from envdoctor.streams import Kept, Lines

STARTUP = 180.0
"""Seconds to the first event: a cold import of torch from a network disk takes a minute and more."""
SILENCE = 180.0
"""Seconds without an event after which a child counts as hung: torch.compile of a training step takes up to two minutes."""
GRACE = 3.0
"""Seconds that a child has to end after it was asked to."""
LONGEST_LINE = 16 << 20
STDERR_KEPT = 64 << 10
GARBAGE_KEPT = 5
_TICK = 0.25


class Event(msgspec.Struct, frozen=True):
    """One event: its name, the child's seconds since its hello, our time.monotonic() when it arrived, and its other fields."""

    name: str
    t: float
    arrived: float
    fields: dict[str, Any]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a child ended. `kind`: finished (exit code 0), failed (another), signal, hang (no event for too long), overran (past
    its deadline), stopped (by us), unstartable. `stderr`: the end of what it wrote there."""

    kind: str
    words: str
    code: int | None = None
    signal: str | None = None
    stderr: str = ""


class Child:
    """An iterator over the events of one process; `ending` says how it ended once there are no more.

    python: the interpreter. arguments: what follows `PYTHON benchmarks --events`. environment: None takes ours. script: what
    to run instead of benchmarks/. silence, startup: seconds. `deadline` (time.monotonic()) may be moved while it runs.
    Use it in a `with` statement: leaving it by any way, Ctrl-C too, stops the process.
    """

    def __init__(
        self,
        python: str | Path,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        *,
        script: str | Path | None = None,
        silence: float = SILENCE,
        startup: float = STARTUP,
        deadline: float | None = None,
    ) -> None:
        self.silence, self.deadline = silence, deadline
        self.ending: Ending | None = None
        self.garbage = 0
        """Lines on stdout that were no events."""
        self.garbage_lines: list[str] = []
        """The first of them, shortened."""
        self._patience = startup
        self._heard = time.monotonic()
        self._queue: queue.Queue[Event | None] = queue.Queue(maxsize=10_000)
        # What is not known to have been dealt with, the event given last included: an interrupt may have come in between.
        self._open: deque[Event] = deque()
        self._given = False
        self._stderr = Kept(head=0, tail=STDERR_KEPT)
        self._process: Process | None = None
        command = [str(python), str(script or resource_folder("benchmarks")), "--events", *arguments]
        # An install's folder may be closed to us, and its bytecode is not ours to write.
        variables = {**(os.environ if environment is None else environment), "PYTHONDONTWRITEBYTECODE": "1"}
        events = Lines(self._take, LONGEST_LINE)
        try:
            self._process = Process(command, stdout=events, stderr=self._stderr, environment=variables)
        except (OSError, ValueError) as error:
            self.ending = Ending(kind="unstartable", words=f"cannot start {python}: {error}")

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def stderr(self) -> str:
        """The end of what it wrote to stderr so far."""
        return self._stderr.text()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        # After Ctrl-C nobody wants to wait for manners twice.
        self.stop(grace=GRACE if kind is None else 1.0)

    def __iter__(self) -> Iterator[Event]:
        while (event := self.next()) is not None:
            yield event

    def next(self) -> Event | None:
        """The next event; None once the process has ended, hung, or passed its deadline, and `ending` tells which."""
        if self._given:  # whoever asks again has dealt with the one before
            self._given = False
            self._open.popleft()
        while self.ending is None and self._process is not None:
            if self.deadline is not None and time.monotonic() > self.deadline:
                self._kill(Ending(kind="overran", words="ran past its time limit", stderr=self.stderr))
                break
            try:
                event = self._queue.get(timeout=_TICK)
            except queue.Empty:
                self._look()
                continue
            if event is None:
                self._gone(self._process)
                break
            self._heard, self._patience = time.monotonic(), self.silence
            self._given = True
            return event
        return None

    def rest(self) -> Iterator[Event]:
        """What it had said before it was stopped, and nobody has dealt with yet; the last one may have been heard in part."""
        with contextlib.suppress(queue.Empty):
            while self._queue.get(timeout=_TICK) is not None:
                pass
        yield from tuple(self._open)

    def stop(self, grace: float = GRACE, by: signal.Signals = signal.SIGTERM) -> Ending:
        """Asks the process to end, kills its group if it does not within `grace` seconds, and says how it ended."""
        if self.ending is None and self._process is not None:
            gone = self._process.end(grace, by)
            self._settle(Ending(kind="stopped", words="stopped", stderr=self.stderr), gone=gone)
        assert self.ending is not None
        return self.ending

    # --- how it ends -----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Nothing has come for a moment: is it dead (a worker may hold its pipe open), or hung?"""
        assert self._process is not None
        now = time.monotonic()
        if self._process.ended and self._queue.empty() and now - self._heard > 2 * _TICK:
            self._gone(self._process)
        elif now - self._heard > self._patience:
            words = f"gave no sign of life for {self._patience:g} s"
            self._kill(Ending(kind="hang", words=words, stderr=self.stderr))

    def _gone(self, process: Process) -> None:
        """It has closed its stdout or is dead; what it was is its exit code's to tell."""
        if not process.wait(GRACE):
            self._kill(Ending(kind="hang", words="closed its output and did not end", stderr=self.stderr))
            return
        process.drain()  # its last words on stderr
        assert process.code is not None
        self._kill(_ending(process.code, self.stderr))

    def _kill(self, ending: Ending) -> None:
        """Ends the whole group: what the child had started (workers, compilers) goes with it."""
        self.ending = ending
        if self._process is not None:
            self._settle(ending, gone=self._process.kill())

    def _settle(self, ending: Ending, *, gone: bool) -> None:
        if not gone and self._process is not None:
            words = f"{ending.words}, and cannot be killed: it hangs in the driver (process {self._process.pid})"
            ending = msgspec.structs.replace(ending, words=words)
        self.ending = ending

    # --- what it says ----------------------------------------------------------------------------------------------

    def _take(self, line: bytes | None) -> None:
        if line is None:
            self._queue.put(None)
            return
        event = _event(line)
        if event is not None:
            self._open.append(event)
            self._queue.put(event)
        elif line.strip():
            self.garbage += 1
            if len(self.garbage_lines) < GARBAGE_KEPT:
                self.garbage_lines.append(line.strip()[:200].decode("utf-8", "replace"))


def _event(line: bytes) -> Event | None:
    """The event in a line; None where it is none."""
    if not line.startswith(b"{"):
        return None
    try:
        fields = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    name, t = fields.pop("event", None), fields.pop("t", 0.0)
    if not isinstance(name, str) or not isinstance(t, (int, float)):
        return None
    return Event(name, float(t), time.monotonic(), fields)


def _ending(code: int, stderr: str) -> Ending:
    if code == 0:
        return Ending(kind="finished", words="finished", code=0, stderr=stderr)
    if code > 0:
        return Ending(kind="failed", words=f"ended with exit code {code}", code=code, stderr=stderr)
    name = signal_name(-code)
    why = {
        "SIGKILL": " (the kernel's out-of-memory killer does that, or another process)",
        "SIGSEGV": " (a crash in compiled code)",
        "SIGBUS": " (a bus error: often /dev/shm or a disk is full)",
        "SIGABRT": " (compiled code gave up)",
        "SIGILL": " (an instruction that this CPU lacks)",
    }.get(name, "")
    return Ending(kind="signal", words=f"was killed by {name}{why}", code=code, signal=name, stderr=stderr)
