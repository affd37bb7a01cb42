"""`envdoctor check`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envdoctor.cli import machine_options
from envdoctor.cli.completions import codes
from envdoctor.cli.gathering import content, gather
from envdoctor.cli.output import echo
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.diagnosis.model import Diagnosed, Diagnosis
    from envdoctor.facts.model import Snapshot
    from envdoctor.planning.model import TargetGpu

FORMATS = ("text", "json", "markdown", "github", "gitlab", "junit", "sarif", "html")


@click.command("check")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--python", metavar="PATH", help="The Python to look into: an executable, a command or an environment's folder."
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Judge a snapshot, a dump, a log or an error instead of this machine; - reads standard input.",
)
@machine_options.gpu
@machine_options.driver
@click.option(
    "--expect",
    metavar="GPUS|FILE",
    help="Fail where a GPU of these is missing: '8x H100', or a good machine's snapshot.",
)
@click.option("--fast", is_flag=True, help="Do not import torch.")
@click.option("--strict", is_flag=True, help="Exit with 1 for a warning too.")
@click.option(
    "--only",
    "only",
    metavar="CODE",
    multiple=True,
    shell_complete=codes,
    help="Run this diagnosis only; may be repeated.",
)
@click.option("--list", "list_codes", is_flag=True, help="List the diagnoses and stop.")
@click.option("-o", "--output", metavar="FILE", help="Write the report to FILE instead of standard output.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="How to report.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing where nothing is found.")
@click.option("-v", "--verbose", is_flag=True, help="Show as well what was looked for and not found.")
def command(
    files: tuple[str, ...],
    python: str | None,
    source: str | None,
    gpus: tuple[str, ...],
    driver: str | None,
    expect: str | None,
    fast: bool,
    strict: bool,
    only: tuple[str, ...],
    list_codes: bool,
    output: str | None,
    style: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Find what is wrong with this machine's PyTorch stack, and how to repair it.

    It looks at the driver, the GPUs, CUDA, the libraries and the Python environment that is active (or that --python names),
    tries torch there, and reports the root cause with the commands that repair it. It changes nothing.

    With FILEs (Dockerfile, compose.yaml, requirements.txt, pyproject.toml, pixi.toml, environment.yml) it looks into these
    instead, and finds what in them will not run on this machine, or nowhere. --gpu and --driver describe another machine for
    that, or --from names its snapshot.

    Exit code: 0 nothing is broken, 1 something is, 2 wrong usage or input, 3 a defect of envdoctor.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other")
    if list_codes:
        return _list(only)
    if not files and (gpus or driver is not None):
        raise click.UsageError("--gpu and --driver go with FILEs: without them, this machine is looked at")
    if files and expect is not None:
        raise click.UsageError("--expect is about a machine, and not about FILEs")
    if only:
        _select(only)  # a wrong code is told before the machine is looked at
    expected = _expected(expect) if expect is not None else ()
    if files:
        snapshot, diagnosed = _linted(files, (gpus, driver), python=python, source=source, only=only)
    else:
        snapshot, diagnosed = _judged(python, source, only, live=not fast, style=style)
    if expected:
        from envdoctor.diagnosis.expectation import held_against
        from envdoctor.knowledge import load

        diagnosed = held_against(expected, diagnosed, snapshot, load())

    from envdoctor.cli.output import result_to
    from envdoctor.diagnosis.model import Severity, Verdict

    # What is not known, or was not judged, is told even so: it is no green.
    sound = (
        not any(account.not_judged for account in diagnosed.accounts) if files else diagnosed.verdict is Verdict.HEALTHY
    )
    if not (quiet and sound and not diagnosed.findings):
        with result_to(output):
            _render(style, snapshot, diagnosed, verbose=verbose)
    return int(diagnosed.has(Severity.WARNING if strict else Severity.ERROR))


def _judged(
    python: str | None, source: str | None, only: tuple[str, ...], *, live: bool, style: str
) -> tuple[Snapshot, Diagnosed]:
    if source is None:
        snapshot = gather(python=python, source=None, live=live, meanwhile=partial(_load_ahead, style))
    elif python is not None:
        raise InputError("--from and --python exclude each other: a snapshot already says which Python it is about")
    from envdoctor.diagnosis.judging import judge_content, judge_machine
    from envdoctor.knowledge import load

    if source is None:
        return snapshot, judge_machine(snapshot, load(), _select(only))
    return judge_content(content(source), load(), _select(only))


def _expected(text: str) -> tuple[TargetGpu, ...]:
    """The GPUs that are named, or those of a snapshot. Raises InputError for what is neither."""
    from envdoctor.knowledge import load
    from envdoctor.planning.gpu_list import gpu_of, parse_gpus
    from envdoctor.planning.machine_gpus import machine_gpus

    if not Path(text).is_file():
        return parse_gpus((text,), load())[0]
    good = gather(python=None, source=text, live=False)
    found = tuple(gpu for one in machine_gpus(good, load()) or () if (gpu := gpu_of(one)) is not None)
    if not found:
        raise InputError(f"no GPU is known in {text}, so none can be missing")
    return found


def _linted(
    files: tuple[str, ...],
    described_machine: tuple[tuple[str, ...], str | None],
    *,
    python: str | None,
    source: str | None,
    only: tuple[str, ...],
) -> tuple[Snapshot, Diagnosed]:
    from envdoctor.linting import readers

    described = [readers.read(name) for name in files]  # a wrong name is told before the machine is looked at
    from envdoctor.facts.model import Snapshot
    from envdoctor.knowledge import load
    from envdoctor.linting.linter import lint
    from envdoctor.planning.target import describe, from_snapshot

    gpus, driver = described_machine
    target = None
    if gpus or driver is not None:
        base = from_snapshot(gather(python=python, source=source, live=False), load()) if source is not None else None
        target = describe(load(), gpus=gpus, driver=driver, base=base)
        snapshot = Snapshot()
    else:
        # What torch does here says nothing about an environment that is yet to be made.
        snapshot = gather(python=python, source=source, live=False)
    return snapshot, lint(described, snapshot, load(), only, target)


def _select(only: tuple[str, ...]) -> tuple[Diagnosis, ...]:
    from envdoctor.diagnosis.catalogue import select

    return select(only)


def _list(only: tuple[str, ...]) -> int:
    from envdoctor.cli.output import columns

    chosen = _select(only)
    width = max(len(d.code) for d in chosen)
    echo(columns((f"{d.code:<{width}}  {d.severity.value:<7}", d.title) for d in chosen))
    return 0


def _load_ahead(style: str) -> None:
    """Imports what comes after the probes while these wait for their child processes."""
    _select(())
    if style in ("text", "html"):
        import envdoctor.report.check.text  # noqa: F401


def _render(style: str, snapshot: Snapshot, diagnosed: Diagnosed, *, verbose: bool) -> None:
    if style == "json":
        from envdoctor.report.check.data import to_json

        echo(to_json(snapshot, diagnosed))
    elif style in ("markdown", "github", "junit"):
        from envdoctor.report.check import markdown

        write = {"markdown": markdown.to_markdown, "github": markdown.to_github, "junit": markdown.to_junit}[style]
        echo(write(snapshot, diagnosed))
    elif style in ("gitlab", "sarif"):
        from envdoctor.report.check import code_quality

        echo({"gitlab": code_quality.to_gitlab, "sarif": code_quality.to_sarif}[style](snapshot, diagnosed))
    else:
        from envdoctor.console import Console
        from envdoctor.report.check.text import print_report

        if style == "html":
            import io

            console = Console(record=True, file=io.StringIO(), width=110, force_terminal=True)
            print_report(console, snapshot, diagnosed, verbose=verbose)
            echo(console.export_html(inline_styles=True))
        else:
            print_report(Console(highlight=False), snapshot, diagnosed, verbose=verbose)
