"""Part of the driver probe: the nvidia kernel module as it is loaded."""

from __future__ import annotations

import re

from envdoctor.facts.host import Machine
from envdoctor.facts.sections.driver import KernelModule
from envdoctor.facts.sections.host import PciDevice

VERSION = r"(\d{3}\.\d+(?:\.\d+)*)"


def loaded(machine: Machine, devices: tuple[PciDevice, ...] | None) -> KernelModule:
    modules = _modules(machine)
    if modules is None and machine.simulated and _unbound(machine, devices):
        modules = frozenset()
    version, flavour = _running(machine)

    def is_loaded(*names: str) -> bool | None:
        return None if modules is None else any(name in modules for name in names)

    bound = any(device.driver == "nvidia" for device in devices or ())
    nvidia = True if version or bound else is_loaded("nvidia")
    blacklist = _blacklist(machine)
    return KernelModule(
        loaded=nvidia,
        version=version,
        flavour=flavour,
        uvm_loaded=is_loaded("nvidia_uvm"),
        modeset_loaded=is_loaded("nvidia_modeset"),
        peermem_loaded=is_loaded("nvidia_peermem", "nv_peer_mem"),
        nouveau_loaded=is_loaded("nouveau"),
        blacklisted=None if blacklist is None else "nvidia" in blacklist,
        nouveau_blacklisted=None if blacklist is None else "nouveau" in blacklist,
    )


def _unbound(machine: Machine, devices: tuple[PciDevice, ...] | None) -> bool:
    """Whether a folder that shows no list of modules shows that none drives its GPU: it has a kernel and a card, and
    neither a driver bound to the card nor nodes for it."""
    gpus = [device for device in devices or () if device.is_nvidia_gpu]
    nodes = any(re.fullmatch(r"nvidia(\d+|ctl)", name) for name in machine.list("/dev") or ())
    kernel = machine.exists("/proc/version") or machine.exists("/proc/sys/kernel/osrelease")
    return bool(gpus and kernel) and not nodes and all(device.driver != "nvidia" for device in gpus)


def _modules(machine: Machine) -> frozenset[str] | None:
    """Loaded modules and those built into the kernel; None where neither /proc/modules nor /sys/module can be read."""
    text = machine.read("/proc/modules", 1 << 22)
    folders = machine.list("/sys/module")
    if text is None and not folders:
        return None
    return frozenset(line.split(" ", 1)[0] for line in (text or "").splitlines()) | frozenset(folders or ())


def _running(machine: Machine) -> tuple[str | None, str | None]:
    """Version and flavour of the loaded module."""
    text = machine.read("/proc/driver/nvidia/version") or ""
    # 'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build', '... x86_64 Kernel Module  535.183.01'
    line = re.search(rf"^NVRM version:\s*(.*?Kernel Module\b.*?)\s+{VERSION}\b", text, re.MULTILINE)
    version = machine.read("/sys/module/nvidia/version") or (line[2] if line else None)
    if line is None:
        return version, None
    return version, "open" if "Open Kernel Module" in line[1] else "proprietary"


def _blacklist(machine: Machine) -> frozenset[str] | None:
    """The modules that modprobe.d and the kernel's command line keep from being loaded by alias."""
    folders = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
    if all(not machine.list(folder) for folder in folders) and machine.read("/proc/cmdline") is None:
        return None
    found: set[str] = set()
    for folder in folders:
        for name in machine.glob(folder, "*.conf"):
            text = machine.read(name) or ""
            found.update(re.findall(r"^\s*blacklist\s+(\S+)", text, re.MULTILINE))
            # 'install nvidia /bin/false' keeps it out for good, 'alias nouveau off' as well.
            found.update(re.findall(r"^\s*install\s+(\S+)\s+(?:/usr)?/bin/(?:false|true)\b", text, re.MULTILINE))
            found.update(re.findall(r"^\s*alias\s+(\S+)\s+off\b", text, re.MULTILINE))
    line = machine.read("/proc/cmdline") or ""
    for names in re.findall(r"(?:modprobe\.blacklist|module_blacklist|rd\.driver\.blacklist)=(\S+)", line):
        found.update(names.split(","))
    if re.search(r"\bnouveau\.modeset=0\b", line):
        found.add("nouveau")
    return frozenset(name.replace("-", "_") for name in found)
