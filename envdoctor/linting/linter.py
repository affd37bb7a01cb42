"""Judges files that describe environments against a machine: what will not run there, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from envdoctor.diagnosis.model import Diagnosed, FileAccount, Finding, Severity, Verdict
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.linting.account import Site, account
from envdoctor.linting.machine import TargetMachine, circumstances, described_machine, machine_of
from envdoctor.linting.model import Described, Place
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
        sites: list[Site] = []
        for environment in file.environments:
            where = circumstances(environment, machine, world)
            sites.append((environment, where, taken(environment, where, world)))
        accounts.append(account(file, sites, machine, world))
        maybe = {w.place for e, _, _ in sites for i in e.installs if i.maybe for w in i.wanted}
        for said in _judge(file, sites, machine, world):
            finding = _softened(said) if Place(said.file or "", said.line or 0) in maybe else said
            if only and finding.code not in only:
                continue
            if finding not in found:  # stages that share a parent say the same once
                found.append(finding)
    found.sort(key=lambda f: (f.severity or Severity.ERROR).rank)
    codes = tuple(dict.fromkeys(f.code for f in found))
    return Diagnosed(
        findings=tuple(found),
        ran=codes,
        files=tuple(file.name for file in described),
        accounts=tuple(accounts),
        verdict=_verdict(found, accounts),
    )


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
