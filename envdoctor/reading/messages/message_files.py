"""The messages of a cause, as data in a file of its name beside it, read when a text is searched.

A row: `text`, `source`, `weight` as in Message; `group`, where a diagnosis means some of its messages by a name of their own; and
`when`, a condition: its name in conditions.py, tracebacks.py, wheel_tags.py or install_refusals.py, `{"near": [...]}`,
`{"near_line": [...]}`, `{"value": [placeholder, word...]}`, or `{"not": condition}`. A row `{"shared": name, "weight": w}` stands
for the wordings of that name in shared.json, which several causes share, each with the weight that they have for this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import overload

import msgspec

from envdoctor.reading.messages.message import Condition, Message

Rule = str | dict[str, str | dict[str, list[str]] | list[str]]


class MessageRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message as it stands in a file, or the name of shared ones."""

    text: str = ""
    source: str = ""
    shared: str | None = None
    weight: float = 1.0
    when: Rule | None = None
    group: str | None = None


class SharedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wording that several causes have in common; `less`: what it weighs less than the weight that a cause gives them."""

    text: str
    source: str
    less: float = 0.0
    when: Rule | None = None


class MessageFile(Sequence[Message]):
    """The messages of one file, or of one group in it, in its order; the file is read when the first of them is asked for."""

    def __init__(self, path: Path, own: dict[str, Condition], whole: MessageFile | None = None, name: str = "") -> None:
        """`own`: conditions that this cause alone knows, by name. `whole`, `name`: the file of which this is a group."""
        self._path, self._own = path, own
        self._whole, self._name = whole, name
        self._groups: dict[str, MessageFile] = {}

    def group(self, name: str) -> MessageFile:
        """The messages of one group."""
        return self._groups.setdefault(name, MessageFile(self._path, self._own, self, name))

    @cached_property
    def _rows(self) -> list[tuple[str | None, Message]]:
        found: list[tuple[str | None, Message]] = []
        for row in msgspec.json.decode(self._path.read_bytes(), type=list[MessageRow]):
            if row.shared is None:
                found.append((row.group, Message(row.text, row.source, row.weight, self._condition(row.when))))
                continue
            found += [
                (row.group, Message(one.text, one.source, round(row.weight - one.less, 3), self._condition(one.when)))
                for one in _shared()[row.shared]
            ]
        return found

    @cached_property
    def _messages(self) -> list[Message]:
        if self._whole is None:
            return [message for _, message in self._rows]
        return [message for group, message in self._whole._rows if group == self._name]

    def _condition(self, rule: Rule | None) -> Condition | None:
        return None if rule is None else _condition(rule, self._own)

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, place: int) -> Message: ...
    @overload
    def __getitem__(self, place: slice) -> list[Message]: ...
    def __getitem__(self, place: int | slice) -> Message | list[Message]:
        return self._messages[place]

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)


def beside(module: str, **own: Condition) -> MessageFile:
    """The messages beside a diagnosis: `beside(__file__)`; conditions of its own by name."""
    return MessageFile(Path(module).with_suffix(".json"), own)


@cache
def _shared() -> dict[str, list[SharedRow]]:
    data = Path(__file__).with_name("shared.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, list[SharedRow]])


def _condition(rule: Rule | dict[str, list[str]] | list[str], own: dict[str, Condition]) -> Condition:
    from envdoctor.reading.messages import conditions, install_refusals, tracebacks, wheel_tags

    if isinstance(rule, str):
        places = (vars(module) for module in (conditions, tracebacks, wheel_tags, install_refusals))
        found: Condition | None = next((place[rule] for place in (own, *places) if rule in place), None)
        if found is None:
            raise ValueError(f"there is no condition {rule!r}")
        return found
    if not isinstance(rule, dict) or len(rule) != 1:
        raise ValueError(f"no condition: {rule!r}")
    ((verb, argument),) = rule.items()
    if verb == "not":
        return conditions.without(_condition(argument, own))
    if not isinstance(argument, list) or verb not in ("near", "near_line", "value"):
        raise ValueError(f"no condition: {rule!r}")
    if verb == "value":
        return conditions.value(*argument)
    return conditions.near(*argument) if verb == "near" else conditions.near_line(*argument)
