"""Whether conda-forge has a build that carries out the plan, and if not, why not."""

from __future__ import annotations

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envdoctor.knowledge import load
from envdoctor.knowledge.conda_forge import CondaBuild, conda_builds, has_toolkit, newest_conda_torch
from envdoctor.knowledge.versions import cuda_minor, version
from envdoctor.planning.model import Stack
from envdoctor.rendering.requirements import checked

SUBDIRS = {
    "linux_x86_64": "linux-64",
    "linux_aarch64": "linux-aarch64",
    "windows_amd64": "win-64",
    "macos_arm64": "osx-arm64",
    "macos_x86_64": "osx-64",
}


class CondaChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`build`: conda-forge's, None where pip has to install torch; `why` says why then. `subdir`: "linux-64"."""

    build: CondaBuild | None
    why: str | None
    subdir: str | None


def choose(stack: Stack) -> CondaChoice:
    """The build of the very release that the plan names, for these GPUs, that needs no newer driver than the plan does."""
    build, why = _choose(stack)
    return CondaChoice(build=build, why=why, subdir=SUBDIRS.get(stack.platform))


def _choose(stack: Stack) -> tuple[CondaBuild | None, str | None]:
    builds = conda_builds(stack.torch, stack.platform)
    if not builds:
        newest = newest_conda_torch()
        if version(stack.torch) > version(newest):
            return None, f"conda-forge is not known to have torch {stack.torch} ({newest} was the newest seen)"
        return None, f"conda-forge is not known to have torch {stack.torch}"
    if stack.python.endswith("t"):
        return None, "conda-forge builds torch for Python with its lock only"
    if any(canonicalize_name(Requirement(package).name) == "torchaudio" for package in stack.packages):
        return None, f"torchaudio {stack.torchaudio} goes with PyPI's torch"
    for build in builds:
        if (build.cuda is None) == (stack.cuda is None) and _fits(build, stack):
            return build, None
    return (
        None,
        f"no build of torch {stack.torch} on conda-forge fits these GPUs, this driver and Python {stack.python}",
    )


def _fits(build: CondaBuild, stack: Stack) -> bool:
    world = load()
    if stack.python not in build.python or build.torchvision != stack.torchvision:
        return False
    if build.glibc is not None and stack.glibc is not None and version(stack.glibc) < version(build.glibc):
        return False
    if build.cuda is None:
        return True
    needed = world.minimum_driver(build.cuda, stack.platform)
    # All that the plan says of the driver is that it is at least this.
    if needed is None or stack.min_driver is None or version(needed) > version(stack.min_driver):
        return False
    return all(world.runs_natively(build.arch_flags, gpu.capability) for gpu in stack.gpus)


def carried_out(stack: Stack, choice: CondaChoice) -> Stack:
    """The stack as conda-forge's build carries it out: its own CUDA, which is not the wheel's."""
    if choice.build is None:
        return stack
    cuda = choice.build.cuda
    return msgspec.structs.replace(
        stack,
        cuda=cuda,
        torchaudio=None,
        index_url="conda-forge",
        channel=f"its build for CUDA {cuda}" if cuda else "its CPU build",
        cudnn=None,
        nccl=None,
        triton=None,
        min_driver=load().minimum_driver(cuda, stack.platform) if cuda else None,
    )


def pip_section(stack: Stack, choice: CondaChoice) -> tuple[str, ...]:
    """What pip installs into the environment, as lines of a requirements file."""
    # What compiles against torch needs it installed before, and a flag that has no place in the file: conda.sh does it.
    packages = () if stack.purpose == "build-extensions" else checked(stack.packages)
    if choice.build is not None:
        # Installed by then: named so that pip takes it as it is.
        return (f"torch=={stack.torch}", *packages) if packages else ()
    index = (f"--index-url {stack.index_url}",) if stack.index_url else ()
    # The packages come from PyPI, torch's exact version from its own index only: there is no such version elsewhere.
    extra = ("--extra-index-url https://pypi.org/simple",) if index and packages else ()
    pins = tuple(_local(pin, stack) if extra else pin for pin in stack.requirements)
    return (*index, *extra, *pins, *packages)


def _local(pin: str, stack: Stack) -> str:
    """'torch==2.14.1+cu126': beside PyPI, the local version is what tells the builds apart."""
    return pin if "+" in pin or stack.platform.startswith("macos") else f"{pin}+{stack.channel}"


def toolkit_packages(stack: Stack) -> tuple[str | None, tuple[str, ...]]:
    """The CUDA minor and the parts of its toolkit that building an extension needs; (None, ()) where nothing is built."""
    if stack.purpose != "build-extensions" or stack.toolkit is None:
        return None, ()
    minor = cuda_minor(stack.toolkit)
    # What pytorch's own feedstock builds against.
    parts = ("cuda-nvcc", "cuda-cudart-dev", "cuda-nvrtc-dev", "cuda-profiler-api")
    libraries = ("libcublas-dev", "libcufft-dev", "libcurand-dev", "libcusolver-dev", "libcusparse-dev")
    tools = ("cxx-compiler", "ninja", "packaging", "setuptools", "wheel")
    return (minor, (*parts, *libraries, *tools)) if has_toolkit(minor) else (None, tools)
