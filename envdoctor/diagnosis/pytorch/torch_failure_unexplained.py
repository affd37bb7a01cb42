"""torch or CUDA fails on this machine, and none of the known causes fits.

What it is
    envdoctor saw a failure with its own eyes: the import of torch ended in an error, a crash or silence; CUDA did not start
    beside a GPU; torch saw none of the GPUs that are there, or fewer; a computation or a convolution failed or gave wrong
    numbers; NumPy or torchvision failed under torch. No other diagnosis explains it. This one names no cause; it makes sure
    that a failure which was seen is never reported as healthy.

Told apart by
    It is only a root finding when nothing else is; under a known cause it is folded as its consequence.

Repair
    Read the error that is quoted; `envdoctor snapshot` writes the facts for somebody else to look at.

Sources
    What the target interpreter, NVML and cuInit answered.
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.seen_failures import seen_failure
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge

ASK = Fix(
    title="Write the facts to a file, without personal data, and attach it where you ask for help",
    commands=("envdoctor snapshot -o snapshot.json",),
)


@diagnosis("torch-failure-unexplained", layer=Layer.PYTORCH, severity=Severity.ERROR, follows_from=("*",))
def torch_failure_unexplained(machine: Snapshot, world: Knowledge) -> Finding | None:
    seen = seen_failure(machine, world)
    if seen is None:
        return None
    version = machine.torch.version if machine.torch else None
    return Finding(
        summary=seen.summary,
        evidence=(*((fact("torch.version", version),) if version else ()), *seen.evidence),
        fixes=(ASK,),
    )
