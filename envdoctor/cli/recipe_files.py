"""What `envdoctor recipe NAME` does with a plan: files, text on standard output, or an environment made here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from envdoctor.cli.output import echo

if TYPE_CHECKING:
    from envdoctor.planning.model import Plan, Stack
    from envdoctor.rendering.model import RenderedFile


def apply_plan(planned: Plan, directory: Path) -> int:
    """Makes the environment of a plan in `directory` and says what came of it. Returns the exit code."""
    from envdoctor.console import Console
    from envdoctor.diagnosis.model import Severity
    from envdoctor.rendering.apply import apply

    stack = with_a_python_that_is_here(planned)
    made = apply(stack, directory, Console(stderr=True, highlight=False))
    echo(f"{made.directory} is ready: {made.proof}")
    if stack.gpus and not made.on_gpu:
        echo("Note: it was proved on the CPU only; torch did not get at a GPU here.", err=True)
    if made.diagnosed.has(Severity.ERROR):
        echo(f"Note: `envdoctor check --python {made.directory}` finds more to repair on this machine.", err=True)
    return 0


def with_a_python_that_is_here(planned: Plan) -> Stack:
    """The plan's Stack; where its Python cannot be had here and nobody insisted on one, the Stack for the active Python."""
    import msgspec

    from envdoctor.errors import InputError
    from envdoctor.knowledge import load
    from envdoctor.planning.planner import plan
    from envdoctor.rendering.interpreter import find_python, python_wanted

    stack, target, wishes = planned.stack, planned.target, planned.wishes
    if stack is None:
        raise ValueError("there is no plan to carry out")
    if wishes.python is not None or target.python is None or stack.python == target.python:
        return stack
    try:
        find_python(python_wanted(stack))
    except InputError:
        here = plan(target, msgspec.structs.replace(wishes, python=target.python), load()).stack
        if here is None:
            raise
        echo(
            f"Note: torch {stack.torch} wants Python {stack.python}, which is not here; "
            f"with Python {target.python} it is torch {here.torch}.",
            err=True,
        )
        return here
    return stack


def write_or_print(target: str, stack: Stack, *, folder: str | None, force: bool, hashes: bool = False) -> int:
    """The files of one recipe, into a folder or onto standard output; notes go to standard error. Returns the exit code."""
    from envdoctor.rendering.catalogue import ARCHIVES, render
    from envdoctor.rendering.model import Options

    files = render(target, stack, Options(arguments=_arguments(), hashes=hashes))
    wanted = ARCHIVES.get(target)
    if folder is not None:
        from envdoctor.rendering.writing import write, write_archive

        for place in write(files, Path(folder), force=force):
            echo(f"wrote {place}", err=True)
        if wanted is not None:
            _say_of_archive(write_archive(wanted, Path(folder)), Path(folder, wanted))
    else:
        _print(files, wanted)
    for note in stack.notes:
        echo(f"Note: {note}", err=True)
    return 0


def _arguments() -> tuple[str, ...]:
    """What was typed after the recipe's name, but for where the files go."""
    context = click.get_current_context()
    said: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if not isinstance(parameter, click.Option) or parameter.name in _NOT_OF_THE_PLAN or value in (None, False, ()):
            continue
        if value == parameter.default:
            continue
        name = max(parameter.opts, key=len)
        for one in value if isinstance(value, tuple) else (value,):
            said += [name] if one is True else [name, str(one)]
    return tuple(said)


_NOT_OF_THE_PLAN = ("folder", "force", "environment", "style", "show_list")


def _print(files: tuple[RenderedFile, ...], archive: str | None) -> None:
    """The main file as it is, so that it can be redirected; the others are named on standard error."""
    echo(files[0].text, nl=False)
    others = [*(file.path for file in files[1:]), *((archive,) if archive else ())]
    if others:
        echo(f"Note: with -o DIR come also {', '.join(others)}", err=True)


def _say_of_archive(written: bool, place: Path) -> None:
    if written:
        echo(f"wrote {place}", err=True)
    elif not place.exists():
        echo(
            f"Note: these files run {place}, which is not here: `make dist` in a checkout of envdoctor builds it",
            err=True,
        )
