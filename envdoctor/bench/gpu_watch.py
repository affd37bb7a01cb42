"""One GPU sampled through NVML while a benchmark measures on it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import psutil
import pynvml

from envdoctor.bench.results import Device
from envdoctor.facts.probes._nvml_fields import throttle_reasons

PERIOD = 0.1
"""Seconds between samples of clocks, power and throttle reasons."""
SELDOM = 10
"""Samples between looks at what costs more or changes slowly: processes, ECC, temperature."""
OFTEN_ENOUGH = 3
"""Samples between looks at the PCIe link, which wakes only while something is sent."""
INSTANT = (186,)  # NVML_FI_DEV_POWER_INSTANT
XID = 0x08  # nvmlEventTypeXidCriticalError
ECC_COUNTERS = (("corrected", 0), ("uncorrected", 1))
VOLATILE = 0
VGPU_MODE = 2  # NVML_GPU_VIRTUALIZATION_MODE_VGPU: we are the guest


@dataclass
class Sample:
    """One look; None: not asked this time, or not known. Units as in results.Telemetry; energy J."""

    t: float
    sm_clock: int | None = None
    reasons: tuple[str, ...] | None = None
    power: float | None = None
    energy: float | None = None
    memory_clock: int | None = None
    temperature: int | None = None
    pcie: tuple[int, int] | None = None
    foreign: tuple[str, ...] | None = None
    ecc: dict[str, int] | None = None
    xids: tuple[int, ...] = ()


@dataclass
class GpuWatch:
    """Asks one GPU. Calls may hang or fail: it belongs on a thread of its own, and a failure is kept, never raised."""

    samples: list[Sample] = field(default_factory=list)
    power_limit: float | None = None
    sharing: tuple[str, ...] = ()
    lost_at: float | None = None
    refused: dict[str, str] = field(default_factory=dict)
    """Calls that NVML refuses on this GPU, with its reason: not asked again."""
    _handle: Any = None
    _events: Any = None
    _before: dict[str, frozenset[int]] = field(default_factory=dict)
    _baseline: frozenset[int] = frozenset()

    # --- before and at the start ---------------------------------------------------------------------------------------

    def look_around(self) -> str | None:
        """Starts NVML and notes who computes on which GPU before our own process does. Returns why it cannot, else None."""
        try:
            pynvml.nvmlInit()
            for index in range(pynvml.nvmlDeviceGetCount()):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                self._before[pynvml.nvmlDeviceGetUUID(handle)] = frozenset(_compute_processes(handle))
        except pynvml.NVMLError as error:
            return str(error)
        return None

    def choose(self, device: Device) -> str | None:
        """Takes the GPU that the child measures on. Returns why it cannot be told, else None."""
        try:
            self._handle = _handle(device)
        except pynvml.NVMLError as error:
            return f"NVML does not know the GPU that torch calls {device.name} ({device.uuid}): {error}"
        if self._handle is None:
            return f"which of the GPUs torch calls {device.name} cannot be told: this torch gives neither UUID nor PCI address"
        self._baseline = self._before.get(self._ask("nvmlDeviceGetUUID") or "", frozenset())
        limit = self._ask("nvmlDeviceGetEnforcedPowerLimit")
        self.power_limit = None if limit is None else limit / 1000
        self.sharing = tuple(self._ways_of_sharing(device))
        with contextlib.suppress(pynvml.NVMLError, AttributeError):
            events = pynvml.nvmlEventSetCreate()
            pynvml.nvmlDeviceRegisterEvents(self._handle, XID, events)
            self._events = events
        return None

    def _ways_of_sharing(self, device: Device) -> Iterable[str]:
        mode = self._ask("nvmlDeviceGetMigMode")
        if (device.uuid or "").startswith("MIG-") or is_mig(device.name) or (mode and mode[0]):
            yield "mig"
        if self._ask("nvmlDeviceGetVirtualizationMode") == VGPU_MODE:
            yield "vgpu"
        if _mps_running():
            yield "mps"

    # --- sampling ------------------------------------------------------------------------------------------------------

    def sample(self, now: float, own: frozenset[int], *, thorough: bool = False) -> None:
        """Takes one sample. `own`: the processes of this run; `thorough`: ask everything, though its turn has not come."""
        number = len(self.samples)
        sample = Sample(now)
        sample.sm_clock = self._ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)
        sample.reasons = self._reasons()
        sample.power = self._power()
        sample.energy = self._scaled("nvmlDeviceGetTotalEnergyConsumption")
        sample.xids = tuple(self._xids())
        if thorough or number % OFTEN_ENOUGH == 0:
            generation = self._ask("nvmlDeviceGetCurrPcieLinkGeneration")
            width = self._ask("nvmlDeviceGetCurrPcieLinkWidth")
            sample.pcie = (generation, width) if generation and width else None
        if thorough or number % SELDOM == 0:
            sample.memory_clock = self._ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM)
            sample.temperature = self._ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU)
            sample.foreign = self._foreign(own)
            sample.ecc = self._ecc()
        self.samples.append(sample)

    def _ask(self, function: str, *arguments: object) -> Any:
        """The answer; None where NVML has none, or the binding or the driver lacks the function."""
        key = " ".join((function, *map(str, arguments)))
        if key in self.refused or self.lost_at is not None:
            return None
        try:
            return getattr(pynvml, function)(self._handle, *arguments)
        except pynvml.NVMLError as error:
            if error.value == pynvml.NVML_ERROR_GPU_IS_LOST:
                self.lost_at = time.monotonic()
            self.refused[key] = str(error)
        except AttributeError:
            self.refused[key] = "unknown to this nvidia-ml-py"
        return None

    def _scaled(self, function: str) -> float | None:
        """Milliwatts or millijoules in W or J."""
        answer = self._ask(function)
        return None if answer is None else answer / 1000

    def _power(self) -> float | None:
        """W at this moment where NVML tells it; its other answer is a mean over one second since Ampere [nvml.h]."""
        fields = self._ask("nvmlDeviceGetFieldValues", INSTANT)
        if fields and fields[0].nvmlReturn == pynvml.NVML_SUCCESS and fields[0].value.uiVal:
            return float(fields[0].value.uiVal) / 1000
        return self._scaled("nvmlDeviceGetPowerUsage")

    def _reasons(self) -> tuple[str, ...] | None:
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # drivers before 535
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return None if bits is None else throttle_reasons(bits)

    def _ecc(self) -> dict[str, int] | None:
        counts = {name: self._ask("nvmlDeviceGetTotalEccErrors", kind, VOLATILE) for name, kind in ECC_COUNTERS}
        known = {name: count for name, count in counts.items() if count is not None}
        return known or None

    def _xids(self) -> Iterable[int]:
        while self._events is not None:
            try:
                event = pynvml.nvmlEventSetWait(self._events, 0)
            except pynvml.NVMLError as error:
                if error.value != pynvml.NVML_ERROR_TIMEOUT:
                    self._events = None
                return
            yield int(event.eventData)

    def _foreign(self, own: frozenset[int]) -> tuple[str, ...] | None:
        """Compute processes on the GPU that are not of this run.

        In a container NVML gives process numbers of the host, where ours have other numbers. So a number counts as foreign if it
        was there before we began, or if it is a process that we see and that is not ours. Of the rest one is let pass where
        ours is not listed, for that is ours under another number.
        """
        processes = _compute_processes(self._handle)
        unknown = [
            pid for pid in processes if pid not in own and pid not in self._baseline and not psutil.pid_exists(pid)
        ]
        seen = [pid for pid in processes if pid not in own and pid not in unknown]
        room = 0 if own & processes.keys() else 1
        return tuple(_describe(pid) for pid in [*seen, *sorted(unknown)[room:]])


def _compute_processes(handle: Any) -> dict[int, int]:
    """pid -> bytes of the GPU's memory; empty where NVML does not say."""
    for function in ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses"):
        with contextlib.suppress(pynvml.NVMLError, AttributeError):
            return {process.pid: process.usedGpuMemory or 0 for process in getattr(pynvml, function)(handle)}
    return {}


def _describe(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"


def _handle(device: Device) -> Any:
    """NVML's handle of torch's device: by UUID or PCI address, for the two number GPUs differently; None where it cannot be told.
    Of a MIG instance: the GPU that it is a part of."""
    if device.uuid:
        handle = _by_uuid(device.uuid)
        with contextlib.suppress(pynvml.NVMLError):
            return pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
        return handle
    if device.pci:
        with contextlib.suppress(pynvml.NVMLError):
            return pynvml.nvmlDeviceGetHandleByPciBusId(device.pci)
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    named = [handle for handle in handles if pynvml.nvmlDeviceGetName(handle) == device.name]
    return named[0] if len(named) == 1 else handles[0] if len(handles) == 1 else None


def _by_uuid(uuid: str) -> Any:
    """torch's own text of a UUID has no prefix, a MIG instance's neither. Raises NVMLError where none is known by it."""
    if uuid.startswith(("GPU-", "MIG-")):
        return pynvml.nvmlDeviceGetHandleByUUID(uuid)
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")


def is_mig(name: str | None) -> bool:
    """Whether CUDA's name of a device is a MIG instance's ("NVIDIA H100 80GB HBM3 MIG 1g.10gb")."""
    return " MIG " in (name or "")


def _mps_running() -> bool:
    if os.environ.get("CUDA_MPS_PIPE_DIRECTORY"):
        return True
    with contextlib.suppress(psutil.Error, OSError):
        return any(process.info["name"] == "nvidia-cuda-mps-server" for process in psutil.process_iter(["name"]))
    return False
