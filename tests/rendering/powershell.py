"""PowerShell without PowerShell: the grammar that editors use."""

from __future__ import annotations

import re

import tree_sitter
import tree_sitter_powershell

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
# The language's own rule (about_Quoting_Rules): any of its single quotes ends a literal, two of them are one.
_QUOTES = "'\u2018\u2019\u201a\u201b"


def errors(script: str) -> list[str]:
    """The places that are no PowerShell, in words."""
    found = []
    waiting = [_PARSER.parse(script.encode()).root_node]
    while waiting:
        node = waiting.pop()
        if node.type == "ERROR" or node.is_missing:
            found.append(f"line {node.start_point.row + 1}: {(node.text or b'').decode()[:80]}")
        waiting += node.children
    return found


def literal(text: str) -> str:
    """The value of a single-quoted literal, which the whole text must be."""
    assert len(text) >= 2
    assert text[0] == text[-1] == "'"
    pairs = re.compile(f"([{_QUOTES}])[{_QUOTES}]")
    body = text[1:-1]
    assert not set(pairs.sub("", body)) & set(_QUOTES), "a quote that ends the literal"
    return pairs.sub(r"\1", body)
