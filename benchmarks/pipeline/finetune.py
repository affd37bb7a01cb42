"""Fine-tune: take a trained backbone, give it a new head, and train the head alone or all layers at a lower rate.

Frozen backbone   conv1, conv2 and fc1 stay as they are, fc2 is learnt: few labels are enough, and there is little to overfit.
All layers        everything is learnt, at a tenth of the rate, so that what was learnt before is adapted and not overwritten.
"""

from __future__ import annotations

from typing import Any, List, Mapping

import torch

from benchmarks.models.simple_cnn import BACKBONE, HEAD, SimpleCNN
from benchmarks.pipeline.errors import PipelineError

LOWER_RATE = 0.1
"""Of the learning rate from scratch, for all layers."""


def take_backbone(model: SimpleCNN, weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy the backbone's weights into the model; its head keeps its fresh ones. Raises PipelineError on other shapes."""
    own = model.state_dict()
    wanted = [name for name in own if name.partition(".")[0] in BACKBONE]
    missing = [name for name in wanted if name not in weights]
    if missing:
        raise PipelineError("{} holds no {}: it is not a reference CNN".format(where, ", ".join(missing)))
    for name in wanted:
        if weights[name].shape != own[name].shape:
            raise PipelineError(
                "{}: {} is {}, this model's is {}. The backbone depends on the image size: train with the size that "
                "the checkpoint was trained with{}".format(
                    where, name, list(weights[name].shape), list(own[name].shape), _size_of(weights)
                )
            )
    model.load_state_dict({name: weights[name] if name in wanted else own[name] for name in own})


def freeze_backbone(model: SimpleCNN) -> List[str]:
    """Leave the head alone to be trained; returns the names of its parameters."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.partition(".")[0] in HEAD
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def _size_of(weights: Mapping[str, Any]) -> str:
    """' (--size 32)' as fc1 tells it, '' where it does not."""
    features = weights["fc1.weight"].shape[1] if "fc1.weight" in weights and weights["fc1.weight"].dim() == 2 else 0
    side = round((features / 128) ** 0.5)
    return " (--size {})".format(side * 4) if side and side * side * 128 == features else ""
