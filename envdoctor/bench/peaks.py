"""What the card's datasheet and its link allow: the limits that no measurement of the same run can give."""

from __future__ import annotations

import re

import msgspec

from envdoctor.bench.gpu_watch import is_mig
from envdoctor.bench.results import BenchResult, Metric, PhysicalLimit, Telemetry, WorkloadResult
from envdoctor.knowledge import KnowledgeError, load
from envdoctor.knowledge.gpus import GpuRecord

# fp32 lanes of a multiprocessor by compute capability [CUDA C++ Programming Guide, throughput of native arithmetic].
CORES = {"6.0": 64, "6.1": 128, "7": 64, "8.0": 64, "8": 128, "9": 128, "10": 128, "12": 128}
# GB/s a lane and direction, after the line code: 8b/10b up to generation 2, 128b/130b up to 5, flits of 242 in 256 bytes in 6
# (PCI Express Base Specification 6.0, sections 4.2 and 4.2.3).
PCIE_LANE = {1: 0.25, 2: 0.5, 3: 0.9846, 4: 1.9692, 5: 3.9385, 6: 7.5625}


def with_peaks(result: BenchResult) -> BenchResult:
    """The result with a limit for each figure that a datasheet or the link limits, where the child knew none."""
    device = result.device
    if device is None or device.type != "cuda":
        return result
    card = _card(device.name)
    workloads = tuple(_with_peaks(workload, card) for workload in result.workloads)
    return msgspec.structs.replace(result, workloads=workloads)


def _card(name: str | None) -> GpuRecord | None:
    if name is None or is_mig(name):  # a slice has a part of the card's units
        return None
    try:
        return load().gpu(name)
    except KnowledgeError:  # a card that is newer than the table
        return None


def _at_its_clock(card: GpuRecord, seen: Telemetry | None) -> tuple[float, str]:
    """What a datasheet's arithmetic peak is to be multiplied with, and words for it: cards boost past the clock that their
    datasheet counts with, where power and temperature let them. Never below 1: the figure tells of a clock that is held down."""
    cores = CORES.get(card.capability) or CORES.get(card.capability.partition(".")[0])
    if cores is None or not card.fp32_tflops or not card.sm_count or seen is None or seen.sm_clock is None:
        return 1.0, ""
    counted = card.fp32_tflops * 1e6 / (2 * cores * card.sm_count)
    held = seen.sm_clock[1]
    return (held / counted, f" at {held:.0f} MHz") if held > 1.01 * counted else (1.0, "")


def _with_peaks(workload: WorkloadResult, card: GpuRecord | None) -> WorkloadResult:
    family, _, member = workload.name.partition(".")
    peak: tuple[float | None, str] = (None, "")
    figure = {"matmul": "throughput", "memory": "bandwidth", "transfer": "bandwidth"}.get(family)
    if family == "matmul" and card is not None:
        tensor = card.tensor_tflops or {}
        sheet = card.fp32_tflops if member == "fp32" else tensor.get(member)
        factor, clock = _at_its_clock(card, workload.telemetry)
        peak = (sheet and sheet * factor, f"the datasheet's dense {member} peak{clock}")
    elif family == "memory" and card is not None:
        peak = (card.bandwidth_gb_s, "the datasheet's memory bandwidth")
    elif family == "transfer" and not (card is not None and card.platform):  # Grace: NVLink-C2C, no PCIe
        peak = _link(workload)
    metric = workload.metrics.get(figure or "")
    if figure is None or peak[0] is None or metric is None or metric.limit is not None or metric.value is None:
        return workload
    limited = _limited(metric, peak[0], peak[1])
    warnings = workload.warnings
    if limited.limit is not None and limited.limit.percent > 100.5:
        warnings = (*warnings, f"{figure} is above {peak[1]} ({peak[0]:g} {metric.unit}): one of the two is wrong")
    metrics = {**workload.metrics, figure: limited}
    return msgspec.structs.replace(workload, metrics=metrics, warnings=warnings)


def _limited(metric: Metric, peak: float, what: str) -> Metric:
    assert metric.value is not None
    return msgspec.structs.replace(
        metric, limit=PhysicalLimit(value=peak, percent=100 * metric.value / peak, what=what)
    )


def _link(workload: WorkloadResult) -> tuple[float | None, str]:
    """GB/s of the PCIe link as it was while the copies ran. Where the copy does not go over PCIe (NVLink-C2C), none is known."""
    seen = workload.telemetry
    if seen is None or seen.pcie_generation not in PCIE_LANE or not seen.pcie_width:
        return None, ""
    limit = PCIE_LANE[seen.pcie_generation] * seen.pcie_width
    return limit, f"PCIe {seen.pcie_generation} x{seen.pcie_width}"


def dtype_of(workload: str) -> str | None:
    """'bf16' of 'matmul.bf16'."""
    found = re.fullmatch(r"matmul\.(\w+)", workload)
    return found[1] if found else None
