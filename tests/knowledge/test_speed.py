"""Queries must not be felt: a cold one, decoding included, stays under 50 ms; importing costs two libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from envdoctor.compat import answer, parse
from envdoctor.knowledge import Knowledge, UnknownGpu
from envdoctor.planning.model import Wishes
from envdoctor.planning.unlock import driver_ladder
from tests.planning.choosing import bare_target, newest

BUDGET_S = 0.050


def _refused(world: Knowledge, name: str) -> None:
    with pytest.raises(UnknownGpu):
        world.gpu(name)


QUERIES: dict[str, Callable[[Knowledge], object]] = {
    "minimum_driver": lambda world: world.minimum_driver("12.8"),
    "runs_on": lambda world: world.runs_on(["sm_80"], "8.6"),
    "the build to take": lambda world: newest(["7.0"], driver="570.86", world=world),
    "what drivers buy": lambda world: driver_ladder(bare_target(["8.6"], world=world), Wishes(), world),
    "gpu": lambda world: world.gpu("4090"),
    "unknown gpu": lambda world: _refused(world, "RTX 4909"),
    "gpu_by_pci_id": lambda world: world.gpu_by_pci_id("2684"),
    "host_compilers": lambda world: world.host_compilers("12.8"),
    "cuda_images": lambda world: world.cuda_images("12.6"),
    "companions": lambda world: world.companions("torchvision", "2.9.1"),
    "driver_packages": lambda world: world.driver_packages(),
    "compat sheet": lambda world: answer(world, parse(["gpu RTX 5090"])),
    "compat question": lambda world: answer(world, parse(["does torch 2.15 run on a V100 with driver 570?"])),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_cold_query_takes_less_than_fifty_milliseconds(name: str) -> None:
    """CPU time, the best of three: what the machine is busy with otherwise is not the query's."""
    taken = []
    for _ in range(3):
        world = Knowledge()
        start = process_time()
        QUERIES[name](world)
        taken.append(process_time() - start)
    assert min(taken) < BUDGET_S


def test_importing_the_knowledge_base_reads_no_table_and_imports_only_msgspec_and_packaging() -> None:
    code = (
        "import json, sys; before = set(sys.modules); from envdoctor.knowledge import load; world = load();"
        "new = sorted({name.partition('.')[0] for name in set(sys.modules) - before});"
        "print(json.dumps([new, 'table' in vars(world._gpus)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    modules, table_read = json.loads(done.stdout)
    outside = set(modules) - set(sys.stdlib_module_names) - {"envdoctor"}
    assert outside <= {"msgspec", "packaging", "typing_extensions"}
    assert not table_read


def test_a_query_reads_only_the_tables_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    world = Knowledge()

    world.minimum_driver("12.8")
    assert read == ["drivers.json"]
    world.gpu("4090")
    assert read == ["drivers.json", "gpus.json"]
    world.gpu("H100")
    assert read == ["drivers.json", "gpus.json"]
