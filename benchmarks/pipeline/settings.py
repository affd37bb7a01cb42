"""What a run is (Settings), and how it is done (Knobs): the presets `article` and `tuned` differ in knobs and schedule only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Dict, Mapping, Optional

import torch

from benchmarks.harness import allocator, precision
from benchmarks.pipeline.errors import PipelineError
from benchmarks.pipeline.optimise import OPTIMISERS, SCHEDULES

PRESETS = ("article", "tuned")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
COMPILE_FROM_STEPS = 2000
"""Compiling takes tens of seconds; a step of 224 pixels wins milliseconds by it."""


@dataclass(frozen=True)
class Knobs:
    """How a training step is done. None of it changes what is computed, beyond rounding."""

    precision: str = "default"  # torch's own: TF32 convolutions with IEEE fp32 matrix products
    channels_last: bool = False
    fused: bool = False
    compiled: bool = False
    # Read the loss after every step: the host waits for the device, and the device then waits for the host.
    sync_each_step: bool = True
    # Send uint8 and augment there; otherwise images are made float and augmented on the CPU, one by one.
    prepare_on_device: bool = False
    pinned: bool = False
    # On a CPU: what a step frees is kept for the next one, not given back to the kernel.
    keep_memory: bool = False
    # Let cuDNN time its algorithms for the shapes at hand.
    autotuned: bool = False

    def describe(self) -> Dict[str, Any]:
        return asdict(self)


def article_knobs() -> Knobs:
    """The article's literal loop."""
    return Knobs()


def tuned_knobs(device: torch.device, steps: Optional[int] = None) -> Knobs:
    """What pays on that device; steps: how long the run is, None for 'long'."""
    cuda = device.type == "cuda"
    return Knobs(
        precision=best_precision(device),
        channels_last=True,
        fused=True,
        compiled=cuda and can_compile() and (steps is None or steps >= COMPILE_FROM_STEPS),
        sync_each_step=False,
        prepare_on_device=True,
        pinned=cuda,
        keep_memory=not cuda and allocator.can_keep(),
        autotuned=cuda,
    )


def best_precision(device: torch.device) -> str:
    """The dtype to train in; where that is fp32, torch's default: TF32 is not worse, where there is TF32."""
    best = precision.best(device)
    return "default" if best == "fp32" else best


def can_compile() -> bool:
    """Whether torch.compile can make GPU code here: torch 2 and a triton that imports."""
    import importlib.util

    return hasattr(torch, "compile") and importlib.util.find_spec("triton") is not None


@dataclass(frozen=True)
class Settings:
    """What a run is. All of it is in config.json, and a resumed run takes it from its checkpoint."""

    data: str = "digits"
    size: int = 32
    classes: int = 10
    epochs: int = 12
    batch: int = 64
    seed: int = 0
    preset: str = "tuned"
    optimiser: str = "adam"
    rate: float = 1e-3
    schedule: str = "one-cycle"
    weight_decay: float = 0.0
    dropout: float = 0.5
    clip_norm: float = 0.0
    patience: int = 0  # epochs without a better validation loss; 0: no early stopping
    crop: int = 0  # pixels of padding and random crop
    rotation: float = 0.0  # degrees
    flip: bool = False
    test_share: float = 0.2
    validation_share: float = 0.1
    workers: int = 0
    labels_per_class: int = 0  # train on so few images of each class; 0: on all
    finetune_from: str = ""
    freeze: bool = False
    target_accuracy: float = 0.0  # below it, the run fails validation; 0: no target

    def __post_init__(self) -> None:
        """Raises PipelineError on what cannot be."""
        for name, allowed in (("preset", PRESETS), ("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in allowed:
                raise PipelineError("no {} {!r}; there are {}".format(name, getattr(self, name), ", ".join(allowed)))
        for name in ("epochs", "batch", "size"):
            if getattr(self, name) < 1:
                raise PipelineError("{} must be 1 or more, not {}".format(name, getattr(self, name)))
        if self.size % 4:
            raise PipelineError("the image size must be a multiple of 4 (it is halved twice), not {}".format(self.size))
        for name in ("patience", "crop", "workers", "labels_per_class", "weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < float("inf"):  # NaN neither
                raise PipelineError("{} must be 0 or more, not {}".format(_words(name), getattr(self, name)))
        for name in ("dropout", "test_share", "validation_share"):
            if not 0 <= getattr(self, name) < 1:
                raise PipelineError("{} must be from 0 to below 1, not {}".format(_words(name), getattr(self, name)))
        if self.test_share + self.validation_share >= 1:
            raise PipelineError(
                "the test and validation shares leave nothing to train on: together they must be below 1"
            )
        if not 0 <= self.target_accuracy <= 1:
            raise PipelineError("the target accuracy must be from 0 to 1, not {}".format(self.target_accuracy))
        if not 0 < self.rate < float("inf"):
            raise PipelineError("the learning rate must be above 0, not {}".format(self.rate))
        if not 0 <= self.rotation <= 180:
            raise PipelineError("rotation must be from 0 to 180 degrees, not {}".format(self.rotation))
        if self.classes < 2:
            raise PipelineError("synthetic images need two classes or more, not {}".format(self.classes))
        if self.crop * 2 > self.size:
            raise PipelineError("a crop of {} pixels is too much for images of {}".format(self.crop, self.size))
        if self.freeze and not self.finetune_from:
            raise PipelineError("freezing the backbone needs a checkpoint to take it from (--finetune-from)")

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Settings":
        """Raises PipelineError where a setting is unknown: it was written by a newer version."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise PipelineError("unknown settings {}: this run was made by another version".format(", ".join(unknown)))
        return replace(cls(), **values)


def _words(name: str) -> str:
    return name.replace("_", " ")


def set_fp32_policy(precision: str) -> None:
    """Which arithmetic fp32 work may use: 'fp32' IEEE throughout, 'default' torch's own, the others TF32 throughout."""
    torch.backends.cuda.matmul.allow_tf32 = precision not in ("fp32", "default")
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
