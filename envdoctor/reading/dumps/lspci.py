"""`lspci -nn` and `lspci -nnk`: the NVIDIA devices of the bus, and the kernel drivers bound to them."""

from __future__ import annotations

import re

from envdoctor.facts.sections.host import PciDevice
from envdoctor.reading.dumps.merging import Merged
from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.text import DumpLine

# '17:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD102 [GeForce RTX 4090] [10de:2684] (rev a1)'
_DEVICE = re.compile(
    r"((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) [\w /-]{3,60} \[([0-9a-f]{4})\]: .{0,200}\[10de:([0-9a-f]{4})\]"
)
_DRIVER = re.compile(r"Kernel driver in use: ([\w-]{1,40})$")
_DETAIL = ("Subsystem: ", "Kernel modules: ", "DeviceName: ", "Kernel driver in use: ")


class Lspci:
    """Reads a device's row, and the rows below it that belong to it."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.row: str | None = None

    def feed(self, line: DumpLine) -> bool:
        bare = line.bare
        if self.row is not None:
            if bare.startswith(_DETAIL):
                found = _DRIVER.match(bare)
                if found:
                    self._put(f"{self.row}\t{found[1]}")
                elif bare.startswith("Kernel modules: "):
                    self._put(f"{self.row}\t")  # it lists what could drive the device, and nothing does
                return True
            self._put(self.row)
        if "[10de:" in bare and (found := _DEVICE.match(bare)):
            self.row = "\t".join((found[1], found[2], found[3]))
            self.findings.current("lspci").put("distinctive", "yes")
            return True
        return False

    def end(self) -> None:
        if self.row is not None:
            self._put(self.row)

    def _put(self, row: str) -> None:
        self.findings.current("lspci").add("devices", row)
        self.row = None


def pci(merged: Merged) -> tuple[PciDevice, ...] | None:
    """The NVIDIA devices that lspci listed; None where there are none: an excerpt does not show that something is absent."""
    sheet = merged.get("lspci")
    if sheet is None:
        return None
    devices: dict[str, PciDevice] = {}
    for row in sheet.lists.get("devices", ()):
        address, kind, device, *driver = row.split("\t")
        address = address if address.count(":") == 2 else f"0000:{address}"
        devices.setdefault(
            address,
            PciDevice(
                address=address,
                vendor="10de",
                device=device,
                class_code=f"{kind}00",
                driver=driver[0] if driver else None,
            ),
        )
    return tuple(devices.values()) or None
