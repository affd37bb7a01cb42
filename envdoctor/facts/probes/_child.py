"""What the child processes of the driver probes share: they speak one JSON object a line, and say what they are about
to do before they do it, so that a hang or a crash names its call."""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from collections.abc import Sequence

MOST_GPUS = 1024
"""No machine has as many; a driver that counts more does not count."""


def say(**record: object) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def load(names: Sequence[str]) -> ctypes.CDLL | None:
    """The first library that loads; says the loader's words about the others."""
    for name in names:
        say(call=f"dlopen({name})")
        obstacle = _no_file(name)
        if obstacle is not None:
            say(load_error=f"{obstacle}: not a regular file", load_name=name)
            continue
        try:
            library = ctypes.CDLL(name)
        except OSError as error:
            say(load_error=str(error), load_name=name)
        else:
            say(library=_mapped_file(name) or name)
            return library
    return None


def _no_file(name: str) -> str | None:
    """What the loader would find first and wait for: a pipe has no end. None where it finds a file, or finds it elsewhere."""
    folders = [""] if "/" in name else os.environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
    for folder in folders:
        path = f"{folder}/{name}" if folder else name
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - pathlib costs 5 ms here
        except (OSError, ValueError):
            continue
        return None if stat.S_ISREG(mode) else path
    return None


def _mapped_file(name: str) -> str | None:
    """The file that the loader mapped for a library: its links followed, as no search of ours could know."""
    stem = name.replace("\\", "/").rpartition("/")[2].partition(".so")[0]
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123 - pathlib costs 5 ms here
            for line in maps:
                path = line.rstrip("\n").partition("/")[2]
                if path.rpartition("/")[2].startswith(f"{stem}.so"):
                    return f"/{path}"
    except OSError:
        pass
    return None
