"""What a run uses where nobody says otherwise: by data and preset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

from benchmarks.pipeline.collect import image_paths, is_cifar10
from benchmarks.pipeline.errors import PipelineError
from benchmarks.pipeline.settings import Settings

# Digits, measured on a CPU: one-cycle at 1e-3 with shifts of 3 pixels, 12 epochs: 99.2-99.7 %. No flips: a mirrored 2 is no 2.
TUNED: Dict[str, Dict[str, Any]] = {
    "digits": {"size": 32, "epochs": 12, "crop": 3},
    "mnist-5k": {"size": 32, "epochs": 8, "crop": 3},
    "textures": {"size": 64, "epochs": 15, "crop": 8, "flip": True},
    "synthetic": {"size": 224, "epochs": 1, "classes": 1000},
}
FOLDER: Dict[str, Any] = {"size": 224, "epochs": 10, "crop": 28, "flip": True}
SMALL = ((2_000, 64), (20_000, 112))
"""Up to so many images, pixels a side: at 224 the network has 412 million parameters, a thousand times what a few hundred images
can teach, and an epoch takes minutes on a CPU."""
LEAST_STEPS = 400
"""Of a run on a folder: a network learns by steps, and an epoch of a small folder has few."""
FINE_TUNED_STEPS = 600
STEPS_AN_EPOCH = 10
LEAST_BATCH, MOST_EPOCHS = 8, 60
CIFAR10: Dict[str, Any] = {"size": 32, "epochs": 10, "crop": 4, "flip": True}
ARTICLE: Dict[str, Any] = {"optimiser": "adam", "rate": 1e-3, "schedule": "constant", "batch": 64, "epochs": 10}
LITERAL: Dict[str, Any] = {"crop": 0, "flip": False, "rotation": 0.0}
"""The article's code resizes and normalises; it names augmentation, and does none."""
DIGITS_TARGET = 0.97
"""The gate for digits in their own number of epochs: 359 test images make 98 % uncertain by 1.4 points."""


def settings_for(given: Mapping[str, Any]) -> Settings:
    """Settings from what was given, the rest by data and preset. Raises PipelineError on what cannot be."""
    data = given.get("data", "digits")
    preset = given.get("preset", "tuned")
    usual = TUNED.get(data) or (CIFAR10 if is_cifar10(Path(data)) else None)
    if usual is None:
        usual = FOLDER if preset == "article" else _folder(data, given)
    values: Dict[str, Any] = dict(usual)
    if preset == "article":
        values.update(ARTICLE, **LITERAL)
    usual_epochs = values["epochs"]
    values.update(given)
    if "crop" not in given:
        # A shift may have been chosen for larger images.
        values["crop"] = max(0, min(values.get("crop", 0), values["size"] // 8))
    settings = Settings.from_dict(values)
    whole = data == "digits" and settings.epochs >= usual_epochs and not (settings.freeze or settings.labels_per_class)
    if whole and "target_accuracy" not in given and preset == "tuned":
        settings = Settings.from_dict(dict(settings.as_dict(), target_accuracy=DIGITS_TARGET))
    return settings


def _folder(data: str, given: Mapping[str, Any]) -> Dict[str, Any]:
    """Size, batch and epochs by how many images a folder holds; those for ImageNet where they are very many."""
    try:
        count = len(image_paths(Path(data)))
    except PipelineError:  # said when it is loaded
        return FOLDER
    values = dict(FOLDER, size=next((size for most, size in SMALL if count <= most), FOLDER["size"]))
    per_class = given.get("labels_per_class", 0)
    trained = max(1, count * 7 // 10)
    batch = given.get("batch") or min(Settings.batch, max(LEAST_BATCH, trained // STEPS_AN_EPOCH))
    steps = max(1, trained // batch)
    if per_class:
        steps = 1
    wanted = FINE_TUNED_STEPS if given.get("finetune_from") else LEAST_STEPS
    epochs = max(FOLDER["epochs"], min(MOST_EPOCHS, -(-wanted // steps)))
    return dict(values, batch=batch, epochs=epochs)
