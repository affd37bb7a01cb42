"""A plan, for a person at a terminal: the stack, why, what a change would buy, and the next command."""

from __future__ import annotations

import shlex

from rich.text import Text

from envdoctor.console import Console
from envdoctor.planning.model import Alternative, Plan, Stack, Target, Wishes
from envdoctor.report.lines import wrapped

_HEAD = "bold"
_ASIDE = "dim"
_COSTS = {
    "none": "nothing to install",
    "reinstall": "a reinstall",
    "python": "another Python",
    "driver": "a driver update",
    "os": "another system",
    "hardware": "other hardware",
}


def print_plan(console: Console, plan: Plan) -> None:
    """The answer first, then the table, the derivation, the alternatives, and what to type."""
    utf8 = console.encoding.lower().startswith("utf")
    if plan.stack is None:
        mark = "✗ " if utf8 else ""
        wrapped(console, Text(f"There is no stack for {machine(plan.target)}.", style="bold red"), lead=mark)
    else:
        mark = "✓ " if utf8 else ""
        wrapped(console, Text(f"{headline(plan.stack)} for {machine(plan.target)}", style="bold green"), lead=mark)
        _table(console, plan.stack, plan.target)
    console.print()
    console.print(Text("Why", style=_HEAD))
    for number, reason in enumerate(plan.reasons, 1):
        wrapped(console, Text(reason.text), lead=Text(f"  {number}. ", style=_ASIDE))
    if plan.stack is not None and plan.stack.notes:
        console.print()
        console.print(Text("Mind", style=_HEAD))
        for note in plan.stack.notes:
            wrapped(console, Text(note), lead="  - ")
    if plan.alternatives:
        console.print()
        console.print(Text("What would work" if plan.stack is None else "What a change would buy", style=_HEAD))
        for alternative in plan.alternatives:
            print_alternative(console, alternative)
    if plan.stack is not None:
        _next(console, plan.stack, plan.target, plan.wishes)


def machine(target: Target) -> str:
    """'2x NVIDIA H100, driver 570.86, ubuntu24.04'."""
    counts: dict[str, int] = {}
    for gpu in target.gpus or ():
        counts[gpu.name] = counts.get(gpu.name, 0) + 1
    names = [name if n == 1 else f"{n}x {name}" for name, n in counts.items()]
    gpus = " and ".join(names) or (
        "a machine without a GPU" if target.gpus == () else "a machine whose GPU is not known"
    )
    parts = [gpus, *([f"driver {target.driver}"] if target.driver and target.gpus != () else [])]
    system = target.os or ("WSL" if target.wsl else "")
    if system:
        parts.append(f"{system} (WSL)" if target.wsl and target.os else system)
    if target.arch not in ("x86_64",) and target.os != "macos":
        parts.append(target.arch)
    return ", ".join(parts)


def headline(stack: Stack) -> str:
    """'torch 2.14.1 with CUDA 12.6'."""
    return f"torch {stack.torch} {f'with CUDA {stack.cuda}' if stack.cuda else 'for the CPU'}"


def print_alternative(console: Console, alternative: Alternative) -> None:
    """One change: what to do, what it buys, what it costs, what to type."""
    text = Text(alternative.change) + Text(f": {alternative.buys}", style="green")
    text.append(f" ({_COSTS[alternative.cost]})", style=_ASIDE)
    wrapped(console, text, lead="  - ")
    for command in alternative.commands:
        console.print(Text(f"      {command}", style="cyan"), soft_wrap=True)


def _table(console: Console, stack: Stack, target: Target) -> None:
    console.print()
    rows = [row for row in _rows(stack, target) if row[1]]
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        wrapped(console, Text(value), lead=Text(f"  {label:<{width}}  ", style=_ASIDE))


def _rows(stack: Stack, target: Target) -> list[tuple[str, str]]:
    libraries = [("cuDNN", stack.cudnn), ("NCCL", stack.nccl), ("triton", stack.triton)]
    brought = ", ".join(f"{name} {version}" for name, version in libraries if version)
    return [
        ("Python", stack.python),
        ("torch", f"{stack.torch} ({stack.channel})"),
        ("torchvision", stack.torchvision or ""),
        ("torchaudio", stack.torchaudio or (f"none: {stack.torchaudio_reason}" if stack.torchaudio_reason else "")),
        ("CUDA", f"{stack.cuda}, inside the wheels" if stack.cuda else ""),
        ("with it", brought),
        ("from", stack.index_url or "PyPI"),
        ("driver", _driver(stack, target)),
        ("image", stack.base_image or ""),
        ("build image", stack.build_image or ""),
        ("compiler", f"gcc up to {stack.host_compiler}, nvcc {stack.toolkit}" if stack.toolkit else ""),
        ("system", ", ".join(stack.system_packages)),
        ("set", " ".join(f"{name}={value}" for name, value in stack.environment.items())),
        ("also", ", ".join(stack.packages)),
    ]


def _driver(stack: Stack, target: Target) -> str:
    if stack.min_driver is None:
        return ""
    text = f"{stack.min_driver} or newer"
    if target.jetson:
        return f"{text}, by JetPack"
    if target.driver is not None:
        return f"{text}: {target.driver} will do"
    if stack.driver_branch is not None:
        flavour = {"open": ", open kernel modules", "proprietary": ", proprietary kernel modules"}
        text += f"; install branch {stack.driver_branch}{flavour.get(stack.driver_flavour or '', '')}"
    return text


def _next(console: Console, stack: Stack, target: Target, wishes: Wishes) -> None:
    console.print()
    console.print(Text("Next", style=_HEAD))
    index = f" --index-url {stack.index_url}" if stack.index_url else ""
    elsewhere = target.python is not None and stack.python != target.python and not wishes.container
    pip = "uv pip" if elsewhere else "pip"
    commands = [f"uv venv --python {stack.python}"] if elsewhere else []
    commands.append(f"{pip} install {shlex.join(stack.requirements)}{index}")
    if stack.packages:
        commands.append(f"{pip} install {shlex.join(stack.packages)}")
    for command in commands:
        console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)
    if (
        target.driver is None
        and stack.min_driver is not None
        and stack.driver_branch
        and target.platform.startswith("linux")
        and not target.wsl
    ):
        wrapped(
            console,
            Text("`envdoctor recipe driver` installs the driver, `recipe venv`, `uv` or `docker` the rest."),
            lead="  ",
        )
    else:
        wrapped(
            console,
            Text("`envdoctor recipe venv`, `uv`, `conda` or `docker`, with the same options, writes it as files."),
            lead="  ",
        )
