"""The repair when torch lacks code for a GPU: the build that has it, and the driver that this build needs."""

from __future__ import annotations

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.repairs.python_environment import fitting_torch, machine_and_wishes
from envdoctor.diagnosis.repairs.torch_install import install_torch
from envdoctor.diagnosis.snapshot_queries import plain_list
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.driver_limits import lowest_driver
from envdoctor.planning.machine_gpus import visible_gpus
from envdoctor.planning.planner import plan
from envdoctor.planning.target import from_snapshot

DROPPED = {"5.2": "Maxwell", "6.1": "Pascal", "7.0": "Volta"}
"""A compute capability of each architecture that 'too old for torch' is most likely about, where the text does not say."""


def arch_fixes(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """The newest build for every GPU here; where only the driver stands in its way, with the driver first."""
    return _fixes(machine, world, (), "where the GPU is newer than the code of the torch that is there")


def fixes_for_old_gpus(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """As `arch_fixes`, for a GPU that torch no longer has code for."""
    return _fixes(machine, world, tuple(DROPPED), f"the newest with code for {plain_list(list(DROPPED.values()))} GPUs")


def _fixes(machine: Snapshot, world: Knowledge, otherwise: tuple[str, ...], unknown: str) -> tuple[Fix, ...]:
    """otherwise, unknown: the capabilities to look for, and the reason to give, where no GPU is known."""
    known = [gpu.name for gpu in visible_gpus(machine, world) or () if gpu.capability]
    names = plain_list(known) if known else "this GPU"
    why = f"the newest with code for {names}" if known else unknown
    build = fitting_torch(machine, world, device="cuda", otherwise=otherwise)
    if build is not None:
        return (
            install_torch(machine, world, build, why=f"{why} that this driver runs" if machine.driver_version else why),
        )
    build = fitting_torch(machine, world, device="cuda", driver=False, otherwise=otherwise)
    if build is None:
        return _no_build(machine, world, names)
    return (
        install_driver(machine, world, minimum=lowest_driver(build, from_snapshot(machine, world), world), update=True),
        install_torch(machine, world, build, why=f"{why}, once the driver is new enough"),
    )


def _no_build(machine: Snapshot, world: Knowledge, names: str) -> tuple[Fix, ...]:
    """Why no build will do, and what could be changed without root for one that does."""
    target, wishes = machine_and_wishes(machine, world)
    planned = plan(target, wishes, world)
    why = " ".join(reason.text for reason in planned.reasons)
    easy = [change for change in planned.alternatives if change.cost in ("none", "python")]
    return (
        Fix(
            title=f"No published torch wheel runs on {names} on this Python and system",
            note=f"{why} torch can be built from source with TORCH_CUDA_ARCH_LIST."
            if not planned.alternatives
            else why,
        ),
        *(Fix(title=change.change, commands=change.commands, note=f"Then {change.buys} runs.") for change in easy[:2]),
    )
