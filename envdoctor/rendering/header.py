"""What every rendered file says first: what it is, the plan it carries out, how to run it, what made it. No dates."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter

from envdoctor.planning.model import Stack
from envdoctor.rendering.model import Options

# 80 with the comment mark: what linters of YAML ask for.
WIDTH = 78


def header(recipe: str, stack: Stack, options: Options, *, what: str, run: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The header's lines, without comment marks."""
    labelled = [*plan_lines(stack), *(("run" if place == 0 else "", line) for place, line in enumerate(run))]
    lines = [what, ""]
    for label, text in labelled:
        lines += _wrapped(f"{label:<8}{text}", 8)
    asked = " ".join(shlex.quote(part) for part in options.arguments)
    made = _wrapped(f"Made by: envdoctor recipe {recipe} {asked}".rstrip(), 9)
    return (*lines, "", *(f"{line} \\" for line in made[:-1]), made[-1])


def _wrapped(text: str, indent: int) -> list[str]:
    """The lines of `text`, none of whose words is broken."""
    label, rest = text[:indent], text[indent:]
    if len(text) <= WIDTH:
        return [text]  # as it is: spaces may separate a command from a remark
    lines = textwrap.wrap(rest, WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False)
    return [f"{label if place == 0 else ' ' * indent}{line}" for place, line in enumerate(lines)]


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
    """'2 x NVIDIA H100 80GB HBM3 (9.0), Tesla V100 (7.0)', or 'none'; on one line, whatever a driver calls its GPU."""
    names = ("".join(c if c.isprintable() else " " for c in gpu.name) for gpu in stack.gpus)
    counted = Counter(f"{name} ({gpu.capability})" for name, gpu in zip(names, stack.gpus, strict=True))
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counted.items()) or "none"


def _companions(stack: Stack) -> tuple[tuple[str, str | None], ...]:
    return ("torchvision", stack.torchvision), ("torchaudio", stack.torchaudio)
