"""The repair when torch lacks code for a GPU: the build that has it, and the driver that this build needs."""

from __future__ import annotations

from envdoctor.diagnosis.driver_repairs import install_driver
from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.reading import plain_list, visible_gpus
from envdoctor.diagnosis.repairs import fitting_torch, install_torch
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge


def arch_fixes(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """The newest build for every GPU here; where only the driver stands in its way, with the driver first."""
    names = plain_list([gpu.name for gpu in visible_gpus(machine, world) or ()])
    build = fitting_torch(machine, world)
    if build is not None:
        return (install_torch(machine, build, why=f"the newest with code for {names} that this driver runs"),)
    build = fitting_torch(machine, world, driver=False)
    if build is None:
        return (
            Fix(
                title=f"No published torch wheel has code for {names} on this Python and system",
                note="Another Python version may have one (`envdoctor compat`); "
                "or build torch from source with TORCH_CUDA_ARCH_LIST.",
            ),
        )
    return (
        install_driver(machine, world, minimum=build.min_driver, update=True),
        install_torch(machine, build, why=f"the newest with code for {names}, once the driver is new enough"),
    )
