"""This torch build has no code for so new a GPU.

What it is
    A torch wheel holds machine code for a list of architectures (sm_80, sm_90, ...). A GPU newer than all that fit fails at
    the first kernel with 'no kernel image is available for execution on the device', often after a warning that 'sm_120 is
    not compatible with the current PyTorch installation'.

Told apart by
    torch's own list (torch._C._cuda_getArchFlags) against the GPU's compute capability, by torch's rule: code runs on the
    same major version and a minor that is not lower, and PTX (compute_XX) on anything newer. So sm_86 code runs on 8.9 and
    sm_120 on 12.1. When the failing file is not torch's, it is `extension-arch-missing`.

Repair
    A newer torch, or the same release from a channel with a newer CUDA; it may need a newer driver too.

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


@diagnosis("gpu-arch-too-new-for-torch", layer=Layer.PYTORCH, severity=Severity.ERROR)
def gpu_arch_too_new_for_torch(machine: Snapshot, world: Knowledge) -> Finding | None:
    gap = code_gap(machine, world)
    if gap is None:
        return None
    new = [gpu for gpu in gap.without_code if gpu.capability and capability_number(gpu.capability) >= gap.oldest]
    if not new:
        return None
    return Finding(
        summary=f"torch {gap.torch.version} has no code for {plain_list(new)}: it was built for {' '.join(gap.flags)}.",
        severity=Severity.WARNING if gap.with_code else None,
        evidence=gap.evidence(),
        fixes=arch_fixes(machine, world),
        confidence=0.8 if gap.unsure else 1.0,
    )
