"""Results measured on named GPUs, in benchmarks/reference/: `@h100` in a comparison, and what a machine is held against."""

from __future__ import annotations

import re
from pathlib import Path

from envdoctor.bench.results import BenchResult, load
from envdoctor.errors import InputError
from envdoctor.resources import resource_folder


def folder() -> Path:
    return resource_folder("benchmarks") / "reference"


def names() -> tuple[str, ...]:
    """What can be named with @, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.json")))


def find(name: str) -> tuple[str, BenchResult]:
    """A result for a word of the command line: a file, or `@name`. Raises InputError where it is none or names several."""
    if not name.startswith("@"):
        return name, load(Path(name))
    wanted = _plain(name[1:])
    known = names()
    exact = [stem for stem in known if _plain(stem) == wanted]
    found = exact or [stem for stem in known if wanted and wanted in _plain(stem)]
    if len(found) == 1:
        return f"@{found[0]}", load(folder() / f"{found[0]}.json")
    if found:
        raise InputError(f"{name} may be {', '.join('@' + stem for stem in found)}")
    known_words = ", ".join("@" + stem for stem in known) or "none has been measured yet"
    raise InputError(f"{name}: no such reference result; there are: {known_words}")


def of_device(device_name: str | None) -> tuple[str, BenchResult] | None:
    """The reference result of a GPU of that name; None where there is none."""
    if not device_name:
        return None
    for stem in names():
        result = load(folder() / f"{stem}.json")
        if result.device is not None and result.device.name == device_name:
            return f"@{stem}", result
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
