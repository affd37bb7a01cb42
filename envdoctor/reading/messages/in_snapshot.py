"""A diagnosis's own messages, looked for in what torch, its import and a pasted text said: one place for wordings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from envdoctor.facts.model import Snapshot
from envdoctor.reading.messages.loader_errors import Said, said
from envdoctor.reading.messages.message import Message, Occurrence
from envdoctor.reading.messages.normalised_text import Page
from envdoctor.reading.messages.pattern import Signature, compile_message

SURE = 0.9
"""Messages of less weight are candidates for `explain`, and no ground for a finding."""


def first_said(machine: Snapshot, messages: Sequence[Message], least: float = SURE) -> Said | None:
    """The first line in which one of the messages stands that weighs `least` or more; wrapped ones are found as well."""
    lines = tuple(said(machine))
    if not lines:
        return None
    page = Page([line.text for line in lines])
    places = []
    for signature in _signatures(messages):
        if signature.message.weight < least:
            continue
        condition = signature.message.when
        for start, end, values in signature.places(page, 0):
            first, last = page.line_at(start), page.line_at(end - 1)
            before, after = tuple(page.lines[max(first - 60, 0) : first]), tuple(page.lines[last + 1 : last + 16])
            if condition is None or condition(Occurrence(page.whole_lines(start, end), values, before, after)):
                places.append(first)
                break
    return lines[min(places)] if places else None


@cache
def _signatures(messages: Sequence[Message]) -> tuple[Signature, ...]:
    return tuple(compile_message("", message) for message in messages)
