"""The GPU works below its speed: a narrow or slow PCIe link, a low power limit, heat or missing power.

What it is
    A card in a bad contact or the wrong slot moves data over fewer PCIe lanes; one that is too hot, or whose power
    cables or supply give too little, lowers its clocks by itself; an administrator may have set a power limit far below
    the default.

Told apart by
    Lanes against what card and slot can do together: those do not change with the load. The link's generation, the
    clocks and the reasons for lowering them count under load only: an idle GPU runs at generation 1 and low clocks to
    save power. A power cap that the full load reaches (sw_power_cap) is normal. On a laptop and in a virtual machine,
    power limit and lanes are the maker's and the host's business. Three or more equal cards are each other's reference: a lower
    power limit, a much lower clock under load, fewer NVLinks on a board with NVSwitch, and heat with nothing to do set one apart.

Repair
    Reseat the card, use the slot that is wired for it, check power cables and cooling, set the power limit to its
    default.

Sources
    nvml.h: nvmlClocksEventReasons, nvmlDeviceGetMaxPcieLinkWidth; nvidia-smi(1)
"""

from __future__ import annotations

from envdoctor.diagnosis.gpu_peers import Outlier, outliers
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.snapshot_queries import in_container
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

HEAT = ("hw_thermal_slowdown", "sw_thermal_slowdown")
POWER = ("hw_power_brake_slowdown",)
EITHER = "hw_slowdown"
# Below this share of the default power limit the clocks fall steeply; people save power at 70 to 80 % on purpose.
FAR_BELOW = 0.6
# Full speed is expected at P0 to P2 (P2 is what CUDA gets on GeForce cards) with kernels running most of the time.
BUSY, FULL_SPEED = 50, 2


SEAT = Fix(
    title="Power off, reseat the card, and use the slot that is wired for it (the mainboard's manual says which)",
    commands=("nvidia-smi --query-gpu=index,pcie.link.width.current,pcie.link.width.max --format=csv",),
    note="Risers, a second card, and M.2 drives that share lanes narrow a slot too.",
    verify="nvidia-smi -q | grep -A 8 'GPU Link Info'",
)
COOL = Fix(
    title="Cool it: clean fans and filters, check the airflow and the room's temperature",
    commands=("nvidia-smi -q -d TEMPERATURE,PERFORMANCE",),
    verify="nvidia-smi --query-gpu=index,temperature.gpu,clocks_event_reasons.active --format=csv",
)
LINKS = Fix(
    title="See which links are down and why, with every program on the GPUs stopped; a reset trains them anew",
    commands=("nvidia-smi nvlink --status", "sudo dmesg | grep -iE 'nvlink|xid' | tail -20"),
    needs_root=True,
    verify="nvidia-smi nvlink --status",
)
CLOCKS = Fix(
    title="Take locked clocks away",
    commands=("sudo nvidia-smi --reset-gpu-clocks", "sudo nvidia-smi --reset-applications-clocks"),
    needs_root=True,
    verify="nvidia-smi -q -d CLOCK",
)


MESSAGES = beside(__file__)


@diagnosis(
    "gpu-degraded",
    layer=Layer.GPU,
    severity=Severity.WARNING,
    follows_from=("gpu-lost",),
    messages=MESSAGES,
    remedy=lambda _machine, _world: (CLOCKS, COOL, SEAT),
)
def gpu_degraded(machine: Snapshot, world: Knowledge) -> Finding | None:
    said: list[str] = []
    evidence: list[Evidence] = []
    fixes: dict[str, Fix] = {}
    host = machine.host
    virtual = host is not None and host.virtualization not in (None, "none")
    for gpu in machine.gpus or ():
        name = f"GPU {gpu.index}{f' ({gpu.name})' if gpu.name else ''}"
        for words, facts, fix in _troubles(gpu, machine, virtual):
            said.append(f"{name}: {words}")
            evidence += [fact(f"gpu {gpu.index}.{field}", getattr(gpu, field)) for field in facts]
            fixes.setdefault(fix.title, fix)
    for outlier in () if virtual else outliers(machine.gpus or ()):
        gpu = outlier.gpu
        if f"gpu {gpu.index}.{outlier.fact}" not in {told.fact for told in evidence}:
            words, fix = _beside_its_like(outlier, machine)
            said.append(f"GPU {gpu.index}{f' ({gpu.name})' if gpu.name else ''}: {words}")
            evidence.append(
                fact(f"gpu {gpu.index}.{outlier.fact}", f"{outlier.own:g}; of the others {outlier.others:g}")
            )
            fixes.setdefault(fix.title, fix)
    if not said:
        return None
    return Finding(
        summary="; ".join(said[:4]) + (f"; and {len(said) - 4} more" if len(said) > 4 else "") + ".",
        evidence=tuple(evidence[:12]),
        fixes=tuple(fixes.values()),
        confidence=0.8,
    )


def _beside_its_like(outlier: Outlier, machine: Snapshot) -> tuple[str, Fix]:
    """What sets this GPU apart from the equal ones in the machine, and what to do about it."""
    own, others = f"{outlier.own:.0f}", f"{outlier.others:.0f}"
    if outlier.fact == "power_limit":
        return f"power limit {own} W, of its like {others} W", _power_fix(outlier.gpu, machine)
    if outlier.fact == "sm_clock":
        return f"{own} MHz under load, its like {others} MHz", CLOCKS
    if outlier.fact == "nvlinks":
        return f"{own} NVLinks up, of its like {others}", LINKS
    return f"{own} C while idle, its like {others} C", COOL


def _troubles(gpu: Gpu, machine: Snapshot, virtual: bool) -> list[tuple[str, tuple[str, ...], Fix]]:
    found: list[tuple[str, tuple[str, ...], Fix]] = []
    reasons = gpu.throttle_reasons
    active = reasons is not None and "gpu_idle" not in reasons and gpu.utilization != 0
    busy = (gpu.utilization or 0) >= BUSY and gpu.performance_state is not None and gpu.performance_state <= FULL_SPEED
    if gpu.pcie_width and gpu.pcie_width_max and gpu.pcie_width < gpu.pcie_width_max and not virtual:
        words = f"{gpu.pcie_width} PCIe lanes of {gpu.pcie_width_max}"
        found.append((words, ("pcie_width", "pcie_width_max"), SEAT))
    generation, best = gpu.pcie_generation, gpu.pcie_generation_max
    if generation and best and generation < best and busy and not virtual:
        words = f"PCIe generation {generation} of {best} under load"
        found.append((words, ("pcie_generation", "pcie_generation_max", "utilization"), SEAT))
    if active and any(reason in HEAT for reason in reasons or ()):
        words = f"slowed down by heat{f' ({gpu.temperature} C)' if gpu.temperature else ''}"
        found.append((words, ("throttle_reasons",), COOL))
    if active and any(reason in POWER for reason in reasons or ()):
        found.append(("slowed down by the power supply (power brake)", ("throttle_reasons",), CABLES))
    # Older GPUs give the umbrella reason without a detail.
    if active and EITHER in (reasons or ()) and not set(reasons or ()) & {*HEAT, *POWER}:
        found.append(("slowed down by its hardware (heat or power supply)", ("throttle_reasons",), COOL))
    limit, default = gpu.power_limit, gpu.power_limit_default
    laptop = "laptop" in (gpu.name or "").lower() or "max-q" in (gpu.name or "").lower()
    if limit and default and limit < FAR_BELOW * default and not laptop:
        words = f"power limit {limit:.0f} W, default {default:.0f} W"
        found.append((words, ("power_limit", "power_limit_default"), _power_fix(gpu, machine)))
    clock, most = gpu.sm_clock, gpu.sm_clock_max
    explained = reasons is None or bool(set(reasons) - {"applications_clocks_setting"})
    if clock and most and busy and clock < most / 2 and not explained:
        found.append((f"{clock} MHz of {most} under load", ("sm_clock", "sm_clock_max", "utilization"), CLOCKS))
    return found


CABLES = Fix(
    title="Check the card's power cables and the power supply's rating",
    commands=("nvidia-smi -q -d POWER,PERFORMANCE",),
    verify="nvidia-smi --query-gpu=index,clocks_event_reasons.active --format=csv",
)


def _power_fix(gpu: Gpu, machine: Snapshot) -> Fix:
    where = "   # on the host" if in_container(machine) else ""
    return Fix(
        title=f"Set the power limit of GPU {gpu.index} to its default, unless it was lowered on purpose",
        commands=(f"sudo nvidia-smi -i {gpu.index} -pl {gpu.power_limit_default:.0f}{where}",),
        needs_root=True,
        verify="nvidia-smi --query-gpu=index,power.limit,power.default_limit --format=csv",
    )
