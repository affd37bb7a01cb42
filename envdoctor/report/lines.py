"""Lines of text on a console."""

from __future__ import annotations

from rich.text import Text

from envdoctor.console import Console


def wrapped(
    console: Console, text: Text, lead: str | Text = "", indent: int | None = None, *, whole: bool = True
) -> None:
    """Wrapped to the terminal; later lines `indent` columns in, by default under the first. No padding at line ends, so that
    pipes stay clean. A `whole` path or address that is longer than a line is not broken, so that it can be copied and clicked.
    """
    first = Text(lead) if isinstance(lead, str) else lead
    indent = first.cell_len if indent is None else indent
    text = text.copy()
    text.overflow = "ignore" if whole else "fold"  # as an argument of wrap() it would mean not to wrap at all
    for line in text.wrap(console, max(console.width - max(first.cell_len, indent), 20)):
        line.rstrip()
        console.print(first + line, soft_wrap=True)
        first = Text(" " * indent)
