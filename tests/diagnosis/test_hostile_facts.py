"""Facts that no machine has: whatever a snapshot of somebody else holds, judging it ends in a verdict or in one clear line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.diagnosis.repairs.python_environment import run_python
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Interpreter
from envdoctor.reading.dumps import read
from tests.diagnosis import population
from tests.diagnosis.snapshots import judge
from tests.diagnosis.test_properties import at, nodes

TEXTS = ("", "9" * 5000, "\N{SUPERSCRIPT TWO}", "1.\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT FIVE}", "\x1b]0;x\x07", "-1",
         "1e999", "x" * 70_000, "GPU-", ",,", "1!2", "===")  # fmt: skip
NUMBERS = (-1, 0, 2**63, 10**400)


def values(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return TEXTS
    return NUMBERS if isinstance(value, (int, float)) and not isinstance(value, bool) else ()


def shapes() -> list[tuple[dict[str, Any], tuple[str | int, ...]]]:
    """One place of each kind of fact: `nvml.gpus[].name` once, not for every GPU of every machine."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for snapshot in (*population.healthy().values(), *population.machines().values()):
        facts = msgspec.to_builtins(snapshot)
        for path in nodes(facts):
            kind = tuple(part for part in path if isinstance(part, str))
            if kind not in seen and path != ("schema",) and values(at(facts, path)):
                seen.add(kind)
                found.append((facts, path))
    return found


def test_no_value_of_any_fact_breaks_the_judgement() -> None:
    places = shapes()
    assert len(places) > 60
    for facts, path in places:
        original = at(facts, path)
        for value in values(original):
            changed = json.loads(json.dumps(facts))
            at(changed, path[:-1])[path[-1]] = value
            try:
                snapshot = read(json.dumps(changed))
            except InputError:
                continue
            judge(snapshot)


@pytest.mark.parametrize("flavour", ["", "mixed", "OPEN", "\x1b"])
def test_a_flavour_that_nobody_knows_is_none(flavour: str) -> None:
    for snapshot in population.machines().values():
        facts = msgspec.to_builtins(snapshot)
        if facts.get("driver", {}).get("module"):
            facts["driver"]["module"]["flavour"] = flavour
            judge(msgspec.convert(facts, Snapshot))


HOSTILE = ('x"; touch stolen; "', "$(touch stolen)", "`touch stolen`", "a'; touch stolen; '", '\\"; touch stolen')


@pytest.mark.parametrize("name", HOSTILE)
def test_a_command_that_is_printed_runs_nothing_but_python(name: str, tmp_path: Path) -> None:
    snapshot = Snapshot(interpreter=Interpreter(executable="true"))
    subprocess.run(["sh", "-c", run_python(snapshot, f"import torch, {name}")], cwd=tmp_path, check=True, timeout=60)
    assert not (tmp_path / "stolen").exists()
