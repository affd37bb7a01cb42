"""Judges files that describe environments against a machine: what will not run there, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envdoctor.diagnosis.model import Diagnosed, Finding, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.linting.machine import TargetMachine, circumstances, machine_of
from envdoctor.linting.model import Described
from envdoctor.linting.resolving import Circumstances
from envdoctor.linting.rules import access, companions, conda, images, pairs, preinstalled_torch, wheels


def lint(described: Sequence[Described], snapshot: Snapshot, world: Knowledge, only: Sequence[str] = ()) -> Diagnosed:
    """The findings of all files, errors first. Each names the diagnosis that it would end in; `only` keeps those codes."""
    machine = machine_of(snapshot, world)
    found: list[Finding] = []
    for file in described:
        for finding in _judge(file, machine, world):
            if only and finding.code not in only:
                continue
            if finding not in found:  # stages that share a parent say the same once
                found.append(finding)
    found.sort(key=lambda f: (f.severity or Severity.ERROR).rank)
    codes = tuple(dict.fromkeys(f.code for f in found))
    return Diagnosed(findings=tuple(found), ran=codes, files=tuple(file.name for file in described))


def _judge(file: Described, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    for environment in file.environments:
        where = circumstances(environment, machine, world)
        yield from images.judge(environment, where, machine, world)
        yield from preinstalled_torch.judge(environment, where, machine, world)
        yield from wheels.judge(environment, where, machine, world)
        yield from pairs.judge(environment, where, machine, world)
        yield from companions.judge(environment, world)
        yield from conda.judge(environment, machine, world)
        yield from access.judge_environment(environment)
    for service in file.services:
        if service.image is not None:
            yield from images.judge_image(service.image, machine, world)
            yield from preinstalled_torch.judge_image(
                service.image, Circumstances(platform="linux_x86_64"), machine, world
            )
        yield from access.judge_service(service)
