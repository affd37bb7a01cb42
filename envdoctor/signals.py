"""Signals while a run is under way: a scheduler's end is an interrupt, and the last seconds are left alone."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


@contextlib.contextmanager
def terminable(*, once: bool = False) -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does: a scheduler's time limit must not cost what was reached.

    once: the first of them all is raised, and the impatient ones after it are nothing until the block is left.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if once:
            for number in before:
                signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP", "SIGINT") if once else ("SIGTERM", "SIGHUP")
    with _handled(names, interrupt) as before:
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """The last seconds, in which results are put together and written, are not worth interrupting."""
    with _handled(ENDING, signal.SIG_IGN):
        yield


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """An interrupt waits for the end of the block: a process that was started must be known before it can be stopped."""
    came: list[int] = []
    with _handled(ENDING, lambda number, _frame: came.append(number)):
        yield
    for number in came:
        signal.raise_signal(number)


@contextlib.contextmanager
def _handled(names: tuple[str, ...], handler: Handler) -> Iterator[dict[int, Any]]:
    """These signals of this system go to the handler; gives what was before, which comes back. Not in other threads."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in names:
            if hasattr(signal, name):
                number = getattr(signal, name)
                before[number] = signal.getsignal(number)
                signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, former in before.items():
            signal.signal(number, former)
