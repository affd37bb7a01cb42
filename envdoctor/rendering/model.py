"""The types of a rendering: what goes in beside the Stack, and what comes out. Types only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from envdoctor.planning.model import Stack


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a recipe is told besides the Stack.

    `arguments`: of the command line that asked for it, after the recipe's name; they go into the header. `name`: of the
    project, environment, image or job. `environment`: the folder that venv and uv make. `gpus`: how many GPUs a container
    or a job gets, "all" or a number. `cpus`: cores for a job, None to let the template's own default stand.
    `hashes`: for requirements, with all that they need and the digest of each file, which asks the index.
    """

    arguments: tuple[str, ...] = ()
    name: str = "torch-stack"
    environment: str = ".venv"
    gpus: str = "all"
    cpus: int | None = None
    hashes: bool = False


class RenderedFile(msgspec.Struct, frozen=True):
    """One file. `path`: relative to the output folder, with forward slashes."""

    path: str
    text: str
    executable: bool = False


Render = Callable[[Stack, Options], tuple[RenderedFile, ...]]


class Recipe(msgspec.Struct, frozen=True):
    """One recipe. `summary`: its line in `recipe --list`. `primary`: the file that `recipe NAME` shows first."""

    name: str
    summary: str
    primary: str
    render: Render
