"""The chooser, asked in capabilities and versions alone."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.knowledge import Knowledge, TorchBuild, load
from envdoctor.planning.gpu_list import gpu_of_capability
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build


def bare_target(
    capabilities: Sequence[str] = (),
    *,
    driver: str | None = None,
    platform: str = "linux_x86_64",
    glibc: str | None = None,
    world: Knowledge | None = None,
) -> Target:
    """A machine of which only this is known; without capabilities its GPUs are not."""
    gpus = tuple(gpu_of_capability(capability, world or load()) for capability in capabilities)
    jetson = any(gpu.kind == "jetson" for gpu in gpus)
    return Target(gpus=gpus or None, driver=driver, platform=platform, glibc=glibc, jetson=jetson)


def newest(
    capabilities: Sequence[str] = (),
    *,
    python: str | None = None,
    torch: str | None = None,
    driver: str | None = None,
    platform: str = "linux_x86_64",
    glibc: str | None = None,
    world: Knowledge | None = None,
) -> TorchBuild | None:
    """The build to take; None in an argument constrains nothing."""
    world = world or load()
    target = bare_target(capabilities, driver=driver, platform=platform, glibc=glibc, world=world)
    return best_build(target, Wishes(python=python, torch=torch), world)
