"""The driver's packages: literal commands for the distribution at hand.

Package names: knowledge data on Ubuntu, Debian and NVIDIA's own repositories (canonical/ubuntu-drivers-common; NVIDIA
driver installation guide, 'Kernel Modules', editions 610 and 620; Arch Linux news of December 2025).
"""

from __future__ import annotations

from envdoctor.facts.model import Snapshot
from envdoctor.planning.distributions import family, major_version, nvidia_repository

DOWNLOADS = "https://www.nvidia.com/drivers"
GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"

Commands = tuple[tuple[str, ...], str | None]
"""Commands, and a note for what they leave open."""


def driver_commands(snapshot: Snapshot, flavour: str, branch: str | None) -> Commands:
    """Installs the driver with `flavour` kernel modules, of `branch` where one is wanted, else the newest."""
    kind = family(snapshot)
    if kind == "ubuntu" and not _from_nvidia(snapshot):
        return _ubuntu(snapshot, flavour, branch), None
    if kind in ("ubuntu", "debian"):
        return _debian(snapshot, flavour, branch)
    if kind in ("rhel", "fedora"):
        return _red_hat(snapshot, flavour, branch)
    if kind == "suse":
        package = ("nvidia-open" if flavour == "open" else "cuda-drivers") + (f"-{branch}" if branch else "")
        return (
            (*_repository(snapshot), "sudo zypper refresh", f"sudo zypper install -y {package}", "sudo reboot"),
            _note(snapshot),
        )
    if kind == "arch":
        return _arch(flavour, branch)
    return (), f"Download: {DOWNLOADS}; instructions for each distribution: {GUIDE}"


def _from_nvidia(snapshot: Snapshot) -> bool:
    """Whether the driver that is there came from NVIDIA's repository: its meta-packages, which Ubuntu does not have."""
    packages = (snapshot.driver.packages or ()) if snapshot.driver else ()
    return any(p.name in ("nvidia-open", "cuda-drivers") or p.name.startswith("cuda-drivers-") for p in packages)


def _repository(snapshot: Snapshot) -> tuple[str, ...]:
    if _from_nvidia(snapshot):
        return ()
    commands = nvidia_repository(snapshot)
    return ("# NVIDIA's repository, unless it is set up already:", *commands) if commands else ()


def _note(snapshot: Snapshot) -> str | None:
    if _from_nvidia(snapshot) or nvidia_repository(snapshot):
        return None
    return f"The package is in NVIDIA's repository; {GUIDE} sets it up for each distribution."


def _ubuntu(snapshot: Snapshot, flavour: str, branch: str | None) -> tuple[str, ...]:
    if branch is None:
        return (
            "sudo apt-get update",
            "sudo apt-get install -y ubuntu-drivers-common",
            "ubuntu-drivers list   # shows the branches that Ubuntu has for this GPU",
            "sudo ubuntu-drivers install",
            "sudo reboot",
        )
    packages = (snapshot.driver.packages or ()) if snapshot.driver else ()
    server = "-server" if any("-server" in p.name for p in packages) else ""
    wanted = f"nvidia-driver-{branch}{server}" + ("-open" if flavour == "open" else "")
    return ("sudo apt-get update", f"sudo apt-get install -y {wanted}", "sudo reboot")


def _debian(snapshot: Snapshot, flavour: str, branch: str | None) -> Commands:
    package = "nvidia-open" if flavour == "open" else "cuda-drivers"
    pinned = f"nvidia-driver-pinning-{branch} {package}" if branch else package
    # --purge --autoremove: the guide's way to change flavours, harmless otherwise.
    install = f"sudo apt-get install -y --autoremove --purge {pinned}"
    note = _note(snapshot)
    if family(snapshot) == "debian":
        own = "Debian's own nvidia-driver is older (535 in bookworm, 550 in trixie)."
        note = f"{note} {own}" if note else own
    return (*_repository(snapshot), "sudo apt-get update", install, "sudo reboot"), note


def _red_hat(snapshot: Snapshot, flavour: str, branch: str | None) -> Commands:
    package = "nvidia-open" if flavour == "open" else "cuda-drivers"
    version, kind = major_version(snapshot), family(snapshot)
    commands: tuple[str, ...]
    if kind == "rhel" and version is not None and version != 10:  # module streams: RHEL 8 and 9, Amazon Linux 2023
        stream = f"{branch or ''}-open" if flavour == "open" else f"{branch or 'latest'}-dkms"
        stream = "open-dkms" if stream == "-open" else stream
        commands = (
            "sudo dnf module reset -y nvidia-driver",
            f"sudo dnf module enable -y nvidia-driver:{stream}",
        )
    else:
        commands = (f"sudo dnf versionlock add '*nvidia*{branch}*'",) if branch else ()
    install = f"sudo dnf install -y --allowerasing {package}"
    return (*_repository(snapshot), *commands, install, "sudo reboot"), _note(snapshot)


def _arch(flavour: str, branch: str | None) -> Commands:
    if flavour == "open":
        return ("sudo pacman -Syu nvidia-open nvidia-utils", "sudo reboot"), None
    package = f"nvidia-{branch or '580'}xx-dkms"
    return (
        (f"git clone https://aur.archlinux.org/{package}.git", f"cd {package} && makepkg -si", "sudo reboot"),
        "Arch's own packages have dropped GPUs before Turing; the AUR keeps the legacy branches.",
    )
