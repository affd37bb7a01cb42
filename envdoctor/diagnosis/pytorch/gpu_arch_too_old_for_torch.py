"""This torch build no longer has code for so old a GPU.

What it is
    New torch releases drop old architectures: their wheels hold no machine code that such a GPU can run, and the first
    kernel fails with 'no kernel image is available for execution on the device'. torch warns that it 'no longer supports
    this GPU because it is too old'.

Told apart by
    The GPU's compute capability is below every architecture of the build. One above them is `gpu-arch-too-new-for-torch`.

Repair
    The newest torch that still has code for the GPU, usually from a channel with an older CUDA. A newer driver cannot help.

Sources
    torch/cuda/__init__.py, `_check_capability` and `DEVICE_REQUIREMENT`
"""

from __future__ import annotations

from envdoctor.diagnosis.arch_repairs import arch_fixes
from envdoctor.diagnosis.architecture import capability_number, code_gap
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.reading import plain_list
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge


@diagnosis("gpu-arch-too-old-for-torch", layer=Layer.PYTORCH, severity=Severity.ERROR)
def gpu_arch_too_old_for_torch(machine: Snapshot, world: Knowledge) -> Finding | None:
    gap = code_gap(machine, world)
    if gap is None:
        return None
    old = [gpu for gpu in gap.without_code if gpu.capability and capability_number(gpu.capability) < gap.oldest]
    if not old:
        return None
    return Finding(
        summary=f"torch {gap.torch.version} has dropped {plain_list(old)}: it was built for {' '.join(gap.flags)}.",
        severity=Severity.WARNING if gap.with_code else None,
        evidence=gap.evidence(),
        fixes=arch_fixes(machine, world),
        confidence=0.8 if gap.unsure else 1.0,
    )
