"""Plans for renderers to render: one of every kind that the templates treat differently, with values as the planner gives them.

`PLANS` is name -> Stack. Versions come from the knowledge base, so that a rendered file names what exists.
"""

from __future__ import annotations

import platform
import sys
from functools import cache
from typing import Any

from envdoctor.knowledge import TorchBuild, load
from envdoctor.planning.model import Stack, Target, TargetGpu, Wishes
from envdoctor.planning.question import best_build
from tests.planning.choosing import newest
from tests.real_torch import TORCH


def _gpu(name: str) -> TargetGpu:
    record = load().gpu(name)
    assert record is not None and record.capability is not None, name
    return TargetGpu(name=record.name, capability=record.capability, kind=record.kind)


def _of(build: TorchBuild | None, *, python: str, gpus: tuple[TargetGpu, ...] = (), **more: Any) -> Stack:
    assert build is not None
    fields: dict[str, Any] = {
        "torchvision": build.torchvision,
        "torchaudio_reason": "no torchaudio was seen there",
        "cuda": build.cuda,
        "channel": build.variant,
        "index_url": build.index_url,
        "requirements": build.requirements(),
        "cudnn": build.cudnn,
        "nccl": build.nccl,
        "triton": build.triton,
        "min_driver": build.min_driver if build.cuda else None,
        "platform": build.platform,
        "arch": "aarch64" if build.platform.endswith("aarch64") else "x86_64",
        "os": "ubuntu24.04",
        "glibc": "2.39",
        "base_image": f"python:{python}-slim-bookworm",
        "arch_list": ";".join(sorted({gpu.capability for gpu in gpus})) or None,
        **more,
    }
    return Stack(python=python, torch=build.torch, gpus=gpus, **fields)


def _newest(python: str, *names: str, driver: str | None, platform: str = "linux_x86_64", **more: Any) -> Stack:
    gpus = tuple(_gpu(name) for name in names)
    capabilities = tuple(dict.fromkeys(gpu.capability for gpu in gpus))
    build = newest(capabilities, driver=driver, python=python, platform=platform)
    return _of(build, python=python, gpus=gpus, **more)


@cache
def plans() -> dict[str, Stack]:
    """All plans, by name."""
    branch: dict[str, Any] = {"driver_branch": "580", "driver_flavour": "open"}
    building: dict[str, Any] = {
        "purpose": "build-extensions",
        "build_image": "nvidia/cuda:13.2.1-cudnn-devel-ubuntu24.04",
        "base_image": "ubuntu:24.04",
        "toolkit": "13.2",
        "host_compiler": "15",
        "system_packages": ("gcc", "g++", "ninja-build"),
        "environment": {"CUDA_HOME": "/usr/local/cuda-13.2"},
    }
    return {
        "rtx5090": _newest("3.12", "RTX 5090", driver="580.95.05", **branch),
        "gtx1080": _newest("3.11", "GTX 1080", driver="535.183.01", driver_branch="580", driver_flavour="proprietary"),
        "mixed": _newest("3.12", "RTX 5090", "RTX 3090", driver="570.195.03", **branch),
        "h100x8": _newest("3.12", *["H100"] * 8, driver="580.95.05", purpose="train", **branch),
        "gb10": _newest("3.12", "GB10", driver="580.95.05", platform="linux_aarch64", **branch),
        "v100": _newest(
            "3.11",
            "V100",
            driver="535.183.01",
            driver_branch="535",
            driver_flavour="proprietary",
            os="rhel9",
            glibc="2.34",
        ),
        "no-gpu": _of(best_build(Target(gpus=()), Wishes(), load()), python="3.13"),
        "pypi-no-gpu": _newest("3.13", driver=None),
        "build-extensions": _newest("3.12", "RTX 5090", driver="580.95.05", **branch, **building),
        "packages": _newest(
            "3.12",
            "H100",
            driver="580.95.05",
            packages=("numpy>=2", 'requests[socks]; sys_platform == "linux"', "timm"),
            **branch,
        ),
        "windows": _newest(
            "3.12", "RTX 4090", driver="591.44", platform="windows_amd64", os="windows", glibc=None, base_image=None
        ),
        "old-system": _old_system(),
        "sles": _newest("3.12", "A100", driver="580.95.05", os="sles15", glibc="2.38", **branch),
    }


def _old_system() -> Stack:
    """Ubuntu 18.04, PyTorch 2.0, RTX 3080: Python and pip have to come from elsewhere."""
    (build,) = [b for b in load().torch_builds("2.0.1") if b.platform == "linux_x86_64" and b.variant == "cu117"]
    return _of(
        build,
        python="3.10",
        gpus=(_gpu("RTX 3080"),),
        os="ubuntu18.04",
        glibc="2.27",
        torchaudio=build.torchaudio,
        torchaudio_reason=None,
        requirements=build.requirements("torch", "torchvision", "torchaudio"),
        driver_branch="580",
        driver_flavour="open",
        notes=("Ubuntu 18.04 has Python 3.6; 3.10 comes from uv or conda",),
    )


def here(**more: Any) -> Stack:
    """The registry's own build of the torch that the tests have, for this Python and this machine without a GPU."""
    arch = platform.machine()
    (build,) = [b for b in load().torch_builds(TORCH) if b.platform == f"linux_{arch}" and b.index_url is None]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _of(build, python=python, **more)


PLANS = plans()
