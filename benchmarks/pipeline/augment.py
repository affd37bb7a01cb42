"""Augment: padding, random crop, random rotation, random flip, for a whole batch at once and on its device.

The random numbers are drawn on the CPU from the run's own generator (a few hundred numbers a batch), so the same seed augments
the same way on every device, and a checkpoint that holds the generator's state continues the same stream.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def sent(drawn: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Numbers drawn on the CPU, on the device; from page-locked memory, for from any other the host waits for the device."""
    return drawn if device.type == "cpu" else drawn.pin_memory().to(device, non_blocking=True)


def pad(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Images (N, C, H, W) with a border of zeros of that many pixels on each side."""
    return functional.pad(images, (pixels, pixels, pixels, pixels))


def random_crop(images: torch.Tensor, padding: int, generator: torch.Generator) -> torch.Tensor:
    """Each image padded and cut back to its size at a place of its own: a shift of up to `padding` pixels."""
    count, _, height, width = images.shape
    top, left = sent(torch.randint(0, 2 * padding + 1, (2, count), generator=generator), images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    picked = torch.arange(count, device=images.device)[:, None, None]
    # Advanced indices around the channel slice put the channel last.
    return pad(images, padding)[picked, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def random_rotation(images: torch.Tensor, degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Float images, each turned about its centre by an angle of its own within +-degrees; zeros come in at the corners."""
    angles = (torch.rand(images.shape[0], generator=generator) * 2 - 1) * math.radians(degrees)
    cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    turns = torch.stack([torch.stack([cosine, -sine, zero], 1), torch.stack([sine, cosine, zero], 1)], 1)
    grid = functional.affine_grid(sent(turns.to(images.dtype), images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def random_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image mirrored left to right with probability 1/2. Not for digits: a mirrored 2 is no 2."""
    mirrored = sent(torch.rand(images.shape[0], generator=generator) < 0.5, images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
