"""A made-up NVIDIA driver: GPUs and misbehaviour in Python, real libraries in a folder for LD_LIBRARY_PATH."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.boards import BOARDS, Board
from tests.fakes.build import SONAMES, build

MIB = 1 << 20
FILES = {"nvml": "libnvidia-ml.so", "cuda": "libcuda.so"}
ARCHITECTURES = {3: 2, 5: 3, 6: 4, 7: 5, 8: 7, 9: 9, 10: 10, 12: 10}  # NVML_DEVICE_ARCH_* by capability
THROTTLE_REASONS = (
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
)  # by bit
COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
FABRIC_STATES = ("not_supported", "not_started", "in_progress", "completed")
EXTRAS = (
    "lost",
    "cuda_memory_total",
    "application_memory_clock",
    "energy_mj",
    "xid",
    "virtualization_mode",
)  # what most GPUs leave unsaid


@dataclass(frozen=True)
class FakeProcess:
    """A process on a GPU; without a name it lives in another PID namespace, without memory under WDDM or WSL."""

    pid: int
    name: str = ""
    memory: int | None = 512 * MIB
    kind: str = "compute"

    def line(self) -> str:
        return f"{self.pid} {self.kind} {'-' if self.memory is None else self.memory} {self.name}"


@dataclass(frozen=True)
class FakeNvLink:
    """One link; `version` is NVML's number (6 is NVLink 4.0), `errors` its replay, recovery, flit and data counters."""

    active: bool = True
    version: int | None = 6
    errors: Sequence[int] | None = (0, 0, 0, 0)

    def line(self) -> str:
        numbers = [int(self.active), -1 if self.version is None else self.version, *(self.errors or [-1] * 4)]
        return " ".join(map(str, numbers))


@dataclass(frozen=True)
class FakeMig:
    """A MIG instance."""

    profile: str = "1g.10gb"
    memory_total: int = 9856 * MIB
    uuid: str | None = None


class FakeGpu:
    """A GPU. What is not given is what a healthy, idle one of that name says; None makes a value NOT_SUPPORTED.

    `values` are named as the fields of the snapshot's Gpu section, in its units. `errors` maps functions to
    what goes wrong in them for this GPU alone: an NVML error by name or number, 'hang', 'crash' or 'sleep SECONDS'.
    """

    def __init__(
        self,
        name: str,
        *,
        capability: tuple[int, int] | None = None,
        mig: Sequence[FakeMig] = (),
        processes: Sequence[FakeProcess] = (),
        nvlinks: Sequence[FakeNvLink] | None = None,
        errors: Mapping[str, str | int] | None = None,
        **values: object,
    ) -> None:
        board = BOARDS.get(name)
        if board is None:
            board = Board(capability or (8, 0), 16384, 200, 1500, 5000, 4, "20B0")
        self.name = name
        self.capability = capability or board.capability
        self.board = board
        self.mig = tuple(mig)
        self.processes = tuple(processes)
        self.nvlinks = [FakeNvLink(version=board.nvlink_version)] * board.nvlinks if nvlinks is None else list(nvlinks)
        self.errors = dict(errors or {})
        unknown = set(values) - {*_identity(self, 0), *_health(self), *EXTRAS}
        if unknown:
            raise TypeError(f"a FakeGpu has no {', '.join(sorted(unknown))}")
        self.values = values

    def scenario(self, index: int) -> dict[str, object]:
        """The GPU's lines, without its prefix."""
        values = {**_identity(self, index), **_health(self), **self.values}
        pci_device = values.pop("pci_device")
        values["pci_id"] = None if pci_device is None else f"0x{int(str(pci_device), 16) << 16 | 0x10DE:08X}"
        values["throttle_reasons"] = _bits(values["throttle_reasons"])
        values["compute_mode"] = _number(values["compute_mode"], COMPUTE_MODES)
        values["fabric_state"] = _number(values["fabric_state"], FABRIC_STATES)
        for i, instance in enumerate(self.mig):
            values[f"mig{i}.uuid"] = instance.uuid or _uuid("MIG", f"{self.name}/{index}/{i}")
            values[f"mig{i}.name"] = f"{self.name} MIG {instance.profile}"
            values[f"mig{i}.memory_total"] = instance.memory_total
        values |= {f"process{i}": process.line() for i, process in enumerate(self.processes)}
        values |= {f"nvlink{i}": link.line() for i, link in enumerate(self.nvlinks)}
        return {**values, **self.errors}


def _uuid(kind: str, seed: str) -> str:
    return f"{kind}-{uuid.uuid5(uuid.NAMESPACE_OID, seed)}"


def _number(value: object, names: Sequence[str]) -> object:
    return names.index(value) if isinstance(value, str) else value


def _bits(value: object) -> object:
    return sum(1 << THROTTLE_REASONS.index(name) for name in value) if isinstance(value, (tuple, list)) else value


def _identity(gpu: FakeGpu, index: int) -> dict[str, object]:
    board = gpu.board
    architecture = {(7, 5): 6, (8, 9): 8}.get(gpu.capability, ARCHITECTURES.get(gpu.capability[0], 0xFFFFFFFF))
    return {
        "name": gpu.name,
        "uuid": _uuid("GPU", f"{gpu.name}/{index}"),
        "serial": f"165432100{index:04d}" if board.ecc else None,
        "vbios": "96.00.74.00.01",
        "architecture": architecture,
        "pci_address": f"0000:{0x17 + 0x11 * index:02x}:00.0",
        "pci_device": board.device,
        "compute_capability": f"{gpu.capability[0]}.{gpu.capability[1]}",
        "minor": index,
        "memory_total": None if board.memory is None else board.memory * MIB,
        "memory_used": None if board.memory is None else 0,
        "memory_reserved": None if board.memory is None else 600 * MIB,
        "bar1_total": None if board.memory is None else (1 << (board.memory - 1).bit_length()) * MIB,
    }


def _health(gpu: FakeGpu) -> dict[str, object]:
    board = gpu.board
    counters = 0 if board.ecc else None
    remaps = 0 if board.ecc and gpu.capability >= (8, 0) else None
    retired = 0 if board.ecc and gpu.capability < (8, 0) else None
    return {
        "sm_clock": board.sm_clock // 6,
        "sm_clock_max": board.sm_clock,
        "memory_clock": board.memory_clock,
        "memory_clock_max": board.memory_clock,
        "application_sm_clock": board.sm_clock if board.ecc else None,
        "performance_state": 0 if board.ecc else 8,
        "throttle_reasons": ("gpu_idle",),
        "utilization": 0,
        "power_draw": None if board.power is None else board.power / 10,
        "power_limit": board.power,
        "power_limit_enforced": board.power,
        "power_limit_default": board.power,
        "power_limit_min": None if board.power is None else board.power / 2,
        "power_limit_max": board.power,
        "temperature": 34,
        "temperature_slowdown": 87,
        "temperature_shutdown": 92,
        "fan_percent": 30 if board.fan else None,
        "ecc_enabled": 1 if board.ecc else None,
        "ecc_pending": 1 if board.ecc else None,
        "ecc_uncorrected_volatile": counters,
        "ecc_uncorrected_aggregate": counters,
        "ecc_corrected_volatile": counters,
        "ecc_corrected_aggregate": counters,
        "rows_remapped_correctable": remaps,
        "rows_remapped_uncorrectable": remaps,
        "row_remap_pending": remaps,
        "row_remap_failed": remaps,
        "pages_retired": retired,
        "pages_retired_single": retired,
        "page_retirement_pending": retired,
        "pcie_generation": board.pcie,
        "pcie_generation_max": board.pcie,
        "pcie_generation_gpu_max": board.pcie,
        "pcie_width": 16,
        "pcie_width_max": 16,
        "mig_enabled": int(bool(gpu.mig)) if board.mig else None,
        "mig_pending": int(bool(gpu.mig)) if board.mig else None,
        "mig_max": board.mig or None,
        "compute_mode": "default",
        "persistence_mode": 1,
        # NVML knows the fabric from Hopper on; a board without NVSwitches answers that it has none.
        "fabric_state": None if gpu.capability < (9, 0) else "completed" if board.fabric else "not_supported",
        "fabric_status": None if gpu.capability < (9, 0) else 0,
    }


@dataclass(frozen=True)
class FakeDriver:
    """A driver as its two libraries show it. `install` writes them into a folder.

    `errors` maps functions of either library to what goes wrong in them for every GPU ({'nvmlInit': 18, 'cuInit': 802},
    {'nvmlInit': 'hang'}, {'libcuda.load': 'crash'}), and 'counted' to how many GPUs it says there are; `missing` lists functions
    that it lacks, as an older one does.
    """

    driver: str = "580.159.04"
    cuda: str = "13.0"
    gpus: Sequence[FakeGpu] = ()
    errors: Mapping[str, str | int] = field(default_factory=dict)
    missing: Sequence[str] = ()
    libraries: Sequence[str] = ("nvml", "cuda")
    libcuda_cuda: str | None = None
    """What libcuda alone says of its CUDA version, where a cuda-compat package replaced it."""

    def scenario(self) -> str:
        values: dict[str, object] = {
            "driver_version": self.driver,
            "nvml_version": f"{self.cuda.split('.')[0]}.{self.driver}",
            "cuda_version": _cuda_number(self.cuda),
            "libcuda_version": _cuda_number(self.libcuda_cuda or self.cuda),
            "gpus": len(self.gpus),
            **self.errors,
        }
        for index, gpu in enumerate(self.gpus):
            values |= {f"gpu{index}.{key}": value for key, value in gpu.scenario(index).items()}
        return "".join(
            f"{key} = {int(value) if isinstance(value, bool) else value}\n"
            for key, value in values.items()
            if value is not None
        )

    def install(self, folder: Path) -> Path:
        """Puts the libraries and their scenario into `folder` as a driver package does; returns it for LD_LIBRARY_PATH."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scenario").write_text(self.scenario())
        for library in self.libraries:
            without = [name for name in self.missing if name.startswith("nv") == (library == "nvml")]
            file = folder / f"{FILES[library]}.{self.driver}"
            # A copy, not a link: the loader's map then names the file in this folder, as it would the driver's own.
            shutil.copyfile(build(library, without), file)
            link = folder / SONAMES[library]
            link.unlink(missing_ok=True)
            link.symlink_to(file.name)
        return folder


def _cuda_number(version: str) -> int:
    major, minor = version.split(".")
    return int(major) * 1000 + int(minor) * 10
