"""YAML with line numbers, by PyYAML's safe loader: nothing in a file can make an object or run anything."""

from __future__ import annotations

from typing import Any

import yaml

from envdoctor.errors import InputError


class Mapping(dict[Any, Any]):
    """A mapping that knows the line of each of its keys, counted from 1, and its own."""

    line: int = 1
    lines: dict[Any, int]


class Sequence(list[Any]):
    """A list that knows the line of each of its items."""

    lines: list[int]


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Mapping:
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
    found = Sequence(loader.construct_object(item, deep=True) for item in node.value)
    found.lines = [item.start_mark.line + 1 for item in node.value]
    return found


def _other(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    """Compose's own tags (!reset, !override) leave the value that they stand before."""
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node)
    if isinstance(node, yaml.SequenceNode):
        return _sequence(loader, node)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_SEQUENCE_TAG, _sequence)
_Loader.add_multi_constructor("!", _other)


def load(name: str, text: str) -> list[Any]:
    """The documents of a YAML text. Raises InputError with the line where it is no YAML."""
    loader = _Loader(text)
    try:
        found = []
        while loader.check_data():  # type: ignore[no-untyped-call]
            found.append(loader.get_data())
        return found
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or "nested too deeply"
        raise InputError(f"{where} is no YAML: {problem}") from error
    finally:
        loader.dispose()
