"""Does this device compute the first training step as the CPU does?

The same weights, the same images, no dropout: once on the CPU in fp32, once on the device as the run will do it. A wrong
kernel, a broken library, silent TF32 or damaged memory shows here, before hours are spent. Gates, for every gradient:

    fp32                     relative L2 <= 1e-3
    tf32, torch's default    relative L2 <= 5e-2: convolutions may be TF32, 2.9e-4 off a product and more on the way back
    bf16, fp16               cosine >= 0.98: a bf16 step's convolution gradients differ by 7-11 % in L2
"""

from __future__ import annotations

import copy
from typing import Any, Dict, NamedTuple, Optional

import torch
from torch import nn

from benchmarks.harness import precision
from benchmarks.models.simple_cnn import SimpleCNN
from benchmarks.pipeline.model import loss_function
from benchmarks.pipeline.settings import Knobs, set_fp32_policy
from benchmarks.pipeline.step import flat_gradients

IMAGES = 8
COSINE = 0.98
RELATIVE = {"fp32": 1e-3, "default": 5e-2, "tf32": 5e-2}
LOSS = {"bf16": 0.05, "fp16": 0.05}
OTHER_LOSS = 1e-2


class Comparison(NamedTuple):
    """How far apart two first steps are: the worst gradient's cosine and relative L2, and the losses."""

    worst: str
    cosine: float
    relative: float
    loss: float
    reference_loss: float


def compare_first_step(
    model: SimpleCNN, images: torch.Tensor, labels: torch.Tensor, knobs: Knobs, device: torch.device
) -> Comparison:
    """Both steps, on up to IMAGES prepared images (on any device); the model itself is left alone."""
    images, labels = images[:IMAGES].cpu(), labels[:IMAGES].cpu()
    reference = _gradients(model, images.contiguous(), labels, Knobs(precision="fp32"), torch.device("cpu"))
    candidate = _gradients(model, images, labels, knobs, device)
    worst, cosine, relative = "", 1.0, 0.0
    for name, expected in reference["gradients"].items():
        found = candidate["gradients"].get(name)
        here, off = agreement(expected, found)
        if here < cosine or worst == "":
            worst, cosine = name, here
        relative = max(relative, off)
    return Comparison(worst, cosine, relative, candidate["loss"], reference["loss"])


def agreement(expected: torch.Tensor, found: Optional[torch.Tensor]) -> "tuple[float, float]":
    """(cosine, relative L2) of two flat tensors; (-1, infinity) where one is missing or not finite."""
    if found is None or not bool(torch.isfinite(found).all()) or not bool(torch.isfinite(expected).all()):
        return -1.0, float("inf")
    product = here = there = apart = 0.0
    # In pieces: fc1's gradient at 224 pixels is 1.6 GB, and sums over it need float64.
    for one, other in zip(expected.split(1 << 24), found.split(1 << 24)):
        a, b = one.double(), other.double()
        product += float(a @ b)
        here += float(a @ a)
        there += float(b @ b)
        apart += float((a - b).square().sum())
    if here == 0.0:
        return (1.0, 0.0) if there == 0.0 else (-1.0, float("inf"))
    return product / max((here * there) ** 0.5, 1e-300), (apart / here) ** 0.5


def objection(comparison: Comparison, precision: str) -> str:
    """What speaks against this device: the comparison is beyond the gates of that precision. Empty: nothing."""
    off = abs(comparison.loss - comparison.reference_loss) / max(abs(comparison.reference_loss), 1e-12)
    if not off <= LOSS.get(precision, OTHER_LOSS):  # NaN never passes
        return (
            "the first step's loss is {:.6g} here and {:.6g} on the CPU: this device does not compute what the CPU "
            "computes".format(comparison.loss, comparison.reference_loss)
        )
    if not comparison.cosine >= COSINE:
        return (
            "the first step's gradient of {} points elsewhere than the CPU's: cosine {:.4f}, at least {} is "
            "expected".format(comparison.worst, comparison.cosine, COSINE)
        )
    gate = RELATIVE.get(precision)
    if gate is not None and not comparison.relative <= gate:
        return "the first step's gradients differ from the CPU's by {:.2g} (relative L2); {} allows {:g}".format(
            comparison.relative, precision, gate
        )
    return ""


def _gradients(
    model: SimpleCNN, images: torch.Tensor, labels: torch.Tensor, knobs: Knobs, device: torch.device
) -> Dict[str, Any]:
    set_fp32_policy(knobs.precision)
    memory_format = torch.channels_last if knobs.channels_last else torch.contiguous_format
    copied: nn.Module = copy.deepcopy(model).to(device=device, memory_format=memory_format)
    # Two devices draw different masks.
    copied.eval()
    with precision.autocast(device, knobs.precision):
        loss = loss_function()(copied(images.to(device, memory_format=memory_format)), labels.to(device))
    loss.backward()
    return {"loss": float(loss.detach()), "gradients": flat_gradients(copied)}
