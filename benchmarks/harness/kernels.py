"""The kernels that ceilings and workloads share: sizes by device, buffers, matrix products, streams through memory.

Nothing here knows of a run: a step is a function that launches one kernel and returns.
"""

from __future__ import annotations

import math
from typing import Any, Callable, List, Optional, Tuple

import torch

from . import precision
from .device import Device

SQUARE = {"gpu": 8192, "small": 4096, "cpu": 1024}
BYTES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1}
RESULT_BYTES = {**BYTES, "fp8": 2}
BUFFER_BYTES = {"gpu": 1 << 30, "small": 256 << 20, "cpu": 256 << 20}
BYTES_PER_ELEMENT = {"copy": 8, "triad": 12, "rmw": 8}
SCALE = 0.99998
"""Near 1, so that repeated in-place products stay normal numbers for longer than any run lasts."""


def tier(device: Device) -> str:
    if not device.is_cuda:
        return "cpu"
    return "gpu" if device.memory_bytes >= 7 << 30 else "small"


def square_size(device: Device) -> int:
    return SQUARE[tier(device)]


def unsupported(device: Device, dtype: str) -> str:
    """Why the device cannot do that; '' where it can."""
    if device.is_cuda:
        capability = device.capability or (0, 0)
        if dtype == "tf32" and capability < (8, 0):
            return "TF32 needs compute capability 8.0; this GPU has {}.{}".format(*capability)
        if dtype == "bf16" and capability < (8, 0):
            return "bf16 tensor cores need compute capability 8.0; this GPU has {}.{}".format(*capability)
        if dtype == "fp16" and capability < (7, 0):
            return "fp16 tensor cores need compute capability 7.0; this GPU has {}.{}".format(*capability)
        if dtype == "fp8" and capability < (8, 9):
            return "fp8 needs compute capability 8.9; this GPU has {}.{}".format(*capability)
        if dtype == "fp8" and not (hasattr(torch, "_scaled_mm") and hasattr(torch, "float8_e4m3fn")):
            return "this torch ({}) has no fp8 matrix product".format(torch.__version__)
        return ""
    if dtype in ("tf32", "fp8"):
        return "{} is a format of NVIDIA's tensor cores; this device is a CPU".format(dtype)
    if dtype == "fp16":
        return "torch emulates fp16 products on most CPUs, at a hundredth of the speed of fp32"
    return ""


# --- memory -----------------------------------------------------------------------------------------------------------


def buffer(device: Device, count: int) -> Any:
    """So many normal random numbers, in repeats of a million: no cache holds that, and drawing more takes seconds on a CPU."""
    pattern = torch.randn(1 << 20, device=device.torch_device)
    return pattern.repeat(-(-count // pattern.numel()))[:count]


def buffers(device: Device, kind: str) -> List[Any]:
    """What an operation works on: copy (from, to), triad (to, from, from), rmw (in place)."""
    count = BUFFER_BYTES[tier(device)] // 4
    return [buffer(device, count) for _ in range({"copy": 2, "triad": 3, "rmw": 1}[kind])]


def operation(device: Device, kind: str, given: Optional[List[Any]] = None) -> Tuple[Callable[[], Any], int]:
    """(step, bytes that it moves); given: its buffers, if they are there already."""
    tensors = buffers(device, kind) if given is None else given
    moved = BYTES_PER_ELEMENT[kind] * tensors[0].numel()
    if kind == "rmw":
        (a,) = tensors
        return lambda: a.mul_(SCALE), moved
    if kind == "copy":
        source, target = tensors
        return lambda: target.copy_(source), moved
    out, b, c = tensors
    return lambda: torch.add(b, c, alpha=SCALE, out=out), moved


# --- matrix products ------------------------------------------------------------------------------------------------------


def product(device: Device, dtype: str) -> Callable[[Any, Any, Any], Any]:
    """(a, b, out) -> out = a b. For fp8, b is column-major, and the result is a new bf16 tensor."""
    if dtype != "fp8":
        return lambda a, b, out: torch.mm(a, b, out=out)
    scale = torch.ones((), device=device.torch_device)
    fast = accumulates_fast(device)

    def scaled(a: Any, b: Any, out: Any) -> Any:
        return scaled_mm(a, b, scale, fast)

    return scaled


def accumulates_fast(device: Device) -> bool:
    """Whether fp8 products may be summed in the tensor cores' own precision there, as training's forward pass does."""
    a, b = (torch.ones(16, 16, device=device.torch_device).to(precision.DTYPES["fp8"]) for _ in range(2))
    try:
        scaled_mm(a, b.t(), torch.ones((), device=device.torch_device), fast=True)
    except (RuntimeError, TypeError):
        return False
    return True


def scaled_mm(a: Any, b: Any, scale: Any, fast: bool = False) -> Any:
    """fp8 a (m x k, row-major) times b (k x n, column-major), tensor-wise scales, bf16 result. fast: see accumulates_fast.

    torch 2.1 to 2.4 took the scales by keyword and returned (result, amax); 2.5 and newer want them and return the result.
    """
    options = {"use_fast_accum": True} if fast else {}
    made = torch._scaled_mm(a, b, scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16, **options)
    return made[0] if isinstance(made, tuple) else made


def operands(device: Device, dtype: str, m: int, n: int, k: int) -> Tuple[Any, Any]:
    """Normal random (m x k) and (k x n); for fp8 the second is column-major."""
    kind = precision.DTYPES[dtype]
    a = torch.randn(m, k, device=device.torch_device)
    if dtype == "fp8":
        return a.to(kind), torch.randn(n, k, device=device.torch_device).to(kind).t()
    return a.to(kind), torch.randn(k, n, device=device.torch_device).to(kind)


def rotating_product(device: Device, dtype: str, m: int, n: int, k: int) -> Callable[[], Any]:
    """A step that multiplies; each call takes the next of several sets of operands, together over twice the last cache."""
    size = BYTES[dtype] * (m * k + k * n) + RESULT_BYTES[dtype] * m * n
    count = max(2, min(64, math.ceil(2 * device.cache_bytes / size) + 1))
    made = torch.bfloat16 if dtype == "fp8" else precision.DTYPES[dtype]
    sets = [
        (*operands(device, dtype, m, n, k), torch.full((m, n), math.nan, dtype=made, device=device.torch_device))
        for _ in range(count)
    ]
    multiply = product(device, dtype)
    turn = 0

    def step() -> Any:
        nonlocal turn
        a, b, out = sets[turn]
        turn = (turn + 1) % count
        return multiply(a, b, out)

    return step
