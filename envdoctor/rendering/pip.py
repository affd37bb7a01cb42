"""The plan in pip's words."""

from __future__ import annotations

import re

from envdoctor.planning.model import Stack

# The same expression as in recipes/venv/venv.sh.j2.
_HELD = re.compile(r"(torch|torchvision|torchaudio|triton|pytorch-triton|nvidia-|cuda-)")


def pip_arguments(stack: Stack) -> tuple[str, ...]:
    """What follows `pip install` for the pins. The index stands alone: it serves torch's own dependencies too, and beside
    another one pip would take the highest version of either."""
    return (*stack.requirements, *(("--index-url", stack.index_url) if stack.index_url else ()))


def building_environment(stack: Stack) -> tuple[tuple[str, str], ...]:
    """The variables that the stack needs, with the architectures to compile for where extensions are built."""
    variables = dict(stack.environment)
    if stack.purpose == "build-extensions" and stack.arch_list:
        variables.setdefault("TORCH_CUDA_ARCH_LIST", stack.arch_list)
    return tuple(variables.items())


def frozen_torch(freeze: tuple[str, ...]) -> tuple[str, ...]:
    """Of the lines of `pip freeze`, those that hold torch and what it computes with in place."""
    return tuple(line for line in freeze if _HELD.match(line) and not line.startswith("nvidia-ml-py"))
