"""Signals: what ends a command is an interrupt, which comes when it can be borne; a run's last seconds are left alone."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


_AGAIN_S = 0.02


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that raises KeyboardInterrupt, after the import that is under way if there is one.

    Python loses an exception that is raised in a callback of its import system, and the lock that this holds with it: every
    later import, on any thread, would wait for ever. A second signal is not kept waiting.
    """
    again = getattr(signal, "SIGALRM", None)
    waiting = again is not None and number != again and signal.getsignal(again) is interrupt
    if again is None or waiting or not _importing(frame):
        if again is not None and signal.getsignal(again) is interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(again, signal.SIG_DFL)
        raise KeyboardInterrupt
    signal.signal(again, interrupt)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def terminable(*, once: bool = False) -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does: a scheduler's time limit must not cost what was reached.

    once: the first of them all is raised, and the impatient ones after it are nothing until the block is left.
    """

    def first(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        interrupt(number, frame)

    names = ("SIGTERM", "SIGHUP", "SIGINT") if once else ("SIGTERM", "SIGHUP")
    with _handled(names, first if once else interrupt) as before:
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
