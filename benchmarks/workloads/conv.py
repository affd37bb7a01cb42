"""conv.{fwd,dgrad,wgrad}: how fast cuDNN (on a CPU: oneDNN) convolves.

Measures    two 3x3 convolutions, padding 1: `refcnn`, the reference CNN's second (64 to 128 channels at half the image's size),
            and `resnet`, the one that ResNet-50 has most of (256 to 256 channels at 14x14); each in NCHW and in channels_last
            memory. fwd: y = x * w. dgrad: the gradient of x. wgrad: the gradient of w. cuDNN chooses its algorithm by trying.
            Where twice the last cache could hold the tensors, other data is read through it before each sample.
            bf16 from compute capability 8.0, fp16 on 7.x, fp32 (TF32 off) below and on CPUs.
Formula     2 N P Q K C 9 FLOP (N images, P x Q outputs, C channels in, K out; each direction the same) over the median time:
            the direct method's count, so an algorithm that needs fewer operations (Winograd) may pass the matmul ceiling.
Unit        TFLOP/s.
Limit       the matmul ceiling of that dtype in the same run, where the device is a GPU.
Tiers       gpu (refcnn 64 x 64 x 112 x 112, resnet 256 x 256 x 14 x 14), cpu (8 x 64 x 28 x 28, 8 x 256 x 14 x 14).
Source      Chetlur et al., cuDNN (2014); NVIDIA's Convolutional Layers User's Guide.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import torch
import torch.nn.functional as F

from benchmarks.harness import precision
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device
from benchmarks.harness.kernels import BYTES

VERSION = 2
"""2: the cache is emptied where the tensors fit it."""
# (images, channels in, channels out, height and width)
SHAPES: Dict[str, Dict[str, Tuple[int, int, int, int]]] = {
    "gpu": {"refcnn": (64, 64, 128, 112), "resnet": (256, 256, 256, 14)},
    "cpu": {"refcnn": (8, 64, 128, 28), "resnet": (8, 256, 256, 14)},
}
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def best_dtype(device: Device) -> str:
    """The dtype that one would train in."""
    capability = device.capability
    if capability is None or capability < (7, 0):
        return "fp32"
    return "bf16" if capability >= (8, 0) else "fp16"


def convolution(
    device: Device, direction: str, dtype: str, shape: Tuple[int, int, int, int], layout: Any
) -> Callable[[], Any]:
    """A step that does one direction of a 3x3 convolution, and nothing else."""
    images, inward, outward, size = shape
    kind = precision.DTYPES[dtype]

    def tensor(*dimensions: int) -> Any:
        made = torch.randn(*dimensions, device=device.torch_device).to(kind)
        return made.contiguous(memory_format=layout)

    x, w = tensor(images, inward, size, size), tensor(outward, inward, 3, 3)
    if direction == "fwd":
        return lambda: F.conv2d(x, w, padding=1)
    gradient = tensor(images, outward, size, size)
    wanted = [direction == "dgrad", direction == "wgrad", False]

    def backward() -> Any:
        return torch.ops.aten.convolution_backward(
            gradient, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
        )

    return backward


def measure(context: Context) -> Result:
    device, direction = context.device, context.member
    tier = "gpu" if device.is_cuda else "cpu"
    dtype = best_dtype(device)
    shapes = SHAPES[tier]
    context.declare(
        VERSION,
        {"direction": direction, "dtype": dtype, "tier": tier, "shapes": {k: list(v) for k, v in shapes.items()}},
        {"cudnn_benchmark": True},
    )
    ceiling = context.ceilings.matmul(dtype) / 1e12 if device.is_cuda else None
    metrics = {}
    left = len(shapes) * len(LAYOUTS)
    with torch.no_grad(), precision.autotuned(), precision.tf32(matmul=False, convolution=False):
        for name, shape in shapes.items():
            images, inward, outward, size = shape
            flop = 2.0 * images * size**2 * outward * inward * 9
            elements = images * size**2 * (inward + outward) + 9 * inward * outward
            fits = BYTES[dtype] * elements < 2 * device.cache_bytes
            for layout, memory_format in LAYOUTS.items():
                step = convolution(device, direction, dtype, shape, memory_format)
                key = "{}_{}".format(name, layout)

                def rate(seconds: float, flop: float = flop) -> float:
                    return flop / seconds / 1e12

                timing = context.time(step, key, 1.0 / left, flush=fits, figure=rate, unit="TFLOP/s")
                left -= 1
                metrics[key] = context.metric(
                    timing, "TFLOP/s", rate, "higher", ceiling, "the {} matmul ceiling".format(dtype)
                )
    return context.result(metrics)
