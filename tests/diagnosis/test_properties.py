"""What holds for every Snapshot: judging never raises, and not knowing a fact never makes a healthy machine a broken one.

Taking a fact away means that it becomes unknown: a field or a section is None. An entry missing from a list that is known, or a
variable missing from a complete environment, is another fact and may well be a fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.base import Facts
from envdoctor.reading.dumps import read
from tests.diagnosis import population
from tests.diagnosis.snapshots import judge
from tests.reading.dumps import samples

# The seed is fixed: what this run finds is a defect of the code and not of the day. A longer search raises the numbers.
SETTINGS = settings(
    max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
EVERYTHING = list(population.machines().items())
HEALTHY = list(population.healthy().items())
Path = tuple[str | int, ...]
T = TypeVar("T")


def errors(snapshot: Snapshot) -> set[str]:
    return {finding.code for finding in judge(snapshot).findings if finding.severity is Severity.ERROR}


def nodes(facts: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values inside, the outer ones first."""
    items = facts.items() if isinstance(facts, dict) else enumerate(facts) if isinstance(facts, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from nodes(value, (*path, key))


def at(facts: Any, path: Path) -> Any:
    for key in path:
        facts = facts[key]
    return facts


def mutate(facts: Any, draw: random.Random) -> None:
    """One change in place: a field deleted or null, a list shuffled, cut or doubled, or a value of another place put here."""
    paths = [path for path in nodes(facts) if path != ("schema",)]
    if not paths:
        return
    path = draw.choice(paths)
    holder, key = at(facts, path[:-1]), path[-1]
    value = holder[key]
    kind = draw.randrange(5)
    if isinstance(value, list) and kind:
        if kind == 1:
            draw.shuffle(value)
        elif kind == 2:
            del value[draw.randrange(len(value) + 1) :]
        elif kind == 3:
            value.extend(list(value))
        else:
            value.reverse()
    elif kind == 0 or isinstance(value, dict):
        del holder[key]
    elif kind == 1:
        holder[key] = None
    elif isinstance(value, str):
        holder[key] = draw.choice(["", value[: len(value) // 2], value[::-1], "0", "999.99", "not a version", "\0é"])
    elif isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, (int, float)):
        holder[key] = draw.choice([0, -1, 1, value * 1000, 2**40])


@settings(SETTINGS, max_examples=600)
@given(st.sampled_from(EVERYTHING), st.integers(1, 12), st.integers(0, 2**32))
def test_no_machine_however_damaged_its_snapshot_stops_the_judging(
    named: tuple[str, Snapshot], changes: int, seed: int
) -> None:
    facts, draw = msgspec.to_builtins(named[1]), random.Random(seed)
    for _ in range(changes):
        mutate(facts, draw)
    try:
        damaged = msgspec.convert(facts, Snapshot)
    except msgspec.ValidationError:
        return  # told in one line by the reader (tests/cli/test_errors.py)
    judge(damaged)


def removable(facts: Facts, path: Path = ()) -> Iterator[Path]:
    """The paths of the fields that are known and could be unknown."""
    for field in msgspec.structs.fields(facts):
        value = getattr(facts, field.name)
        here = (*path, field.name)
        if value is None:
            continue
        if type(None) in get_args(field.type):
            yield here
        if isinstance(value, Facts):
            yield from removable(value, here)
        elif isinstance(value, tuple):
            for place, entry in enumerate(value):
                if isinstance(entry, Facts):
                    yield from removable(entry, (*here, place))


def without(facts: T, path: Path) -> T:
    """The same facts, the one at `path` unknown."""
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        assert isinstance(facts, tuple)
        return (*facts[:key], without(facts[key], rest), *facts[key + 1 :])  # type: ignore[return-value]
    inner = getattr(facts, key)
    if inner is None:
        return facts
    changed = without(inner, rest) if rest else None
    return msgspec.structs.replace(facts, **{key: changed})  # type: ignore[type-var]


@pytest.mark.parametrize(("name", "snapshot"), HEALTHY, ids=[name for name, _ in HEALTHY])
def test_no_single_unknown_fact_makes_a_healthy_machine_a_broken_one(name: str, snapshot: Snapshot) -> None:
    assert errors(snapshot) == set(), name
    wrong = {}
    for path in removable(snapshot):
        if found := errors(without(snapshot, path)):
            wrong[".".join(map(str, path))] = sorted(found)
    assert not wrong


@SETTINGS
@given(st.sampled_from(HEALTHY), st.integers(2, 25), st.integers(0, 2**32))
def test_nor_do_several(named: tuple[str, Snapshot], number: int, seed: int) -> None:
    snapshot, draw = named[1], random.Random(seed)
    gone = []
    for _ in range(number):
        paths = list(removable(snapshot))
        if not paths:
            break
        gone.append(draw.choice(paths))
        snapshot = without(snapshot, gone[-1])
    found = errors(snapshot)
    assert not found, (named[0], [".".join(map(str, path)) for path in gone])


@SETTINGS
@given(st.sampled_from(HEALTHY), st.integers(0, 2**32))
def test_the_order_of_lists_makes_no_healthy_machine_a_broken_one(named: tuple[str, Snapshot], seed: int) -> None:
    facts, draw = msgspec.to_builtins(named[1]), random.Random(seed)
    for path in list(nodes(facts)):
        value = at(facts, path)
        # The loader's order is a fact of its own.
        if isinstance(value, list) and path[-1] not in ("files", "libraries", "ld_library_path", "sys_path", "nvcc"):
            draw.shuffle(value)
    assert not errors(msgspec.convert(facts, Snapshot))


# No line of these dumps is a statement by its absence: a list of packages in a dump is never complete, and a torch that a dump
# does not speak of is unknown.
HEALTHY_DUMPS = population.healthy_dumps()


def snapshot_of(text: str) -> Snapshot | None:
    from envdoctor.errors import InputError

    try:
        return read(text)
    except InputError:
        return None


def broken_by(text: str) -> set[str]:
    snapshot = snapshot_of(text)
    return errors(snapshot) if snapshot is not None else set()


@pytest.mark.parametrize("name", HEALTHY_DUMPS)
def test_a_line_less_never_makes_a_healthy_dump_a_broken_one(name: str) -> None:
    lines = HEALTHY_DUMPS[name].splitlines(keepends=True)
    assert snapshot_of("".join(lines)) is not None
    assert broken_by("".join(lines)) == set()
    wrong = {}
    for place, line in enumerate(lines):
        if found := broken_by("".join(lines[:place] + lines[place + 1 :])):
            wrong[line] = sorted(found)
    assert not wrong


@pytest.mark.parametrize("name", HEALTHY_DUMPS)
def test_a_healthy_dump_may_be_cut_at_either_end(name: str) -> None:
    lines = HEALTHY_DUMPS[name].splitlines(keepends=True)
    wrong = {}
    for place in range(len(lines)):
        for part in ("".join(lines[:place]), "".join(lines[place:])):
            if found := broken_by(part):
                wrong[place, part[:30]] = sorted(found)
    assert not wrong


@SETTINGS
@given(st.sampled_from(list(HEALTHY_DUMPS)), st.integers(2, 20), st.integers(0, 2**32))
def test_several_lines_less_never_make_a_healthy_dump_a_broken_one(name: str, number: int, seed: int) -> None:
    lines, draw = HEALTHY_DUMPS[name].splitlines(keepends=True), random.Random(seed)
    for _ in range(min(number, len(lines))):
        del lines[draw.randrange(len(lines))]
    assert not broken_by("".join(lines)), "".join(lines)


@SETTINGS
@given(st.sampled_from(sorted(samples.LAYOUTS)), st.integers(0, 5000), st.integers(0, 30), st.integers(0, 2**32))
def test_a_dump_of_which_anything_is_missing_can_be_judged(name: str, end: int, fewer: int, seed: int) -> None:
    text = samples.LAYOUTS[name]
    lines, draw = text[: end % len(text) + 1].splitlines(keepends=True), random.Random(seed)
    for _ in range(min(fewer, len(lines))):
        del lines[draw.randrange(len(lines))]
    broken_by("".join(lines))


def test_the_properties_can_fail() -> None:
    """A machine that breaks when a fact *changes* is seen to break by the same measure."""
    changed: Callable[..., Snapshot] = msgspec.structs.replace
    broken = {name for name, snapshot in HEALTHY if errors(changed(snapshot, interpreter=population.WITHOUT_TORCH))}
    assert broken == {name for name, _ in HEALTHY}
