"""Splits a shell script into its simple commands, quotes and `$(...)` kept whole."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST_VALUE = 4096
"""A value past this is not followed: a few that double each other would fill the memory."""


def closing(text: str, at: int, opening: str, end: str) -> int:
    """Where the bracket that was opened before `at` is closed."""
    depth, start = 1, at
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == opening and (opening == "(" or text[at - 1] == "$"):
            depth += 1
        elif text[at] == end:
            depth -= 1
            if depth == 0:
                return at
        at += 1
        if at - start > LONGEST_VALUE:
            break
    return len(text)


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """(operator before it, text) of each simple command, quotes and `$(...)` kept whole."""
    at, start, quote, operator = 0, 0, "", ";"
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'":
            at += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif text[at : at + 2] in ("$(", "${"):
            at = closing(text, at + 2, text[at + 1], ")" if text[at + 1] == "(" else "}")
        elif character == "#" and (at == 0 or text[at - 1] in " \t\n;"):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            text = text[:at] + " " * (end - at) + text[end:] if end - at < LONGEST_VALUE else text[:at]
        elif character in ";\n()|" or (character == "&" and text[at - 1 : at] != ">" and text[at + 1 : at + 2] != ">"):
            if text[start:at].strip():
                yield operator, text[start:at]
                operator = ";"
            two = text[at : at + 2]
            found = two if two in ("&&", "||") else character
            operator = found if found in ("&&", "||", "|") or operator == ";" else operator
            at += len(two) if two in ("&&", "||", ";;") else 1
            start = at
            continue
        at += 1
    if text[start:].strip():
        yield operator, text[start:]
