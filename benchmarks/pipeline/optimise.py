"""The optimiser and its learning rate over time.

SGD     w <- w - lr v,  v <- m v + g                                              momentum m
Adam    w <- w - lr m^ / (sqrt(v^) + eps), m and v the running means of g and g^2, bias-corrected. The article's 'Adam' has no
        second moment v: that is SGD with momentum. L2 (weight_decay) is added to g, and so divided by sqrt(v^) too.
AdamW   Adam, with weight decay taken from w directly.

At a constant 1e-3 from a cold start, the reference CNN's loss at 224 jumps (6.9, 191, 138, ...): the first steps of Adam move
every one of 411 million weights of fc1 by lr. The warm-up of a one-cycle or cosine schedule prevents that.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable

import torch
from torch import nn

from benchmarks.pipeline.errors import PipelineError

OPTIMISERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "one-cycle", "cosine", "step")
WARM_UP = 0.1
"""Share of the steps in which the cosine and step schedules rise from zero."""


def make_optimiser(
    name: str, parameters: Iterable[nn.Parameter], rate: float, weight_decay: float, fused: bool
) -> torch.optim.Optimizer:
    """One of OPTIMISERS; fused: one kernel over all parameters, where this torch has it for their device."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    options: Dict[str, Any] = {"lr": rate, "weight_decay": weight_decay}
    if name == "sgd":
        options["momentum"] = 0.9
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if fused:
        try:
            return kinds[name](trained, fused=True, **options)
        except (TypeError, RuntimeError):
            # torch < 1.13 has no fused Adam, < 2.3 no fused SGD, < 2.4 none on a CPU; the arithmetic is the same.
            pass
    return kinds[name](trained, **options)


def is_fused(optimiser: torch.optim.Optimizer) -> bool:
    return bool(optimiser.defaults.get("fused"))


def make_schedule(name: str, optimiser: torch.optim.Optimizer, rate: float, steps: int) -> Any:
    """A scheduler to be stepped after every training step; `rate` is the highest learning rate."""
    if name == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps + 1)
    if name not in SCHEDULES:
        raise PipelineError("no schedule {!r}; there are {}".format(name, ", ".join(SCHEDULES)))

    def factor(step: int) -> float:
        if name == "constant":
            return 1.0
        warm = max(1, int(WARM_UP * steps))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, steps - warm)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0))) if name == "cosine" else 0.1 ** min(int(done * 3), 2)

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def clip_gradients(parameters: Iterable[nn.Parameter], norm: float) -> None:
    """Scale all gradients together so that their L2 norm is at most `norm`; 0 leaves them."""
    if norm > 0:
        nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], norm)
