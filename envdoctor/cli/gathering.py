"""Where a command's Snapshot comes from: this machine, a file, or standard input."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.facts.model import Snapshot

# A quick look should not flicker: the progress line comes only when it takes longer.
PATIENCE = 0.7
# Larger than any snapshot or log that somebody would paste; what is longer is a mistake (a core file, a device).
LARGEST_INPUT = 256 << 20
WORDS = {
    "interpreter": "trying torch",
    "nvml": "asking the driver (NVML)",
    "cuda_driver": "starting CUDA",
    "logs": "reading the kernel log",
}


def gather(
    *, python: str | None, source: str | None, live: bool, meanwhile: Callable[[], None] | None = None
) -> Snapshot:
    """The Snapshot that the options ask for. Raises InputError for an unusable --python or --from.

    `meanwhile` is called while a live machine's probes run: the time to import what comes after them.
    """
    if source is not None:
        if python is not None:
            raise InputError("--from and --python exclude each other: a snapshot already says which Python it is about")
        from envdoctor.reading.dumps import read

        return read(content(source))
    from envdoctor.facts.collect import collect
    from envdoctor.facts.host import Machine

    if not sys.stderr.isatty():
        return collect(Machine.here(), python=python, live=live, meanwhile=meanwhile)
    with _Progress() as progress:
        return collect(Machine.here(), python=python, live=live, progress=progress.show, meanwhile=meanwhile)


def content(source: str) -> bytes:
    """The bytes of a file, or of standard input for '-'. Raises InputError where it cannot be read or is too large."""
    try:
        if source == "-":
            data = sys.stdin.buffer.read(LARGEST_INPUT + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(LARGEST_INPUT + 1)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}") from error
    if len(data) > LARGEST_INPUT:
        raise InputError(f"{source} is larger than {LARGEST_INPUT >> 20} MiB; give the part that holds the snapshot")
    return data


class _Progress:
    """One line on stderr, on a terminal only, naming what is still being waited for."""

    def __init__(self) -> None:
        self._pending: frozenset[str] = frozenset()
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def __enter__(self) -> _Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def show(self, pending: frozenset[str]) -> None:
        self._pending = pending

    def _draw(self) -> None:
        if self._done.wait(PATIENCE):
            return
        from envdoctor.console import Console

        console = Console(stderr=True, highlight=False)
        with console.status("Looking at this machine") as status:
            while not self._done.wait(0.1):
                names = [WORDS[name] for name in WORDS if name in self._pending]
                seconds = time.monotonic() - self._started
                status.update(f"Looking at this machine: {', '.join(names) or 'reading files'} ({seconds:.0f} s)")
