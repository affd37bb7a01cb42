"""Writing files so that nobody ever sees half of one, and opening them without waiting."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from envdoctor.errors import InputError


def at_once(path: str, flags: int) -> int:
    """An opener that does not wait: a pipe or a device in a file's place must cost a fact, not the program."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def write_atomically(path: Path, text: str) -> None:
    """Writes `text` to `path` in one step: readers see the old file or the whole new one, a full disk leaves the old.

    Raises InputError with the reason when it cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes a private file; what the user asked for follows their umask.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
