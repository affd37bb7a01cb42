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

from envdoctor.diagnosis.architecture import CodeSource, device_code, lacking
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.device_code import fixes_for_old_gpus
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.conditions import older_than_listed
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.shared import no_kernel

MESSAGES = (
    *no_kernel(0.5),
    Message(
        "PyTorch no longer supports this GPU because it is too old",
        "torch/cuda/__init__.py: _check_capability, torch 0.3 to 2.8",
    ),
    Message(
        "The minimum cuda capability supported by this library is {capability}",
        "torch/cuda/__init__.py, torch 1.8 to 2.8",
    ),
    Message("The minimum cuda capability that we support is {capability}", "torch/cuda/__init__.py, torch 0.3 to 1.7"),
    Message(
        "Minimum and Maximum cuda capability supported by this version of PyTorch is",
        "torch/cuda/__init__.py, torch 2.7 to 2.9",
        0.8,
        when=older_than_listed,
    ),
    Message(
        "with CUDA capability sm_{arch} is not compatible with the current PyTorch installation",
        "torch/cuda/__init__.py, torch 1.6 to 2.8",
        0.9,
        when=older_than_listed,
    ),
    Message(
        "The current PyTorch install supports CUDA capabilities {arches}",
        "torch/cuda/__init__.py, torch 1.6 to 2.8",
        0.75,
        when=older_than_listed,
    ),
    Message(
        "The following list shows the CCs this version of PyTorch was built for and the hardware CCs it supports",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.9 and later",
        0.85,
        when=older_than_listed,
    ),
    Message(
        "Please follow the instructions at https://pytorch.org/get-started/locally/ to install a "
        "PyTorch release that supports one of these CUDA versions",
        "torch/cuda/__init__.py: _warn_unsupported_code",
        0.8,
    ),
    Message(
        "no kernel image is available for execution on the device",
        "cuda_runtime_api.h: cudaErrorNoKernelImageForDevice (209)",
        0.5,
    ),
    Message("invalid device function", "cuda_runtime_api.h: cudaErrorInvalidDeviceFunction (98)", 0.45),
    Message("CUBLAS_STATUS_ARCH_MISMATCH", "cublas_api.h", 0.75),
    Message("CUDNN_STATUS_ARCH_MISMATCH", "cudnn.h", 0.7),
    Message(
        "which is too old to be supported by the triton GPU compiler",
        "torch/_inductor/scheduler.py: Triton needs 7.0",
        0.5,
    ),
    Message("Expected is_sm80 || is_sm90 to be true, but got false", "ATen/native/transformers/cuda/flash_attn", 0.45),
    Message("Feature '{feature}' requires .target sm_{arch} or higher", "ptxas", 0.6),
    Message("Bfloat16 is only supported on GPUs with compute capability of at least 8.0", "vLLM, config", 0.5),
    Message(
        "does not include kernels for this GPU. Reinstall the same version against a CUDA build that does",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.10 and later",
        0.8,
        when=older_than_listed,
    ),
    Message(
        "does not include kernels for this GPU",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.10 and later",
        0.7,
        when=older_than_listed,
    ),
    Message(
        "No published PyTorch CUDA builds for release {version} support this GPU",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.10 and later",
        0.8,
        when=older_than_listed,
    ),
    Message(
        "Please install PyTorch with a following CUDA configurations",
        "torch/cuda/__init__.py, torch 2.7 to 2.9",
        0.7,
        when=older_than_listed,
    ),
    Message(
        "Support for Maxwell and Pascal architectures is removed for CUDA 12.8+ builds",
        "torch/cuda/__init__.py, torch 2.8: pytorch#157517",
    ),
    Message("Support for Maxwell, Pascal, and Volta architectures is removed", "torch/cuda/__init__.py, torch 2.9"),
    Message(
        "Please install CUDA 12.6 builds if you require Maxwell or Pascal support", "torch/cuda/__init__.py, torch 2.8"
    ),
    Message(
        "If you want to use {gpu} GPU with PyTorch, please check the instructions at",
        "torch/cuda/__init__.py",
        0.3,
        when=older_than_listed,
    ),
    Message("cuda runtime error (8) : invalid device function", "aten/src/THC, CUDA before 10.1", 0.6),
    Message("cuda runtime error (98) : invalid device function", "aten/src/THC, CUDA 10.1 and later", 0.6),
    Message("cuda runtime error (48) : no kernel image is available", "aten/src/THC, CUDA before 10.1", 0.6),
    Message("bf16 is only supported on A100+ GPUs", "accelerate, transformers: an old GPU", 0.35),
    Message("Your setup doesn't support bf16/gpu", "transformers, training_args.py: a GPU before Ampere", 0.5),
)


def fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Whether a visible GPU is older than torch's code, where that is known."""
    code = device_code(machine, world)
    return None if code is None or (code.source is CodeSource.TOOLKIT and not code.too_old) else bool(code.too_old)


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
