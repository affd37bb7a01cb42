"""Whether figures may be trusted: rules on what was seen of the machine while they were measured.

An invalid figure is kept and shown struck, with the reason. What the workload itself finds (a wrong sum, a loss that is no
number, an interval that was not reached) is already among its reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from envdoctor.bench.compare import RATES, TIMES
from envdoctor.bench.results import Telemetry, WorkloadResult

MOST_THROTTLED = 0.01
"""Share of samples with a hardware or thermal slowdown."""
LEAST_CLOCK = 0.9
"""p10 of the SM clock over its median."""
MOST_DRIFT = 0.03
"""Of the SM clock, between the first and the last third."""
MOST_OTHERS = 0.06
"""Share of the CPUs' time for other processes."""
SLOWDOWNS = {
    "hw_slowdown": "the hardware slowed the GPU down",
    "hw_thermal_slowdown": "the hardware slowed the GPU down for its temperature",
    "hw_power_brake_slowdown": "the power supply asked the GPU to slow down (power brake)",
    "sw_thermal_slowdown": "the driver slowed the GPU down for its temperature",
}
CAPPED = 0.05
"""Share of samples at the power limit from which that is worth saying."""
FEW = 10
"""Samples of clocks without which their spread says nothing."""
SHARED = {
    "mig": "the device is a MIG instance, a part of a GPU",
    "vgpu": "the device is a virtual GPU: what other guests do is not seen",
    "mps": "an MPS server runs: other processes may compute on the GPU without being seen",
}


def judged(
    workload: WorkloadResult,
    declared: Sequence[str] = (),
    sharing: Sequence[str] = (),
    around: Telemetry | None = None,
    timings: Sequence[tuple[str, Telemetry]] | None = None,
) -> WorkloadResult:
    """The workload with what its telemetry tells added to its reasons and warnings.

    `sharing`: ways in which the GPU is shared; those that the user has `declared` warn only. `around`: what was seen during all
    of a workload that names no windows. Its set-up is in that, and its answers count though its speed may not: only what makes
    answers doubtful strikes it, the rest warns where it tells a speed. `timings`: what was seen during each of its timings in
    which the GPU computed all the while, with the timing's name; None: it does not say, so it is judged as one.
    """
    if not workload.metrics:
        return workload
    seen = workload.telemetry
    reasons = [*workload.invalid_because, *(invalid(seen) if seen else ())]
    warnings = [*workload.warnings, *(warned(seen) if seen else ())]
    for name, one in timings if timings is not None else [("", seen)] if seen else ():
        reasons += unsteady(one, name)
    if seen is not None and seen.samples:  # a GPU
        # Where it computes, a busy CPU launches late at worst; what is known to be the CPU's own work is spoilt.
        (reasons if timings is not None and not timings else warnings).extend(_others(seen))
    if around is not None:
        reasons += _ill(around)
        if any(metric.unit in (*RATES, *TIMES) for metric in workload.metrics.values()):
            warnings += [f"its speed would not count: {reason}" for reason in _slowed(around)]
    for way in sharing:
        text = SHARED.get(way, f"the GPU is shared ({way})")
        (warnings if way in declared else reasons).append(
            f"{text} (declared)" if way in declared else f"{text}; --declare {way} accepts it"
        )
    return msgspec.structs.replace(
        workload,
        valid=not reasons,
        invalid_because=tuple(dict.fromkeys(reasons)),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def invalid(seen: Telemetry) -> Iterator[str]:
    """The reasons why figures measured under these circumstances do not count."""
    yield from _slowed(seen)
    yield from _ill(seen)


def unsteady(seen: Telemetry, timing: str = "") -> Iterator[str]:
    """What the clocks say against one timing: of two together they tell nothing, for each may hold its own clock steadily."""
    where = f" in {timing}" if timing else ""
    if seen.sm_clock is not None and seen.samples >= FEW:
        low, middle, _ = seen.sm_clock
        if low < LEAST_CLOCK * middle:
            yield (
                f"the SM clock was unsteady{where}: a tenth of the samples at or below {low:.0f} MHz, the median {middle:.0f} MHz"
            )
    if seen.sm_clock_drift is not None and abs(seen.sm_clock_drift) > MOST_DRIFT:
        yield f"the SM clock drifted{where}: by {seen.sm_clock_drift:+.1%} from the first third to the last"


def _slowed(seen: Telemetry) -> Iterator[str]:
    """What took from the speed, whenever it is looked at."""
    for reason, words in SLOWDOWNS.items():
        share = seen.throttled.get(reason, 0.0)
        if share > MOST_THROTTLED:
            yield f"{words}, in {share:.0%} of the samples ({reason})"
    if seen.foreign:
        yield f"other processes computed on the GPU: {', '.join(seen.foreign)}"
    if not seen.samples:
        yield from _others(seen)


def _others(seen: Telemetry) -> Iterator[str]:
    if seen.others_cpu is not None and seen.others_cpu > MOST_OTHERS:
        yield f"other processes took {seen.others_cpu:.0%} of the CPUs' time ({MOST_OTHERS:.0%} is the most that is let pass)"


def _ill(seen: Telemetry) -> Iterator[str]:
    """What makes any answer of the device doubtful."""
    if seen.lost:
        yield "the GPU fell off its bus while it was measured (NVML: GPU is lost)"
    for words in seen.ecc:
        yield f"{words} while it was measured"
    if seen.xids:
        yield f"the driver reported Xid {', '.join(str(xid) for xid in dict.fromkeys(seen.xids))} while it was measured"


def warned(seen: Telemetry) -> Iterator[str]:
    """What explains a figure without spoiling it."""
    share = seen.throttled.get("sw_power_cap", 0.0)
    if share > CAPPED:
        yield f"the GPU ran at its power limit in {share:.0%} of the samples"
    clocks = seen.throttled.get("applications_clocks_setting", 0.0)
    if clocks > CAPPED:
        yield "application clocks are set below what the GPU could do"
