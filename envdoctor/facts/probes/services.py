"""Part of the driver probe: the driver's daemons."""

from __future__ import annotations

import re

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import container
from envdoctor.facts.sections.driver import FabricManager, Package
from envdoctor.facts.sections.host import PciDevice

_FABRIC_MANAGER = "nv-fabricmanager"
_BINARIES = (
    "/usr/bin/nv-fabricmanager",
    "/usr/sbin/nv-fabricmanager",
    "/opt/nvidia/fabricmanager/bin/nv-fabricmanager",
)
_COMM_LIMIT = 15  # the kernel keeps that many characters of a process's name


def fabric_manager(
    machine: Machine, devices: tuple[PciDevice, ...] | None, installed: tuple[Package, ...] | None
) -> FabricManager:
    needed = _needed(devices)
    binary = any(machine.exists(path) for path in _BINARIES)
    package = next(
        (p for p in installed or () if p.name.startswith(("nvidia-fabricmanager", "nvidia-fabric-manager"))), None
    )
    present = True if binary or package else (False if installed is not None else None)
    running: bool | None = False if present is False else None
    if present:
        running = _running(machine, _FABRIC_MANAGER, "/run/nvidia-fabricmanager/nv-fabricmanager.pid")
    elif needed:
        running = _running(machine, _FABRIC_MANAGER, None) or running
    return FabricManager(
        needed=needed,
        installed=present,
        version=_upstream(package.version) if package else None,
        running=running,
    )


def _needed(devices: tuple[PciDevice, ...] | None) -> bool | None:
    """NVSwitches up to Hopper's are NVIDIA bridges on the bus; later ones hide behind another vendor's, so that several
    GPUs without such a bridge leave it open."""
    if devices is None:
        return None
    if any(device.is_nvswitch for device in devices):
        return True
    return False if sum(device.is_nvidia_gpu for device in devices) < 2 else None


def _upstream(version: str) -> str:
    """'1:580.65.06-0ubuntu1' -> '580.65.06'."""
    found = re.search(r"(?:^|:)(\d{3}\.\d+(?:\.\d+)*)", version)
    return found[1] if found else version


def persistenced_running(machine: Machine) -> bool | None:
    if machine.exists("/run/nvidia-persistenced/socket"):
        return True
    return _running(machine, "nvidia-persistenced", "/run/nvidia-persistenced/nvidia-persistenced.pid")


def _running(machine: Machine, command: str, pid_file: str | None) -> bool | None:
    """Whether a process of that name runs; None where it may run unseen: in a container its home is the host."""
    wanted = command[:_COMM_LIMIT]
    number = machine.read(pid_file) if pid_file else None
    if number and number.isdecimal() and machine.read(f"/proc/{number}/comm") == wanted:
        return True
    processes = [name for name in machine.list("/proc") or () if name.isdecimal()]
    if any(machine.read(f"/proc/{process}/comm", 64) == wanted for process in processes):
        return True
    whole = container.kind(machine) in (("none", None) if machine.simulated else ("none",))
    return False if processes and whole else None
