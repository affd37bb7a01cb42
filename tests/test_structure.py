"""The house's own rules that no linter holds: no circle of imports, no room that outgrows the others."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("envdoctor", "benchmarks", "recipes")
LARGEST_ROOM = 0.2
"""Share of the product's lines: a room that is larger has several trades in it."""


def lines(folder: Path) -> int:
    files = (file for file in folder.rglob("*") if file.suffix in (".py", ".j2"))
    return sum(file.read_bytes().count(b"\n") for file in files)


@pytest.mark.parametrize("package", ["envdoctor", "benchmarks"])
def test_no_module_imports_itself_by_a_detour(package: str) -> None:
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    # A package's own face imports what it offers; that is no dependency of its parts.
    inner = {name for name in graph.modules if not graph.find_children(name)}
    sorter = TopologicalSorter({name: graph.find_modules_directly_imported_by(name) & inner for name in inner})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_room_is_over_a_fifth_of_the_product() -> None:
    whole = sum(lines(ROOT / name) for name in PRODUCT)
    rooms = [folder for folder in (ROOT / "envdoctor").iterdir() if folder.is_dir()] + [ROOT / "benchmarks"]
    shares = {room.name: lines(room) / whole for room in rooms}
    assert len(shares) > 10
    assert {name: share for name, share in shares.items() if share > LARGEST_ROOM} == {}


def test_no_public_class_has_the_name_of_another() -> None:
    places = defaultdict(set)
    for file in (ROOT / "envdoctor").rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(file.relative_to(ROOT).as_posix())
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
