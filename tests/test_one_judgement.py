"""Check, lint, recipe and compat give one judgement: the same build, driver branch and kernel modules, or none."""

from __future__ import annotations

import re

import msgspec
import pytest

from envdoctor.diagnosis.model import Finding
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import Driver, KernelModule
from envdoctor.facts.sections.gpu import CudaDriver, Nvml
from envdoctor.knowledge.versions import version
from envdoctor.planning.kernel_modules import flavour_to_install
from envdoctor.planning.model import Wishes
from envdoctor.planning.target import from_snapshot
from envdoctor.rendering.drivers import driver_needs
from tests.diagnosis.snapshots import RTX_4090, UBUNTU, finding, gpu, interpreter, machine, module, nvml, torch
from tests.one_judgement import WORLD, Case, build_of, by_check, by_compat, by_lint, by_recipe, machines

MACHINES = machines(3000)
NEWEST = WORLD.torch_releases()[0].version


def test_every_part_names_the_same_build() -> None:
    apart, compared = [], 0
    for number, case in enumerate(MACHINES):
        planned = by_recipe(case)
        wanted = build_of(planned)
        said: dict[str, object] = {"check": by_check(case)}
        if planned.target.gpus and planned.target.glibc != "":  # a question has no word for musl
            said["compat"] = by_compat(case)
        if planned.target.gpus:
            found, build = by_lint(case, "torch")
            if found is not None and (build is not None or wanted is None):
                said["lint"] = build
        compared += len(said) * (wanted is not None)
        apart += [(number, name, build, wanted) for name, build in said.items() if build != wanted]
    assert not apart
    assert compared > len(MACHINES) / 2  # and not only because there was nothing to name


def test_a_pinned_torch_is_replaced_by_one_that_the_planner_finds_right_there() -> None:
    compared = 0
    for case in MACHINES[:600]:
        target = from_snapshot(case.snapshot, WORLD)
        found, build = by_lint(case, "torch==2.1.0")
        if found is None or build is None or not target.gpus:
            continue
        wishes = Wishes(torch=f"=={build[0]}", python=target.python)
        assert build_of(by_recipe(case, wishes)) == build
        compared += 1
    assert compared > 100


def driverless(snapshot: Snapshot) -> Snapshot:
    return msgspec.structs.replace(
        snapshot,
        driver=Driver(module=KernelModule(loaded=False), module_files=(), dkms=(), packages=(), libraries=()),
        nvml=Nvml(status="LIBRARY_NOT_FOUND"),
        cuda_driver=CudaDriver(library_missing=True),
    )


def by_commands(found: Finding | None) -> tuple[str | None, str] | None:
    """The branch and the flavour that a repair's packages are of; None where it names none."""
    text = "\n".join(command for fix in found.fixes[:1] for command in fix.commands) if found is not None else ""
    branch = re.search(r"(?<![\d.])(\d{3})(?![\d.])", text)
    return (branch[1], "open" if re.search(r"-open\b", text) else "proprietary") if branch else None


def test_check_and_recipe_install_the_same_branch_with_the_same_modules() -> None:
    apart: list[tuple[int, object, object]] = []
    compared = 0
    for number, case in enumerate(MACHINES):
        host = case.snapshot.host
        inside = case.snapshot.container is not None and case.snapshot.container.inside
        if not case.boards or host is None or host.system != "Linux" or host.wsl or inside:
            continue
        bare = msgspec.structs.replace(case, snapshot=driverless(case.snapshot))
        planned = by_recipe(bare, Wishes())
        said = by_commands(finding("driver-missing", bare.snapshot))
        if planned.stack is None:
            impossible = any(reason.constraint == "driver" for reason in planned.reasons)
            apart += [(number, said, None)] if impossible and said is not None else []
        elif planned.stack.gpus and said is not None:
            needs = driver_needs(planned.stack, "driver")
            wanted = (needs.branch, flavour_to_install(needs.flavour, needs.branch))
            apart += [(number, said, wanted)] if said != wanted else []
            compared += 1
    assert not apart
    assert compared > 300


def test_check_and_lint_update_to_the_same_branch() -> None:
    apart, compared = [], 0
    newest = next(b for b in WORLD.torch_builds(NEWEST) if b.index_url is None and b.cuda)
    for number, case in enumerate(MACHINES[:1000]):
        host = case.snapshot.host
        if host is None or host.system != "Linux" or host.wsl or not case.boards:
            continue
        installed = interpreter(torch(newest.name, newest.cuda))
        checked = finding("driver-too-old", msgspec.structs.replace(case.snapshot, interpreter=installed))
        linted, _ = by_lint(case, f"torch=={newest.torch}")
        if checked is None or linted is None or linted.code != "driver-too-old":
            continue
        said, other = (
            {branch for fix in found.fixes for branch in re.findall(r"branch (\d{3})", fix.title)}
            for found in (checked, linted)
        )
        apart += [(number, said, other)] if other - said else []
        compared += 1
    assert not apart
    assert compared > 20


def windows_driver(name: str, capability: str, driver: str) -> Case:
    """A machine under WSL, which Linux' own numbers do not judge."""
    snapshot = machine(
        pci=(),
        driver=module(driver),
        nvml=nvml(gpu(name, capability), driver=driver),
        interpreter=interpreter(version="3.12.3"),
    )
    host = msgspec.structs.replace(UBUNTU, wsl=2)
    return Case(msgspec.structs.replace(snapshot, host=host), (WORLD.gpu(name),))


def test_under_wsl_all_go_by_the_numbers_of_windows_driver() -> None:
    case = windows_driver("NVIDIA GeForce RTX 5090", "12.0", "572.83")
    planned = by_recipe(case)
    found, build = by_lint(case, "torch==2.15.0")
    assert planned.stack is not None
    assert planned.stack.channel == "cu129"
    assert found is not None
    assert found.code == "driver-too-old"
    assert build == by_check(case) == by_compat(case) == build_of(planned)
    assert version(planned.stack.torch) < version("2.15.0")
    assert "572.83" in found.summary


@pytest.mark.parametrize("driver", ["580.95.05", None])
def test_no_part_offers_anything_for_gpus_that_no_driver_serves_together(driver: str | None) -> None:
    boards = (WORLD.gpu("Tesla V100-SXM2-16GB"), WORLD.gpu("NVIDIA B200"))
    bus = tuple(
        msgspec.structs.replace(RTX_4090, address=f"0000:{place:02x}:00.0", device=board.pci_ids[0].lower())
        for place, board in enumerate(boards, 1)
    )
    snapshot = machine(pci=bus, driver=module(driver), nvml=None, cuda_driver=None, interpreter=interpreter())
    case = Case(snapshot, boards)
    planned = by_recipe(case)
    assert not planned.feasible
    assert by_check(case) is None
    assert by_compat(case) is None
    assert by_lint(case, f"torch=={NEWEST}")[1] is None
    said = finding("driver-missing", driverless(snapshot))
    assert said is not None
    assert not said.fixes[0].commands
    assert "V100" in said.fixes[0].title
    assert "B200" in said.fixes[0].title


def test_a_driver_for_a_gpu_that_a_later_branch_drops_is_named_by_its_branch() -> None:
    record = WORLD.architecture("7.0")
    assert record is not None
    last = f"branch {record.last_driver_branch}"
    case = Case(
        machine(
            pci=None,
            driver=module("470.82.01"),
            cuda_driver=None,
            nvml=nvml(gpu("Tesla V100-SXM2-16GB", "7.0"), driver="470.82.01"),
            interpreter=interpreter(torch("2.14.1+cu126", "12.6")),
        ),
        (WORLD.gpu("Tesla V100-SXM2-16GB"),),
    )
    checked = finding("driver-too-old", case.snapshot)
    linted, _ = by_lint(case, "--index-url https://download.pytorch.org/whl/cu126\ntorch==2.14.1")
    planned = by_recipe(case)
    assert checked is not None
    assert linted is not None
    for fixes in (checked.fixes, linted.fixes):
        assert any(last in fix.title for fix in fixes)
        assert not any("or newer" in fix.title and last not in fix.title for fix in fixes)
    assert [change.change for change in planned.alternatives if change.cost == "driver" and last in change.change]
