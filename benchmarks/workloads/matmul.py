"""matmul.{fp32,tf32,bf16,fp16,fp8}: how fast the device multiplies matrices.

Measures    C = A B with A (m x k) and B (k x n), both normal random: zeros run up to 13 % faster, as fewer bits switch and the
            power limit allows higher clocks. `square`: m = n = k = 8192 (the compute limit). `skinny`: 64 x 401408 x 1024, the
            first fully connected layer of the reference CNN at batch 64: every weight is used 64 times only, so it is bound
            by memory, and held against the bound that follows from this run's product and copy ceilings.
            Operands rotate through more than twice the last cache, so that none is found there.
Formula     2 m n k FLOP over the median time of a product.
Unit        TFLOP/s (10^12 floating-point operations a second).
Tiers       gpu (8192, skinny as above; 8 GB and more), small (4096, 64 x 100352 x 1024), cpu (1024, 64 x 6272 x 1024).
            --parameter size=N multiplies other squares, and is then no ceiling. The quick suite leaves `skinny` out.
fp8         torch._scaled_mm, e4m3 operands with unit scales, bf16 result; from compute capability 8.9.
Checked     64 rows and 256 columns of a last square product, written over NaN, against float64 (harness/gates.py).
Source      Williams, Waterman and Patterson, Roofline (CACM 2009); ml-engineering's mamf-finder for the choice of shapes.
"""

from __future__ import annotations

import torch

from benchmarks.harness import gates, precision
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device
from benchmarks.harness.kernels import (
    BYTES,
    RESULT_BYTES,
    accumulates_fast,
    operands,
    product,
    rotating_product,
    square_size,
    tier,
    unsupported,
)

VERSION = 1
SKINNY = {"gpu": (64, 401408, 1024), "small": (64, 100352, 1024), "cpu": (64, 6272, 1024)}
"""(m, k, n)"""


def unavailable(member: str, device: Device) -> str:
    return unsupported(device, member)


def checked(device: Device, dtype: str, n: int) -> gates.Verdict:
    """Judge a part of a square product of fresh operands. Its operands are rounded already, so the error is the product's."""
    a, b = operands(device, dtype, n, n, n)
    made = torch.bfloat16 if dtype == "fp8" else precision.DTYPES[dtype]
    # fp8's product is a new tensor: what lay there before is poisoned instead.
    gates.poison_free_memory((n, n), made, device.torch_device)
    answer = product(device, dtype)(a, b, gates.poison((n, n), made, device.torch_device))
    device.synchronize()
    rows, columns = torch.randperm(n)[:64].to(device.torch_device), torch.randperm(n)[:256].to(device.torch_device)
    left, right = a.float()[rows].cpu().double(), b.float()[:, columns].cpu().double()
    return gates.judge(answer[rows][:, columns].cpu(), left @ right, "matmul", dtype)


def measure(context: Context) -> Result:
    device, dtype = context.device, context.member
    size = context.option("size", square_size(device))
    m, k, n = SKINNY[tier(device)]
    context.declare(
        VERSION,
        {"dtype": dtype, "tier": tier(device), "square": [size, size, size], "skinny": [m, k, n], "data": "normal"},
        {"fast_accumulation": accumulates_fast(device)} if dtype == "fp8" else {},
    )
    metrics = {}
    with precision.tf32(dtype == "tf32", dtype == "tf32"):
        flop = 2.0 * size**3
        step = rotating_product(device, dtype, size, size, size)
        square = context.time(step, "square", 0.6, figure=lambda s: flop / s / 1e12, unit="TFLOP/s")
        metrics["throughput"] = context.metric(square, "TFLOP/s", lambda s: flop / s / 1e12)
        if size == square_size(device):
            context.ceilings.adopt("matmul." + dtype, metrics["throughput"]["p90"] * 1e12)
        del step
        verdict = checked(device, dtype, size)
        if verdict.remark:
            context.warn(verdict.remark)
        for reason in verdict.reasons:
            context.wrong(reason)
        context.detail("checked", {"relative_error": verdict.error, "gate": verdict.gate})

        if context.suite == "quick":  # the time is for the ceilings
            return context.result(metrics)
        flop = 2.0 * m * n * k
        step = rotating_product(device, dtype, m, n, k)
        skinny = context.time(step, "skinny", 1.0, figure=lambda s: flop / s / 1e12, unit="TFLOP/s")
        moved = BYTES[dtype] * (m * k + k * n) + RESULT_BYTES[dtype] * m * n
        bound = context.bound(lambda: context.ceilings.bound(flop, moved, dtype), skinny)
    metrics["skinny"] = context.metric(
        skinny, "TFLOP/s", lambda s: flop / s / 1e12, "higher", flop / bound / 1e12, "its roofline"
    )
    return context.result(metrics)
