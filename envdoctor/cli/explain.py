"""`envdoctor explain`."""

from __future__ import annotations

import io
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from envdoctor.cli.completions import codes
from envdoctor.cli.output import echo, result_to
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.diagnosis.model import Diagnosed, Diagnosis
    from envdoctor.facts.model import Snapshot
    from envdoctor.reading.case import Case

FILE_ENDINGS = (".log", ".txt", ".out", ".err", ".json", ".md")
LARGE = 64 << 20
"""Of a longer text the progress is told, on a terminal, every so many bytes."""
STEP = 1 << 18


@click.command("explain")
@click.argument("text", nargs=-1, metavar="[TEXT|FILE|-|CODE]", shell_complete=codes)
@click.option("--from", "source", metavar="SNAPSHOT", help="Weigh the causes by these facts instead of this machine's.")
@click.option(
    "--python", metavar="PATH", help="The Python whose packages count: an executable or an environment's folder."
)
@click.option("--no-machine", is_flag=True, help="Judge by the text alone.")
@click.option("--all", "everything", is_flag=True, help="Show every candidate with all its fixes.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option(
    "--format", "style", type=click.Choice(("text", "json")), default="text", show_default=True, help="How to report."
)
def command(
    text: tuple[str, ...],
    source: str | None,
    python: str | None,
    no_machine: bool,
    everything: bool,
    output: str | None,
    style: str,
) -> int:
    """Find the cause of an error message, a traceback or a whole log; or show the page of a diagnosis.

    Give the text itself, a file, - for standard input, or a diagnosis's code. Each candidate comes with the line that means it,
    how sure that is, and the commands that repair it. This machine's facts (without importing torch) confirm candidates or rule
    them out; nothing is changed.

    Exit code: 0 also when nothing matches, 2 wrong usage or unreadable input, 3 a defect of envdoctor.
    """
    if source is not None and (no_machine or python is not None):
        raise InputError("--from excludes --no-machine and --python: the snapshot is the machine")
    if no_machine and python is not None:
        raise InputError("--no-machine and --python exclude each other")
    from envdoctor.diagnosis.model import Diagnosis

    with ExitStack() as stack:
        stack.enter_context(result_to(output))
        found = _resolve(" ".join(text), stack, source)
        if isinstance(found, Diagnosis):
            _show_page(found, style)
        else:
            _, diagnosed = _explain(found, source, python, no_machine)
            _render(diagnosed, style, everything)
    return 0


def _resolve(text: str, stack: ExitStack, source: str | None) -> BinaryIO | Diagnosis:
    """What was asked about: a diagnosis for a code, else a stream of bytes."""
    if text in ("", "-"):
        if text == "" and sys.stdin.isatty():
            raise InputError("give an error text, a file, - for standard input, or a code (`envdoctor check --list`)")
        if source == "-":
            raise InputError("the text and --from cannot both come from standard input")
        return sys.stdin.buffer
    single = not any(character.isspace() for character in text)
    if single:
        from envdoctor.diagnosis.catalogue import all_diagnoses

        known = {d.code: d for d in all_diagnoses()}
        if text in known:
            return known[text]
    try:
        if len(text) < 4096 and "\0" not in text and Path(text).exists():
            return stack.enter_context(Path(text).open("rb"))
    except OSError as error:
        raise InputError(f"cannot read {text[:200]}: {error.strerror or error}") from error
    if single:
        if ("/" in text and ":" not in text) or text.lower().endswith(FILE_ENDINGS):
            raise InputError(f"cannot read {text[:200]}: No such file or directory")
        from envdoctor.diagnosis.catalogue import nearest

        # A word with dashes is a code that was mistyped; any other must be nearer, for it may be an error's.
        code_like = re.fullmatch(r"[a-z]+(-[a-z]+)+", text.lower())
        if near := nearest(text.lower(), cutoff=0.6 if code_like else 0.75):
            raise InputError(f"there is no diagnosis '{text}'; did you mean {' or '.join(near)}?")
    return io.BytesIO(text.encode("utf-8", "surrogateescape"))


def _explain(stream: BinaryIO, source: str | None, python: str | None, no_machine: bool) -> tuple[Case, Diagnosed]:
    from envdoctor.diagnosis.judging import judge_text
    from envdoctor.knowledge import load

    machine = None if no_machine else _machine(source, python)
    try:
        return judge_text(stream, load(), machine, own=source is not None or python is not None, tick=_tell)
    except OSError as error:
        raise InputError(f"cannot read the text: {error.strerror or error}") from error
    finally:
        _tell(0)


def _tell(size: int) -> None:
    """One line on stderr that is written over; 0 takes it away."""
    if sys.stderr.isatty() and (size == 0 or (size >= LARGE and size % LARGE < STEP)):
        sys.stderr.write(f"\rRead {size >> 20:,} MiB" if size else "\r" + " " * 24 + "\r")
        sys.stderr.flush()


def _machine(source: str | None, python: str | None) -> Snapshot | None:
    """The facts to weigh the candidates by; a machine without any NVIDIA GPU is rarely the one that the text is from."""
    from envdoctor.cli.gathering import gather

    snapshot = gather(python=python, source=source, live=False)
    if source is not None or python is not None:
        return snapshot
    working = snapshot.nvml is not None and bool(snapshot.nvml.gpus)
    return snapshot if snapshot.nvidia_devices or working or snapshot.driver_version else None


def _show_page(diagnosis: Diagnosis, style: str) -> None:
    if style == "json":
        from envdoctor.report.check.explanation import page_to_json

        echo(page_to_json(diagnosis))
        return
    from envdoctor.console import Console
    from envdoctor.report.check.explanation_text import print_page

    print_page(Console(highlight=False), diagnosis)


def _render(diagnosed: Diagnosed, style: str, everything: bool) -> None:
    if style == "json":
        from envdoctor.report.check.explanation import to_json

        echo(to_json(diagnosed))
        return
    from envdoctor.console import Console
    from envdoctor.report.check.explanation_text import print_explanation

    print_explanation(Console(highlight=False), diagnosed, everything=everything)
