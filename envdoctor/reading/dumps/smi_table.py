"""The table that nvidia-smi prints: three rows a GPU, MIG instances, processes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from envdoctor.facts.sections.gpu import Gpu, GpuProcess, MigInstance

MIB = 1024 * 1024

# Up to driver 609 "Driver Version: X  CUDA Version: Y"; from 610 on "KMD Version: X  CUDA UMD Version: Y".
BANNER = re.compile(r"NVIDIA-SMI\s+\S+\s+(?:Driver|KMD) Version:\s*(\S+)(?:\s+CUDA (?:UMD )?Version:\s*(\S+))?")
BUS = re.compile(r"\b(?:[0-9A-F]{4,8}:)?[0-9A-F]{2}:[0-9A-F]{2}\.[0-9A-F]\b", re.IGNORECASE)
_ROW = re.compile(r"\s*(\d{1,3})\s+(\S.*)$")
_SWITCHES = {"On": True, "Off": False, "N/A": None, "WDDM": None, "TCC": None, "MCDM": None, "ERR!": None}
_MEMORY = re.compile(r"(\d{1,9})\s*MiB\s*/\s*(\d{1,9})\s*MiB")
_POWER = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*W\s*/\s*(\d{1,6}(?:\.\d+)?)\s*W")
_MODES = {
    "Default": "default",
    "E. Process": "exclusive_process",
    "E. Thread": "exclusive_thread",
    "Prohibited": "prohibited",
}
_KINDS = {"C": "compute", "G": "graphics", "C+G": "graphics", "M+C": "compute"}


@dataclass
class SmiTable:
    """Where in the table the last line was."""

    part: str = ""
    index: int = -1
    row: int = 0

    def feed(self, bare: str, gpus: dict[int, Gpu]) -> bool:
        """Takes a line between bars."""
        for title, part in (("Processes:", "processes"), ("MIG devices:", "mig")):
            if title in bare:
                self.part = part
                return True
        cells = bare.strip("|").split("|")
        if self.part == "processes":
            _process(cells[0].strip(), gpus)
        elif self.part == "mig":
            _mig(cells, gpus)
        elif len(cells) == 3:
            self.part = "gpus"
            self._gpu(cells, gpus)
        return True

    def _gpu(self, cells: list[str], gpus: dict[int, Gpu]) -> None:
        bus, row = BUS.search(cells[1]), _ROW.match(cells[0])
        if bus and row:
            self.index, self.row = int(row[1]), 1
            name, _, switch = row[2].strip().rpartition(" ")
            if switch not in _SWITCHES:
                name, switch = row[2].strip(), ""
            ecc = cells[2].strip()
            learn(
                gpus,
                self.index,
                name=name.strip() or None,
                pci_address=address(bus[0]),
                persistence_mode=_SWITCHES.get(switch),
                ecc_enabled=True if ecc.isdecimal() else False if ecc == "Off" else None,
                ecc_uncorrected_volatile=int(ecc) if ecc.isdecimal() and len(ecc) < 18 else None,
            )
        elif self.row == 1:
            self.row = 2
            memory, power = _MEMORY.search(cells[1]), _POWER.search(cells[0])
            learn(
                gpus,
                self.index,
                memory_used=int(memory[1]) * MIB if memory else None,
                memory_total=int(memory[2]) * MIB if memory else None,
                power_draw=float(power[1]) if power else None,
                power_limit=float(power[2]) if power else None,
                temperature=number(r"\b(\d{1,3})C\b", cells[0]),
                performance_state=number(r"\bP(\d{1,2})\b", cells[0]),
                fan_percent=number(r"^\s*(\d{1,3})%", cells[0]),
                utilization=number(r"\b(\d{1,3})%", cells[2]),
                compute_mode=next((mode for word, mode in _MODES.items() if word in cells[2]), None),
            )
        elif self.row == 2:
            self.row = 3
            word = cells[2].strip()
            learn(
                gpus,
                self.index,
                mig_enabled={"Enabled": True, "Disabled": False}.get(word.rstrip("*")),
                mig_pending={"Enabled*": False, "Disabled*": True}.get(
                    word
                ),  # the star: it changes with the next reset
            )


def starts(bare: str) -> bool:
    """Whether a line between bars is this table's, where the banner was cut off."""
    cells = bare.strip("|").split("|")
    return bare.startswith(("|-", "|=", "| GPU  ", "| Fan  ", "| Processes:")) or (
        len(cells) == 3 and BUS.search(cells[1]) is not None and _ROW.match(cells[0]) is not None
    )


def _mig(cells: list[str], gpus: dict[int, Gpu]) -> None:
    """GPU, GPU instance, compute instance, device; memory."""
    numbers, memory = cells[0].split(), _MEMORY.search(cells[1]) if len(cells) > 1 else None
    if memory and len(numbers) >= 3 and all(n.isdecimal() and len(n) < 4 for n in numbers):
        index = int(numbers[0])
        before = gpus[index].mig_instances if index in gpus else None
        learn(gpus, index, mig_instances=(*(before or ())[:64], MigInstance(memory_total=int(memory[2]) * MIB)))


def _process(cell: str, gpus: dict[int, Gpu]) -> None:
    """GPU, (GPU and compute instance since driver 450,) process, (type,) name, memory."""
    if "No running processes found" in cell:
        for index in gpus:
            learn(gpus, index, processes=())
        return
    words = cell.split()
    if len(words) < 4 or not words[0].isdecimal() or len(words[0]) > 3 or int(words[0]) not in gpus:
        return
    index = int(words.pop(0))
    if words[:2] == ["N/A", "N/A"] or (len(words) > 4 and all(word.isdecimal() for word in words[:3])):
        words = words[2:]
    if len(words) < 3 or not words[0].isdecimal() or len(words[0]) > 15:
        return
    kind = _KINDS.get(words[1])
    memory = words[-1].removesuffix("MiB")
    process = GpuProcess(
        pid=int(words[0]),
        name=" ".join(words[2 if kind else 1 : -1]) or None,
        memory=int(memory) * MIB if memory.isdecimal() and len(memory) < 10 else None,
        kind=kind,
    )
    learn(gpus, index, processes=(*(gpus[index].processes or ())[:255], process))


def learn(gpus: dict[int, Gpu], index: int, **facts: Any) -> None:
    """Adds what is known to a GPU; None adds nothing."""
    if len(gpus) < 256 or index in gpus:
        known = {name: value for name, value in facts.items() if value is not None}
        gpus[index] = msgspec.structs.replace(gpus.get(index) or Gpu(index=index), **known)


def address(bus_id: str) -> str:
    """'00000000:65:00.0', '0000:65:00' and '65:00.0' as '0000:65:00.0'."""
    bus_id = bus_id if "." in bus_id else f"{bus_id}.0"
    domain, _, rest = bus_id.lower().rpartition(":")[0].rpartition(":")
    tail = bus_id.lower().rpartition(":")[2]
    return f"{(domain or '0')[-4:].rjust(4, '0')}:{rest}:{tail}"


def number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return int(found[1]) if found else None
