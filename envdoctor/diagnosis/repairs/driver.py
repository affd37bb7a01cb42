"""Repairs of the driver: literal commands for the distribution at hand. envdoctor prints them and never runs them."""

from __future__ import annotations

import msgspec

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.driver_packages import DOWNLOADS, driver_commands
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.driver_choice import DriverChoice, driver_to_install
from envdoctor.planning.driver_packages import ubuntu_package
from envdoctor.planning.kernel_modules import OPEN
from envdoctor.planning.model import Target
from envdoctor.planning.target import from_snapshot
from envdoctor.planning.words import clash_words, driver_words, gpu_words

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
    """Installs the driver that `planning` chooses for this machine, from the distribution or from NVIDIA: of at least `minimum`,
    or what its GPUs and the newest torch for them need.

    `branch`: to be kept where it drives the GPUs; `flavour` ('open', 'proprietary'): what the driver itself asks for.
    """
    target = from_snapshot(snapshot, world)
    choice = driver_to_install(target, world, minimum=minimum, branch=branch, flavour=flavour)
    if choice.impossible:
        return _no_driver(choice, target)
    named = minimum is not None or (choice.last is not None and bool(target.gpus))
    verb = ("Update to" if named else "Update") if update else "Install"
    wanted = _wanted(choice, target, minimum)
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
    if target.jetson:
        return Fix(
            title="Install the JetPack that brings a newer driver: a Jetson's driver comes with it and from nowhere else",
            note="https://developer.nvidia.com/embedded/jetpack",
            needs_root=True,
            needs_reboot=True,
        )
    if choice.last is None and choice.branch is not None:
        known = choice.row if choice.supported else None
        until = f", {known.designation}, supported until {known.eol}" if known else ""
        wanted += f" (branch {choice.branch}{until})"
    commands, note = driver_commands(snapshot, choice.modules, choice.branch)
    if not commands and flavour:
        note = f"{_named_packages(snapshot, flavour, choice.branch)} {note or ''}".rstrip()
    return Fix(
        title=f"{verb} {wanted}" + (f" with the {flavour} kernel modules" if flavour else ""),
        commands=commands,
        note=note,
        needs_root=True,
        needs_reboot=True,
        verify="nvidia-smi --query-gpu=name,driver_version --format=csv",
    )


def _named_packages(snapshot: Snapshot, flavour: str, branch: str | None) -> str:
    """What the kernel modules of a flavour are called, where it is not known which distribution this is."""
    if snapshot.host and "NixOS" in (snapshot.host.os_name or ""):
        return f"In configuration.nix: hardware.nvidia.open = {'true' if flavour == OPEN else 'false'};"
    if branch is None:
        ending = "ends in -open" if flavour == OPEN else "does not end in -open"
        return f"On Ubuntu it is a package nvidia-driver-... whose name {ending}."
    ubuntu = ubuntu_package(branch, flavour, server=False)
    others = (
        "nvidia-open in NVIDIA's repositories and on Arch"
        if flavour == OPEN
        else "cuda-drivers in NVIDIA's repositories"
    )
    return f"The {flavour} modules are {ubuntu} on Ubuntu, {others}."


def on_the_host(snapshot: Snapshot, *fixes: Fix) -> tuple[Fix, ...]:
    """Repairs of the running driver, where they can be done: a container uses its host's driver, and WSL that of Windows."""
    if is_wsl(snapshot):
        return (
            Fix(
                title="Restart WSL, whose driver is that of Windows; where that does not help, update the driver in Windows",
                commands=("wsl.exe --shutdown   # ends every WSL program",),
                note=f"Download: {DOWNLOADS}",
                verify=LIST,
            ),
        )
    if not in_container(snapshot):
        return fixes
    return tuple(
        msgspec.structs.replace(
            fix,
            title=f"{fix.title} (on the host)",
            commands=tuple(c if c.startswith("#") or "#" in c else f"{c}   # on the host" for c in fix.commands),
        )
        for fix in fixes
    )


def _wanted(choice: DriverChoice, target: Target, minimum: str | None) -> str:
    if choice.last is not None and target.gpus:
        return f"NVIDIA {driver_words(choice.minimum if minimum else None, choice.last, target.gpus)}"
    return f"NVIDIA driver {minimum} or newer" if minimum else "the NVIDIA driver"


def _no_driver(choice: DriverChoice, target: Target) -> Fix:
    """What to say where no driver will do: any that is installed would lose a GPU that works."""
    names = gpu_words(dict.fromkeys(target.gpus or ()))
    if choice.clash is not None:
        return Fix(
            title=f"No driver serves {names} together",
            note=f"{clash_words(choice.clash)}: put them into different machines, or install the modules for those that matter.",
        )
    if choice.apart is not None:
        return Fix(
            title=f"No driver serves {names} together",
            note=f"One needs driver branch {choice.apart[0]} or newer, another is driven up to branch {choice.apart[1]} only.",
        )
    return Fix(
        title=f"No driver is both new enough and for {names}",
        note=f"Driver {choice.minimum} would be needed, and branch {choice.last} is the last that drives {names}.",
    )
