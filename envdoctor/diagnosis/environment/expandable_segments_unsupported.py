"""PYTORCH_ALLOC_CONF asks for expandable segments where the driver has no virtual memory management for them.

What it is
    `expandable_segments:True` in PYTORCH_ALLOC_CONF (PYTORCH_CUDA_ALLOC_CONF before) lets torch's allocator grow its blocks by
    the driver's virtual memory calls. On Windows torch says 'expandable_segments not supported on this platform' and goes on;
    on vGPUs and in some virtual machines the driver answers 'operation not supported' and the first allocation fails.

Told apart by
    The variable asks for it, and the system is Windows; or torch's warning, or the driver's refusal beside that word, stands
    there.

Repair
    Take the word out of the variable.

Sources
    pytorch/pytorch, c10/cuda/CUDAAllocatorConfig.cpp and CUDACachingAllocator.cpp; pytorch.org/docs, 'CUDA semantics'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.conditions import near
from envdoctor.reading.messages.message_files import beside

VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_asked_for = near("expandable_segments", "expandable segments")


MESSAGES = beside(__file__, _asked_for=_asked_for)


@diagnosis(
    "expandable-segments-unsupported",
    layer=Layer.ENVIRONMENT,
    severity=Severity.WARNING,
    messages=MESSAGES,
    remedy=lambda machine, _: (_unset(machine),),
)
def expandable_segments_unsupported(machine: Snapshot, world: Knowledge) -> Finding | None:
    name = _variable(machine)
    if name is None or machine.host is None or machine.host.system != "Windows":
        return None
    return Finding(
        summary=f"{name} asks for expandable segments, which torch does not have on Windows: it warns and goes on without.",
        evidence=(fact(f"environment.{name}", machine.variable(name)), fact("host.system", "Windows")),
        fixes=(_unset(machine),),
    )


def _variable(machine: Snapshot) -> str | None:
    return next((n for n in VARIABLES if "expandable_segments:true" in (machine.variable(n) or "").lower()), None)


def _unset(machine: Snapshot) -> Fix:
    windows = machine.host is not None and machine.host.system == "Windows"
    names = (name,) if (name := _variable(machine)) else VARIABLES
    return Fix(
        title="Leave expandable segments out",
        commands=tuple(f"set {name}=" if windows else f"unset {name}" for name in names),
        note="Other options in the variable may stay: take out expandable_segments:True alone.",
    )
