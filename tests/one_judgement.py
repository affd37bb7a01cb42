"""Machines drawn at random, and what each part of the program says that they should install."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import msgspec

from envdoctor.compat import CompatQuestion, answer
from envdoctor.diagnosis.catalogue import select
from envdoctor.diagnosis.engine import diagnose
from envdoctor.diagnosis.model import Finding
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import Driver, KernelModule
from envdoctor.facts.sections.gpu import CudaDevice, CudaDriver, Gpu, Nvml
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution, PciDevice
from envdoctor.knowledge import GpuRecord, KnowledgeError, load
from envdoctor.linting import readers
from envdoctor.linting.linter import lint
from envdoctor.planning.model import Plan, Wishes
from envdoctor.planning.planner import plan
from envdoctor.planning.target import from_snapshot
from tests.diagnosis.snapshots import interpreter

WORLD = load()
BOARDS = [row for row in WORLD.gpus() if row.pci_ids and row.kind != "jetson"]
BY_CAPABILITY = {
    capability: [row for row in BOARDS if row.capability == capability]
    for capability in sorted({row.capability for row in BOARDS})
}
DRIVERS = (
    "418.39", "450.80.02", "452.39", "470.256.02", "510.47.03", "520.61.05", "525.53", "525.60.13", "528.24", "528.33",
    "535.183.01", "550.54.14", "560.35.05", "570.26", "572.83", "575.57.08", "580.65.06", "580.95.05", "581.42", "590.48.01",
    "595.71.05", "610.57.04", "616.92", "620.10.01", "700.10",
)  # fmt: skip
LINUXES = (
    ("ubuntu", "24.04", "2.39"),
    ("ubuntu", "22.04", "2.35"),
    ("ubuntu", "18.04", "2.27"),
    ("debian", "12", "2.36"),
    ("rhel", "9.4", "2.34"),
    ("rhel", "10.0", "2.39"),
    ("centos", "7", "2.17"),
    ("fedora", "44", "2.43"),
    ("sles", "15.6", "2.38"),
    ("alpine", "3.22", ""),
)
PYTHONS = ("3.8.10", "3.9.18", "3.10.12", "3.11.9", "3.12.3", "3.12.3", "3.13.1", "3.14.0", "3.16.0")

Build = tuple[str, str | None]
"""A release of torch, and the index that its wheel comes from."""


class Case(msgspec.Struct, frozen=True):
    """A machine, with the records of its GPUs."""

    snapshot: Snapshot
    boards: tuple[GpuRecord, ...]
    capability_names: bool = False


def machines(count: int, seed: int = 14) -> list[Case]:
    random = Random(seed)
    return [_machine(random) for _ in range(count)]


def _machine(random: Random) -> Case:
    kinds = random.choice(([], [1], [1], [1], [1], [1, 1], [1, 1], [2], [1, 1, 1]))
    boards = [
        row for times in kinds for row in [random.choice(BY_CAPABILITY[random.choice(list(BY_CAPABILITY))])] * times
    ]
    place = random.choice(("linux",) * 7 + ("wsl", "wsl", "windows"))
    identifier, version, glibc = random.choice(LINUXES)
    windows = place == "windows"
    host = Host(
        system="Windows" if windows else "Linux",
        architecture="x86_64" if windows or random.random() < 0.9 else "aarch64",
        kernel="6.8.0-45-generic",
        distribution=None if windows else LinuxDistribution(id=identifier, version_id=version),
        glibc=None if windows else glibc,
        wsl=2 if place == "wsl" else 0,
    )
    return Case(
        Snapshot(
            source="live",
            host=host,
            container=Container(kind="docker" if place == "linux" and random.random() < 0.2 else "none"),
            environment={},
            interpreter=interpreter(version=random.choice(PYTHONS)),
            **_shown(random, boards, random.choice((None, *DRIVERS)), on_bus=place == "linux"),
        ),
        tuple(boards),
    )


def _shown(random: Random, boards: list[GpuRecord], driver: str | None, *, on_bus: bool) -> dict[str, Any]:
    """The facts of these GPUs: from all sources, or from one that is left, which may refuse a part."""
    bus = tuple(
        PciDevice(
            address=f"0000:{place + 1:02x}:00.0",
            vendor="10de",
            device=board.pci_ids[0].lower(),
            class_code="030200",
            driver="nvidia" if driver else "",
        )
        for place, board in enumerate(boards)
    )
    shown: dict[str, Any] = {"pci": bus} if on_bus or not boards else {}
    shown["driver"] = Driver(module=KernelModule(loaded=driver is not None, version=driver))
    if driver is None and on_bus:
        return shown
    keep = random.choice(("all", "nvml", "cuda") + (("bus",) if on_bus else ()))
    if keep in ("all", "nvml"):
        shown["nvml"] = Nvml(
            source="nvml",
            status="SUCCESS",
            driver_version=driver,
            gpus=tuple(
                Gpu(
                    index=place,
                    name=board.name,
                    compute_capability=None if random.random() < 0.2 else board.capability,
                    uuid=f"GPU-{place:08d}-0000-0000-0000-000000000000",
                    pci_address=f"0000:{place + 1:02x}:00.0",
                    pci_device=board.pci_ids[0].lower(),
                )
                for place, board in enumerate(boards)
            ),
        )
    if keep in ("all", "cuda"):
        devices = tuple(
            CudaDevice(
                index=place,
                name=board.name,
                compute_capability=None if keep == "all" and random.random() < 0.2 else board.capability,
                uuid=f"{place:08d}-0000-0000-0000-000000000000",
            )
            for place, board in enumerate(boards)
        )
        shown["cuda_driver"] = CudaDriver(outcome="ok", init_code=0, device_count=len(devices), devices=devices)
    return shown


def by_recipe(case: Case, wishes: Wishes | None = None) -> Plan:
    """The plan for the machine, with its own Python: a repair keeps that too."""
    target = from_snapshot(case.snapshot, WORLD)
    return plan(target, wishes or Wishes(python=target.python), WORLD)


def build_of(planned: Plan) -> Build | None:
    return (planned.stack.torch, planned.stack.index_url) if planned.stack is not None else None


def by_check(case: Case) -> Build | None:
    """What check would install where torch is missing."""
    (found,) = diagnose(case.snapshot, WORLD, select(("torch-missing",))).findings
    return _asked(" ".join(command for fix in found.fixes for command in fix.commands))


def by_lint(case: Case, line: str) -> tuple[Finding | None, Build | None]:
    """What is found in a requirements file of that one line, and what it is told to ask for instead."""
    findings = lint([readers.parse("requirements.txt", f"{line}\n")], case.snapshot, WORLD).findings
    if not findings:
        return None, None
    written = "\n".join(fix.note or "" for fix in findings[0].fixes)
    return findings[0], _asked(" ".join(line for line in written.splitlines() if not line.startswith("- ")))


def by_compat(case: Case) -> Build | None:
    """The build that compat says yes to, of the versions of this machine."""
    target = from_snapshot(case.snapshot, WORLD)
    question = CompatQuestion(
        gpus=tuple(_name(board) for board in case.boards),
        driver=target.driver,
        python=target.python,
        glibc=target.glibc,
        platform=target.platform,
        wsl=target.wsl,
    )
    found = answer(WORLD, question)
    assert (found.answer == "yes") is (found.build is not None)
    return (found.build.torch, found.build.index_url) if found.build is not None else None


def _name(board: GpuRecord) -> str:
    """As a person would ask: by the name, where that is enough."""
    try:
        return board.name if WORLD.gpu(board.name).capability == board.capability else f"sm_{board.capability}"
    except KnowledgeError:
        return f"sm_{board.capability.replace('.', '')}"


def _asked(text: str) -> Build | None:
    torch = re.search(r"\btorch==([\d.]+)", text)
    index = re.search(r"-index-url (\S+)", text)
    return (torch[1], index[1] if index else None) if torch else None
