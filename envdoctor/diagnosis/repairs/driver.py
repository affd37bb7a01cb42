"""Repairs of the driver: literal commands for the distribution at hand. envdoctor prints them and never runs them."""

from __future__ import annotations

from packaging.version import Version

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.driver_branches import module_flavour, newest_branch, supported_branch
from envdoctor.diagnosis.repairs.driver_packages import DOWNLOADS, driver_commands
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge

LIST = "nvidia-smi -L"
REBOOT = Fix(title="Reboot", commands=("sudo reboot",), needs_root=True, needs_reboot=True, verify=LIST)


def install_driver(
    snapshot: Snapshot,
    world: Knowledge,
    *,
    minimum: str | None = None,
    update: bool = False,
    branch: str | None = None,
    flavour: str | None = None,
) -> Fix:
    """Installs a driver of at least `minimum`, or the newest that the GPUs allow, from the distribution or NVIDIA.

    `branch` and `flavour` ('open', 'proprietary') are chosen by the GPUs and the drivers' life cycle unless given.
    """
    verb = "Update" if update else "Install"
    wanted = f"NVIDIA driver {minimum} or newer" if minimum else "the NVIDIA driver"
    if in_container(snapshot):
        return Fix(
            title=f"{verb} {wanted} on the host: a container uses the host's driver",
            note="Run envdoctor on the host for the commands.",
            needs_root=True,
            needs_reboot=True,
        )
    if is_wsl(snapshot) or (snapshot.host and snapshot.host.system == "Windows"):
        where = " in Windows, not inside WSL" if is_wsl(snapshot) else ""
        return Fix(title=f"{verb} {wanted}{where}", note=f"Download: {DOWNLOADS}", needs_root=True, needs_reboot=True)
    last = newest_branch(snapshot, world)
    why = ""
    if branch is not None:
        why = f" (branch {branch})"
    elif last is not None:
        branch, why = last, f" (branch {last} is the last for this GPU)"
    elif minimum is not None and (supported := supported_branch(world, minimum)) is not None:
        branch = supported.branch
        why = f" (branch {branch}, {supported.designation}, supported until {supported.eol})"
    kind = flavour or module_flavour(snapshot, world)
    commands, note = driver_commands(snapshot, kind, branch)
    if minimum is not None and last is not None and int(last) < Version(minimum).major:
        note = f"The oldest GPU here is driven up to branch {last} only: it and driver {minimum} exclude each other."
    return Fix(
        title=f"{verb} {wanted}{why}" + (f" with the {flavour} kernel modules" if flavour else ""),
        commands=commands,
        note=note,
        needs_root=True,
        needs_reboot=True,
        verify="nvidia-smi --query-gpu=name,driver_version --format=csv",
    )
