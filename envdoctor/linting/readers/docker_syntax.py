"""Splits a Dockerfile into instructions as docker build does: continuations, comments between them, here-documents.

Source: docs.docker.com/reference/dockerfile. No library in use keeps line numbers through here-documents and ARG at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from envdoctor.linting.script import UNKNOWN, expanded

_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


class Instruction(msgspec.Struct, frozen=True):
    """One instruction: its keyword in capitals, its text without continuations, and its physical lines with their numbers."""

    keyword: str
    text: str
    lines: tuple[tuple[int, str], ...]

    @property
    def line(self) -> int:
        return self.lines[0][0]

    def line_of(self, word: str) -> int:
        """The line where a word of the instruction stands."""
        return next((number for number, text in self.lines if word and word in text), self.line)


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions in order. Comment lines and empty ones inside a continued instruction are skipped, as docker does."""
    escape = "`" if re.match(r"(?:#.*\n)*#\s*escape\s*=\s*`", text, re.IGNORECASE) else "\\"
    numbered = iter(enumerate(text.splitlines(), 1))
    for number, first in numbered:
        if not first.strip() or first.lstrip().startswith("#"):
            continue
        lines = [(number, first)]
        pieces = [first.rstrip()]
        while pieces[-1].endswith(escape):
            pieces[-1] = pieces[-1][: -len(escape)] + " "
            following = next(
                ((n, line) for n, line in numbered if line.strip() and not line.lstrip().startswith("#")), None
            )
            if following is None:
                break
            lines.append(following)
            pieces.append(following[1].strip())
        body: list[str] = []
        keyword, _, rest = "".join(pieces).strip().partition(" ")
        if keyword.upper() in ("RUN", "COPY", "ADD"):
            for match in _HEREDOC.finditer(rest):
                for n, line in numbered:
                    if line.strip() == match[2]:
                        break
                    lines.append((n, line))
                    body.append(line)
        if body and keyword.upper() == "RUN":
            rest = _HEREDOC.sub("", rest) + "\n" + "\n".join(body)
        yield Instruction(keyword.upper(), rest.strip(), tuple(lines))


def substitute(text: str, values: Mapping[str, str | None]) -> str | None:
    """`text` with its variables filled in; None where one is not known (an ARG without default)."""
    filled = expanded(text, values)
    return None if UNKNOWN in filled else re.sub(r"\\(.)", r"\1", filled)
