"""Pasted output of nvidia-smi: the table (both banners), `-L`, CSV queries, and the sentences it fails with."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from envdoctor.facts.readers.sheet import Findings, Sheet
from envdoctor.facts.readers.text import Line
from envdoctor.facts.sections.gpu import Gpu, GpuProcess, MigInstance

MIB = 1024 * 1024

# Up to driver 609 "Driver Version: X  CUDA Version: Y"; from 610 on "KMD Version: X  CUDA UMD Version: Y".
_BANNER = re.compile(r"NVIDIA-SMI\s+\S+\s+(?:Driver|KMD) Version:\s*(\S+)(?:\s+CUDA (?:UMD )?Version:\s*(\S+))?")
_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} [ \d]\d \d\d:\d\d:\d\d (?:\w{2,5} )?\d{4}$")
_BUS = re.compile(r"\b(?:[0-9A-F]{4,8}:)?[0-9A-F]{2}:[0-9A-F]{2}\.[0-9A-F]\b", re.IGNORECASE)
_ROW = re.compile(r"\s*(\d{1,3})\s+(\S.*?)\s*$")
_SWITCH = re.compile(r"\s+(On|Off|N/A|WDDM|TCC|MCDM|ERR!)\s*$")
_MEMORY = re.compile(r"(\d+)\s*MiB\s*/\s*(\d+)\s*MiB")
_POWER = re.compile(r"(\d+(?:\.\d+)?)\s*W\s*/\s*(\d+(?:\.\d+)?)\s*W")
_PROCESS = re.compile(
    r"(\d{1,3})\s+(?:(?:N/A|\d+)\s+(?:N/A|\d+)\s+)?(\d+)\s+(?:(C\+G|C|G|M\+C)\s+)?(\S.*?)\s+(?:(\d+)\s*MiB|N/A)\s*$"
)
_LIST = re.compile(r"GPU (\d{1,3}):\s*(.+?)\s*\(UUID:\s*([^)\s]*)\)?")
_MODES = {
    "Default": "default",
    "E. Process": "exclusive_process",
    "E. Thread": "exclusive_thread",
    "Prohibited": "prohibited",
}
_FIELDS = frozenset(("index", "name", "gpu_name", "uuid", "gpu_uuid", "driver_version", "memory.total [mib]", "memory.used [mib]",
                     "memory.free [mib]", "compute_cap", "pci.bus_id", "count", "utilization.gpu [%]", "temperature.gpu",
                     "pstate", "compute_mode", "mig.mode.current", "power.draw [w]", "power.limit [w]"))  # fmt: skip

# nvidia-smi's own sentences -> NVML's error. The numbers are nvmlReturn_t's, from nvml.h.
FAILURES: tuple[tuple[str, str, int], ...] = (
    ("nvidia-smi has failed because it couldn't communicate with the nvidia driver", "DRIVER_NOT_LOADED", 9),
    ("failed to initialize nvml: driver/library version mismatch", "LIB_RM_VERSION_MISMATCH", 18),
    ("failed to initialize nvml: driver not loaded", "DRIVER_NOT_LOADED", 9),
    ("failed to initialize nvml: gpu access blocked by the operating system", "OPERATING_SYSTEM", 17),
    ("failed to initialize nvml: insufficient permissions", "NO_PERMISSION", 4),
    ("failed to initialize nvml: gpu is lost", "GPU_IS_LOST", 15),
    ("failed to initialize nvml: unknown error", "UNKNOWN", 999),
    ("nvidia-smi couldn't find libnvidia-ml.so library", "LIBRARY_NOT_FOUND", 12),
)


class NvidiaSmi:
    """Reads what nvidia-smi prints."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.part = ""
        self.index = -1
        self.row = 0
        self.columns: list[str] = []

    def feed(self, line: Line) -> bool:
        bare = line.bare
        if not bare:
            self.columns = []
            return False
        first = bare[0]
        if first in "FMSTW" and _DATE.match(bare):
            return True
        if first == "|":
            return self._framed(bare)
        if first == "+":
            self.row = 0
            return bare.startswith(("+-", "+="))
        if self.columns and self._csv_row(bare):
            return True
        if first == "G" and bare.startswith("GPU "):
            found = _LIST.match(bare)
            if found:
                self._gpu(int(found[1]), name=found[2], uuid=found[3] or None)
                self._sheet().put("listed", "yes")
                return True
        if "," in bare and bare.replace(" ", "").islower() and self._csv_header(bare):
            return True
        return self._sentence(bare)

    def _sheet(self) -> Sheet:
        return self.findings.current("nvidia-smi")

    def _gpu(self, index: int, **facts: Any) -> None:
        gpus = self._sheet().gpus
        if len(gpus) < 256:
            known = {name: value for name, value in facts.items() if value is not None}
            gpus[index] = msgspec.structs.replace(gpus.get(index) or Gpu(index=index), **known)

    def _framed(self, bare: str) -> bool:
        if "NVIDIA-SMI" in bare:
            found = _BANNER.search(bare)
            if not found:
                return False
            sheet = self._sheet()
            if "driver" in sheet.values:  # a second table is another moment or another machine
                sheet = self.findings.current("nvidia-smi", start="driver")
            sheet.put("driver", found[1])
            if found[2]:
                sheet.put("cuda", found[2])
            self.part, self.index, self.row = "gpus", -1, 0
            return True
        if "Processes:" in bare:
            self.part = "processes"
            return True
        if "MIG devices:" in bare:
            self.part = "mig"
            return True
        cells = bare.strip("|").split("|")
        if self.part == "processes":
            self._process(cells)
            return True
        if self.part == "mig":
            self._mig_row(cells)
            return True
        if len(cells) == 3 and (self.part == "gpus" or _BUS.search(cells[1])):
            self.part = "gpus"
            self._gpu_row(cells)
            return True
        return self.part != "" or bare.startswith(("|-", "|=", "| GPU  ", "| Fan  "))

    def _gpu_row(self, cells: list[str]) -> None:
        bus, row = _BUS.search(cells[1]), _ROW.match(cells[0])
        if bus and row:
            self.index, self.row = int(row[1]), 1
            switch = _SWITCH.search(row[2])
            ecc = cells[2].strip()
            self._gpu(
                self.index,
                name=row[2][: switch.start()] if switch else row[2],
                pci_address=address(bus[0]),
                persistence_mode={"On": True, "Off": False}.get(switch[1]) if switch else None,
                ecc_enabled=True if ecc.isdigit() else False if ecc == "Off" else None,
                ecc_uncorrected_volatile=int(ecc) if ecc.isdigit() and len(ecc) < 18 else None,
            )
        elif self.index >= 0 and self.row == 1:
            self.row = 2
            memory, power = _MEMORY.search(cells[1]), _POWER.search(cells[0])
            self._gpu(
                self.index,
                memory_used=int(memory[1][:9]) * MIB if memory else None,
                memory_total=int(memory[2][:9]) * MIB if memory else None,
                power_draw=float(power[1]) if power else None,
                power_limit=float(power[2]) if power else None,
                temperature=_number(r"(\d{1,3})C\b", cells[0]),
                performance_state=_number(r"\bP(\d{1,2})\b", cells[0]),
                fan_percent=_number(r"^\s*(\d{1,3})%", cells[0]),
                utilization=_number(r"(\d{1,3})%", cells[2]),
                compute_mode=next((mode for word, mode in _MODES.items() if word in cells[2]), None),
            )
        elif self.index >= 0 and self.row == 2:
            self.row = 3
            word = cells[2].strip()
            self._gpu(self.index, mig_enabled={"Enabled": True, "Disabled": False}.get(word.rstrip("*")),
                      mig_pending={"Enabled*": False, "Disabled*": True}.get(word))  # fmt: skip

    def _mig_row(self, cells: list[str]) -> None:
        numbers, memory = cells[0].split(), _MEMORY.search(cells[1]) if len(cells) > 1 else None
        if memory and len(numbers) >= 3 and all(n.isdigit() and len(n) < 4 for n in numbers):
            index = int(numbers[0])
            gpu = self._sheet().gpus.get(index)
            instance = MigInstance(memory_total=int(memory[2][:9]) * MIB)
            self._gpu(index, mig_instances=(*((gpu.mig_instances if gpu else None) or ())[:64], instance))

    def _process(self, cells: list[str]) -> None:
        gpus = self._sheet().gpus
        cell = cells[0].strip()
        if "No running processes found" in cell:
            for index in gpus:
                self._gpu(index, processes=())
        found = _PROCESS.match(cell)
        if found and int(found[1]) in gpus:
            process = GpuProcess(
                pid=int(found[2][:15]),
                name=found[4],
                memory=int(found[5][:9]) * MIB if found[5] else None,
                kind={"C": "compute", "G": "graphics", "C+G": "graphics"}.get(found[3] or ""),
            )
            self._gpu(int(found[1]), processes=(*(gpus[int(found[1])].processes or ())[:255], process))

    def _csv_header(self, bare: str) -> bool:
        columns = [column.strip() for column in bare.split(",")]
        known = sum(column in _FIELDS for column in columns)
        self.columns = columns if known >= 2 and known == len(columns) else []
        return bool(self.columns)

    def _csv_row(self, bare: str) -> bool:
        cells = [cell.strip() for cell in bare.split(",")]
        if len(cells) != len(self.columns):
            self.columns = []
            return False
        row = dict(zip(self.columns, cells, strict=True))
        number = row.get("index", "")
        index = int(number) if number.isdigit() and len(number) < 4 else len(self._sheet().gpus)
        total, used = (_number(r"(\d{1,9})", row.get(f"memory.{word} [mib]", "")) for word in ("total", "used"))
        capability = row.get("compute_cap", "")
        self._gpu(
            index,
            name=row.get("name") or row.get("gpu_name"),
            uuid=row.get("uuid") or row.get("gpu_uuid"),
            memory_total=total * MIB if total is not None else None,
            memory_used=used * MIB if used is not None else None,
            compute_capability=capability if re.fullmatch(r"\d{1,2}\.\d", capability) else None,
            pci_address=address(row["pci.bus_id"]) if _BUS.fullmatch(row.get("pci.bus_id", "")) else None,
        )
        if row.get("driver_version"):
            self._sheet().put("driver", row["driver_version"])
        self._sheet().put("listed", "yes")
        return True

    def _sentence(self, bare: str) -> bool:
        """A failure is a fact and stays a message: the words tell more than the code."""
        low = bare.lower()
        if (
            "nvml" not in low
            and "nvidia-smi" not in low
            and "devices were found" not in low
            and "device handle" not in low
        ):
            return False
        for words, status, code in FAILURES:
            if words in low:
                self._sheet().put("status", status)
                self._sheet().put("code", str(code))
                self._sheet().put("message", bare[:500])
                return False
        if low == "no devices were found":
            self._sheet().put("empty", "yes")
            self._sheet().put("message", bare)
        elif low.startswith("nvml library version:"):
            self._sheet().put("nvml", bare.partition(":")[2])
        elif "unable to determine the device handle for gpu" in low:
            lost = "lost" in low
            self._sheet().put("status", "GPU_IS_LOST" if lost else "UNKNOWN")
            self._sheet().put("code", "15" if lost else "999")
            self._sheet().put("message", bare[:500])
        return False


def address(bus_id: str) -> str:
    """'00000000:65:00.0' and '65:00.0' as '0000:65:00.0'."""
    domain, _, rest = bus_id.lower().rpartition(":")[0].rpartition(":")
    tail = bus_id.lower().rpartition(":")[2]
    return f"{(domain or '0')[-4:].rjust(4, '0')}:{rest}:{tail}"


def _number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return int(found[1]) if found else None
