"""Reads a Dockerfile: its stages, with build arguments filled in and what each of them copies from another."""

from __future__ import annotations

import re
from collections.abc import Callable

from envdoctor.errors import InputError
from envdoctor.linting.model import Described
from envdoctor.linting.readers.docker_stage import MOST_INSTALLS, Stage, words_of
from envdoctor.linting.readers.docker_syntax import instructions, substitute

MOST_STAGES, MOST_INSTRUCTIONS, MOST_LINES = 200, 10_000, 5_000
"""More than any Dockerfile has: stages, instructions, lines of one instruction."""
# COPY --from=build, RUN --mount=type=bind,from=build,...
_SOURCE = re.compile(r"--(?:from=|mount=\S*\bfrom=)([^\s,]+)")


def read(name: str, text: str, sibling: Callable[[str], tuple[str, str] | None]) -> Described:
    """What each stage makes. `sibling(path)` gives (name, text) of a file of the build context, None where there is none."""
    stages: dict[str, Stage] = {}
    ordered: list[Stage] = []
    defaults: dict[str, str | None] = {}
    stage: Stage | None = None
    for number, instruction in enumerate(instructions(text)):
        few = number < MOST_INSTRUCTIONS and len(ordered) <= MOST_STAGES and len(instruction.lines) <= MOST_LINES
        if not few or (stage is not None and len(stage.installs) > MOST_INSTALLS):
            raise InputError(
                f"{name}:{instruction.line}: more stages, instructions, lines or installs than any Dockerfile has"
            )
        if instruction.keyword == "FROM":
            stage = Stage.begin(name, instruction, defaults, stages)
            ordered.append(stage)
            for alias in (stage.alias, str(len(ordered) - 1)):
                if alias:
                    stages[alias] = stage
        elif instruction.keyword == "ARG":
            # An ARG before the first FROM serves FROM lines, and a stage that repeats its name.
            target = defaults if stage is None else stage.values
            for word in words_of(instruction.text):
                key, has_default, value = word.partition("=")
                target[key] = substitute(value, target) if has_default else defaults.get(key)
        elif stage is not None:
            for source in _SOURCE.findall(instruction.text) if instruction.keyword in ("COPY", "RUN") else ():
                if (given := stages.get(source.lower())) is not None:
                    given.copied = True
            stage.take(instruction, sibling)
    if stage is not None and len(stage.installs) > MOST_INSTALLS:
        raise InputError(f"{name} has more installs than any Dockerfile has")
    kept = ordered[-1].lineage() if ordered else []
    for other in ordered:
        # What nobody copies from is built for itself, with --target.
        other.runs = other in kept or not other.copied
    return Described(name=name, kind="dockerfile", environments=tuple(s.environment() for s in ordered))
