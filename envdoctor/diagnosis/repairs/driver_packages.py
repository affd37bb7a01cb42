"""The commands that install the driver on the distribution at hand, from the facts of `planning.driver_packages`."""

from __future__ import annotations

from envdoctor.facts.model import Snapshot
from envdoctor.planning.distributions import family, major_version, nvidia_repository
from envdoctor.planning.driver_packages import (
    DriverPackages,
    ended,
    epel,
    machine_key,
    repository_packages,
    ubuntu_package,
)
from envdoctor.planning.kernel_modules import OPEN

DOWNLOADS = "https://www.nvidia.com/drivers"
GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"

Commands = tuple[tuple[str, ...], str | None]
"""Commands, and a note for what they leave open."""


def driver_commands(snapshot: Snapshot, flavour: str, branch: str | None) -> Commands:
    """Installs the driver with `flavour` kernel modules, of `branch` where one is wanted, else the newest."""
    kind, major = family(snapshot), major_version(snapshot)
    distribution = snapshot.host.distribution if snapshot.host else None
    identifier = (distribution.id if distribution else None) or ""
    if kind == "ubuntu" and not _from_nvidia(snapshot):
        return _ubuntu(snapshot, flavour, branch), None
    if kind == "arch":
        return _arch(flavour, branch)
    if kind is None or ended(identifier, kind, major):
        return (), f"Download: {DOWNLOADS}; instructions for each distribution: {GUIDE}"
    packages = repository_packages(kind, major, branch=branch, flavour=flavour)
    if kind in ("ubuntu", "debian"):
        commands, note = _apt(snapshot, packages)
    elif kind == "suse":
        commands, note = _zypper(snapshot, packages)
    else:
        commands, note = _dnf(snapshot, packages, epel(identifier, major) if kind == "rhel" and major else ())
    return (*commands, *_key(snapshot, packages), "sudo reboot"), note


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
    """From Ubuntu's own archive, whose modules Canonical has signed. Every branch has the desktop packages; only some have server
    packages, which stay server packages."""
    if branch is None:
        return (
            "sudo apt-get update",
            "sudo apt-get install -y ubuntu-drivers-common",
            "ubuntu-drivers list   # shows the branches that Ubuntu has for this GPU",
            "sudo ubuntu-drivers install",
            "sudo reboot",
        )
    present = (snapshot.driver.packages or ()) if snapshot.driver else ()
    server = any("-server" in package.name for package in present)
    wanted = ubuntu_package(branch, flavour, server=server)
    return "sudo apt-get update", f"sudo apt-get install -y {wanted}", "sudo reboot"


def _apt(snapshot: Snapshot, packages: DriverPackages) -> Commands:
    # The pinning package first: only then does it hold apt on the branch. --purge --autoremove: NVIDIA's way to change flavours.
    pin = (f"sudo apt-get install -y {packages.pin}",) if packages.pin else ()
    note = _note(snapshot)
    if family(snapshot) == "debian":
        own = "Debian's own nvidia-driver is older (535 in bookworm, 550 in trixie)."
        note = f"{note} {own}" if note else own
    return (
        *_repository(snapshot),
        "sudo apt-get update",
        f"sudo apt-get install -y {' '.join(packages.built_with)}",
        *pin,
        f"sudo apt-get install -y --autoremove --purge {packages.package}",
    ), note


def _dnf(snapshot: Snapshot, packages: DriverPackages, dkms: tuple[str, ...]) -> Commands:
    kept: tuple[str, ...] = ()
    if packages.stream:
        kept = ("sudo dnf module reset -y nvidia-driver", f"sudo dnf module enable -y nvidia-driver:{packages.stream}")
    elif packages.lock:
        kept = ("sudo dnf install -y 'dnf-command(versionlock)'", f"sudo dnf versionlock add '{packages.lock}'")
    return (
        f"sudo dnf install -y {' '.join(packages.built_with)}",
        *(("# EPEL, which has dkms, unless it is set up already:", *(f"sudo {line}" for line in dkms)) if dkms else ()),
        *_repository(snapshot),
        *kept,
        f"sudo dnf install -y --allowerasing {packages.package}",
    ), _note(snapshot)


def _zypper(snapshot: Snapshot, packages: DriverPackages) -> Commands:
    start = (*_repository(snapshot), "sudo zypper --gpg-auto-import-keys refresh")
    if _secure_boot(snapshot) and packages.signed_modules:
        # SUSE signs these modules itself, so no key of this machine is needed; the libraries must be of their exact version.
        version = f"$(rpm -q --qf '%{{VERSION}}' {packages.signed_modules} | sed 's/_k.*//')"
        return (
            *start,
            f"sudo zypper install -y {packages.signed_modules}",
            f'sudo zypper install -y "{packages.utilities} == {version}"',
        ), _note(snapshot)
    return (
        *start,
        f"sudo zypper install -y {' '.join(packages.built_with)}",
        f"sudo zypper install -y --auto-agree-with-licenses {packages.package}",
    ), _note(snapshot)


def _key(snapshot: Snapshot, packages: DriverPackages) -> tuple[str, ...]:
    """With Secure Boot a module that was built here loads only once the firmware trusts the key that signed it."""
    if not _secure_boot(snapshot) or (family(snapshot) == "suse" and packages.signed_modules):
        return ()
    return (f"sudo mokutil --import {machine_key(family(snapshot))}   # Secure Boot: asks for a one-time password",)


def _secure_boot(snapshot: Snapshot) -> bool:
    return bool(snapshot.driver and snapshot.driver.secure_boot)


def _arch(flavour: str, branch: str | None) -> Commands:
    if flavour == OPEN:
        return ("sudo pacman -Syu nvidia-open nvidia-utils", "sudo reboot"), None
    package = f"nvidia-{branch or '580'}xx-dkms"
    return (
        (f"git clone https://aur.archlinux.org/{package}.git", f"cd {package} && makepkg -si", "sudo reboot"),
        "Arch's own packages have dropped GPUs before Turing; the AUR keeps the legacy branches.",
    )
