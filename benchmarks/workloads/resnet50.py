"""resnet50.train: images a second through torchvision's ResNet-50, the figure that everybody publishes.

Measures    training steps on synthetic images resident on the device: forward in bf16 autocast (fp16 with loss scaling on 7.x,
            fp32 below), cross entropy, backward, SGD with momentum 0.9 and weight decay 1e-4. No loading, no augmentation.
Formula     batch over the median time of a step. MFU: 3 times the forward pass's FLOP (convolutions and linear layers; 8.2 GFLOP
            an image at 224) over that time, over the matmul ceiling of the same run.
Unit        img/s, ms, % (mfu), GB (10^9 bytes), s.
Knobs       channels_last, a fused optimiser and (on a CPU with glibc) freed memory kept, unless --preset article;
            --parameter compile=true.
Tiers       gpu-256 (images of 224, batch 256; 30 GB and more), gpu-64 (9 GB), gpu-16, cpu (images of 96, batch 4).
            --parameter batch=N makes it other work.
Source      He et al. (2016); timm's benchmark.py and Lambda's and NVIDIA's published figures measure the same.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Dict, List, Tuple

import torch
import torch.nn.functional as F

from benchmarks.harness import allocator, precision
from benchmarks.harness import training as common
from benchmarks.harness.context import Context, Result, Skip
from benchmarks.harness.device import Device

VERSION = 1
# (images, height and width)
TIERS: Dict[str, Tuple[int, int]] = {"gpu-256": (256, 224), "gpu-64": (64, 224), "gpu-16": (16, 224), "cpu": (4, 96)}


def tier(device: Device) -> str:
    if not device.is_cuda:
        return "cpu"
    if device.memory_bytes >= 30 << 30:
        return "gpu-256"
    return "gpu-64" if device.memory_bytes >= 9 << 30 else "gpu-16"


def unavailable(member: str, device: Device) -> str:
    # Importing it takes seconds: only looked for here.
    return "" if importlib.util.find_spec("torchvision") else "torchvision is not installed"


def measure(context: Context) -> Result:
    try:
        from torchvision import models
    # A torchvision that does not fit its torch fails with RuntimeError or AttributeError at import.
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        raise Skip("torchvision cannot be imported: {}".format(str(error).splitlines()[0])) from None
    device = context.device
    size = tier(device)
    batch, pixels = TIERS[size]
    batch = context.option("batch", batch)
    dtype = precision.best(device.torch_device)
    article = context.preset == "article"
    optimiser_options = {} if article else common.fused(torch.optim.SGD, device)
    compiled = context.option("compile", False)
    keeps = not article and not device.is_cuda and allocator.can_keep()
    context.declare(
        VERSION,
        {
            "model": "torchvision resnet50", "tier": size, "batch": batch, "image": pixels, "dtype": dtype + " autocast",
            "optimiser": "SGD momentum 0.9 weight decay 1e-4", "loss": "cross entropy", "data": "synthetic normal",
        },
        {
            "channels_last": not article, "fused": bool(optimiser_options), "compile": compiled, "cudnn_benchmark": True,
            "keep_memory": keeps, "preset": context.preset,
        },
    )  # fmt: skip
    layout = torch.contiguous_format if article else torch.channels_last
    network = models.resnet50(weights=None).to(device.torch_device, memory_format=layout)
    images = torch.randn(batch, 3, pixels, pixels, device=device.torch_device).contiguous(memory_format=layout)
    labels = torch.randint(0, 1000, (batch,), device=device.torch_device)
    network.eval()
    flop = 3.0 * batch * common.forward_flops(network, images[:1])
    network.train()
    # 0.1 is for real images: noise would make the loss grow without bound.
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, **optimiser_options)
    run = torch.compile(network) if compiled else network
    losses: List[Any] = []
    device.reset_peak()
    with precision.autotuned(), allocator.keeping(keeps):
        step = common.train_step(
            device, run, optimiser, lambda net: F.cross_entropy(net(images), labels), dtype, losses
        )
        timing = context.time(step, figure=lambda s: batch / s, unit="img/s", trains=True)
    return context.result(common.figures(context, timing, flop, batch, "img/s", dtype, losses[0]))
