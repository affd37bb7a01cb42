"""What every rendered file says first: what it is, the plan it carries out, how to run it, what made it. No dates."""

from __future__ import annotations

import shlex
from collections import Counter

from envdoctor.planning.model import Stack
from envdoctor.rendering.model import Options


def header(recipe: str, stack: Stack, options: Options, *, what: str, run: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The header's lines, without comment marks."""
    labelled = [*plan_lines(stack), *(("run" if place == 0 else "", line) for place, line in enumerate(run))]
    asked = " ".join(shlex.quote(part) for part in options.arguments)
    return (
        what,
        "",
        *(f"{label:<8}{text}" for label, text in labelled),
        "",
        f"Made by: envdoctor recipe {recipe} {asked}".rstrip(),
    )


def plan_lines(stack: Stack) -> list[tuple[str, str]]:
    """The plan in a few labelled lines: GPUs, torch, CUDA, driver, Python."""
    family = [f"torch {stack.torch}"]
    family += [f"{name} {version}" for name, version in _companions(stack) if version]
    source = stack.index_url or "PyPI"
    lines = [("GPUs", gpus_in_words(stack)), ("torch", ", ".join(family)), ("from", f"{source} ({stack.channel})")]
    if stack.cuda is not None:
        parts = [
            f"CUDA {stack.cuda}",
            f"cuDNN {stack.cudnn}" if stack.cudnn else "",
            f"NCCL {stack.nccl}" if stack.nccl else "",
        ]
        lines.append(("brings", ", ".join(part for part in parts if part)))
    if stack.min_driver is not None:
        lines.append(("driver", f"{stack.min_driver} or newer"))
    lines.append(("Python", stack.python))
    return lines


def gpus_in_words(stack: Stack) -> str:
    """'2 x NVIDIA H100 80GB HBM3 (9.0), Tesla V100 (7.0)', or 'none'."""
    counted = Counter(f"{gpu.name} ({gpu.capability})" for gpu in stack.gpus)
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counted.items()) or "none"


def _companions(stack: Stack) -> tuple[tuple[str, str | None], ...]:
    return ("torchvision", stack.torchvision), ("torchaudio", stack.torchaudio)
