"""What a plan's GPUs ask of the driver, for the recipes that install it."""

from __future__ import annotations

import msgspec

from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.planning.driver_limits import branch_range
from envdoctor.planning.kernel_modules import flavour_of
from envdoctor.planning.model import Stack


class DriverNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """`minimum`: the oldest version that will do; `branch`: to install, "" for the newest; `last`: the last branch that
    drives all the GPUs, "" where none has ended; `flavour` of the kernel modules: open, proprietary or either;
    `data_center`: compute boards only; `nvlink5`: systems whose fabric comes with the nvlink5 packages (HGX B200, B300)."""

    minimum: str
    branch: str
    last: str
    flavour: str
    data_center: bool
    nvlink5: bool


def driver_needs(stack: Stack, recipe: str) -> DriverNeeds:
    """Raises InputError where the plan has no use for a driver."""
    if not stack.gpus:
        raise InputError(
            f"'{recipe}' is for machines with NVIDIA GPUs, and the plan has none; name one: --gpu \"RTX 4090\""
        )
    if stack.min_driver is None:
        raise InputError(f"'{recipe}' has nothing to do: torch {stack.torch} ({stack.channel}) needs no driver")
    if on_jetson(stack):
        raise InputError(f"'{recipe}' is not for Jetson: its driver comes with JetPack")
    world = load()
    _, last = branch_range(stack.gpus, world)
    branch = stack.driver_branch
    # A plan may come from a file that somebody else wrote.
    if last is not None and (branch is None or int(branch) > last):
        branch = str(last)
    return DriverNeeds(
        minimum=stack.min_driver,
        branch=branch or "",
        last=str(last or ""),
        flavour=flavour_of(stack.gpus, world),
        data_center=all(gpu.kind == "data-center" for gpu in stack.gpus),
        nvlink5=any(gpu.kind == "data-center" and gpu.capability in ("10.0", "10.3") for gpu in stack.gpus),
    )


def on_jetson(stack: Stack) -> bool:
    """Whether one of the plan's GPUs is a Jetson's."""
    records = (load().architecture(gpu.capability) for gpu in stack.gpus)
    return any(record is not None and record.jetson for record in records)
