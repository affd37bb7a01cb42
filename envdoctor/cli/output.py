"""What is printed as it is (JSON, Markdown, a file's text): without credentials, and with nothing that a terminal obeys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout

import click


def safe(text: str) -> str:
    """A whole document as it may be printed or written. JSON stays the same JSON."""
    # Their patterns take 5 ms to compile, which --help and most usage errors need not pay.
    from envdoctor.credentials import without_credentials
    from envdoctor.texts import visible

    return visible(without_credentials(text))


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    click.echo(safe(text), err=err, nl=nl)


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, each folded between words to the terminal's width. In a pipe a row stays one line."""
    import shutil
    import sys
    import textwrap

    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    room = max(shutil.get_terminal_size().columns, 40) if sys.stdout.isatty() else 1000
    # Where the names leave too little room beside them, what they are goes below.
    indent = width + 2 if width + 26 <= room else 4
    lines = []
    for name, words in listed:
        margin = f"{name:<{width}}  " if indent > 4 else f"{name}\n    "
        folded = textwrap.fill(words, room - indent, break_long_words=False).replace("\n", "\n" + " " * indent)
        lines.append(margin + folded)
    return "\n".join(lines)


@contextmanager
def result_to(output: str | None) -> Iterator[None]:
    """What is printed meanwhile goes to the file, in one step at the end, where one is named. Raises InputError."""
    if output is None:
        yield
        return
    import io
    from pathlib import Path

    from envdoctor.errors import InputError
    from envdoctor.files import write_atomically

    target = Path(output)
    if target.is_dir():
        raise InputError(f"{output} is a folder; give the name of a file")
    with redirect_stdout(io.StringIO()) as text:
        yield
    write_atomically(target, text.getvalue())
    echo(f"Wrote {output}", err=True)
