"""The patient may be dead: no probe fails for anything that the files of a machine hold."""

from __future__ import annotations

import importlib
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import host
from tests import simulated
from tests.sysroot import Sysroot

PROBES = ("host", "pci", "driver", "toolkit", "libraries", "container", "logs", "environment")
posix = pytest.mark.skipif(os.name != "posix", reason="links and modes")


def files_of(s: Sysroot) -> Iterator[Path]:
    yield from (path for path in sorted(s.root.rglob("*")) if path.is_file() and not path.is_symlink())


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(str(path.name)).randbytes(3000))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    source = random.Random(str(path.name))
    for _ in range(len(data) // 10 + 1):
        if data:
            data[source.randrange(len(data))] = source.randrange(256)
    path.write_bytes(data)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def endless_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def probe_all(machine: Machine) -> dict[str, Any]:
    found = {}
    for name in PROBES:
        section = importlib.import_module(f"envdoctor.facts.probes.{name}").probe(machine)
        found[name] = msgspec.json.decode(msgspec.json.encode(section))  # and it can be written down
    return found


@posix
@pytest.mark.parametrize("damage", [garbage, empty, cut, flipped, folder, endless_link])
@pytest.mark.parametrize("build", simulated.ALL.values(), ids=simulated.ALL.keys())
def test_damaged_files_cost_facts_only(
    tmp_path: Path, build: Callable[[Path], Sysroot], damage: Callable[[Path], None]
) -> None:
    s = build(tmp_path)
    for path in files_of(s):
        damage(path)
    probe_all(s.machine())


@posix
@pytest.mark.parametrize("build", simulated.ALL.values(), ids=simulated.ALL.keys())
def test_closed_files_are_unknown_facts(build: Callable[[Path], Sysroot]) -> None:
    with tempfile.TemporaryDirectory() as root:
        s = build(Path(root))
        files = list(files_of(s))
        was = os.geteuid()
        for path in files:
            path.chmod(0)
        if was == 0:  # nothing is closed to root
            Path(root).chmod(0o755)
            os.seteuid(65534)
        try:
            found = probe_all(s.machine())
        finally:
            if was == 0:
                os.seteuid(0)
            for path in files:
                path.chmod(0o644)
    if build is not simulated.arch:  # where packages are names of folders
        assert found["driver"].get("packages") is None
    assert found["host"].get("kernel") is None


def test_a_machine_that_is_not_linux_is_described_by_the_standard_library() -> None:
    found = host._elsewhere(Machine(environment={}))
    assert found.system
    assert found.architecture
    assert found.memory_total
    assert found.cpu_count
