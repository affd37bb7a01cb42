"""One message, ready to be looked for.

A message is a row of literals with gaps. The longest literal is looked for with str.find; around each place where it stands,
the others must follow in order, each within GAP characters. Nothing backtracks: the nearest place is taken or the match fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.normalised_text import Page, squashed

PLACEHOLDER = re.compile(r"\{([a-z_]{1,20})\}")
GAP = 240
"""What a placeholder may stand for, in characters without white space: a path, a device's name, a list of architectures."""


class Signature(msgspec.Struct, frozen=True):
    """A message, ready to be looked for."""

    code: str
    message: Message
    literals: tuple[str, ...]
    names: tuple[str, ...]
    """Placeholder names; names[i] stands between literals[i] and literals[i + 1]."""
    anchor: int
    """Index of the longest literal."""

    def places(self, page: Page, start: int) -> Iterator[tuple[int, int, dict[str, str]]]:
        """(start, end, values) of each occurrence that ends after `start`."""
        text, anchor = page.text, self.literals[self.anchor]
        place = text.find(anchor)
        while place != -1:
            found = self._around(text, place)
            after = place + len(anchor)
            if found is not None:
                if found[-1][1] > start:
                    values = {
                        name: page.original(found[i][1], found[i + 1][0])
                        for i, name in enumerate(self.names)
                        if i + 1 < len(found)
                    }
                    yield found[0][0], found[-1][1], values
                after = max(after, found[-1][1])
            place = text.find(anchor, after)

    def _around(self, text: str, place: int) -> list[tuple[int, int]] | None:
        """Where each literal stands, the anchor being at `place`."""
        anchor = self.literals[self.anchor]
        spans = [(place, place + len(anchor))]
        for literal in reversed(self.literals[: self.anchor]):
            end = spans[0][0]
            at = text.rfind(literal, max(end - GAP - len(literal), 0), end)
            if at == -1:
                return None
            spans.insert(0, (at, at + len(literal)))
        for literal in self.literals[self.anchor + 1 :]:
            end = spans[-1][1]
            at = text.find(literal, end, end + GAP + len(literal))
            if at == -1:
                return None
            spans.append((at, at + len(literal)))
        return spans


def compile_message(code: str, message: Message) -> Signature:
    """Raises ValueError for a text that could match anywhere."""
    parts = PLACEHOLDER.split(message.text.removeprefix("NVRM:"))
    literals, names = parts[::2], parts[1::2]
    squashed_literals, kept = [squashed(literals[0])], []
    for place, (name, literal) in enumerate(zip(names, literals[1:], strict=True), 1):
        # Two placeholders with nothing but a space between them are one.
        if squashed(literal) or place == len(names):
            squashed_literals.append(squashed(literal))
            kept.append(name)
    names = kept
    # A placeholder at an end stands for nothing that could be looked for.
    if squashed_literals[0] == "" and len(squashed_literals) > 1:
        squashed_literals, names = squashed_literals[1:], names[1:]
    if squashed_literals[-1] == "" and len(squashed_literals) > 1:
        squashed_literals, names = squashed_literals[:-1], names[: len(squashed_literals) - 2]
    anchor = max(range(len(squashed_literals)), key=lambda i: len(squashed_literals[i]))
    if len(squashed_literals[anchor]) < 4 or sum(map(len, squashed_literals)) < 5:
        raise ValueError(f"{code}: too short to tell anything: {message.text}")
    return Signature(code, message, tuple(squashed_literals), tuple(names), anchor)


def compile_all(messages: Iterable[tuple[str, Message]]) -> tuple[Signature, ...]:
    """The messages, each with the code of the cause that it means, ready to be looked for."""
    return tuple(compile_message(code, message) for code, message in messages)
