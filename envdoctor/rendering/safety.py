"""The last door before a value becomes part of a script: a plan may come from a file that somebody else wrote."""

from __future__ import annotations

import re

import msgspec

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack

# Versions, names, images, URLs, specifiers: nothing that a shell, TOML, YAML, a Dockerfile or Jinja gives a meaning to.
_PLAIN = re.compile(r"[A-Za-z0-9_ .,;+~=<>!*:/@\[\]-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Prose goes into comments only, packages are read as requirements, a GPU's name comes from its driver.
_ELSEWHERE = {"packages", "notes", "sources", "torchaudio_reason", "gpus", "environment"}


def require_plain(stack: Stack) -> None:
    """Raises InputError where a field of the plan holds what no version, name or address holds."""
    for name, value in msgspec.structs.asdict(stack).items():
        if name in _ELSEWHERE:
            continue
        for text in value if isinstance(value, tuple) else (value,):
            if text is not None and not _PLAIN.fullmatch(str(text)):
                raise InputError(f"the plan's {name} is {text!r}, which is no such thing; make the plan anew")
    for name, text in stack.environment.items():
        if not _VARIABLE.fullmatch(name) or not text.isprintable():
            raise InputError(f"the plan sets the variable {name!r} to {text!r}, which no shell can; make the plan anew")
