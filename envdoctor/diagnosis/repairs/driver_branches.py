"""Which driver branch and which kernel modules to install, by the GPUs at hand, the driver's life cycle and what is asked."""

from __future__ import annotations

from packaging.version import Version

from envdoctor.diagnosis.snapshot_queries import gpus
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import DriverBranch, Knowledge


def module_flavour(snapshot: Snapshot, world: Knowledge) -> str:
    """'open' or 'proprietary': what the GPUs of this machine need, open where both work (NVIDIA's default since 560)."""
    for gpu in gpus(snapshot, world) or ():
        record = world.architecture(gpu.capability) if gpu.capability else None
        if record is not None and record.open_kernel_modules == "unsupported":
            return "proprietary"
    return "open"


def newest_branch(snapshot: Snapshot, world: Knowledge) -> str | None:
    """The last driver branch that still knows every GPU here; None where no GPU's support has ended."""
    ends = []
    for gpu in gpus(snapshot, world) or ():
        record = world.architecture(gpu.capability) if gpu.capability else None
        if record is not None and record.last_driver_branch is not None:
            ends.append(record.last_driver_branch)
    return min(ends, key=int) if ends else None


def supported_branch(world: Knowledge, minimum: str) -> DriverBranch | None:
    """The oldest branch in support that has a driver of at least `minimum`: a long-term one, else a production one."""
    for kind in ("LTS", "Production"):
        for branch in world.driver_branches():
            designation, end = branch.designation or "", branch.eol or ""
            if not designation.startswith(kind) or "ended" in designation or end < world.as_of[: len(end)]:
                continue
            newest_seen = branch.latest_seen or branch.branch
            if int(branch.branch) > Version(minimum).major or Version(newest_seen) >= Version(minimum):
                return branch
    return None


def branch_number(world: Knowledge, driver: str) -> int:
    """580 of 580.159.04: NVIDIA's branch, also for a Windows driver that counts on inside it."""
    branch = world.driver_branch(driver)
    return int(branch.branch) if branch is not None else Version(driver).major
