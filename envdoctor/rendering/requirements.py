"""Requirements (PEP 508) on their way into a file or a command line: read, refused, or written in one canonical form."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envdoctor.errors import InputError


def parsed(text: str) -> Requirement:
    """The requirement. Raises InputError for what is none: an option, a path, two lines, a shell's metacharacters."""
    # packaging takes a line break for a space; in a requirements file it would begin a line of its own.
    if not text.isprintable():
        raise InputError(f"{text!r} is no requirement: it holds a character that no name has; write it as 'numpy>=2'")
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        why = str(error).splitlines()[0]
        raise InputError(f"{text!r} is no requirement ({why}); write it as 'numpy>=2'") from error


def checked(packages: Iterable[str]) -> tuple[str, ...]:
    """The requirements in canonical form, in their order. Raises InputError for the first that is none."""
    return tuple(str(parsed(package)) for package in packages)


def name_of(requirement: str) -> str:
    """'torch' for 'torch==2.15.0'."""
    return canonicalize_name(parsed(requirement).name)


def version_of(requirement: str) -> str | None:
    """'2.15.0' for 'torch==2.15.0'; None where it is no exact pin."""
    pins = [part.version for part in parsed(requirement).specifier if part.operator == "=="]
    return pins[0] if len(pins) == 1 and not pins[0].endswith(".*") else None
