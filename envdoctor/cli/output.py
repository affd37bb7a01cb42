"""What is printed as it is (JSON, Markdown, a file's text): without credentials, and with nothing that a terminal obeys."""

from __future__ import annotations

import click


def safe(text: str) -> str:
    """A whole document as it may be printed or written. JSON stays the same JSON."""
    # Their patterns take 5 ms to compile, which --help and most usage errors need not pay.
    from envdoctor.credentials import without_credentials
    from envdoctor.texts import visible

    return visible(without_credentials(text))


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    click.echo(safe(text), err=err, nl=nl)
