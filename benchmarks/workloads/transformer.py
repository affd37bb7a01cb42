"""transformer.train: tokens a second through a decoder-only transformer of GPT-2's shape (12 layers, width 768).

Measures    training steps on random tokens resident on the device: forward in bf16 autocast (fp16 with loss scaling on 7.x,
            fp32 below) through scaled_dot_product_attention, cross entropy of the next token, backward, AdamW (fused where
            torch has it).
Formula     batch x length over the median time of a step. MFU: models/transformer.py's FLOP count over that time, over the
            matmul ceiling of the same run.
Unit        tokens/s, ms, % (mfu), GB (10^9 bytes), s.
Knobs       fused optimiser and (on a CPU with glibc) freed memory kept, unless --preset article; attention (sdpa or by hand, as
            torch has it); --parameter compile=true.
Tiers       gpu-16 (16 sequences of 1024; 40 GB and more), gpu-4 (12 GB), gpu-1, cpu (2 layers, width 256, 4 sequences of 256).
Source      Radford et al., GPT-2 (2019); Chowdhery et al., PaLM (2022), appendix B, for MFU.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import torch
import torch.nn.functional as F

from benchmarks.harness import allocator, precision
from benchmarks.harness import training as common
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device
from benchmarks.models.transformer import Shape, Transformer, step_flops

VERSION = 1
SMALL = Shape(layers=2, width=256, heads=4, length=256, words=2048)
TIERS: Dict[str, Tuple[Shape, int]] = {
    "gpu-16": (Shape(), 16),
    "gpu-4": (Shape(), 4),
    "gpu-1": (Shape(), 1),
    "cpu": (SMALL, 4),
}


def tier(device: Device) -> str:
    if not device.is_cuda:
        return "cpu"
    if device.memory_bytes >= 39 << 30:
        return "gpu-16"
    return "gpu-4" if device.memory_bytes >= 11 << 30 else "gpu-1"


def measure(context: Context) -> Result:
    device = context.device
    size = tier(device)
    shape, batch = TIERS[size]
    batch = context.option("batch", batch)
    dtype = precision.best(device.torch_device)
    optimiser_options = {} if context.preset == "article" else common.fused(torch.optim.AdamW, device)
    compiled = context.option("compile", False)
    keeps = context.preset != "article" and not device.is_cuda and allocator.can_keep()
    context.declare(
        VERSION,
        {
            "model": "decoder-only transformer, tied embeddings", "tier": size, "shape": shape._asdict(), "batch": batch,
            "dtype": dtype + " autocast", "optimiser": "AdamW 1e-4", "loss": "cross entropy", "data": "random tokens",
        },
        {
            "fused": bool(optimiser_options), "compile": compiled, "keep_memory": keeps, "preset": context.preset,
            "attention": "sdpa" if hasattr(F, "scaled_dot_product_attention") else "by hand",
        },
    )  # fmt: skip
    network = Transformer(shape).to(device.torch_device)
    tokens = torch.randint(0, shape.words, (batch, shape.length + 1), device=device.torch_device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, **optimiser_options)
    run = torch.compile(network) if compiled else network
    losses: List[Any] = []

    def loss_of(net: Any) -> Any:
        return F.cross_entropy(net(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    device.reset_peak()
    step = common.train_step(device, run, optimiser, loss_of, dtype, losses)
    count = float(batch * shape.length)
    with allocator.keeping(keeps):
        timing = context.time(step, figure=lambda s: count / s, unit="tokens/s", trains=True)
    return context.result(
        common.figures(context, timing, step_flops(shape, batch), count, "tokens/s", dtype, losses[0])
    )
