"""The benchmarks on a device whose convolutions lose half of their channels where the images are channels_last."""

from __future__ import annotations

import sys
from typing import Any

import torch

from benchmarks.harness import command

real = torch.nn.functional.conv2d


def faulty(images: Any, *arguments: Any, **options: Any) -> Any:
    out = real(images, *arguments, **options)
    if images.is_contiguous() or not images.is_contiguous(memory_format=torch.channels_last):
        return out
    mask = torch.ones(out.shape[1], dtype=out.dtype)
    mask[::2] = 0
    return out * mask[:, None, None]


torch.nn.functional.conv2d = faulty
sys.exit(command.main(["--events", "--device=cpu", "--budget=15", *sys.argv[1:]]))
