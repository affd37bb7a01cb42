"""The torch that is already in an image of pytorch/pytorch: its tag says which, so it can be held against this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from envdoctor.diagnosis.model import Finding, Severity
from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment, PlacedValue, Wanted
from envdoctor.linting.resolving import Circumstances
from envdoctor.linting.rules import wheels
from envdoctor.linting.systems import parse

# hub.docker.com/r/pytorch/pytorch/tags: 2.4.1-cuda12.1-cudnn9-runtime.
_TAG = re.compile(r"(\d+\.\d+\.\d+)-cuda(\d+\.\d+)-cudnn\d+-(?:runtime|devel)")
_PLATFORM = "linux_x86_64"


def judge(
    environment: DescribedEnvironment, where: Circumstances, machine: TargetMachine, world: Knowledge
) -> Iterator[Finding]:
    """Nothing where an install of the file's own may bring another torch; a warning where files that were not read may."""
    if environment.image is None:
        return
    # pip leaves a torch that is there alone unless a version is asked for; conda may replace it.
    for install in environment.installs:
        wanted = install.find("torch") or install.find("pytorch")
        if wanted is not None and (wanted.specifier or wanted.elsewhere or install.tool != "pip" or install.indexes):
            return
    for finding in judge_image(environment.image, where, machine, world):
        yield msgspec.structs.replace(finding, severity=Severity.WARNING) if environment.unread else finding


def judge_image(said: PlacedValue, where: Circumstances, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    """Whether the torch of this image runs on the machine's GPUs and driver."""
    build = torch_of(said, world)
    if build is None:
        return
    release = build.torch
    wanted = Wanted(name="torch", specifier=f"=={release}", place=said.place, text=str(parse(said.value)))
    finding = wheels.on_machine(wanted, build, where, machine, world)
    if finding is not None:
        yield finding


def torch_of(said: PlacedValue, world: Knowledge) -> TorchBuild | None:
    """The build of the wheels that a tag of pytorch/pytorch names; None for other images and releases not in the table."""
    reference = parse(said.value)
    if not reference.repository.endswith("pytorch/pytorch") or "nvcr.io" in reference.repository:
        return None
    match = _TAG.fullmatch(reference.tag)
    if match is None:
        return None
    return next((b for b in world.torch_builds(match[1]) if b.platform == _PLATFORM and b.cuda == match[2]), None)
