"""The folder that an environment is made in: empty before, whole or gone after."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from envdoctor.errors import InputError

SCRATCH = ".unfinished"
"""Where downloads lie while the environment is being made; that it is there says that the environment is not whole."""


class Folder:
    """A context manager: leaving it without `keep` removes what was made in it, and the folder where it was not there before.

    Raises InputError on entering where the path is taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.scratch = self.path / SCRATCH
        self._made: list[Path] = []
        """The folders that were not there before, the outermost first."""
        self._kept = False
        self._begun = False

    def __enter__(self) -> Folder:
        try:
            if (self.scratch).is_dir():
                raise InputError(
                    f"{self.path} holds an environment that was never finished (something killed the run that made it); "
                    "remove it, or name another folder"
                )
            if self.path.is_dir() and any(self.path.iterdir()):
                raise InputError(f"{self.path} is not empty; name a folder that is empty or does not exist yet")
            if not self.path.is_dir() and (self.path.exists() or self.path.is_symlink()):
                raise InputError(f"{self.path} is no folder; name one that is empty or does not exist yet")
        except OSError as error:
            raise InputError(f"cannot look into {self.path}: {error.strerror or error}") from error
        return self

    def make(self) -> None:
        """Makes the folder, and those above it that are missing. Raises InputError where that is not allowed."""
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            for folder in reversed(missing):
                folder.mkdir()
                self._made.append(folder)
            self._begun = True
            self.scratch.mkdir()
        except OSError as error:
            raise InputError(f"cannot make {self.path}: {error.strerror or error}") from error

    def keep(self) -> None:
        """The environment is whole: it stays."""
        _remove(self.scratch)
        self._kept = True

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        if self._kept:
            return
        with _uninterrupted():
            if self._begun and self.path.is_dir():
                for entry in self.path.iterdir():
                    _remove(entry)
            for folder in reversed(self._made):
                with contextlib.suppress(OSError):  # somebody else has put something there meanwhile: it is theirs
                    folder.rmdir()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not leave half of a half-made environment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
