"""Texts that come from elsewhere: numbers of any length, control characters, and what a terminal would obey."""

from __future__ import annotations

import re

MOST_DIGITS = 300
"""What float() can still hold; int() refuses more than 4,300. No version, size or count has as many."""
_LONG_NUMBER = re.compile(rf"(\d{{{MOST_DIGITS}}})\d+")
# Sequences that a terminal obeys: CSI (colours, the cursor), OSC (titles, links, the clipboard), DCS and their like.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
)
# C0 but for tab and line feed, DEL, C1, and what changes the direction or the place of the text around it.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def short_numbers(text: str) -> str:
    """`text` with the first 300 digits of every number that is longer."""
    return _LONG_NUMBER.sub(r"\1", text)


def visible(text: str) -> str:
    """`text` as a terminal, a page or a comment may show it: nothing in it is obeyed, and nothing hides.

    Whole escape sequences are left out, for they hold no words; any other control character is shown by its number. Tabs and
    line feeds stay.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return _UNSEEN.sub(_number, _SEQUENCE.sub("", text))


def well_formed(text: str) -> str:
    """`text` without halves of characters, which is how Python keeps bytes that are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _number(match: re.Match[str]) -> str:
    """As JSON writes it, so that a document of it stays one."""
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
