"""The reference CNN: the article's SimpleCNN, with the smallest repair that makes it run.

As the article prints it, the class does not run:

    conv1 3 -> 64, 3x3 - ReLU - conv2 64 -> 128, 3x3 - ReLU - flatten - fc1 128*56*56 -> 1024 - dropout - fc2 1024 -> 1000

Nothing halves the image, so a 224x224 picture reaches fc1 as 128*224*224 numbers where 128*56*56 are expected ("mat1 and
mat2 shapes cannot be multiplied (64x6422528 and 401408x1024)"). What was repaired:

- A 2x2 max-pool follows each block of convolution and ReLU: 224 -> 112 -> 56, the size that fc1 was written for. It has
  no parameters, so every parameter keeps its name and its shape, and a checkpoint of the literal class loads.
- `x.flatten(1)` in place of `x.view(-1, 128*56*56)`: view() fails on channels_last memory, and -1 would turn a wrong image
  size into a wrong batch size without a word.

The tiers are the same code on smaller images: fc1 shrinks with the image, the rest stays.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

import torch
from torch import nn


class Tier(NamedTuple):
    """A size of the workload: square images of `size` pixels, `batch` a step, memory in bytes that training needs."""

    size: int
    batch: int
    memory_bytes: int


# Memory: fp32 weights, gradients and Adam's two moments (16 B a parameter), activations at that batch, and half as much again.
TIERS: Dict[str, Tier] = {
    "224": Tier(size=224, batch=64, memory_bytes=21 << 29),
    "112": Tier(size=112, batch=64, memory_bytes=4 << 30),
    "32": Tier(size=32, batch=64, memory_bytes=1 << 29),
}


class SimpleCNN(nn.Module):
    """Two convolutions and two linear layers: images (N, 3, size, size) to logits (N, classes).

    size: height and width in pixels, a multiple of 4; 224 gives the article's shapes. Raises ValueError for another size.
    """

    def __init__(self, classes: int = 1000, size: int = 224, dropout: float = 0.5) -> None:
        super().__init__()
        if size < 4 or size % 4:
            raise ValueError(
                "the reference CNN halves the image twice: its size must be a multiple of 4, not {}".format(size)
            )
        self.size = size
        self.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(64, 128, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(128 * (size // 4) * (size // 4), 1024)
        self.fc2 = nn.Linear(1024, classes)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu(self.conv1(images)))
        x = self.pool(self.relu(self.conv2(x)))
        x = x.flatten(1)
        # No activation here, as the article has it: between training steps fc1 and fc2 are one linear map of rank 1024.
        return self.fc2(self.dropout(self.fc1(x)))


BACKBONE = ("conv1", "conv2", "fc1")
"""What fine-tuning may freeze."""
HEAD = ("fc2",)
"""What fine-tuning replaces."""


def parameter_count(classes: int = 1000, size: int = 224) -> int:
    """Number of parameters: 412,143,464 at 224 with 1,000 classes, 99.7 % of them in fc1."""
    features = 128 * (size // 4) ** 2
    return (3 * 9 + 1) * 64 + (64 * 9 + 1) * 128 + (features + 1) * 1024 + (1024 + 1) * classes
