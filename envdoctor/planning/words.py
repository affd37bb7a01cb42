"""Phrases that several parts of a plan use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envdoctor.knowledge import TorchBuild
from envdoctor.knowledge.versions import capability_key, cuda_key, version
from envdoctor.planning.kernel_modules import ModuleClash
from envdoctor.planning.model import Target, TargetGpu

PLATFORMS = {
    "linux_x86_64": "Linux x86-64",
    "linux_aarch64": "Linux aarch64",
    "windows_amd64": "Windows",
    "windows_arm64": "Windows on Arm",
    "macos_arm64": "macOS on Apple silicon",
    "macos_x86_64": "macOS on Intel",
}


def listed(items: Sequence[str], word: str = "and") -> str:
    """'a, b and c'."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}" if items else "none"


def gpu_words(gpus: Iterable[TargetGpu]) -> str:
    """'2x NVIDIA H100 and Tesla T4'."""
    counts: dict[str, int] = {}
    for gpu in gpus:
        counts[gpu.name] = counts.get(gpu.name, 0) + 1
    return listed([name if n == 1 else f"{n}x {name}" for name, n in counts.items()])


def clash_words(clash: ModuleClash) -> str:
    """'RTX 5090 needs NVIDIA's open kernel modules and Tesla V100 does not work with them'."""
    needing, refusing = gpu_words(clash.needing), gpu_words(clash.refusing)
    return f"{needing} needs NVIDIA's open kernel modules and {refusing} does not work with them"


def driver_words(minimum: str | None, last: int | str | None, gpus: Iterable[TargetGpu]) -> str:
    """'driver 580 or newer'; for GPUs that a later branch drops, that branch by its number, for newer is wrong there."""
    if last is None:
        return f"driver {minimum} or newer" if minimum else "the newest driver"
    older = f" ({minimum} or newer)" if minimum and version(minimum) > version(f"{last}") else ""
    enough = f" ({minimum} will do)" if minimum and version(minimum) < version(f"{last}") else older
    names = gpu_words(dict.fromkeys(gpus))
    return f"driver branch {last}, the last that drives {names}{enough}"


def system_words(target: Target) -> str:
    """'ubuntu24.04', or the platform where the system was not named."""
    return target.os or PLATFORMS.get(target.platform, target.platform)


def build_words(build: TorchBuild, *, idle: bool = False) -> str:
    """'torch 2.14.1 with CUDA 12.6', 'torch 2.14.1 for the CPU'. `idle`: where its CUDA has no GPU to run on."""
    if idle and build.cuda:
        return f"torch {build.torch}, whose CUDA {build.cuda} stays unused"
    return f"torch {build.torch} {f'with CUDA {build.cuda}' if build.cuda else 'for the CPU'}"


def span(builds: Sequence[TorchBuild]) -> str:
    """'torch 1.13.0 to 2.14.1 with CUDA 11.6 to 12.6', 'no published build' of none."""
    if not builds:
        return "no published build"
    releases = sorted({build.torch for build in builds}, key=version)
    cudas = sorted({build.cuda for build in builds if build.cuda}, key=cuda_key)
    text = f"torch {releases[0]}" + (f" to {releases[-1]}" if len(releases) > 1 else "")
    if cudas:
        text += f" with CUDA {cudas[0]}" + (f" to {cudas[-1]}" if len(cudas) > 1 else "")
    return text


def capabilities_in_order(gpus: Iterable[TargetGpu]) -> list[str]:
    """The distinct capabilities, lowest first."""
    return sorted({gpu.capability for gpu in gpus}, key=capability_key)
