"""A decoder-only transformer of GPT-2's shape, in plain torch.

Pre-norm blocks, causal attention through scaled_dot_product_attention (torch 2.0 and newer; before, the same by hand), GELU,
tied input and output embeddings, no dropout (the work is then the same each step).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn


class Shape(NamedTuple):
    """Layers, width, heads, tokens a sequence, and words."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    length: int = 1024
    words: int = 50304  # GPT-2's 50,257, rounded up to a multiple of 128 as everybody does who trains it


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Causal attention over (batch, heads, length, width)."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    length = query.shape[-2]
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(-1) @ value


class Block(nn.Module):
    """Attention and a feed-forward layer of four times the width, each added to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.up, self.down = nn.Linear(shape.width, 4 * shape.width), nn.Linear(4 * shape.width, shape.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.out(attention(query, key, value).transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Word numbers (batch, length) to logits (batch, length, words)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(shape.words, shape.width), nn.Embedding(shape.length, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        for embedding in (self.words, self.places):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.words.weight)


def step_flops(shape: Shape, batch: int) -> float:
    """Of a forward and a backward pass: 6 a weight and token (embedding look-ups are none, the output layer counts), and
    6 L d T a token for attention, the causal half of Chowdhery et al.'s 12 L d T (PaLM, appendix B)."""
    weights = 12 * shape.layers * shape.width**2 + shape.words * shape.width
    tokens = batch * shape.length
    return tokens * (6.0 * weights + 6.0 * shape.layers * shape.width * shape.length)
