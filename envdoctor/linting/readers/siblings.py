"""The files that lie beside one that is read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LARGEST_INCLUDED = 1 << 20
MOST_INCLUDED = 100
"""Files that are read beside one: some include each other more often than there is time."""


def sibling_of(path: Path) -> Callable[[str], tuple[str, str] | None]:
    """Reads files of the folder that `path` lies in; what cannot be read there is not known."""

    left = MOST_INCLUDED

    def read_sibling(relative: str) -> tuple[str, str] | None:
        nonlocal left
        left -= 1
        if left < 0:
            return None
        # In an image the file lies where COPY put it; its name is what links it to the context.
        for candidate in (path.parent / relative.lstrip("/"), path.parent / Path(relative).name):
            with suppress(OSError):
                if candidate.is_file() and candidate.stat().st_size < LARGEST_INCLUDED:
                    return str(candidate), candidate.read_text(encoding="utf-8", errors="replace")
        return None

    return read_sibling
