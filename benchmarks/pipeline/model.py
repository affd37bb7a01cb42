"""Build: the network and its loss."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.simple_cnn import SimpleCNN


def build(classes: int, size: int, dropout: float, seed: int) -> SimpleCNN:
    """The reference CNN with weights drawn from the seed on the CPU: the same ones on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SimpleCNN(classes=classes, size=size, dropout=dropout)


def loss_function() -> nn.Module:
    """Cross-entropy of logits (N, classes) and labels (N,): softmax and negative log-likelihood in one, and stable."""
    return nn.CrossEntropyLoss()
