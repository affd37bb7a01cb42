"""Lines of text on a console."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def wrapped(console: Console, text: Text, lead: str | Text = "") -> None:
    """Wrapped to the terminal, later lines under the first; no padding at line ends, so that pipes stay clean."""
    first = Text(lead) if isinstance(lead, str) else lead
    for line in text.wrap(console, max(console.width - first.cell_len, 20)):
        line.rstrip()
        console.print(first + line, soft_wrap=True)
        first = Text(" " * first.cell_len)
