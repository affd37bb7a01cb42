"""A run's folder as envdoctor sees it: whether it is free, what is in it, what a new run may replace.

benchmarks/pipeline/run_folder.py writes most of it, and names the files.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from envdoctor.errors import InputError
from envdoctor.training.result import Epoch

RUN_SCHEMA = "envdoctor.run/1"
CONFIG, METRICS, LAST = "config.json", "metrics.jsonl", "last.pt"
CURVES, CARD = "curves.svg", "MODEL_CARD.md"
LOCK = ".lock"
FILES = (CONFIG, METRICS, "metrics.csv", LAST, "best.pt", "final.pt", "result.json", CURVES, CARD)
RUNS = "runs"
"""Where runs go that were given no folder."""


def make_next(data: str, parent: Path = Path(RUNS)) -> tuple[Path, list[Path]]:
    """Makes the first free one of runs/digits-1, runs/digits-2, ...: it, and all that was made. Two at once get two."""
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(data).name).strip("-.") or "run"
    for number in itertools.count(1):
        folder = parent / f"{name}-{number}"
        if not folder.exists() and (made := make(folder)):
            return folder, made
    raise AssertionError


def prepare(folder: Path, *, resume: bool, force: bool) -> None:
    """Raises InputError, in one line, where a run with these options cannot begin in that folder; `force` empties it of the run
    that it holds."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for the run with -o")
    begun = (folder / CONFIG).exists()
    if resume:
        if not begun:
            raise InputError(f"{folder} holds no run to resume")
        return
    if begun and not force:
        raise InputError(
            f"{folder} holds a run already ({_progress(folder)}): go on with it (--resume), replace it (--force), or name "
            "another folder"
        )
    if begun:
        _clear(folder)
        return
    strangers = [name for name in FILES if (folder / name).exists()]
    if strangers and not force:
        raise InputError(
            f"{folder} holds files of something else that a run would overwrite ({', '.join(strangers)}): name another "
            "folder, or overwrite them (--force)"
        )


def make(folder: Path) -> list[Path]:
    """Makes the folder; returns what was made, the innermost first: nothing where it was there. Raises InputError."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return []
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror or error}; name another folder with -o") from error
    return made


def discard(made: Sequence[Path]) -> None:
    """Removes folders that were made for a run which then did not come about: they hold nothing but its lock."""
    with contextlib.suppress(OSError):
        if made and {entry.name for entry in made[0].iterdir()} <= {LOCK}:
            (made[0] / LOCK).unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()


def _progress(folder: Path) -> str:
    done = len(epochs(folder))
    of = config(folder).get("settings", {}).get("epochs")
    return f"{done} of {of} epochs" if isinstance(of, int) else f"{done} epochs"


def _clear(folder: Path) -> None:
    """Removes a run's files and nothing else."""
    lock = None
    try:
        import fcntl

        with contextlib.suppress(FileNotFoundError):
            lock = (folder / LOCK).open("r+")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows; there, a file that is in use cannot be removed
        pass
    except BlockingIOError:
        raise InputError(f"another process is training in {folder}; let it end, or name another folder") from None
    except OSError as error:
        raise InputError(f"cannot use {folder}: {error.strerror or error}") from error
    try:
        # The configuration last: until then it is a run's folder, and can be cleared again.
        for name in (*reversed(FILES), *(f"{name}.writing" for name in FILES)):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot replace the run in {folder}: {error.strerror or error}") from error
    finally:
        if lock is not None:
            lock.close()


def config(folder: Path) -> dict[str, Any]:
    """What the run is; {} where that cannot be read."""
    try:
        found = msgspec.json.decode((folder / CONFIG).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if found.get("schema") == RUN_SCHEMA else {}


def epochs(folder: Path) -> tuple[Epoch, ...]:
    """The epochs that the folder tells of, in their order."""
    try:
        lines = (folder / METRICS).read_bytes().splitlines()
        return tuple(msgspec.json.decode(line, type=Epoch) for line in lines if line.strip())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return ()


def resumable(folder: Path) -> bool:
    """Whether `--resume` has something to go on with: a checkpoint, or at least the run's settings."""
    return bool(config(folder))


def files(folder: Path) -> dict[str, int]:
    """Bytes of the run's files that are there."""
    found = {}
    for name in FILES:
        with contextlib.suppress(OSError):
            found[name] = (folder / name).stat().st_size
    return found
