"""Errors of the program's own, and logs without trouble, are no environment problem, and `explain` says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.diagnosis.texts import causes

FOLDER = Path(__file__).parent / "controls"


def controls() -> Iterator[tuple[str, str]]:
    """(name, text) of every control: '=== name' begins one."""
    for path in sorted(FOLDER.glob("*.txt")):
        for part in path.read_text(encoding="utf-8").split("=== ")[1:]:
            name, _, text = part.partition("\n")
            yield f"{path.stem}: {name}", text


CONTROLS = dict(controls())


def test_there_are_enough_of_them() -> None:
    assert len(CONTROLS) >= 60


@pytest.mark.parametrize("name", CONTROLS)
def test_no_environment_problem_gives_no_match(name: str) -> None:
    assert [(cause.code, cause.quote) for cause in causes(CONTROLS[name])] == []
