"""One fact of a Snapshot as a finding shows it: its name and its value in words."""

from __future__ import annotations

import msgspec


class Evidence(msgspec.Struct, frozen=True):
    """One fact that a finding rests on: its name in the Snapshot (`driver.module.version`) and its value in words."""

    fact: str
    value: str


def fact(name: str, value: object) -> Evidence:
    """Evidence from a value of any type; known absence reads as 'none'."""
    if isinstance(value, (tuple, list)):
        value = ", ".join(str(item) for item in value)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return Evidence(name, "none" if value in (None, "") else str(value))
