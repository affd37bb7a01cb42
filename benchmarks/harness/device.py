"""The device under test, behind one small interface, so that the same measuring code runs on a GPU and on a CPU.

A mark is a point in the device's own time: an event in the current CUDA stream, or the wall clock. Everything that differs
between torch 1.13 and 2.15 is looked up here and nowhere else.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import torch

from .timing import Warmth


class Device:
    """The CPU: what runs has ended when the call returns, and the wall clock times it."""

    type = "cpu"
    is_cuda = False

    def __init__(self) -> None:
        self.index: Optional[int] = None
        self.torch_device = torch.device("cpu")
        self._flush: Optional[torch.Tensor] = None
        self.warmth = Warmth()

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return _processor_name()

    @property
    def capability(self) -> Optional[Tuple[int, int]]:
        """Compute capability; None on a CPU."""
        return None

    @property
    def memory_bytes(self) -> int:
        """All memory that this process may use."""
        return _host_memory()

    def free_bytes(self) -> int:
        """Memory that a new tensor could take now."""
        return _available_memory()

    @property
    def cache_bytes(self) -> int:
        """The last cache before memory: L2 on a GPU, L3 on a CPU."""
        return _last_level_cache()

    def describe(self) -> Dict[str, Any]:
        capability = self.capability
        return {
            "type": self.type,
            "index": self.index,
            "name": self.name,
            "capability": "{}.{}".format(*capability) if capability else None,
            "memory_bytes": self.memory_bytes,
            "uuid": None,
        }

    # --- its time ----------------------------------------------------------------------------------------------------

    def mark(self) -> Any:
        return time.perf_counter()

    def seconds(self, first: Any, second: Any) -> float:
        """Between two marks that the device has passed (after `synchronize`)."""
        return second - first

    def synchronize(self) -> None:
        """Wait until all that was asked for is done. Raises what the device raises."""

    def gate(self, seconds: float) -> bool:
        """Hold the stream for about that long, so that what is launched next is queued behind; False where nothing can."""
        return False

    def flush_cache(self) -> None:
        """Fill the last cache with other data."""
        if self._flush is None:
            self._flush = torch.ones(2 * self.cache_bytes // 4, dtype=torch.float32, device=self.torch_device)
        # Read, not written: a dirty cache would be written back at the expense of what is measured next.
        self._flush.sum()

    # --- its memory --------------------------------------------------------------------------------------------------

    def reset_peak(self) -> None:
        """Count peak memory from here."""

    def peak_bytes(self) -> Optional[int]:
        """Most memory that tensors held since `reset_peak`; None where it is not counted."""
        return None

    def release(self) -> None:
        """Give back what earlier workloads left cached."""
        self._flush = None

    def alive(self) -> bool:
        """Whether the device still computes after an error."""
        return True


class Cuda(Device):
    """One CUDA device; made current."""

    type = "cuda"
    is_cuda = True

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self.torch_device = torch.device("cuda", index)
        torch.cuda.set_device(index)
        torch.cuda.init()
        self._properties = torch.cuda.get_device_properties(index)

    @property
    def name(self) -> str:
        return str(self._properties.name)

    @property
    def capability(self) -> Optional[Tuple[int, int]]:
        return self._properties.major, self._properties.minor

    @property
    def memory_bytes(self) -> int:
        return int(self._properties.total_memory)

    def free_bytes(self) -> int:
        # What torch's allocator holds and does not use is free for tensors too.
        cached = torch.cuda.memory_reserved(self.index) - torch.cuda.memory_allocated(self.index)
        return int(torch.cuda.mem_get_info(self.index)[0]) + int(cached)

    @property
    def cache_bytes(self) -> int:
        # torch < 2.4 does not tell; no NVIDIA GPU has had more than 128 MiB of L2 (GB202, B200: 126-128).
        return int(getattr(self._properties, "L2_cache_size", 0)) or 128 << 20

    def describe(self) -> Dict[str, Any]:
        facts = super().describe()
        uuid = getattr(self._properties, "uuid", None)  # torch >= 2.5
        if uuid is not None:
            # torch gives it bare, a MIG instance's too.
            kind = "MIG" if is_mig(self.name) else "GPU"
            facts["uuid"] = str(uuid) if str(uuid).startswith(("GPU-", "MIG-")) else "{}-{}".format(kind, uuid)
        facts["pci"] = _pci_address(self._properties, self.index or 0)
        facts["multiprocessors"] = self._properties.multi_processor_count
        facts["l2_bytes"] = self.cache_bytes
        return facts

    def mark(self) -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, first: Any, second: Any) -> float:
        return float(first.elapsed_time(second)) / 1e3

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.index)

    def gate(self, seconds: float) -> bool:
        sleep = getattr(torch.cuda, "_sleep", None)
        if sleep is None:
            return False
        # It counts clock cycles, and no GPU runs faster than about 3 GHz: a slower one sleeps longer, which does no harm.
        sleep(int(seconds * 3e9))
        return True

    def reset_peak(self) -> None:
        torch.cuda.reset_peak_memory_stats(self.index)

    def peak_bytes(self) -> Optional[int]:
        return int(torch.cuda.max_memory_allocated(self.index))

    def release(self) -> None:
        super().release()
        torch.cuda.empty_cache()

    def alive(self) -> bool:
        try:
            ones = torch.ones(8, device=self.torch_device)
            return bool((ones + ones).sum().item() == 16.0)
        except RuntimeError:
            return False


def is_mig(name: str) -> bool:
    """Whether CUDA's name of a device is a MIG instance's ("NVIDIA H100 80GB HBM3 MIG 1g.10gb")."""
    return " MIG " in name


def _pci_address(properties: Any, index: int) -> Optional[str]:
    """'00000000:3b:00.0'; None where nobody tells."""
    bus = getattr(properties, "pci_bus_id", None)  # torch >= 2.6
    if bus is not None:
        domain = getattr(properties, "pci_domain_id", 0)
        return "{:08x}:{:02x}:{:02x}.0".format(domain, bus, properties.pci_device_id)
    # torch tells less the older it is; the driver library, which is loaded already, has always told.
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        device, text = ctypes.c_int(), ctypes.create_string_buffer(32)
        if driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDeviceGetPCIBusId(text, 32, device):
            return None
    except (OSError, AttributeError):
        return None
    return text.value.decode("ascii", "replace").lower() or None


def open_device(wanted: str) -> Device:
    """'cpu', 'cuda', 'cuda:1'. Raises ValueError saying what is wrong with the name or with CUDA."""
    kind, _, number = wanted.partition(":")
    if kind == "cpu" and not number:
        return Device()
    if kind != "cuda" or (number and not number.isdigit()):
        raise ValueError("no such device: {!r}; use cpu, cuda or cuda:N".format(wanted))
    if not torch.cuda.is_available():
        built = torch.version.cuda
        why = "this torch ({}) is built without CUDA".format(torch.__version__) if built is None else _why_no_cuda()
        raise ValueError("no CUDA device: {}".format(why))
    count = torch.cuda.device_count()
    index = int(number) if number else torch.cuda.current_device()
    if index >= count:
        raise ValueError("no device cuda:{}: torch sees {}".format(index, count))
    return Cuda(index)


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _why_no_cuda() -> str:
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().splitlines()[0]
    return "torch sees no GPU"


def _lines(path: str) -> List[str]:
    try:
        return Path(path).read_text("ascii", errors="replace").splitlines()
    except OSError:
        return []


def _processor_name() -> str:
    for line in _lines("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return platform.processor() or platform.machine()


def _host_memory() -> int:
    total = 0
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = "".join(_lines(path)).strip()
        if limit.isdigit():
            total = min(total, int(limit)) if total else int(limit)
    # Where nobody tells, a machine that runs torch has this much.
    return total or 4 << 30


def _available_memory() -> int:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return min(int(line.split()[1]) << 10, _host_memory())
    return _host_memory() // 2


def _last_level_cache() -> int:
    best = 0
    for index in range(5):
        text = "".join(_lines("/sys/devices/system/cpu/cpu0/cache/index{}/size".format(index))).strip()
        if text[:-1].isdigit() and text[-1] in "KM":
            best = max(best, int(text[:-1]) << (10 if text[-1] == "K" else 20))
    return best or 32 << 20
