"""What no Snapshot may hold, redacted or not: tokens and passwords, halves of characters, values of another type."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from envdoctor.credentials import without_credentials
from envdoctor.facts.model import Snapshot
from envdoctor.texts import well_formed

T = TypeVar("T", bound=msgspec.Struct)


def clean(snapshot: Snapshot) -> Snapshot:
    """The Snapshot without credentials in its texts; bytes that are no UTF-8 become replacement characters."""
    facts = msgspec.to_builtins(snapshot)
    cleaned = _cleaned(facts)
    return snapshot if cleaned == facts else msgspec.convert(cleaned, Snapshot)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_credentials(well_formed(value))
    if isinstance(value, dict):
        return {name: _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(inner) for inner in value]
    return value


def fitted(kind: type[T], values: Mapping[str, Any]) -> T:
    """`kind` of the values that are of their field's type; what a foreign program says of another type is unknown.

    Raises ValidationError where a field that must be there is not.
    """
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, OverflowError):
        types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        return msgspec.convert({n: v for n, v in values.items() if n in types and fits(v, types[n])}, kind)


def all_fitted(kind: type[T], several: Iterable[Mapping[str, Any]]) -> tuple[T, ...]:
    """Those of several that are what they must be."""
    found = []
    for values in several:
        with contextlib.suppress(msgspec.ValidationError):
            if isinstance(values, Mapping):
                found.append(fitted(kind, values))
    return tuple(found)


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of that type, and a number one that a machine counts with: 64 bits."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return False
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True
