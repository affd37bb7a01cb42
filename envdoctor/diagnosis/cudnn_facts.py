"""cuDNN's versions: what torch was built with and what it found, and torch's own rule on them."""

from __future__ import annotations

from packaging.requirements import Requirement

from envdoctor.facts.model import Snapshot


def written(number: int | None) -> str | None:
    """'9.26.0' of 92600, '8.9.7' of 8907: as CUDNN_VERSION is put together (cudnn_version.h)."""
    if number is None or number < 1000:
        return None
    if number >= 90000:
        return f"{number // 10000}.{number % 10000 // 100}.{number % 100}"
    return f"{number // 1000}.{number % 1000 // 100}.{number % 100}"


def found(machine: Snapshot) -> str | None:
    """The cuDNN that torch said it uses."""
    run = machine.torch.run if machine.torch else None
    return written(run.cudnn_version) if run else None


def built(machine: Snapshot) -> str | None:
    """The cuDNN that torch was built with: as it says, else as it pins."""
    torch, interpreter = machine.torch, machine.interpreter
    if torch is not None and torch.cudnn_built:
        return torch.cudnn_built
    own = interpreter.distribution("torch") if interpreter else None
    for line in own.requires if own else ():
        requirement = Requirement(line)
        if requirement.name.startswith("nvidia-cudnn"):
            return next((s.version for s in requirement.specifier if s.operator == "=="), None)
    return None


def fits(have: str | None, need: str | None) -> bool | None:
    """torch's own rule (torch/backends/cudnn/__init__.py): the same major, and a minor not below that of the build."""
    ours, theirs = _two(have), _two(need)
    if ours is None or theirs is None:
        return None
    return ours[0] == theirs[0] and ours[1] >= theirs[1]


def _two(version: str | None) -> tuple[int, int] | None:
    parts = (version or "").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdecimal() and parts[1].isdecimal() else None
