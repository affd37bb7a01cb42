"""triton's compilers, security floors, the age of tables."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from envdoctor.knowledge import Knowledge, load
from envdoctor.knowledge.tables import DATA
from envdoctor.knowledge.versions import version


@pytest.fixture(scope="module")
def world() -> Knowledge:
    return load()


@pytest.mark.parametrize(
    ("triton", "capability", "supported"),
    [
        # ptxas of CUDA 12.8: it names no sm_103, sm_110, sm_121
        ("3.4.0", "10.0", True),
        ("3.4.0", "12.0", True),
        ("3.4.0", "12.1", False),
        ("3.5.1", "10.3", False),
        ("3.5.0", "11.0", False),
        ("3.6.0", "10.3", True),  # ptxas-blackwell of CUDA 12.9
        ("3.6.0", "12.1", True),
        ("3.6.0", "11.0", False),
        ("3.7.1", "11.0", True),  # ptxas-blackwell of CUDA 13.1
        ("3.9.0", "10.7", True),  # of CUDA 13.4
        ("3.8.0", "10.7", False),
        ("3.5.1", "9.0", True),
        ("3.1.0", "8.9", True),
        ("3.1.0", "12.0", False),
        ("3.9.0", "6.1", False),  # torch/_inductor: GPUTooOldForTriton
        ("99.0", "9.0", None),
        ("~=3.6.0", "12.1", True),
    ],
)
def test_what_triton_compiles_for(world: Knowledge, triton: str, capability: str, supported: bool | None) -> None:
    assert world.triton_supports(triton, capability) is supported


def test_every_triton_that_torch_pins_was_read(world: Knowledge) -> None:
    for build in world.torch_builds():
        if build.triton is not None and version(build.torch) >= version("2.4"):
            assert world.triton_release(build.triton) is not None, build.name


@pytest.mark.parametrize(
    ("product", "have", "platform", "fixed"),
    [
        ("driver", "580.95.05", "linux_x86_64", "580.178.04"),
        ("driver", "580.178.04", "linux_x86_64", None),
        ("driver", "595.45.04", "linux_aarch64", "595.91.07"),
        ("driver", "535.183.01", "linux_x86_64", "535.309.01"),
        ("driver", "581.42", "windows_amd64", "582.78"),
        ("driver", "550.54.14", "linux_x86_64", None),  # nothing is published of a branch past its end
        ("driver", "620.70.06", "linux_x86_64", None),
        ("container-toolkit", "1.19.0", "linux_x86_64", "1.19.1"),
        ("container-toolkit", "1.17.4", "linux_x86_64", "1.19.1"),
        ("container-toolkit", "1.19.1", "linux_x86_64", None),
        ("torch", "2.5.1+cu124", "linux_x86_64", "2.10.0"),
        ("torch", "2.10.0+cu128", "linux_x86_64", None),
        ("cudnn", "9.1.0.70", "linux_x86_64", None),
    ],
)
def test_security_floors(world: Knowledge, product: str, have: str, platform: str, fixed: str | None) -> None:
    found = world.vulnerable(product, have, platform)
    assert (found[0].fixed if found else None) == fixed
    assert all(row.ids and row.source for row in found)


def test_a_critical_one_is_still_named_below_a_later_one(world: Knowledge) -> None:
    found = world.vulnerable("container-toolkit", "1.17.4")
    assert {row.severity for row in found} == {"high", "critical"}


def test_every_table_has_an_age_and_every_age_a_table(world: Knowledge) -> None:
    files = {path.stem for path in DATA.glob("*.json")} - {"freshness"}
    assert {row.table for row in world.tables()} == files
    for row in world.tables():
        assert row.to_do
        assert row.reads
        assert not row.stale(date.fromisoformat(row.as_of))
        assert row.stale(date.fromisoformat(row.as_of) + timedelta(days=row.stale_after + 1))
