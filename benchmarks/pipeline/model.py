"""Build: the network and its loss."""

from __future__ import annotations

from typing import Optional

import torch
from torch import nn

from benchmarks.models.simple_cnn import SimpleCNN


def build(classes: int, size: int, dropout: float, seed: int, device: Optional[torch.device] = None) -> SimpleCNN:
    """The reference CNN with weights drawn from the seed on the CPU: the same ones on every device. device: draw them there."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if device is not None and hasattr(device, "__enter__"):  # torch >= 2.0
            with device:
                return SimpleCNN(classes=classes, size=size, dropout=dropout)
        return SimpleCNN(classes=classes, size=size, dropout=dropout)


def loss_function() -> nn.Module:
    """Cross-entropy of logits (N, classes) and labels (N,): softmax and negative log-likelihood in one, and stable."""
    return nn.CrossEntropyLoss()
