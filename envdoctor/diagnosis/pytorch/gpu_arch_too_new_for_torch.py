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

from envdoctor.diagnosis.architecture import Age, CodeSource, age, device_code, lacking
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.device_code import arch_fixes
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside


def fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Whether a visible GPU is newer than torch's code, where that is known."""
    code = device_code(machine, world)
    if code is None:
        return False if age(machine, world) is Age.OLD else None
    if code.too_new:
        return True
    if code.source is CodeSource.TOOLKIT and (code.running or not code.too_old):
        return False if age(machine, world) is Age.OLD else None
    # PTX serves a newer GPU only with a driver as new as torch's CUDA, and torch itself warns of it.
    by_ptx = any(not world.runs_natively(code.flags, gpu.capability or "", code.torch.cuda) for gpu in code.running)
    return None if by_ptx else False


MESSAGES = beside(__file__)


@diagnosis(
    "gpu-arch-too-new-for-torch",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=arch_fixes,
    fits=fits,
)
def gpu_arch_too_new_for_torch(machine: Snapshot, world: Knowledge) -> Finding | None:
    code = device_code(machine, world)
    if code is None or not code.too_new or code.source is CodeSource.BUILD_SCRIPT:
        return None
    return lacking(code, code.too_new, "has no code for", arch_fixes(machine, world))
