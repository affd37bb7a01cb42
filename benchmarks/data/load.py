"""--data by name or by path, split into the parts that a run uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Tuple

import torch

from benchmarks.data import bundled
from benchmarks.data.folders import folder_dataset
from benchmarks.data.images import Dataset, ImageFiles, Images, Source
from benchmarks.pipeline import normalise
from benchmarks.pipeline.collect import clean_images, require_classes
from benchmarks.pipeline.errors import PipelineError
from benchmarks.pipeline.settings import Settings
from benchmarks.pipeline.split import few_labels, stratified_split

NAMED: Dict[str, Callable[[], Images]] = {
    "digits": bundled.digits,
    "textures": bundled.textures,
    "mnist-5k": bundled.mnist_5k,
}
SYNTHETIC = "synthetic"
SYNTHETIC_IMAGES = 1024
LARGEST_VALIDATION = 10_000
SPLIT_SEED = 0
"""The test images are the same ones whatever the run's seed: two runs are judged on the same images."""


class Parts(NamedTuple):
    """What a run trains on, watches, and is judged by; mean and std of each channel of the training part."""

    train: Source
    validation: Source
    test: Source
    mean: Tuple[float, ...]
    std: Tuple[float, ...]
    digest: str
    notes: Tuple[str, ...]

    @property
    def classes(self) -> Tuple[str, ...]:
        return self.train.classes


def load(settings: Settings, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Parts:
    """Collected, cleaned, resized and split. Raises PipelineError saying what is wrong with the data."""
    dataset = _dataset(settings, progress)
    source = dataset.source.resized(settings.size)
    if settings.data == SYNTHETIC:
        # Nothing is judged by random labels: all images are trained on, and a few of them stand for the other parts.
        few = source.pick(torch.arange(min(settings.batch, len(source))))
        return Parts(source, few, few, *_statistics(source), source.digest, ())
    require_classes(source.labels, source.classes, settings.data)
    wanted = settings.validation_share
    if dataset.held_out is not None:
        share = min(wanted, LARGEST_VALIDATION / len(source))
        train, validation = stratified_split(source.labels, [share], SPLIT_SEED, source.classes)
        parts = source.pick(train), source.pick(validation), dataset.held_out.resized(settings.size)
    else:
        share = min(wanted, LARGEST_VALIDATION / len(source))
        shares = [share, settings.test_share]
        train, validation, test = stratified_split(source.labels, shares, SPLIT_SEED, source.classes)
        parts = source.pick(train), source.pick(validation), source.pick(test)
    mean, std = _statistics(parts[0])
    return Parts(*parts, mean, std, source.digest, dataset.notes)


def with_few_labels(parts: Parts, per_class: int, seed: int) -> Parts:
    """The same validation and test images, and so many training images of each class."""
    chosen = few_labels(parts.train.labels, per_class, seed, parts.classes)
    train = parts.train.pick(chosen)
    mean, std = _statistics(train)
    return parts._replace(train=train, mean=mean, std=std)


def _dataset(settings: Settings, progress: Callable[[int, int], None]) -> Dataset:
    if settings.data == SYNTHETIC:
        return Dataset(bundled.synthetic(SYNTHETIC_IMAGES, settings.size, settings.classes, settings.seed))
    if settings.data in NAMED:
        images, cleaning = clean_images(NAMED[settings.data]())
        return Dataset(images, None, cleaning.notes())
    looks_like_name = os.sep not in settings.data and not Path(settings.data).exists()
    if looks_like_name:
        raise PipelineError(
            "no data {!r}: it is neither a folder nor one of {}, {}".format(settings.data, ", ".join(NAMED), SYNTHETIC)
        )
    return folder_dataset(settings.data, settings.size, progress, in_memory=settings.preset == "tuned")


def _statistics(source: Source) -> "tuple[tuple[float, ...], tuple[float, ...]]":
    if isinstance(source, ImageFiles):
        # Photographs: a pass over all of them to learn what is known of photographs would cost an epoch.
        return normalise.IMAGENET_MEAN, normalise.IMAGENET_STD
    return normalise.statistics(source.pixels)


def class_counts(labels: torch.Tensor, classes: Tuple[str, ...]) -> Dict[str, int]:
    return dict(zip(classes, torch.bincount(labels, minlength=len(classes)).tolist()))
