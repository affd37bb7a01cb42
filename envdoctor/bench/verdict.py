"""What the figures of a run mean, in sentences: what the machine is good at, and what holds it back.

Only valid figures speak, and wrong results. Each threshold stands with what it was taken from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from envdoctor.bench.peaks import dtype_of
from envdoctor.bench.results import BenchResult, Metric, WorkloadResult
from envdoctor.bench.statistics import geometric_mean

# Well-run machines reach, of their datasheet: bf16 products 80 % (H100: 794 of 989 TFLOP/s) to 87 % (A100), copies 90 % (H100,
# H200), pinned copies 83 % (PCIe 4 x16) to 87 % (PCIe 5 x16) of the link [ml-engineering; nvbandwidth]. What falls a sixth
# short of that has a reason.
USUAL = {"matmul": 80.0, "memory": 90.0, "transfer": 83.0}
SHORT = 5 / 6
LAUNCH_BOUND = 0.10
"""Share of a step that the GPU waits for the host's next launch."""
INPUT_BOUND = 10.0
"""Percent of a step that training waits for data."""
NEAR_ITS_LIMIT = 60.0
"""Percent of a roofline from which that roofline is what holds a workload."""
BEHIND = 0.93
"""Of the reference result for the same card: a few percent are the silicon and the cooling."""
CLEARLY = 1.15


class Statement(msgspec.Struct, frozen=True):
    """One sentence. `tone`: good, bad (it holds the machine back), or plain; `kind` names what it speaks of."""

    tone: Literal["good", "bad", "plain"]
    kind: str
    text: str


def read(result: BenchResult, reference: tuple[str, BenchResult] | None = None) -> list[Statement]:
    """The sentences, what is good first. `reference`: name and result of the same card, measured by us."""
    valid = [workload for workload in result.workloads if workload.valid and workload.metrics]
    on_gpu = result.device is not None and result.device.type == "cuda"
    found = [
        *_ceilings(valid),
        *_dtypes(valid),
        *_held_back(valid),
        *_wrong(result, "GPU" if on_gpu else "CPU"),
        *(_throttled(result) if on_gpu else ()),
        *(_link(result) if on_gpu else ()),
        *(_against(valid, *reference) if reference else ()),
    ]
    order = {"good": 0, "plain": 1, "bad": 2}
    return sorted(found, key=lambda statement: order[statement.tone])


# --- against the datasheet --------------------------------------------------------------------------------------------


def _ceilings(workloads: list[WorkloadResult]) -> Iterator[Statement]:
    words = {"matmul": "compute", "memory": "memory", "transfer": "PCIe"}
    for workload in workloads:
        family = workload.name.partition(".")[0]
        headline = workload.headline
        if family not in USUAL or headline is None or headline[1].limit is None or "pageable" in workload.name:
            continue
        limit, value = headline[1].limit, headline[1].value
        if not ("datasheet" in limit.what or limit.what.startswith("PCIe")):
            continue
        figures = f"{value:.4g} of {limit.value:.4g} {headline[1].unit}"
        text = f"{workload.name} reaches {limit.percent:.0f} % of {limit.what} ({figures})"
        if limit.percent >= SHORT * USUAL[family]:
            yield Statement("good", words[family], text)
        else:
            usual = f"; about {USUAL[family]:.0f} % is usual"
            yield Statement("bad", words[family], text + usual)


def _dtypes(workloads: list[WorkloadResult]) -> Iterator[Statement]:
    """Which format to compute in."""
    rates = {dtype: w.headline[1].value for w in workloads if (dtype := dtype_of(w.name)) and w.headline}
    plain = rates.get("fp32")
    rest = {dtype: rate for dtype, rate in rates.items() if dtype not in ("fp32", "fp8") and rate}
    if not plain or not rest:
        return
    best = max(rest, key=lambda dtype: rest[dtype] or 0.0)
    ratio = (rest[best] or 0.0) / plain
    if ratio >= CLEARLY:
        yield Statement("good", "compute", f"{best} multiplies matrices {ratio:.1f} times as fast as fp32: train in it")
    elif ratio < 1 / CLEARLY:
        yield Statement(
            "plain", "compute", f"{best} is slower than fp32 here ({ratio:.2f}x): it does not pay on this device"
        )


# --- what holds the training workloads back ---------------------------------------------------------------------------


def _held_back(workloads: list[WorkloadResult]) -> Iterator[Statement]:
    for workload in workloads:
        wait = workload.metrics.get("data_wait")
        if wait is not None and wait.value is not None and wait.value >= INPUT_BOUND:
            needed = workload.metrics.get("workers_needed")
            cure = f"; about {needed.value:.0f} loader workers would keep it busy" if needed and needed.value else ""
            yield Statement(
                "bad",
                "input-bound",
                f"{workload.name} is input-bound: {wait.value:.0f} % of the time it waits for data{cure}",
            )
        gap = _host_gap(workload)
        if gap is not None and gap >= LAUNCH_BOUND and ".train" in workload.name:
            yield Statement(
                "bad",
                "launch-bound",
                f"{workload.name} is launch-bound: {gap:.0%} of the time the GPU waits for the host "
                "(torch.compile, CUDA graphs, larger batches help)",
            )
        elif ".train" in workload.name:
            yield from _bound(workload)


def _host_gap(workload: WorkloadResult) -> float | None:
    timings = workload.details.get("timing")
    gaps = [t.get("host_gap") for t in timings.values() if isinstance(t, dict)] if isinstance(timings, dict) else []
    known = [float(gap) for gap in gaps if isinstance(gap, (int, float)) and math.isfinite(gap)]
    return max(known, default=None)


def _bound(workload: WorkloadResult) -> Iterator[Statement]:
    """Which ceiling a training step stands at."""
    limit = workload.headline[1].limit if workload.headline else None
    if limit is None:
        return
    bound = _kind_of_limit(workload, limit.what)
    if limit.percent >= NEAR_ITS_LIMIT:
        yield Statement("good", bound, f"{workload.name} is {bound}, at {limit.percent:.0f} % of {limit.what}")
    else:
        yield Statement(
            "plain",
            bound,
            f"{workload.name} reaches {limit.percent:.0f} % of {limit.what}: its kernels are slower than their bounds, or there "
            "is time between them",
        )


def _kind_of_limit(workload: WorkloadResult, what: str) -> str:
    stated: Any = workload.details.get("bound")
    if stated in ("memory", "compute"):
        return f"{stated}-bound"
    return "memory-bound" if "copy" in what or "memory" in what or "bandwidth" in what else "compute-bound"


# --- wrong results ----------------------------------------------------------------------------------------------------


def _wrong(result: BenchResult, device: str) -> Iterator[Statement]:
    names = [workload.name for workload in result.workloads if workload.wrong]
    if names:
        yield Statement(
            "bad",
            "arithmetic",
            f"this {device} computed wrongly in {', '.join(names)}: trust nothing that it computes. Overclocked or failing "
            "hardware does this, or a broken library: run `envdoctor check`, then measure at stock clocks and with another torch",
        )


# --- circumstances ----------------------------------------------------------------------------------------------------


def _throttled(result: BenchResult) -> Iterator[Statement]:
    shares: dict[str, list[str]] = {}
    for workload in result.workloads:
        for reason, share in (workload.telemetry.throttled if workload.telemetry else {}).items():
            if share > 0.05 and reason != "gpu_idle":
                shares.setdefault(reason, []).append(workload.name)
    words = {
        "sw_power_cap": "power-capped: the GPU runs at its power limit in",
        "hw_slowdown": "throttled by the hardware in",
        "hw_thermal_slowdown": "throttled for its temperature by the hardware in",
        "sw_thermal_slowdown": "throttled for its temperature by the driver in",
        "hw_power_brake_slowdown": "throttled by the power supply in",
        "applications_clocks_setting": "application clocks below the maximum held in",
    }
    for reason, names in shares.items():
        if reason in words:
            tone: Literal["plain", "bad"] = "plain" if reason == "sw_power_cap" else "bad"
            yield Statement(tone, "throttled", f"{words[reason]} {', '.join(names[:4])}")


def _link(result: BenchResult) -> Iterator[Statement]:
    gpu = result.snapshot.gpus[0] if result.snapshot.gpus and len(result.snapshot.gpus) == 1 else None
    seen = [
        (w.telemetry.pcie_generation, w.telemetry.pcie_width)
        for w in result.workloads
        if w.telemetry and w.name.startswith("transfer") and w.telemetry.pcie_generation and w.telemetry.pcie_width
    ]
    if not seen or gpu is None:
        return
    generation, width = max(seen)
    most, widest = gpu.pcie_generation_gpu_max or gpu.pcie_generation_max, gpu.pcie_width_max
    if (most and generation < most) or (widest and width < widest):
        yield Statement(
            "bad",
            "PCIe-bound",
            f"the link ran as PCIe {generation} x{width} under load, and the card could do PCIe {most or '?'} x{widest or '?'}: "
            "another slot, riser or firmware setting",
        )


# --- against the reference --------------------------------------------------------------------------------------------


def _against(workloads: list[WorkloadResult], name: str, reference: BenchResult) -> Iterator[Statement]:
    ratios: dict[str, float] = {}
    for workload in workloads:
        other = reference.workload(workload.name)
        if other is None or not other.valid or other.work_hash != workload.work_hash:
            continue
        ratio = _ratio(workload.headline, other.headline)
        if ratio is not None:
            ratios[workload.name] = ratio
    if not ratios:
        return
    mean = geometric_mean(list(ratios.values()))
    text = f"{mean:.0%} of the reference result {name} over {len(ratios)} workloads"
    worst = min(ratios, key=lambda key: ratios[key])
    if ratios[worst] < BEHIND:
        yield Statement("bad", "reference", f"{text}; furthest behind: {worst} ({ratios[worst]:.0%})")
    else:
        yield Statement("good", "reference", text)


def _ratio(own: tuple[str, Metric] | None, other: tuple[str, Metric] | None) -> float | None:
    if own is None or other is None or not own[1].value or not other[1].value or own[1].unit != other[1].unit:
        return None
    if own[1].unit in ("1", "ratio"):
        return None
    ratio = own[1].value / other[1].value
    return ratio if own[1].better == "higher" else 1 / ratio
