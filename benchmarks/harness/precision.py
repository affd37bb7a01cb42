"""Which arithmetic torch may use for fp32 work: chosen by each workload, recorded in every result.

torch's default is TF32 convolutions with IEEE fp32 matmul. The older switches are used, which 1.13 to 2.15 all have: torch
refuses to mix them with the newer `fp32_precision` ones.
"""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager, Dict, Iterator

import torch

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp64": torch.float64,
}
if hasattr(torch, "float8_e4m3fn"):  # torch >= 2.1
    DTYPES["fp8"] = torch.float8_e4m3fn


def best(device: torch.device) -> str:
    """The dtype to train in: bf16 where the hardware multiplies it, else fp16 on tensor cores that have only that, else fp32."""
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= (8, 0):
            return "bf16"
        return "fp16" if capability >= (7, 0) else "fp32"
    # Emulated, bf16 is several times slower than fp32.
    return "bf16" if any(map(_cpu_has, ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))) else "fp32"


def _cpu_has(name: str) -> bool:
    ask = getattr(torch.cpu, name, None)  # torch >= 2.4 or so
    return bool(ask is not None and ask())


def autocast(device: torch.device, dtype: str) -> ContextManager[Any]:
    """The context of a forward pass in that dtype; fp32, TF32 and torch's default need none."""
    if dtype not in ("bf16", "fp16"):
        return contextlib.nullcontext()
    context: ContextManager[Any] = torch.autocast(device.type, dtype=DTYPES[dtype])
    return context


def state() -> Dict[str, Any]:
    """The switches as they stand."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return {
        "matmul_tf32": matmul.allow_tf32,
        "convolution_tf32": cudnn.allow_tf32,
        "fp16_reduced_precision_reduction": matmul.allow_fp16_reduced_precision_reduction,
        "bf16_reduced_precision_reduction": getattr(matmul, "allow_bf16_reduced_precision_reduction", None),
        "cudnn_benchmark": cudnn.benchmark,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Put back afterwards what TF32 was allowed for."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = before


@contextlib.contextmanager
def tf32(matmul: bool, convolution: bool) -> Iterator[None]:
    """Allow or forbid TF32 for matrix products and for convolutions; put back what was before."""
    with kept():
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution
        yield


@contextlib.contextmanager
def autotuned(benchmark: bool = True) -> Iterator[None]:
    """Let cuDNN time its algorithms for each shape: a training loop with fixed shapes does."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = benchmark
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
