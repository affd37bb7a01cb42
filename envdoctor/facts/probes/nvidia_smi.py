"""nvidia-smi as a second witness: asked for a table of named fields, never for its banner, whose layout changes."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from typing import Any

import msgspec

from envdoctor.facts.driver_libraries import find_nvidia_smi
from envdoctor.facts.host import Machine
from envdoctor.facts.probes._nvml_fields import throttle_reasons
from envdoctor.facts.sections.gpu import Gpu, Nvml
from envdoctor.processes import Completed

TIMEOUT = 20.0  # as for NVML itself, which it starts in the same way
INVALID_FIELD = re.compile(r'Field "([\w.]+)" is not a valid field to query')

# nvidia-smi's words, as nvmlErrorString and nvidia-smi itself have them -> NVML's name and number for the error.
STATUSES = (
    ("couldn't find libnvidia-ml", "LIBRARY_NOT_FOUND", 12),
    ("NVML Shared Library Not Found", "LIBRARY_NOT_FOUND", 12),
    ("Driver/library version mismatch", "LIB_RM_VERSION_MISMATCH", 18),
    ("couldn't communicate with the NVIDIA driver", "DRIVER_NOT_LOADED", 9),
    ("Driver Not Loaded", "DRIVER_NOT_LOADED", 9),
    ("Insufficient Permissions", "NO_PERMISSION", 4),
    ("GPU is lost", "GPU_IS_LOST", 15),
    ("GPU access blocked by the operating system", "OPERATING_SYSTEM", 17),
    ("Function Not Found", "FUNCTION_NOT_FOUND", 13),
    ("Unknown Error", "UNKNOWN", 999),
)
# What stands in a cell without a value, brackets taken off -> why Gpu.unavailable says there is none.
BLANKS = {
    "N/A": "NOT_AVAILABLE",
    "Not Supported": "NOT_SUPPORTED",
    "Unknown Error": "UNKNOWN",
    "ERR!": "UNKNOWN",
    "Insufficient Permissions": "NO_PERMISSION",
    "GPU is lost": "GPU_IS_LOST",
    "GPU requires reset": "RESET_REQUIRED",
    "Function Not Found": "FUNCTION_NOT_FOUND",
    "Not Found": "NOT_FOUND",
    "Unknown": "UNKNOWN",
}


def _mebibytes(cell: str) -> int:
    return int(float(cell) * (1 << 20))


def _yes(cell: str) -> bool:
    return {"enabled": True, "disabled": False, "yes": True, "no": False}[cell.lower()]


def _address(cell: str) -> str:
    domain, _, rest = cell.lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}"


def _whole(cell: str) -> int:
    return int(float(cell))


# Our field -> nvidia-smi's names for it (the newer first), and the meaning of a cell with `nounits`.
MINIMUM: dict[str, tuple[tuple[str, ...], Callable[[str], object]]] = {
    "index": (("index",), int),
    "name": (("name",), str),
    "uuid": (("uuid",), str),
    "pci_address": (("pci.bus_id",), _address),
    "memory_total": (("memory.total",), _mebibytes),
    "driver_version": (("driver_version",), str),
}
FIELDS: dict[str, tuple[tuple[str, ...], Callable[[str], object]]] = {
    **MINIMUM,
    "serial": (("serial",), str),
    "vbios": (("vbios_version",), str),
    "pci_device": (("pci.device_id",), lambda cell: f"{int(cell, 16) >> 16:04x}"),
    "compute_capability": (("compute_cap",), str),
    "memory_used": (("memory.used",), _mebibytes),
    "memory_free": (("memory.free",), _mebibytes),
    "sm_clock": (("clocks.sm",), _whole),
    "sm_clock_max": (("clocks.max.sm",), _whole),
    "memory_clock": (("clocks.mem",), _whole),
    "memory_clock_max": (("clocks.max.mem",), _whole),
    "performance_state": (("pstate",), lambda cell: int(cell.lstrip("P"))),
    "throttle_reasons": (
        ("clocks_event_reasons.active", "clocks_throttle_reasons.active"),
        lambda cell: throttle_reasons(int(cell, 16)),
    ),
    "utilization": (("utilization.gpu",), _whole),
    "power_draw": (("power.draw",), float),
    "power_limit": (("power.limit",), float),
    "power_limit_default": (("power.default_limit",), float),
    "power_limit_min": (("power.min_limit",), float),
    "power_limit_max": (("power.max_limit",), float),
    "temperature": (("temperature.gpu",), _whole),
    "fan_percent": (("fan.speed",), _whole),
    "ecc_enabled": (("ecc.mode.current",), _yes),
    "ecc_pending": (("ecc.mode.pending",), _yes),
    "ecc_uncorrected_volatile": (("ecc.errors.uncorrected.volatile.total",), int),
    "ecc_uncorrected_aggregate": (("ecc.errors.uncorrected.aggregate.total",), int),
    "ecc_corrected_volatile": (("ecc.errors.corrected.volatile.total",), int),
    "page_retirement_pending": (("retired_pages.pending",), _yes),
    "pcie_generation": (("pcie.link.gen.gpucurrent", "pcie.link.gen.current"), int),
    "pcie_generation_max": (("pcie.link.gen.max",), int),
    "pcie_generation_gpu_max": (("pcie.link.gen.gpumax",), int),
    "pcie_width": (("pcie.link.width.current",), int),
    "pcie_width_max": (("pcie.link.width.max",), int),
    "mig_enabled": (("mig.mode.current",), _yes),
    "mig_pending": (("mig.mode.pending",), _yes),
    "compute_mode": (("compute_mode",), lambda cell: cell.lower().replace(" ", "_")),
    "persistence_mode": (("persistence_mode",), _yes),
}
# Every release of nvidia-smi names only the first field that it does not know.
ATTEMPTS = 8


def query(machine: Machine) -> Nvml | None:
    """What nvidia-smi tells of the GPUs, or of why it cannot; None where there is no nvidia-smi."""
    command = find_nvidia_smi(machine)
    if command is None:
        return None
    columns = {field: names[0] for field, (names, _) in FIELDS.items()}
    for attempt in range(ATTEMPTS):
        if attempt == ATTEMPTS - 1:
            columns = {field: names[0] for field, (names, _) in MINIMUM.items()}
        arguments = [f"--query-gpu={','.join(columns.values())}", "--format=csv,noheader,nounits"]
        completed = machine.run([command, *arguments], timeout=TIMEOUT)
        unknown = INVALID_FIELD.search(completed.stdout + completed.stderr)
        if unknown is None:
            break
        _give_up(columns, unknown[1])
    return _read(completed, tuple(columns))


def _give_up(columns: dict[str, str], name: str) -> None:
    """Asks for the field by its next older name, or no more."""
    for field, column in list(columns.items()):
        if column == name:
            names = FIELDS[field][0]
            older = names[names.index(name) + 1 :]
            if older:
                columns[field] = older[0]
            else:
                del columns[field]
            return
    columns.pop(next(reversed(columns)))  # a name that was never asked for: at least ask for less


def _read(completed: Completed, columns: tuple[str, ...]) -> Nvml:
    said = "\n".join(text.strip() for text in (completed.stdout, completed.stderr) if text.strip())
    if completed.timed_out:
        return Nvml(source="nvidia-smi", status="TIMEOUT", message=f"nvidia-smi gave {completed.error}")
    if completed.signal:
        return Nvml(source="nvidia-smi", status="CRASH", message=f"nvidia-smi ended with {completed.signal}")
    rows = [row for row in csv.reader(completed.stdout.splitlines(), skipinitialspace=True) if len(row) == len(columns)]
    if not rows or len(columns) < 2:
        if "No devices were found" in said:
            return Nvml(source="nvidia-smi", status="SUCCESS", status_code=0, message="No devices were found", gpus=())
        status, code = _status(said)
        return Nvml(source="nvidia-smi", status=status, status_code=code, message=said or completed.error)
    gpus = [_gpu(dict(zip(columns, row, strict=True)), position) for position, row in enumerate(rows)]
    versions = [version for version, _ in gpus if version]
    return Nvml(
        source="nvidia-smi",
        status="SUCCESS",
        status_code=0,
        driver_version=versions[0] if versions else None,
        gpus=tuple(gpu for _, gpu in gpus),
    )


def _status(said: str) -> tuple[str | None, int | None]:
    for words, name, code in STATUSES:
        if words.lower() in said.lower():
            return name, code
    return ("UNKNOWN", None) if said else (None, None)


def _gpu(cells: dict[str, str], position: int) -> tuple[str | None, Gpu]:
    facts: dict[str, Any] = {"index": position}
    unavailable: dict[str, str] = {}
    for field, cell in cells.items():
        blank = BLANKS.get(cell.strip().strip("[]"))
        if blank is not None:
            unavailable[field] = blank
            continue
        try:
            facts[field] = FIELDS[field][1](cell.strip())
        except (ValueError, KeyError):
            unavailable[field] = f"nvidia-smi printed {cell.strip()!r}"
    driver = facts.pop("driver_version", None)
    unavailable.pop("driver_version", None)
    unavailable.pop("index", None)
    lost = "GPU_IS_LOST" in unavailable.values()
    return driver, msgspec.convert({**facts, "lost": lost, "unavailable": unavailable}, Gpu)
