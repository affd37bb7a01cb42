"""Judges files that describe environments against a machine: what will not run there, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envdoctor.diagnosis.model import Diagnosed, Finding, NotJudged, Severity, Understood
from envdoctor.knowledge import Knowledge
from envdoctor.linting.machine import TargetMachine, circumstances
from envdoctor.linting.model import Described
from envdoctor.linting.reading_back import not_judged, of_service, understood
from envdoctor.linting.resolving import Circumstances
from envdoctor.linting.rules import (
    access,
    beside_torch,
    building,
    by_cuda,
    companions,
    conda,
    images,
    pairs,
    preinstalled_torch,
    wheels,
)


def lint(
    described: Sequence[Described], machine: TargetMachine, world: Knowledge, only: Sequence[str] = ()
) -> Diagnosed:
    """The findings of all files, errors first. Each names the diagnosis that it would end in; `only` keeps those codes."""
    found: list[Finding] = []
    known: list[Understood] = []
    unknown: list[NotJudged] = []
    for file in described:
        for finding in _judge(file, machine, world):
            if only and finding.code not in only:
                continue
            if finding not in found:  # stages that share a parent say the same once
                found.append(finding)
        for environment in file.environments:
            where = circumstances(environment, machine, world)
            known += understood(environment, where, world)
            unknown += not_judged(environment, where, world)
        for service in file.services:
            of_it = of_service(service, world)
            known += of_it[0]
            unknown += of_it[1]
    found.sort(key=lambda f: (f.severity or Severity.ERROR).rank)
    judged = {(f.file, f.line) for f in found}
    return Diagnosed(
        findings=tuple(found),
        ran=tuple(dict.fromkeys(f.code for f in found)),
        files=tuple(file.name for file in described),
        understood=tuple(dict.fromkeys(known)),
        not_judged=tuple(one for one in dict.fromkeys(unknown) if (one.file, one.line) not in judged),
        judged_for=machine.described,
    )


def _judge(file: Described, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    for environment in file.environments:
        where = circumstances(environment, machine, world)
        yield from images.judge(environment, where, machine, world)
        yield from preinstalled_torch.judge(environment, where, machine, world)
        yield from wheels.judge(environment, where, machine, world)
        yield from by_cuda.judge(environment, where, machine, world)
        yield from pairs.judge(environment, where, machine, world)
        yield from companions.judge(environment, world)
        yield from beside_torch.judge(environment, where, world)
        yield from building.judge(environment, machine, world)
        yield from conda.judge(environment, machine, world)
        yield from access.judge_environment(environment)
    for service in file.services:
        if service.image is not None:
            yield from images.judge_image(service.image, machine, world)
            yield from preinstalled_torch.judge_image(
                service.image, Circumstances(platform="linux_x86_64"), machine, world
            )
            if (said := by_cuda.of_image(service.image, world)) is not None:
                yield from by_cuda.judge_cuda(said, Circumstances(platform="linux_x86_64"), machine, world)
        yield from access.judge_service(service)
