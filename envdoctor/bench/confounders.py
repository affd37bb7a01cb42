"""What else differs between two results: a comparison cannot tell which of these made the difference."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import msgspec

from envdoctor.bench.results import BenchResult, Device
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu

CLOCK_TOLERANCE = 0.03
POWER_TOLERANCE = 0.01


class Confounder(msgspec.Struct, frozen=True):
    """Something that differs, on the baseline and on the other side."""

    what: str
    baseline: str
    other: str


def confounders(baseline: BenchResult, other: BenchResult) -> Iterator[Confounder]:
    """Software, settings and circumstances that differ; what is unknown on a side is not said to differ. The device comes first:
    it is often what is to be compared."""
    facts = (_facts(baseline), _facts(other))
    for name in facts[0]:
        a, b = facts[0][name], facts[1][name]
        if a is not None and b is not None and not _alike(name, a, b):
            yield Confounder(name, _words(name, a), _words(name, b))
    for name, key, a, b in _knobs(baseline, other):
        yield Confounder(f"{name}: {key}", str(a), str(b))


def _facts(result: BenchResult) -> dict[str, Any]:
    device, software, machine = result.device, result.environment, result.snapshot
    on_gpu = device is not None and device.type == "cuda"
    return {
        "device": device.name if device else None,
        "torch": software.torch,
        "CUDA": software.cuda,
        "cuDNN": software.cudnn,
        "driver": software.driver if on_gpu else None,
        "Python": _release(software.python),
        "threads": software.threads,
        "precision": software.precision or None,
        "power limit": software.power_limit,
        "SM clock": _clock(result),
        **_machine(machine, device if on_gpu else None),
        "operating system": machine.host.os_name if machine.host else None,
        "kernel": machine.host.kernel if machine.host else None,
    }


def _measured_gpu(machine: Snapshot, device: Device | None) -> Gpu | None:
    """The GPU that was measured, among the machine's; None where it cannot be told."""
    gpus = machine.gpus or ()
    if device is None:
        return None
    own = [gpu for gpu in gpus if device.uuid and gpu.uuid == device.uuid]
    own = own or [gpu for gpu in gpus if device.pci and gpu.pci_address and same_address(gpu.pci_address, device.pci)]
    return own[0] if own else gpus[0] if len(gpus) == 1 else None


def same_address(one: str, other: str) -> bool:
    """'0000:3B:00.0' and '00000000:3b:00.0' are one."""
    return one.lower().lstrip("0") == other.lower().lstrip("0")


def _machine(machine: Snapshot, device: Device | None) -> dict[str, Any]:
    gpu = _measured_gpu(machine, device)
    return {
        "CPU": machine.host.cpu_model if machine.host else None,
        "ECC": gpu.ecc_enabled if gpu else None,
        "MIG": gpu.mig_enabled if gpu else None,
        "PCIe generation": gpu.pcie_generation_max if gpu else None,
        "PCIe width": gpu.pcie_width if gpu else None,
    }


def _clock(result: BenchResult) -> float | None:
    clocks = [w.telemetry.sm_clock[1] for w in result.workloads if w.telemetry and w.telemetry.sm_clock]
    return median(clocks) if clocks else None


def _release(version: str | None) -> str | None:
    """'3.11' of '3.11.7'."""
    return None if version is None else ".".join(version.split(".")[:2])


def _alike(name: str, a: Any, b: Any) -> bool:
    tolerance = {"SM clock": CLOCK_TOLERANCE, "power limit": POWER_TOLERANCE}.get(name)
    return bool(a == b) if tolerance is None else abs(a - b) <= tolerance * max(a, b)


def _words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return ", ".join(f"{key} {value[key]}" for key in sorted(value))
    unit = {"SM clock": " MHz", "power limit": " W"}.get(name, "")
    return f"{value:.0f}{unit}" if unit else str(value)


def _knobs(baseline: BenchResult, other: BenchResult) -> Iterator[tuple[str, str, Any, Any]]:
    for a in baseline.workloads:
        b = other.workload(a.name)
        if b is None or not a.metrics or not b.metrics:
            continue
        for key in sorted({*a.knobs, *b.knobs}):
            if a.knobs.get(key) != b.knobs.get(key):
                yield a.name, key, a.knobs.get(key), b.knobs.get(key)
