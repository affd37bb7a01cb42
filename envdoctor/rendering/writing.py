"""Puts rendered files into a folder: nothing is overwritten unasked, and nobody ever sees half a file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from envdoctor.errors import InputError
from envdoctor.files import write_atomically
from envdoctor.rendering.model import RenderedFile
from envdoctor.resources import archive


def write(files: Sequence[RenderedFile], folder: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Writes the files below `folder`, which is made where it is missing, and returns their paths in order.

    Raises InputError, before anything is written, where a file is there already and `force` is not given, and where one
    cannot be written.
    """
    places = [folder.joinpath(*_inside(file.path).parts) for file in files]
    present = [place for place in places if place.exists() or place.is_symlink()]
    if present and not force:
        names = ", ".join(str(place) for place in present)
        raise InputError(f"{names} {'is' if len(present) == 1 else 'are'} there already; --force overwrites")
    for place in present:
        if place.is_dir():
            raise InputError(f"{place} is a folder; move it away first")
    for file, place in zip(files, places, strict=True):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {place.parent}: {error.strerror or error}") from error
        write_atomically(place, file.text)
        if file.executable:
            # Who may read may run: the mode that a compiler gives its output under this umask.
            mode = place.stat().st_mode
            place.chmod(mode | (mode & 0o444) >> 2)
    return tuple(places)


def write_archive(path: str, folder: Path) -> bool:
    """Copies envdoctor.pyz to `path` below `folder`, over an older one. Whether there is one to copy.

    Raises InputError where it cannot be written.
    """
    source, place = archive(), folder.joinpath(*_inside(path).parts)
    if source is None:
        return False
    if not (place.exists() and place.samefile(source)):
        try:
            shutil.copyfile(source, place)
        except OSError as error:
            raise InputError(f"cannot write {place}: {error.strerror or error}") from error
    return True


def _inside(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"a recipe may not write outside its folder: {path}")
    return pure
