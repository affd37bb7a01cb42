"""From uint8 images to what the network eats: min-max, three channels, augmentation, z-score, memory format."""

from __future__ import annotations

from typing import Sequence

import torch

from benchmarks.pipeline import augment, normalise
from benchmarks.pipeline.settings import Settings


class Preparation:
    """Prepares batches with one data set's statistics; `generator` draws the augmentation."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], settings: Settings, channels_last: bool) -> None:
        self.mean, self.std, self.settings = tuple(mean), tuple(std), settings
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.generator = torch.Generator().manual_seed(settings.seed)

    def for_training(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, H, W), augmented."""
        settings = self.settings
        images = normalise.min_max(pixels.float(), 0, 255)
        if settings.rotation:
            images = augment.random_rotation(images, settings.rotation, self.generator)
        if settings.crop:
            images = augment.random_crop(images, settings.crop, self.generator)
        if settings.flip:
            images = augment.random_flip(images, self.generator)
        return self._finished(images)

    def for_evaluation(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, H, W), as it is."""
        return self._finished(normalise.min_max(pixels.float(), 0, 255))

    def _finished(self, images: torch.Tensor) -> torch.Tensor:
        images = normalise.z_score(images, self.mean, self.std)
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        return images.contiguous(memory_format=self.memory_format)
