"""Probe: NVIDIA devices and other GPUs on the PCI bus, from sysfs.

Source: https://docs.kernel.org/PCI/sysfs-pci.html
"""

from __future__ import annotations

import re

from envdoctor.facts.host import Machine
from envdoctor.facts.sections.host import PciDevice

DEVICES = "/sys/bus/pci/devices"
NVIDIA = "10de"
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


def probe(machine: Machine) -> tuple[PciDevice, ...] | None:
    """Devices by address; () where the bus is there without any, None where sysfs cannot be read."""
    addresses = machine.list(DEVICES)
    if addresses is None or (not addresses and not machine.exists("/sys/bus")):
        return None
    found = []
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            continue
        folder = f"{DEVICES}/{address}"
        vendor, class_code = _id(machine, f"{folder}/vendor"), _id(machine, f"{folder}/class")
        gpu = (class_code or "")[:2] in ("03", "12")
        device = _id(machine, f"{folder}/device") if vendor == NVIDIA or gpu else None
        if vendor is None or device is None:
            continue
        found.append(
            _device(machine, folder, PciDevice(address=address, vendor=vendor, device=device, class_code=class_code))
        )
    return tuple(found)


def _device(machine: Machine, folder: str, device: PciDevice) -> PciDevice:
    import msgspec

    return msgspec.structs.replace(
        device,
        subsystem_vendor=_id(machine, f"{folder}/subsystem_vendor"),
        subsystem_device=_id(machine, f"{folder}/subsystem_device"),
        driver=_driver(machine, folder),
        link_speed_gts=_speed(machine, f"{folder}/current_link_speed"),
        link_speed_max_gts=_speed(machine, f"{folder}/max_link_speed"),
        link_width=_width(machine, f"{folder}/current_link_width"),
        link_width_max=_width(machine, f"{folder}/max_link_width"),
        numa_node=_node(machine, f"{folder}/numa_node"),
    )


def _id(machine: Machine, name: str) -> str | None:
    text = machine.read(name, 32)
    return text.removeprefix("0x").lower() if text else None


def _driver(machine: Machine, folder: str) -> str | None:
    """The name at the end of the `driver` link; '' where there is no link, None where it cannot be told."""
    entries = machine.list(folder)
    if entries is None:
        return None
    if "driver" not in entries:
        return ""
    return machine.resolve(f"{folder}/driver").rpartition("/")[2] or None


def _speed(machine: Machine, name: str) -> float | None:
    """'16.0 GT/s PCIe' -> 16.0; 'Unknown' and '0.0 GT/s' (a virtual bus) -> None."""
    found = re.match(r"(\d+(?:\.\d+)?) GT/s", machine.read(name, 64) or "")
    return float(found[1]) or None if found else None


def _width(machine: Machine, name: str) -> int | None:
    """Lanes; 0 is a virtual bus, 255 (and 63) is what a device that fell off the bus answers."""
    text = machine.read(name, 64) or ""
    return int(text) if text.isdecimal() and 0 < int(text) <= 32 else None


def _node(machine: Machine, name: str) -> int | None:
    text = machine.read(name, 32) or ""
    return int(text) if text.isdecimal() else None  # -1: the firmware does not say
