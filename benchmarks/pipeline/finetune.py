"""Fine-tune: take a trained backbone, give it a new head, and train the head alone or all layers at a lower rate.

Frozen backbone   conv1, conv2 and fc1 stay as they are, fc2 is learnt: few labels are enough, and there is little to overfit.
All layers        everything is learnt, at a tenth of the rate, so that what was learnt before is adapted and not overwritten.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

import torch

from benchmarks.models.simple_cnn import BACKBONE, HEAD, SimpleCNN
from benchmarks.pipeline.errors import PipelineError

LOWER_RATE = 0.1
"""Of the learning rate from scratch, for all layers."""


def require_backbone(weights: Mapping[str, Any], where: str) -> None:
    """Raises PipelineError where these are no reference CNN's weights."""
    wanted = ["{}.{}".format(layer, kind) for layer in BACKBONE for kind in ("weight", "bias")]
    missing = [name for name in wanted if name not in weights]
    if missing or weights["fc1.weight"].dim() != 2 or size_of(weights) is None:
        raise PipelineError(
            "{} is no checkpoint of a reference CNN: {}".format(
                where, "it lacks " + ", ".join(missing) if missing else "its fc1 has another shape"
            )
        )


def take_backbone(model: SimpleCNN, weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy the backbone's weights into the model; its head keeps its fresh ones. Raises PipelineError on other shapes."""
    require_backbone(weights, where)
    own = model.state_dict()
    for name, value in own.items():
        if name.partition(".")[0] not in BACKBONE:
            continue
        if weights[name].shape != value.shape:
            raise PipelineError(
                "{}: {} is {}, this model's is {}. The backbone depends on the image size: use the checkpoint's own, "
                "--size {}".format(where, name, list(weights[name].shape), list(value.shape), size_of(weights))
            )
        own[name] = weights[name]
    model.load_state_dict(own)


def freeze_backbone(model: SimpleCNN) -> List[str]:
    """Leave the head alone to be trained; returns the names of its parameters."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.partition(".")[0] in HEAD
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def size_of(weights: Mapping[str, Any]) -> Optional[int]:
    """The image size that a backbone was trained with, as fc1 tells it; None where no size gives that fc1."""
    features = int(weights["fc1.weight"].shape[1])
    side = round((features / 128) ** 0.5)
    return side * 4 if side and side * side * 128 == features else None
