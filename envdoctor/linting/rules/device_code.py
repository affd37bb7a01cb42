"""A torch that is known by its CUDA alone (older than the tables, conda's, inside an image) on this machine's GPUs and driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.knowledge.versions import at_least
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.resolving import Circumstances
from envdoctor.linting.rules.wheels import names, update_driver
from envdoctor.linting.taken import Taken, TakenFrom


def judge(
    found: Iterable[Taken],
    where: Circumstances,
    machine: TargetMachine,
    world: Knowledge,
    *,
    unread: bool = False,
) -> Iterator[Finding]:
    """Only what holds for every CUDA that it can be built with. `unread`: what was not read may replace an image's torch."""
    for one in found:
        if one.build is not None and one.origin in (TakenFrom.PIP, TakenFrom.IMAGE):
            continue  # judged as that build
        finding = _python(one, where) or _on_machine(one, where, machine, world)
        if finding is not None:
            soften = unread and one.origin is TakenFrom.IMAGE
            yield msgspec.structs.replace(finding, severity=Severity.WARNING) if soften else finding


def _python(one: Taken, where: Circumstances) -> Finding | None:
    if not one.python_missing or not one.pythons:
        return None
    name = f"torch {one.release}"
    return Finding(
        code="python-unsupported",
        severity=Severity.ERROR,
        title="No wheel of this torch for this Python",
        summary=f"`{one.said.text}` has no wheel for Python {where.python}: {name} has them for {_span(one.pythons)}.",
        evidence=(fact("requirement", one.said.text), fact("python", where.python)),
        fixes=(Fix(title=f"Use Python {one.pythons[-1]} there, or a newer torch"),),
        rule="python-without-wheel",
        file=one.said.place.file,
        line=one.said.place.line,
    )


def _span(pythons: tuple[str, ...]) -> str:
    return pythons[0] if len(pythons) == 1 else f"{pythons[0]} to {pythons[-1]}"


def _on_machine(one: Taken, where: Circumstances, machine: TargetMachine, world: Knowledge) -> Finding | None:
    place = one.said.place
    what = f"`{one.said.text}`" + (
        f" is torch {one.release}" if one.release and one.release not in one.said.text else ""
    )
    if one.cpu:
        return None
    for gpu in machine.gpus:
        capability = gpu.capability
        if capability is None or not one.cudas:
            continue
        if any(world.toolkit_reaches(cuda, capability) is not False for cuda in one.cudas):
            continue
        newest = max(one.cudas, key=Version)
        record = world.architecture(capability)
        too_new = record is not None and record.first_cuda is not None and not at_least(newest, record.first_cuda)
        limit = f"begins with CUDA {record.first_cuda}" if too_new and record is not None else "has ended before it"
        return Finding(
            code="gpu-arch-too-new-for-torch" if too_new else "gpu-arch-too-old-for-torch",
            severity=Severity.ERROR,
            title="This torch has no code for the GPU",
            summary=f"{what}, built with CUDA {newest}{' at most' if len(one.cudas) > 1 else ''}; code for {gpu} {limit}.",
            evidence=(fact("torch", one.said.text), fact("cuda", ", ".join(one.cudas)), fact("gpu", str(gpu))),
            rule="gpu-without-code",
            file=place.file,
            line=place.line,
        )
    if not machine.gpus and (nowhere := _for_no_gpu_of_today(one, what, world)) is not None:
        return nowhere
    return _driver(one, what, where, machine, world)


def _for_no_gpu_of_today(one: Taken, what: str, world: Knowledge) -> Finding | None:
    """Without a machine: a torch whose CUDA is older than every GPU that the newest drivers still drive."""
    living = [
        row for row in world.architectures() if row.last_driver_branch is None and not row.jetson and row.first_cuda
    ]
    if not one.cudas or any(
        world.toolkit_reaches(cuda, row.capability) is not False for cuda in one.cudas for row in living
    ):
        return None
    newest, oldest = max(one.cudas, key=Version), living[0]
    return Finding(
        code="gpu-arch-too-new-for-torch",
        severity=Severity.WARNING,
        title="This torch has no code for any GPU of today",
        summary=f"{what}, built with CUDA {newest}; the oldest GPUs that new drivers drive ({oldest.name}) begin with CUDA "
        f"{oldest.first_cuda}.",
        evidence=(fact("torch", one.said.text), fact("cuda", ", ".join(one.cudas))),
        rule="gpu-without-code",
        file=one.said.place.file,
        line=one.said.place.line,
    )


def _driver(one: Taken, what: str, where: Circumstances, machine: TargetMachine, world: Knowledge) -> Finding | None:
    if machine.driver is None or not one.cudas or where.platform is None:
        return None
    needed = [world.minimum_driver(cuda, where.platform) for cuda in one.cudas]
    known = [driver for driver in needed if driver is not None]
    if len(known) != len(needed) or any(at_least(machine.driver, driver) for driver in known):
        return None
    # A data-center image brings cuda-compat, which puts a newer libcuda on some older drivers.
    if one.origin is TakenFrom.IMAGE and one.build is None:
        return None
    lowest = min(known, key=Version)
    return Finding(
        code="driver-too-old",
        severity=Severity.ERROR,
        title="The driver is older than this torch needs",
        summary=f"{what}, which needs driver {lowest} or newer; {names(machine) or 'this machine'} has {machine.driver}.",
        evidence=(fact("torch", one.said.text), fact("driver.version", machine.driver)),
        fixes=update_driver(lowest, where, machine, world),
        rule="driver-older-than-torch",
        file=one.said.place.file,
        line=one.said.place.line,
    )
