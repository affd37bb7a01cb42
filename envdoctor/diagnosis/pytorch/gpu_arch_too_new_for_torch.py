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

from envdoctor.diagnosis.architecture import CodeSource, device_code, lacking
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.device_code import arch_fixes
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.conditions import newer_than_listed, not_after_a_fault
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.shared import no_kernel

MESSAGES = (
    *no_kernel(0.6),
    Message(
        "with CUDA capability sm_{arch} is not compatible with the current PyTorch installation",
        "torch/cuda/__init__.py: _check_capability, torch 1.6 to 2.8",
        0.9,
        when=newer_than_listed,
    ),
    Message(
        "The current PyTorch install supports CUDA capabilities {arches}",
        "torch/cuda/__init__.py, torch 1.6 to 2.8",
        0.75,
        when=newer_than_listed,
    ),
    Message(
        "which requires CUDA_VERSION >= {number} for {purpose}, but your PyTorch was compiled with CUDA_VERSION {have}",
        "torch/cuda/__init__.py: _check_capability, torch 0.3 to 1.5",
    ),
    Message(
        "your PyTorch was compiled with CUDA_VERSION {have}. Please install the correct PyTorch binary",
        "torch/cuda/__init__.py, torch 0.3 to 1.5",
    ),
    Message(
        "requires CUDA_VERSION >= {need} to work properly, but your PyTorch was compiled with CUDA_VERSION {have}",
        "torch/cuda/__init__.py, torch 0.4 to 1.5",
    ),
    Message(
        "The following list shows the CCs this version of PyTorch was built for and the hardware CCs it supports",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.9 and later",
        0.85,
        when=newer_than_listed,
    ),
    Message(
        "no kernel image is available for execution on the device",
        "cuda_runtime_api.h: cudaErrorNoKernelImageForDevice (209)",
        0.6,
    ),
    Message("CUDA_ERROR_NO_BINARY_FOR_GPU", "cuda.h: error 209", 0.55),
    Message("cudaErrorNoKernelImageForDevice", "cuda_runtime_api.h: error 209", 0.6),
    Message("device kernel image is invalid", "cuda_runtime_api.h: cudaErrorInvalidKernelImage (200)", 0.5),
    Message(
        "nvrtc: error: invalid value for --gpu-architecture (-arch)",
        "NVRTC: a GPU newer than this CUDA; torch's jiterator",
        0.9,
    ),
    Message("nvrtc: error: invalid value for --gpu-architecture", "NVRTC", 0.9),
    Message(
        "Unknown CUDA arch ({arch}) or GPU not supported", "torch/utils/cpp_extension.py: _get_cuda_arch_flags", 0.8
    ),
    Message("ptxas fatal : Value 'sm_{arch}' is not defined for option 'gpu-name'", "ptxas, the one in triton", 0.75),
    Message("ptxas fatal   : Value 'sm_{arch}' is not defined for option 'gpu-name'", "ptxas", 0.75),
    Message("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "torch: CUDA 10 builds on Ampere", 0.35),
    Message(
        "cublas runtime error : the GPU program failed to execute", "aten/src/THC/THCBlas.cu, torch before 1.8", 0.6
    ),
    Message("cublas runtime error : library not initialized", "aten/src/THC/THCGeneral.cpp", 0.4),
    Message(
        "does not include kernels for this GPU. Reinstall the same version against a CUDA build that does",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.10 and later",
        0.8,
        when=newer_than_listed,
    ),
    Message(
        "does not include kernels for this GPU",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.10 and later",
        0.7,
        when=newer_than_listed,
    ),
    Message(
        "No published PyTorch CUDA builds for release {version} support this GPU",
        "torch/cuda/__init__.py: _warn_unsupported_code, torch 2.10 and later",
        0.8,
        when=newer_than_listed,
    ),
    Message(
        "Please install PyTorch with a following CUDA configurations",
        "torch/cuda/__init__.py, torch 2.7 to 2.9",
        0.7,
        when=newer_than_listed,
    ),
    Message(
        "Minimum and Maximum cuda capability supported by this version of PyTorch is",
        "torch/cuda/__init__.py, torch 2.7 to 2.9",
        0.8,
        when=newer_than_listed,
    ),
    Message(
        "CUDA capability sm_{arch} is not compatible with",
        "torch/cuda/__init__.py, quoted in part",
        0.6,
        when=newer_than_listed,
    ),
    Message("hipErrorNoBinaryForGpu", "hip_runtime_api.h: an AMD GPU that the ROCm build has no code for", 0.7),
    Message("Unable to find code object for all current devices", "HIP, hip_fatbin.cpp", 0.7),
    Message("cuda runtime error (48) : no kernel image is available", "aten/src/THC, CUDA before 10.1", 0.65),
    Message("cuda runtime error (209) : no kernel image is available", "aten/src/THC, CUDA 10.1 and later", 0.65),
    Message("This program was not compiled for SM", "CUTLASS kernels in torch", 0.7),
    Message(
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling",
        "torch: cuBLAS older than the GPU",
        0.3,
        when=not_after_a_fault,
    ),
    Message(
        "CUBLAS_STATUS_NOT_SUPPORTED when calling", "torch: cuBLAS older than the GPU", 0.3, when=not_after_a_fault
    ),
)


def fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Whether a visible GPU is newer than torch's code, where that is known."""
    code = device_code(machine, world)
    if code is None or (code.source is CodeSource.TOOLKIT and not code.too_new):
        return None
    if code.too_new:
        return True
    # PTX serves a newer GPU only with a driver as new as torch's CUDA, and torch itself warns of it.
    by_ptx = any(not world.runs_natively(code.flags, gpu.capability or "", code.torch.cuda) for gpu in code.running)
    return None if by_ptx else False


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
