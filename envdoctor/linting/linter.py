"""Judges files that describe environments against a machine: what will not run there, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from envdoctor.diagnosis.model import Diagnosed, FileAccount, Finding, Severity, Verdict
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.linting import fixing, readers
from envdoctor.linting.account import Site, account
from envdoctor.linting.machine import TargetMachine, circumstances, described_machine, machine_of
from envdoctor.linting.model import Described, DescribedEnvironment, Place
from envdoctor.linting.resolving import Circumstances
from envdoctor.linting.rules import (
    access,
    asking,
    companions,
    compiling,
    conda,
    device_code,
    images,
    numpy2,
    pairs,
    preinstalled_torch,
    wheels,
)
from envdoctor.linting.taken import of_image, taken
from envdoctor.planning.model import Target


def lint(
    described: Sequence[Described],
    snapshot: Snapshot,
    world: Knowledge,
    only: Sequence[str] = (),
    target: Target | None = None,
) -> Diagnosed:
    """The findings of all files, errors first, and what was understood of each. Each finding names the diagnosis that it would
    end in; `only` keeps those codes. `target`: the machine that was described in words, in place of the snapshot's."""
    machine = described_machine(target) if target is not None else machine_of(snapshot, world)
    found: list[Finding] = []
    accounts: list[FileAccount] = []
    for file in described:
        sites = _sites(file, machine, world)
        accounts.append(account(file, sites, machine, world))
        own = [f for f in _findings(file, sites, machine, world) if not only or f.code in only]
        again = _again(file, machine, world)
        places = (*sites, *_services(file, world))
        repaired = [fixing.fixed(f, file, places, machine, world, again) for f in own[: fixing.MOST_FIXED]]
        found += [f for f in (*repaired, *own[fixing.MOST_FIXED :]) if f not in found]
    found.sort(key=lambda f: (f.severity or Severity.ERROR).rank)
    codes = tuple(dict.fromkeys(f.code for f in found))
    return Diagnosed(
        findings=tuple(found),
        ran=codes,
        files=tuple(file.name for file in described),
        accounts=tuple(accounts),
        verdict=_verdict(found, accounts),
    )


def _sites(file: Described, machine: TargetMachine, world: Knowledge) -> list[Site]:
    placed = [(environment, circumstances(environment, machine, world)) for environment in file.environments]
    return [(environment, where, taken(environment, where, world)) for environment, where in placed]


def _services(file: Described, world: Knowledge) -> Iterator[Site]:
    """The images of a Compose file's services, as places where a torch is."""
    for service in file.services:
        inside = of_image(service.image, world) if service.image is not None else None
        if inside is not None:
            yield DescribedEnvironment(), Circumstances(platform="linux_x86_64"), (inside,)


def _findings(file: Described, sites: Sequence[Site], machine: TargetMachine, world: Knowledge) -> list[Finding]:
    """Each once: stages that share a parent say the same."""
    maybe = {w.place for e, _, _ in sites for i in e.installs if i.maybe for w in i.wanted}
    found: list[Finding] = []
    for said in _judge(file, sites, machine, world):
        finding = _softened(said) if Place(said.file or "", said.line or 0) in maybe else said
        if finding not in found:
            found.append(finding)
    return found


def _again(file: Described, machine: TargetMachine, world: Knowledge) -> fixing.Again:
    def again(text: str) -> Sequence[Finding] | None:
        try:
            changed = readers.parse(file.name, text)
        except InputError:
            return None
        return _findings(changed, _sites(changed, machine, world), machine, world)

    return again


def _softened(finding: Finding) -> Finding:
    """What stands behind a condition that is not known may never be installed."""
    return replace(finding, severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding


def _verdict(found: Sequence[Finding], accounts: Sequence[FileAccount]) -> Verdict:
    if any(finding.severity is Severity.ERROR for finding in found):
        return Verdict.BROKEN
    return Verdict.UNKNOWN if any(one.not_judged for one in accounts) else Verdict.HEALTHY


def _judge(file: Described, sites: Sequence[Site], machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    for environment, where, torches in sites:
        yield from images.judge(environment, where, machine, world)
        yield from preinstalled_torch.judge(environment, where, machine, world)
        yield from wheels.judge(environment, where, machine, world)
        yield from device_code.judge(torches, where, machine, world, unread=environment.unread)
        yield from pairs.judge(environment, where, machine, world)
        yield from companions.judge(environment, world)
        yield from conda.judge(environment, machine, world)
        yield from access.judge_environment(environment)
        yield from asking.judge(environment, torches, where, world)
        yield from numpy2.judge(environment, torches, where)
        yield from compiling.judge(environment, machine, world)
    for service in file.services:
        if service.image is not None:
            where = Circumstances(platform="linux_x86_64")
            yield from images.judge_image(service.image, machine, world)
            yield from asking.judge_image(service.image)
            yield from preinstalled_torch.judge_image(service.image, where, machine, world)
            inside = of_image(service.image, world)
            yield from device_code.judge((inside,) if inside is not None else (), where, machine, world)
        yield from access.judge_service(service)
