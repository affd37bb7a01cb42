"""Normalise: the article's two formulas.

min-max   x' = (x - min) / (max - min)     to [0, 1]
z-score   x' = (x - mean) / std            to mean 0 and standard deviation 1

The article's example gives [1, 2, 3, 4, 5] a standard deviation of 1. It is sqrt(2) = 1.414 (of the population, divided by n)
or sqrt(2.5) = 1.581 (of a sample, by n - 1). torch.std divides by n - 1 unless told otherwise; here it is the population's.
"""

from __future__ import annotations

from typing import Sequence, Tuple

import torch

# Per channel, of ImageNet's training images scaled to [0, 1]; the constants of torchvision's pretrained models.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def min_max(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Scaled so that low becomes 0 and high 1. Raises ValueError where both are the same."""
    if high == low:
        raise ValueError("min-max needs two different ends; all values are {}".format(low))
    return (values - low) / (high - low)


def by_channel(values: Sequence[float], images: torch.Tensor) -> torch.Tensor:
    """A number for each channel, (1, C, 1, 1), of the images' dtype and on their device. Sending it waits for the device: make it
    once, not once a step."""
    return torch.tensor(values, dtype=images.dtype, device=images.device).view(1, -1, 1, 1)


def z_score(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) with the mean and standard deviation of each channel (1, C, 1, 1) taken out."""
    return (images - mean) / std


def statistics(pixels: torch.Tensor) -> Tuple[Tuple[float, ...], Tuple[float, ...]]:
    """Mean and population standard deviation of each channel of uint8 images, scaled to [0, 1].

    To be computed on the training part alone: the test images must not leak into what is learnt from.
    """
    # By histogram: exact, and it needs no float copy of the data.
    means, stds = [], []
    values = torch.arange(256, dtype=torch.float64) / 255
    for channel in range(pixels.shape[1]):
        counts = torch.bincount(pixels[:, channel].reshape(-1).long(), minlength=256).double()
        mean = float((counts * values).sum() / counts.sum())
        variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
        means.append(mean)
        # Images of one single colour have nothing to scale.
        stds.append(variance**0.5 or 1.0)
    return tuple(means), tuple(stds)
