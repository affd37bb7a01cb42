"""Runs an installer and hands on what it says line by line; it never outlives us, and never runs without an end."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Lines kept for an error's explanation.
TAIL = 200
KILL_GRACE = 5.0


@dataclass(frozen=True)
class Ended:
    """How it ended. `code` is None where it was ended by us; `reason` then says why."""

    code: int | None
    tail: tuple[str, ...]
    reason: str | None = None

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def last(self) -> str:
        """Its last line that is not empty."""
        return next((line for line in reversed(self.tail) if line.strip()), "it said nothing")


def run(
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    limit: float,
    silence: float | None = None,
    on_line: Callable[[str], None] | None = None,
    stdin: str | None = None,
) -> Ended:
    """Runs a program, stdout and stderr together.

    `limit`: seconds that it may take; `silence`: seconds that it may say nothing. An interrupt, or whatever else ends us, ends
    it and its children too.
    """
    try:
        child = subprocess.Popen(
            [str(part) for part in arguments],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=dict(environment),
            # A group of its own: Ctrl-C comes to us alone, and we end all of it, pip's own children too.
            start_new_session=os.name == "posix",
        )
    except OSError as error:
        return Ended(None, (), f"cannot be started: {error.strerror or error}")
    tail: deque[str] = deque(maxlen=TAIL)
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(child, lines), daemon=True)
    listener.start()
    try:
        if stdin is not None and child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(stdin)
                child.stdin.close()
        ends = time.monotonic() + limit
        while True:
            left = ends - time.monotonic()
            try:
                line = lines.get(timeout=max(0.0, left if silence is None else min(left, silence)))
            except queue.Empty:
                over = time.monotonic() >= ends
                reason = f"no end within {_duration(limit)}" if over else f"not a word for {_duration(silence or 0)}"
                return Ended(None, tuple(tail), reason)
            if line is None:
                return Ended(child.wait(timeout=KILL_GRACE), tuple(tail))
            tail.append(line)
            if on_line is not None:
                on_line(line)
    except subprocess.TimeoutExpired:
        return Ended(None, tuple(tail), "it closed its output and did not end")
    finally:
        _end(child)
        # Whoever still holds its output (a grandchild that left the group) holds the listener too: it is left alone then.
        listener.join(KILL_GRACE)
        if not listener.is_alive() and child.stdout is not None:
            child.stdout.close()


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:g} s"


def _listen(child: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert child.stdout is not None
    with contextlib.suppress(ValueError, OSError):  # closed under our hands when the child is ended
        for line in child.stdout:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _end(child: subprocess.Popen[str]) -> None:
    """Ends the whole group, politely where it still runs; its own children may outlive it otherwise."""
    for name in ("SIGTERM", "SIGKILL"):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if sys.platform == "win32":
                    child.kill()
                else:
                    os.killpg(child.pid, getattr(signal, name))
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=KILL_GRACE)
