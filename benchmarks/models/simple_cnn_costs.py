"""What a training step of the reference CNN costs: floating-point operations, bytes, and the two bounds that follow.

FLOP: a multiply and an add are two. Forward, per image: conv 2 * 9 * in * out * pixels, linear 2 * in * out. Backward costs
each layer twice its forward (input gradient and weight gradient), but for conv1, whose input needs no gradient. At 224 with
1,000 classes that is 2.847 GFLOP forward and 8.368 GFLOP a step and image; torch.utils.flop_counter counts the same.

Bytes, the two ways to bound a step of P parameters and a batch of N images:

compulsory   Any fusion is allowed, recomputing is not. Adam reads weight, gradient and two moments and writes weight and
             two moments: 28 B a parameter in fp32 (with the gradient consumed where it is made it would be 24; the gradient
             of fc1 is a sum over the batch that no cache holds). Each image is read in the forward pass and again for
             conv1's weight gradient. What the backward pass needs (each pooled activation, and which of the four pixels
             won) is written once and read once.
             Time: max(all FLOP / peak, all bytes / bandwidth).
kernel sum   What a compiler can reach with library convolutions and matrix products: one kernel a layer and direction,
             activation and pooling fused into one pass, gradients materialised, autocast's copies of the weights made.
             Time: sum over kernels of max(FLOP / peak, bytes / bandwidth).

Peak and bandwidth are ceilings measured in the same run, never a datasheet's.
"""

from __future__ import annotations

from typing import List, NamedTuple

from benchmarks.models.simple_cnn import parameter_count

ELEMENT_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2}
ADAM_BYTES = 28
"""Bytes a parameter that a fused Adam moves: p, g, m, v read; p, m, v written; fp32."""


class Kernel(NamedTuple):
    """One kernel: floating-point operations and bytes to and from memory."""

    name: str
    flops: float
    bytes: float


class Bounds(NamedTuple):
    """Seconds that a step cannot beat; `compulsory_by` says what holds it: 'compute' or 'memory'."""

    compulsory_s: float
    kernel_sum_s: float
    compulsory_by: str


def forward_flops(size: int = 224, classes: int = 1000) -> int:
    """Floating-point operations of one image's forward pass."""
    return sum(_layer_flops(size, classes))


def step_flops(batch: int, size: int = 224, classes: int = 1000) -> int:
    """Floating-point operations of one training step (forward and backward; the optimiser's are not counted)."""
    return batch * (3 * forward_flops(size, classes) - _layer_flops(size, classes)[0])


def step_kernels(batch: int, size: int = 224, classes: int = 1000, precision: str = "bf16") -> List[Kernel]:
    """The kernels of one training step with Adam; precision: 'fp32', 'tf32', 'bf16', 'fp16' (the last two by autocast)."""
    width = ELEMENT_BYTES[precision]
    conv1, conv2, fc1, fc2 = (batch * flops for flops in _layer_flops(size, classes))
    image = batch * 3 * size**2 * width
    full = batch * 64 * size**2 * width  # conv1's output
    half = batch * 64 * (size // 2) ** 2 * width  # pooled; conv2's input
    wide = batch * 128 * (size // 2) ** 2 * width  # conv2's output
    flat = batch * 128 * (size // 4) ** 2 * width  # pooled; fc1's input
    hidden, logits = batch * 1024 * width, batch * classes * width
    weights1 = (128 * (size // 4) ** 2) * 1024 * width
    weights2 = 1024 * classes * width
    parameters = parameter_count(classes, size)
    kernels = [
        Kernel("conv1", conv1, image + full),
        Kernel("relu, pool 1", 0, full + half),
        Kernel("conv2", conv2, half + wide),
        Kernel("relu, pool 2", 0, wide + flat),
        Kernel("fc1", fc1, flat + weights1 + hidden),
        Kernel("fc2", fc2, hidden + weights2 + logits),
        Kernel("loss, forward and backward", 0, 3 * logits),
        Kernel("fc2 input gradient", fc2, logits + weights2 + hidden),
        Kernel("fc2 weight gradient", fc2, logits + hidden + weights2),
        Kernel("fc1 input gradient", fc1, hidden + weights1 + flat),
        Kernel("fc1 weight gradient", fc1, hidden + flat + weights1),
        Kernel("relu, pool 2 gradient", 0, flat + 2 * wide),
        Kernel("conv2 input gradient", conv2, wide + half),
        Kernel("conv2 weight gradient", conv2, wide + half),
        Kernel("relu, pool 1 gradient", 0, half + 2 * full),
        Kernel("conv1 weight gradient", conv1, full + image),
        Kernel("Adam", 0, ADAM_BYTES * parameters),
    ]
    if width == 2:
        # Weights fp32 -> 16 bits before the step, gradients 16 bits -> fp32 after it: 12 bytes a parameter.
        kernels += [
            Kernel("cast weights", 0, 6 * parameters),
            Kernel("cast gradients", 0, 6 * parameters),
        ]
    return kernels


def compulsory_bytes(batch: int, size: int = 224, classes: int = 1000, precision: str = "bf16") -> float:
    """Bytes that a step must move whatever is fused."""
    width = ELEMENT_BYTES[precision]
    image = 3 * size**2 * width
    pooled = 64 * (size // 2) ** 2 + 128 * (size // 4) ** 2
    # Two bits name the pixel that won; ReLU's mask needs none more, for a pooled zero tells it.
    saved = pooled * (width + 0.25)
    return ADAM_BYTES * parameter_count(classes, size) + batch * (2 * image + 2 * saved)


def step_bounds(
    flops_per_s: float, bytes_per_s: float, batch: int, size: int = 224, classes: int = 1000, precision: str = "bf16"
) -> Bounds:
    """Both bounds for ceilings in FLOP/s (at that precision) and bytes/s (read and write together)."""
    kernels = step_kernels(batch, size, classes, precision)
    compute = step_flops(batch, size, classes) / flops_per_s
    memory = compulsory_bytes(batch, size, classes, precision) / bytes_per_s
    return Bounds(
        compulsory_s=max(compute, memory),
        kernel_sum_s=sum(max(kernel.flops / flops_per_s, kernel.bytes / bytes_per_s) for kernel in kernels),
        compulsory_by="compute" if compute > memory else "memory",
    )


def _layer_flops(size: int, classes: int) -> List[int]:
    """conv1, conv2, fc1, fc2: forward, one image."""
    return [
        2 * 9 * 3 * 64 * size**2,
        2 * 9 * 64 * 128 * (size // 2) ** 2,
        2 * 128 * (size // 4) ** 2 * 1024,
        2 * 1024 * classes,
    ]
