"""Lints a file's text against a machine, as `check FILE` does."""

from __future__ import annotations

from pathlib import Path

from envdoctor.diagnosis.model import Finding
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host, LinuxDistribution
from envdoctor.linting import readers
from envdoctor.linting.linter import lint
from envdoctor.planning.target import describe
from tests.as_of import then
from tests.diagnosis.snapshots import UBUNTU, gpu, interpreter, machine, module, nvml

WORKSTATION = machine(interpreter=interpreter())
"""Ubuntu 24.04, RTX 4090, driver 580, Python 3.12."""
NOBODY = Snapshot(
    host=Host(system="Linux", architecture="x86_64", distribution=LinuxDistribution(id="debian"), glibc="2.36")
)
"""A build server: no GPU is known, no driver, no Python."""


def card(name: str, capability: str, driver: str = "580.159.04", python: str = "3.12.3") -> Snapshot:
    """The same workstation with another GPU, driver or Python."""
    return machine(
        pci=None,
        host=UBUNTU,
        driver=module(driver),
        nvml=nvml(gpu(name, capability), driver=driver),
        interpreter=interpreter(version=python),
    )


def findings(name: str, text: str, snapshot: Snapshot = WORKSTATION, folder: Path | None = None) -> tuple[Finding, ...]:
    """What is found in a file of that name and text."""
    path = str(folder / name) if folder else name
    return lint([readers.parse(path, text)], snapshot, then()).findings


def found(
    name: str, text: str, snapshot: Snapshot = WORKSTATION, folder: Path | None = None
) -> list[tuple[str, int | None]]:
    """(code, line) of each finding, in the order of the lines."""
    return sorted(((f.code, f.line) for f in findings(name, text, snapshot, folder)), key=lambda pair: pair[1] or 0)


def described_findings(name: str, text: str, gpu: str = "", driver: str = "") -> tuple[Finding, ...]:
    """The same for a machine that is described in words, as --gpu and --driver do; without words, for no machine."""
    world = then()
    target = describe(world, gpus=[gpu] if gpu else [], driver=driver or None) if gpu or driver else None
    return lint([readers.parse(name, text)], Snapshot(), world, target=target).findings
