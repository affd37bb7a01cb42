"""`envdoctor diff`: what differs between a machine that works and one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from envdoctor.cli.output import echo
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.facts.model import Snapshot

LIVE = "live"


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="[B]", default=LIVE)
@click.option("--python", metavar="PATH", help="Of this machine: the Python to look into, as for check.")
@click.option("--fast", is_flag=True, help="Of this machine: do not import torch.")
@click.option(
    "--all", "everything", is_flag=True, help="Show what always differs too: clocks, free memory, serial numbers."
)
@click.option(
    "--format",
    "style",
    type=click.Choice(("text", "json", "markdown")),
    default="text",
    show_default=True,
    help="How to report.",
)
def command(a: str, b: str, python: str | None, fast: bool, everything: bool, style: str) -> int:
    """Show what differs between two machines, the telling differences first.

    A and B are snapshots, JSON reports of check, or dumps such as collect_env's; - reads one of them from standard input.
    'live', or no B, is this machine.

    \b
      envdoctor diff works.json broken.json
      envdoctor diff works.json
      ssh works envdoctor snapshot | envdoctor diff - live

    Exit code: 0 nothing telling differs, 1 something does, 2 wrong usage or input, 3 a defect of envdoctor.
    """
    if (a, b) == ("-", "-"):
        raise InputError("only one of the two can be standard input; give a file for the other")
    if a == b == LIVE:
        raise InputError("both are this machine; give a snapshot for one of them")
    if python is not None and LIVE not in (a, b):
        raise InputError("--python is about this machine, and neither side is: leave out B, or leave out --python")
    first = _gathered(a, python, fast)
    second = _gathered(b, python, fast)

    from envdoctor.knowledge import load
    from envdoctor.machine_diff.difference import compare

    compared = compare(first, second, load(), everything=everything)
    from envdoctor.report.check import difference

    sides = [
        difference.ComparedMachine(letter="A", name=_name(a), snapshot=first, diagnosed=compared.diagnosed_a),
        difference.ComparedMachine(letter="B", name=_name(b), snapshot=second, diagnosed=compared.diagnosed_b),
    ]
    if style == "json":
        echo(difference.to_json(compared))
    elif style == "markdown":
        echo(difference.to_markdown(compared, sides))
    else:
        from envdoctor.console import Console

        difference.print_difference(Console(highlight=False), compared, sides, everything=everything)
    return int(compared.telling)


def _gathered(source: str, python: str | None, fast: bool) -> Snapshot:
    from envdoctor.cli.gathering import gather

    if source == LIVE:
        return gather(python=python, source=None, live=not fast)
    try:
        return gather(python=None, source=source, live=False)
    except InputError as error:
        # Two inputs: the message has to say which one.
        where = _name(source)
        raise error if where in str(error) else InputError(f"{where}: {error}") from None


def _name(source: str) -> str:
    return {LIVE: "this machine", "-": "standard input"}.get(source, source)
