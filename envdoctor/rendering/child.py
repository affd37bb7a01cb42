"""Runs an installer and hands on what it says line by line; it never outlives us, and never runs without an end."""

from __future__ import annotations

import math
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envdoctor.processes import Process
from envdoctor.streams import Lines

# Lines kept for an error's explanation.
TAIL = 200
LONGEST_LINE = 1 << 16
KILL_GRACE = 5.0
TICK = 0.25


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
    lines: queue.Queue[bytes | None] = queue.Queue(maxsize=10_000)
    tail: deque[str] = deque(maxlen=TAIL)
    given = None if stdin is None else stdin.encode()
    try:
        process = Process(arguments, stdout=Lines(lines.put, LONGEST_LINE), environment=environment, stdin=given)
    except (OSError, ValueError) as error:
        return Ended(None, (), f"cannot be started: {getattr(error, 'strerror', None) or error}")
    ends = time.monotonic() + limit
    heard = time.monotonic()
    try:
        while True:
            now = time.monotonic()
            patience = math.inf if silence is None else silence
            if now >= ends or now - heard > patience:
                said_nothing = f"not a word for {_duration(patience)}"
                return Ended(None, tuple(tail), f"no end within {_duration(limit)}" if now >= ends else said_nothing)
            try:
                line = lines.get(timeout=min(TICK, ends - now, patience))
            except queue.Empty:
                if process.ended and now - heard > 2 * TICK:  # something that it started holds its output
                    return Ended(process.code, tuple(tail))
                continue
            if line is None:
                ended = process.wait(KILL_GRACE)
                return Ended(process.code, tuple(tail), None if ended else "it closed its output and did not end")
            heard = time.monotonic()
            text = line.rstrip(b"\r").decode("utf-8", "replace")
            tail.append(text)
            if on_line is not None:
                on_line(text)
    finally:
        process.end(KILL_GRACE)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:g} s"
