"""YAML with line numbers, by PyYAML's safe loader: nothing in a file can make an object or run anything."""

from __future__ import annotations

from typing import Any

import yaml

from envdoctor.errors import InputError

MOST_VALUES = 100_000
"""Aliases of aliases make a few lines stand for more values than there is memory."""


class Mapping(dict[Any, Any]):
    """A mapping that knows the line of each of its keys, counted from 1, and its own."""

    line: int = 1
    lines: dict[Any, int]


class Sequence(list[Any]):
    """A list that knows the line of each of its items."""

    lines: list[int]


class _TooManyError(Exception):
    pass


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Mapping:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, "this is no mapping", node.start_mark)
    loader.flatten_mapping(node)  # merges `<<: *anchor` as Compose does
    found = Mapping()
    found.line = node.start_mark.line + 1
    found.lines = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        try:
            found.lines[key] = key_node.start_mark.line + 1
        except TypeError as error:
            raise yaml.constructor.ConstructorError(None, None, "a key that is no text", key_node.start_mark) from error
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> Sequence:
    if not isinstance(node, yaml.SequenceNode):
        raise yaml.constructor.ConstructorError(None, None, "this is no list", node.start_mark)
    found = Sequence(loader.construct_object(item, deep=True) for item in node.value)
    found.lines = [item.start_mark.line + 1 for item in node.value]
    return found


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """What its type makes of it, else its text: 2020-99-99 looks like a date and is none, and other readers take it as text."""
    construct = yaml.SafeLoader.yaml_constructors[node.tag]
    try:
        return construct(loader, node)
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, yaml.YAMLError):
        return str(node.value)


def _other(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    """Compose's own tags (!reset, !override) leave the value that they stand before."""
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node)
    if isinstance(node, yaml.SequenceNode):
        return _sequence(loader, node)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_SEQUENCE_TAG, _sequence)
for _type in ("null", "bool", "int", "float", "binary", "timestamp"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_type}", _scalar)
_Loader.add_multi_constructor("!", _other)


def _weigh(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of values that a node stands for with its aliases followed. Raises _TooMany past MOST_VALUES."""
    weight = known.get(id(node))
    if weight is not None:
        return weight
    known[id(node)] = MOST_VALUES  # a node that holds itself
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        inner = node.value
    elif isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    weight = 1 + sum(_weigh(part, known) for part in inner)
    if weight > MOST_VALUES:
        raise _TooManyError
    known[id(node)] = weight
    return weight


def load(name: str, text: str) -> list[Any]:
    """The documents of a YAML text. Raises InputError with the line where it is no YAML."""
    try:
        return _documents(text)
    except _TooManyError:
        raise InputError(f"{name} stands for more than {MOST_VALUES:,} values, or for itself, by its aliases") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        deep = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        problem = getattr(error, "problem", None) or deep
        raise InputError(f"{where} is no YAML: {problem}") from error


def _documents(text: str) -> list[Any]:
    loader = _Loader(text)
    found = []
    while loader.check_node():
        node = loader.get_node()
        assert node is not None
        _weigh(node, {})
        found.append(loader.construct_document(node))
    return found
