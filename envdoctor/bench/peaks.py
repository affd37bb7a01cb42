"""What the card's datasheet and its link allow: the limits that no measurement of the same run can give."""

from __future__ import annotations

import re

import msgspec

from envdoctor.bench.results import BenchResult, Limit, Metric, WorkloadResult
from envdoctor.knowledge import KnowledgeError, load
from envdoctor.knowledge.gpus import GpuRecord

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
    try:
        return load().gpu(name) if name else None
    except KnowledgeError:  # a card that is newer than the table, or a slice of one ("... MIG 1g.10gb")
        return None


def _with_peaks(workload: WorkloadResult, card: GpuRecord | None) -> WorkloadResult:
    family, _, member = workload.name.partition(".")
    peak: tuple[float | None, str] = (None, "")
    figure = {"matmul": "throughput", "memory": "bandwidth", "transfer": "bandwidth"}.get(family)
    if family == "matmul" and card is not None:
        tensor = card.tensor_tflops or {}
        peak = (card.fp32_tflops if member == "fp32" else tensor.get(member), f"the datasheet's dense {member} peak")
    elif family == "memory" and card is not None:
        peak = (card.bandwidth_gb_s, "the datasheet's memory bandwidth")
    elif family == "transfer":
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
    return msgspec.structs.replace(metric, limit=Limit(value=peak, percent=100 * metric.value / peak, what=what))


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
