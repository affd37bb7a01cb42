"""Reads a pip requirements file: options, continuations, comments, includes.

Source: pip.pypa.io/en/stable/reference/requirements-file-format
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator

from envdoctor.linting import shell
from envdoctor.linting.model import Described, DescribedEnvironment, Index, Install, Place, Wanted

Sibling = Callable[[str], tuple[str, str] | None]
DEEPEST = 8
"""Files that include each other in a circle end here."""


def read(name: str, text: str, sibling: Sibling) -> Described:
    """The one install that the file asks for."""
    return Described(
        name=name,
        kind="requirements",
        environments=(DescribedEnvironment(installs=(read_install(name, text, sibling),)),),
    )


def read_install(name: str, text: str, sibling: Sibling, depth: int = 0) -> Install:
    """The same as an Install, included files with it."""
    wanted: list[Wanted] = []
    indexes: list[Index] = []
    constrained = False
    for number, line in _logical(text):
        place = Place(name, number)
        if not line.startswith("-"):
            # Options after a requirement (--hash=...) belong to it and change no version.
            requirement = shell.wanted(re.split(r"\s--?[a-z]", line, maxsplit=1)[0], place)
            if requirement is not None:
                wanted.append(requirement)
            continue
        try:
            call = shell.pip_call(shlex.split(line))
        except ValueError:
            continue
        indexes += shell.indexes(call, place)
        constrained = constrained or bool(call["constraint"])
        for path in call["requirement"]:
            included = sibling(path)
            if included is None or depth >= DEEPEST:
                constrained = True
                continue
            inner = read_install(*included, sibling, depth + 1)
            wanted += inner.wanted
            indexes += inner.indexes
    return Install(
        tool="pip", wanted=tuple(wanted), indexes=tuple(indexes), place=Place(name, 1), constrained=constrained
    )


def _logical(text: str) -> Iterator[tuple[int, str]]:
    joined, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        if not joined:
            start = number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        joined += line
        if joined.strip():
            yield start, joined.strip()
        joined = ""
    if joined.strip():
        yield start, joined.strip()
