"""A message that software reports a failure in, and one place in a text where it stands. Types only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Occurrence(msgspec.Struct, frozen=True):
    """One place in a text where a message's words stand: what its condition may look at."""

    line: str
    """The line (or the wrapped lines, joined) as the text has it, without prefixes and colours."""
    values: dict[str, str]
    """What stood in the place of each placeholder."""
    before: tuple[str, ...]
    """Up to 60 lines before it, cleaned: a traceback's frames, the loader's own lines."""
    after: tuple[str, ...] = ()
    """Up to 15 lines after it."""


Condition = Callable[[Occurrence], bool]
"""Whether an occurrence counts."""


class Message(msgspec.Struct, frozen=True):
    """One wording in which software reports a cause: what a diagnosis owns, and `explain` looks for.

    `text` is literal but for `{name}` placeholders, each of which stands for a short run of characters on the same line;
    letter case and white space do not matter (terminals and loggers wrap lines in mid-word). `source`: where that wording
    comes from (a public file of the software's source, its documentation, an issue), with the versions that print it where
    they are known. `weight`: how surely it means this cause: 1.0 nothing else prints it, 0.8 nearly always, 0.5 one of two
    or three causes, 0.3 a hint. `when` says whether an occurrence counts, where the words alone do not tell: the library
    that an undefined symbol is missing in, the add-on whose frame raised the error.
    """

    text: str
    source: str
    weight: float = 1.0
    when: Condition | None = None
