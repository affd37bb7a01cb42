"""`envdoctor version`."""

from __future__ import annotations

import click

from envdoctor.cli.output import echo


@click.command("version")
def command() -> None:
    """Show the version, as --version does."""
    from envdoctor import __version__

    echo(f"envdoctor {__version__}")
