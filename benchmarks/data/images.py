"""What the pipeline trains on: images in memory, or files that are read when they are needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, NamedTuple, Optional, Tuple, Union

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Images:
    """Images in memory. pixels: uint8 (N, C, H, W), C is 1 or 3; labels: int64 (N,); digest: sha256 of where they come from."""

    pixels: torch.Tensor
    labels: torch.Tensor
    classes: Tuple[str, ...]
    name: str
    digest: str

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, indices: torch.Tensor) -> "Images":
        return replace(self, pixels=self.pixels[indices], labels=self.labels[indices])

    def resized(self, size: int) -> "Images":
        """Square images of that many pixels (bilinear, antialiased where they shrink), once and in uint8."""
        if self.pixels.shape[-2:] == (size, size):
            return self
        parts = [
            functional.interpolate(
                part.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=True
            )
            for part in self.pixels.split(512)
        ]
        return replace(self, pixels=torch.cat([part.round_().clamp_(0, 255).to(torch.uint8) for part in parts]))


@dataclass(frozen=True)
class ImageFiles:
    """Image files, read one by one: `path[i]` shows class `labels[i]`; `size` is what reading resizes them to."""

    paths: List[str]
    labels: torch.Tensor
    classes: Tuple[str, ...]
    name: str
    digest: str
    size: int = 224

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, indices: torch.Tensor) -> "ImageFiles":
        return replace(self, paths=[self.paths[index] for index in indices.tolist()], labels=self.labels[indices])

    def resized(self, size: int) -> "ImageFiles":
        return replace(self, size=size)


Source = Union[Images, ImageFiles]


class Dataset(NamedTuple):
    """One data set, and its own test (or validation) part where it comes with one."""

    source: Source
    held_out: Optional[Source] = None
    notes: Tuple[str, ...] = ()
    """What cleaning found, for a person."""
