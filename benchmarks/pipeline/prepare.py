"""From uint8 images to what the network eats: min-max, three channels, augmentation, z-score, memory format."""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

import torch

from benchmarks.pipeline import augment, normalise
from benchmarks.pipeline.settings import Settings


class Preparation:
    """Prepares batches with one data set's statistics; `generator` draws the augmentation."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], settings: Settings, channels_last: bool) -> None:
        self.mean, self.std, self.settings = tuple(mean), tuple(std), settings
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self._constants: Dict[torch.device, Tuple[torch.Tensor, torch.Tensor]] = {}
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

    def _scale(self, images: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation where the images are, sent there once."""
        if images.device not in self._constants:
            made = (normalise.by_channel(self.mean, images), normalise.by_channel(self.std, images))
            self._constants[images.device] = made
        return self._constants[images.device]

    def _finished(self, images: torch.Tensor) -> torch.Tensor:
        images = normalise.z_score(images, *self._scale(images))
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        return images.contiguous(memory_format=self.memory_format)
