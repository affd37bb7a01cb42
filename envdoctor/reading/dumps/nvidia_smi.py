"""Pasted output of nvidia-smi: the table (both banners), `-L`, CSV queries, and the sentences it fails with."""

from __future__ import annotations

import re

from envdoctor.reading.dumps.raw_values import Findings, Sheet
from envdoctor.reading.dumps.smi_table import BANNER, BUS, MIB, SmiTable, address, learn, number, starts
from envdoctor.reading.dumps.text import DumpLine

_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} [ \d]\d \d\d:\d\d:\d\d (?:\w{2,5} )?\d{4}$")
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
        self.table = SmiTable()
        self.columns: list[str] = []
        self.csv_rows = 0

    def feed(self, line: DumpLine) -> bool:
        bare = line.bare[:400]
        if not bare:
            self.columns = []
            return False
        first = bare[0]
        if first in "FMSTW" and _DATE.match(bare):
            return True
        if first == "|":
            return self._framed(bare)
        if first == "+":
            self.table.row = 0
            return bare.startswith(("+-", "+="))
        self.table.part = ""
        if self.columns and self._csv_row(bare):
            return True
        if first == "G" and bare.startswith("GPU "):
            index, name, uuid = _listed(bare)
            if name and uuid:
                learn(self._sheet().gpus, index, name=name, uuid=uuid)
                self._sheet().put("listed", "yes")
                return True
        if "," in bare and bare[0].islower() and self._csv_header(bare.lower()):
            return True
        return self._sentence(bare)

    def _sheet(self) -> Sheet:
        return self.findings.current("nvidia-smi")

    def _framed(self, bare: str) -> bool:
        banner = BANNER.search(bare) if "NVIDIA-SMI" in bare else None
        if banner is None:
            return self.table.feed(bare, self._sheet().gpus) if self.table.part or starts(bare) else False
        # A second table is another moment, or another machine.
        sheet = self.findings.current("nvidia-smi", start="driver")
        sheet.put("driver", banner[1])
        if banner[2]:
            sheet.put("cuda", banner[2])
        self.table = SmiTable(part="gpus")
        return True

    def _csv_header(self, bare: str) -> bool:
        columns = [column.strip() for column in bare.split(",")]
        known = sum(column in _FIELDS for column in columns)
        self.columns = columns if known >= 2 and known == len(columns) else []
        self.csv_rows = 0
        return bool(self.columns)

    def _csv_row(self, bare: str) -> bool:
        cells = [cell.strip() for cell in bare.split(",")]
        if len(cells) != len(self.columns):
            self.columns = []
            return False
        row = dict(zip(self.columns, cells, strict=True))
        place = row.get("index", "")
        index = int(place) if place.isdecimal() and len(place) < 4 else self.csv_rows
        self.csv_rows += 1
        total, used = (number(r"(\d{1,9})", row.get(f"memory.{word} [mib]", "")) for word in ("total", "used"))
        capability = row.get("compute_cap", "")
        learn(
            self._sheet().gpus,
            index,
            name=row.get("name") or row.get("gpu_name"),
            uuid=row.get("uuid") or row.get("gpu_uuid"),
            memory_total=total * MIB if total is not None else None,
            memory_used=used * MIB if used is not None else None,
            compute_capability=capability if re.fullmatch(r"\d{1,2}\.\d", capability) else None,
            pci_address=address(row["pci.bus_id"]) if BUS.fullmatch(row.get("pci.bus_id", "")) else None,
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


def _listed(bare: str) -> tuple[int, str, str]:
    """The index, name and UUID of a line of `nvidia-smi -L`."""
    place, _, rest = bare[4:].partition(":")
    name, _, uuid = rest.partition("(UUID:")
    known = place.isdecimal() and len(place) < 4
    return (int(place), name.strip(), uuid.strip(" )")) if known else (0, "", "")
