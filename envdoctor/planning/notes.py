"""What a person should know of a stack that its versions do not say."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import cuda_key
from envdoctor.planning.model import Stack, Target, Wishes
from envdoctor.planning.words import build_words, listed, system_words

# How a build's device code is known where neither the wheel nor its build script was read (TorchBuild.confidence).
UNREAD = ("runtime-table", "conflict", "unknown")


def plan_notes(build: TorchBuild, stack: Stack, target: Target, wishes: Wishes, world: Knowledge) -> list[str]:
    """One line each, the most important first."""
    notes = []
    if not wishes.container and target.python is not None and stack.python != target.python and wishes.python is None:
        notes.append(
            f"{system_words(target)} has Python {target.python}, for which torch {build.torch} has no wheel: "
            f"Python {stack.python} comes from uv or conda, and the system's own stays as it is."
        )
    if build.cuda and target.gpus is None:
        notes.append(
            "No GPU was described, so none decided: name it with --gpu to be sure that this build has code for it."
        )
    if build.cuda and target.gpus == ():
        notes.append(
            "This build brings CUDA's libraries, which stay unused: no CPU build of this release is known to be published."
        )
    if target.jetson and build.cuda:
        with_cuda, jetpacks = cuda_key(build.cuda)[0], _jetpacks(build, target, world)
        notes.append(f"A Jetson's driver comes with JetPack: use one with CUDA {with_cuda} or newer ({jetpacks}).")
    if target.platform.startswith("macos"):
        notes.append("torch has no CUDA on a Mac; it uses Apple's GPU through MPS.")
    if target.wsl:
        notes.append("Under WSL the driver is Windows' own: install none inside, and no CUDA toolkit that brings one.")
    if "numpy<2" in stack.requirements:
        notes.append(f"torch {build.torch} was compiled against NumPy 1.")
    if stack.toolkit and build.cuda and cuda_key(stack.toolkit) != cuda_key(build.cuda):
        notes.append(
            f"No nvidia/cuda devel image of CUDA {build.cuda} is known: the nearest of the same major, {stack.toolkit}, "
            "builds extensions too."
        )
    notes += _listed_later(target, world)
    return notes


def _jetpacks(build: TorchBuild, target: Target, world: Knowledge) -> str:
    fitting = [
        row.version
        for row in reversed(world.jetpacks())
        if set(target.capabilities) <= set(row.capabilities)
        and cuda_key(row.cuda)[0] >= cuda_key(build.cuda or "0.0")[0]
    ]
    return f"JetPack {listed(fitting[:1])} or newer" if fitting else "none is known"


def _listed_later(target: Target, world: Knowledge) -> list[str]:
    """GPUs whose very model is first listed by a later driver branch than the one there."""
    if target.driver is None or not target.platform.startswith("linux") or target.wsl:
        return []
    return [
        f"{gpu.name} is first listed by driver {gpu.first_driver}; {target.driver} may not know this model yet."
        for gpu in dict.fromkeys(target.gpus or ())
        if world.listed_later(target.driver, gpu.first_driver)
    ]


def surer_note(build: TorchBuild, others: Sequence[TorchBuild]) -> str | None:
    """For a build whose device code was not read from itself or its build script: the newest of the others whose was."""
    if build.cuda is None or build.confidence not in UNREAD:
        return None
    text = f"The device code of {build.name} is known from torch's own table, not from the wheel: check it after installing"
    read = [other for other in others if other.confidence not in UNREAD]
    return f"{text}; {read[0].name} is the newest whose code was read." if read else f"{text}."


def own_python_note(stack: Stack, target: Target, wishes: Wishes, others: Sequence[TorchBuild]) -> str | None:
    """What there is for the machine's own Python, where the plan asks for another. `others`: all that fit, newest first."""
    if wishes.container or wishes.python is not None or target.python in (None, stack.python):
        return None
    own = [build for build in others if target.python in build.python_tags]
    return f"With its own Python {target.python} the newest is {build_words(own[0])}." if own else None
