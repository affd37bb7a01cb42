"""Which of NVIDIA's kernel modules drive which GPU on Linux: the open ones, the proprietary ones, or either.

Source: NVIDIA driver installation guide, 'Kernel Modules'.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from envdoctor.knowledge import Knowledge
from envdoctor.planning.model import TargetGpu

OPEN, PROPRIETARY, EITHER = "open", "proprietary", "either"

OPEN_BY_DEFAULT_FROM = 560
"""The first branch that NVIDIA installs the open modules of where both work; before it they were of alpha quality on GPUs that
are not for data centers."""


class ModuleClash(msgspec.Struct, frozen=True):
    """GPUs that no one kernel driver serves together: some need the open modules, the others refuse them."""

    needing: tuple[TargetGpu, ...]
    refusing: tuple[TargetGpu, ...]


def open_modules(gpu: TargetGpu, world: Knowledge) -> str | None:
    """What the GPU asks of the open modules: "required", "supported" or "unsupported"; None where it does not matter (Jetson)
    or is not known. The GPU's own record goes before its architecture's: a Grace board needs them, a plain Hopper does not."""
    architecture = world.architecture(gpu.capability)
    return gpu.open_kernel_modules or (architecture.open_kernel_modules if architecture else None)


def module_clash(gpus: Iterable[TargetGpu], world: Knowledge) -> ModuleClash | None:
    """The GPUs that exclude each other, each model once; None where there are none."""
    distinct = tuple(dict.fromkeys(gpus))
    needing = tuple(gpu for gpu in distinct if open_modules(gpu, world) == "required")
    refusing = tuple(gpu for gpu in distinct if open_modules(gpu, world) == "unsupported")
    return ModuleClash(needing, refusing) if needing and refusing else None


def flavour_of(gpus: Iterable[TargetGpu], world: Knowledge) -> str:
    """The modules that drive all the GPUs, where there is no clash: "open", "proprietary" or "either"."""
    asked = {open_modules(gpu, world) for gpu in gpus}
    if "required" in asked:
        return OPEN
    return PROPRIETARY if "unsupported" in asked else EITHER


def refuses(gpu: TargetGpu, flavour: str, world: Knowledge) -> bool:
    """Whether modules of this flavour are known not to drive the GPU."""
    return open_modules(gpu, world) == ("required" if flavour == PROPRIETARY else "unsupported")


def flavour_to_install(flavour: str | None, branch: str | None) -> str:
    """ "open" or "proprietary", of a branch (None: the newest), where GPUs leave the choice too."""
    if flavour in (OPEN, PROPRIETARY):
        return flavour
    return OPEN if branch is None or int(branch) >= OPEN_BY_DEFAULT_FROM else PROPRIETARY
