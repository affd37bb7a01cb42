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

from envdoctor.diagnosis.architecture import Age, CodeSource, age, device_code, lacking
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.device_code import fixes_for_old_gpus
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside


def fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Whether a visible GPU is older than torch's code, where that is known."""
    code = device_code(machine, world)
    if code is None:
        return False if age(machine, world) is Age.NEW else None
    if code.source is CodeSource.TOOLKIT and not code.too_new and not code.too_old:
        return False if age(machine, world) is Age.NEW else None
    return bool(code.too_old)


MESSAGES = beside(__file__)


@diagnosis(
    "gpu-arch-too-old-for-torch",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=fixes_for_old_gpus,
    fits=fits,
)
def gpu_arch_too_old_for_torch(machine: Snapshot, world: Knowledge) -> Finding | None:
    code = device_code(machine, world)
    if code is None or not code.too_old or code.source is CodeSource.BUILD_SCRIPT:
        return None
    return lacking(code, code.too_old, "has dropped", fixes_for_old_gpus(machine, world))
