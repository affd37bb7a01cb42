"""Batch and shuffle, resumable: the order is a function of the seed and the epoch, so epoch and position are all its state.

Images in memory are picked on the device that holds them. Files are read by a DataLoader's workers and arrive one batch ahead
of the step that needs them.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, Tuple

import torch

from benchmarks.data.images import ImageFiles, Source

Batch = Tuple[torch.Tensor, torch.Tensor]


class Batches:
    """Batches of (uint8 images (N, C, H, W), labels (N,)) of one source, on `device`.

    position: images of this epoch that were handed out. waited: seconds that the consumer waited for data.
    """

    def __init__(
        self,
        source: Source,
        batch: int,
        device: torch.device,
        seed: int = 0,
        shuffle: bool = False,
        workers: int = 0,
        pinned: bool = False,
        whole_only: bool = False,
    ) -> None:
        self.source, self.batch, self.device, self.seed, self.shuffle = source, batch, device, seed, shuffle
        self.workers, self.pinned = workers, pinned
        # A smaller last batch would be compiled for once more.
        self.whole_only = whole_only and len(source) >= batch
        self.epoch = 0
        self.position = 0
        self.waited = 0.0
        self.unreadable = 0
        """Files that were there when the run began and could not be read later."""
        if not isinstance(source, ImageFiles):
            self._pixels, self._labels = source.pixels.to(device), source.labels.to(device)

    def __len__(self) -> int:
        count = len(self.source)
        return count // self.batch if self.whole_only else -(-count // self.batch)

    def order(self) -> torch.Tensor:
        """Indices in this epoch's order."""
        if not self.shuffle:
            return torch.arange(len(self.source))
        # One stream of random numbers an epoch, whatever came before it.
        generator = torch.Generator().manual_seed((self.seed << 20) + self.epoch)
        return torch.randperm(len(self.source), generator=generator)

    def state(self) -> Dict[str, int]:
        return {"epoch": self.epoch, "position": self.position}

    def restore(self, state: Dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]

    def start_epoch(self, epoch: int) -> None:
        self.epoch, self.position = epoch, 0

    def __iter__(self) -> Iterator[Batch]:
        """What is left of this epoch, from `position` on."""
        order = self.order()[self.position : len(self) * self.batch]
        if not isinstance(self.source, ImageFiles):
            order = order.to(self.device)
        groups = list(order.split(self.batch)) if len(order) else []
        batches = self._from_files(groups) if isinstance(self.source, ImageFiles) else self._from_memory(groups)
        for group in groups:
            begun = time.perf_counter()
            found = next(batches)
            self.waited += time.perf_counter() - begun
            self.position += len(group)
            yield found

    def _from_memory(self, groups: List[torch.Tensor]) -> Iterator[Batch]:
        for group in groups:
            yield self._pixels[group], self._labels[group]

    def _from_files(self, groups: List[torch.Tensor]) -> Iterator[Batch]:
        from torch.utils.data import DataLoader

        from benchmarks.data.folders import FileReader

        assert isinstance(self.source, ImageFiles)
        loader: Any = DataLoader(
            FileReader(self.source),
            batch_sampler=[group.tolist() for group in groups],
            num_workers=min(self.workers, len(groups)),
            pin_memory=self.pinned,
        )
        for pixels, labels in _one_ahead(loader, self.device):
            sound = labels >= 0
            if bool(sound.all()):
                yield pixels, labels.to(self.device, non_blocking=True)
                continue
            self.unreadable += int((~sound).sum())
            yield pixels[sound.to(pixels.device)], labels[sound].to(self.device)


def _one_ahead(loader: Any, device: torch.device) -> Iterator[Batch]:
    """The loader's batches with the pixels on the device, each sent while the batch before it is used."""
    if device.type != "cuda":
        for pixels, labels in loader:
            yield pixels, labels
        return
    side = torch.cuda.Stream(device)
    ahead = None
    for pixels, labels in loader:
        with torch.cuda.stream(side):
            sent = pixels.to(device, non_blocking=True)
        if ahead is not None:
            yield _taken(ahead, side, device)
        # The host's copy is kept until the transfer has been waited for.
        ahead = (sent, labels, pixels)
    if ahead is not None:
        yield _taken(ahead, side, device)


def _taken(ahead: Tuple[torch.Tensor, torch.Tensor, torch.Tensor], side: Any, device: torch.device) -> Batch:
    torch.cuda.current_stream(device).wait_stream(side)
    ahead[0].record_stream(torch.cuda.current_stream(device))
    return ahead[0], ahead[1]
