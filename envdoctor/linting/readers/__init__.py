"""Reads a file that describes an environment: finds out what it is by its name, else by what it holds."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from envdoctor.errors import InputError
from envdoctor.linting.model import Described
from envdoctor.texts import short_numbers

LARGEST = 1 << 20
KINDS = "a Dockerfile, a Compose file, requirements.txt, pyproject.toml, pixi.toml or a conda environment.yml"


def read(name: str) -> Described:
    """What the file `name` says. Raises InputError where it cannot be read or is of no kind that is known."""
    path = Path(name)
    try:
        if path.is_dir():
            raise InputError(f"{name} is a folder; name the files in it: {KINDS}")
        if not path.is_file():
            raise InputError(f"cannot read {name}: there is no such file")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{name} is larger than {LARGEST >> 20} MiB: it is hardly {KINDS}")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is no text (UTF-8); envdoctor reads {KINDS}") from error
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
    return parse(name, text)


def parse(name: str, text: str) -> Described:
    """The same from its text; files that it includes are looked for beside `name`."""
    return msgspec.structs.replace(_parse(name, text), text=text)


def _parse(name: str, text: str) -> Described:
    from envdoctor.linting.readers import dockerfile
    from envdoctor.linting.readers.siblings import sibling_of

    text = short_numbers(text)
    kind = kind_of(name, text)
    sibling = sibling_of(Path(name))
    if kind == "dockerfile":
        return dockerfile.read(name, text, sibling)
    if kind == "requirements":
        from envdoctor.linting.readers import requirements

        return requirements.read(name, text, sibling)
    if kind == "pyproject":
        from envdoctor.linting.readers import pyproject

        return pyproject.read(name, text)
    if kind == "pixi":
        from envdoctor.linting.readers import pixi

        return pixi.read(name, text)
    if kind == "compose":
        from envdoctor.linting.readers import compose

        return compose.read(name, text, sibling)
    if kind == "conda":
        from envdoctor.linting.readers import conda_environment

        return conda_environment.read(name, text)
    raise InputError(f"{name} is of no kind that envdoctor reads; it reads {KINDS}")


def kind_of(name: str, text: str) -> str | None:
    """'dockerfile', 'compose', 'requirements', 'pyproject', 'pixi' or 'conda'; None for anything else."""
    base = Path(name).name.lower()
    if re.search(r"(^|[.\-_])(dockerfile|containerfile)([.\-_]|$)", base):
        return "dockerfile"
    if base == "pixi.toml":
        return "pixi"
    if base.endswith(".toml"):
        tables = r"^\[+(project|build-system|tool|dependency-groups)\b"
        return "pyproject" if base == "pyproject.toml" or re.search(tables, text, re.MULTILINE) else None
    if base.endswith((".yml", ".yaml")):
        if re.search(r"^services\s*:", text, re.MULTILINE):
            return "compose"
        return "conda" if re.search(r"^dependencies\s*:", text, re.MULTILINE) else None
    if base.endswith((".txt", ".in", ".pip")):
        return "requirements"
    if re.search(r"\.(py|ipynb|sh|md|rst|json|cfg|ini)$", base):
        return None
    return "dockerfile" if re.search(r"^FROM\s+\S+", text, re.MULTILINE | re.IGNORECASE) else None
