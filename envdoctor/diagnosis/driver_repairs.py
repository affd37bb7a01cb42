"""Repairs of the driver: literal commands for the distribution at hand. envdoctor prints them and never runs them.

Package names: knowledge data on Ubuntu, Debian and NVIDIA's own repositories (canonical/ubuntu-drivers-common, NVIDIA
driver installation guide). Where a distribution's packages are not known, the repair says where the driver comes from.
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.reading import gpus, in_container, is_wsl
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge

DOWNLOADS = "https://www.nvidia.com/drivers"
GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"


def family(snapshot: Snapshot) -> str | None:
    """'ubuntu', 'debian', 'rhel', 'fedora', 'suse' or 'arch'; None for another or an unknown distribution."""
    distribution = snapshot.host.distribution if snapshot.host else None
    if distribution is None or distribution.id is None:
        return None
    for identifier in (distribution.id, *distribution.like):
        name = identifier.lower()
        for known, ids in _FAMILIES.items():
            if name in ids:
                return known
    return None


_FAMILIES = {
    "ubuntu": ("ubuntu", "linuxmint", "pop", "zorin", "elementary"),
    "debian": ("debian", "raspbian", "kali"),
    "fedora": ("fedora",),
    "rhel": ("rhel", "centos", "rocky", "almalinux", "ol", "amzn"),
    "suse": ("suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles", "sled"),
    "arch": ("arch", "manjaro", "endeavouros", "cachyos"),
}


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


def install_driver(snapshot: Snapshot, world: Knowledge, *, minimum: str | None = None, update: bool = False) -> Fix:
    """Installs a driver of at least `minimum`, or the newest that the GPUs allow, from the distribution or NVIDIA."""
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
    branch = newest_branch(snapshot, world)
    commands, note = _commands(snapshot, module_flavour(snapshot, world), branch)
    return Fix(
        title=f"{verb} {wanted}" + (f" (branch {branch} is the last for this GPU)" if branch else ""),
        commands=commands,
        note=note,
        needs_root=True,
        needs_reboot=True,
        verify="nvidia-smi --query-gpu=name,driver_version --format=csv",
    )


def _commands(snapshot: Snapshot, flavour: str, branch: str | None) -> tuple[tuple[str, ...], str | None]:
    suffix = f"-{branch}" if branch else ""
    kind = family(snapshot)
    package = f"nvidia-open{suffix}" if flavour == "open" else f"cuda-drivers{suffix}"
    repository = f"The package is in NVIDIA's repository; {GUIDE} sets it up for each distribution."
    if kind == "ubuntu":
        if branch:
            wanted = f"nvidia-driver-{branch}" + ("-open" if flavour == "open" else "")
            return ("sudo apt-get update", f"sudo apt-get install -y {wanted}", "sudo reboot"), None
        return (
            (
                "sudo apt-get update",
                "sudo apt-get install -y ubuntu-drivers-common",
                "ubuntu-drivers list   # shows the branches that Ubuntu has for this GPU",
                "sudo ubuntu-drivers install",
                "sudo reboot",
            ),
            None,
        )
    if kind == "debian":
        return ("sudo apt-get update", f"sudo apt-get install -y {package}", "sudo reboot"), (
            f"{repository} Debian's own nvidia-driver is older (535 in bookworm, 550 in trixie)."
        )
    if kind in ("rhel", "fedora"):
        return (f"sudo dnf install -y {package}", "sudo reboot"), repository
    if kind == "suse":
        return (f"sudo zypper install -y {package}", "sudo reboot"), repository
    if kind == "arch":
        if flavour != "open":
            return (), "Arch's own packages no longer cover this GPU; the AUR keeps the legacy branches."
        return ("sudo pacman -Syu nvidia-open", "sudo reboot"), None
    return (), f"Download: {DOWNLOADS}; instructions for each distribution: {GUIDE}"


REBOOT = Fix(title="Reboot", commands=("sudo reboot",), needs_root=True, needs_reboot=True, verify="nvidia-smi -L")
