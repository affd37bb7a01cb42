"""Whether a machine has the GPUs that are expected of it: a card that is gone from the bus leaves no trace in another fact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from envdoctor.diagnosis.model import Diagnosed, Finding, Fix, Severity, Verdict
from envdoctor.diagnosis.repairs.system import for_system
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import MachineGpu, machine_gpus
from envdoctor.planning.model import TargetGpu

CODE = "gpu-lost"
LOOK = Fix(
    title="See whether the bus still has it, and what the kernel said when it went",
    commands=(
        "nvidia-smi -L",
        "lspci -nn | grep -i nvidia",
        "sudo dmesg | grep -iE 'xid|nvrm|pcieport' | tail -20",
    ),
    note="Not on the bus: power the machine off and on; then check the seat, the cables and the slot.",
    needs_root=True,
    verify="nvidia-smi -L",
)


def held_against(expected: Sequence[TargetGpu], diagnosed: Diagnosed, machine: Snapshot, world: Knowledge) -> Diagnosed:
    """The same verdict, and an error first where an expected GPU is missing. Each counts once; more than expected is fine."""
    there = list(machine_gpus(machine, world) or ())
    missing = []
    for wanted in expected:
        found = next((gpu for gpu in there if _is(gpu, wanted)), None)
        if found is None:
            missing.append(wanted)
        else:
            there.remove(found)
    if not missing:
        return diagnosed
    finding = Finding(
        code=CODE,
        severity=Severity.ERROR,
        title="Fewer GPUs than expected",
        summary=f"Expected {_counted([gpu.name for gpu in expected])}; missing {_counted([gpu.name for gpu in missing])}.",
        evidence=(
            fact("expected", _counted([gpu.name for gpu in expected])),
            fact("gpus", _counted([gpu.name for gpu in machine_gpus(machine, world) or ()]) or "none"),
        ),
        fixes=for_system((LOOK,), machine),
    )
    others = tuple(other for other in diagnosed.findings if other.code != CODE)
    return replace(diagnosed, findings=(finding, *others), verdict=Verdict.BROKEN)


def _is(gpu: MachineGpu, wanted: TargetGpu) -> bool:
    """By the words of its name, so that 'H100' stands for any of them; by its capability where only that was asked for."""
    words = wanted.name.lower().replace("nvidia", "").replace("geforce", "").split()
    named = bool(words) and all(word in gpu.name.lower() for word in words)
    return named or (
        gpu.capability == wanted.capability and not any(character.isdecimal() for character in wanted.name)
    )


def _counted(names: Sequence[str]) -> str:
    """'8x NVIDIA H100, NVIDIA T4'."""
    return ", ".join(f"{number}x {name}" if number > 1 else name for name, number in Counter(names).items())
