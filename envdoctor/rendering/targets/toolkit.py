"""The CUDA toolkit for those who build extensions: NVIDIA's packages, or wheels in the environment, and a compiler that it takes.

Sources: CUDA installation guide for Linux (package names; `cuda` brings a driver, `cuda-toolkit-X-Y` does not); crt/host_config.h
(compilers); torch/utils/cpp_extension.py (CC becomes nvcc's -ccbin; -std=c++20 in torch 2.13 and 2.15).
"""

from __future__ import annotations

from typing import Any

from packaging.version import Version

from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.knowledge.versions import cuda_minor
from envdoctor.planning.model import Stack
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.pip import building_environment
from envdoctor.rendering.systems import nvidia_repository, system_of
from envdoctor.rendering.templates import fill

# Compilers to look for below the newest that nvcc accepts: what distributions still have beside their own.
_HOW_MANY = 5


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """toolkit.sh, cuda-env.sh to source, check_extension.py. Raises InputError where the plan has no CUDA or no such system."""
    toolkit = stack.toolkit or stack.cuda
    if toolkit is None:
        raise InputError(f"'toolkit' has nothing to do: torch {stack.torch} ({stack.channel}) is built without CUDA")
    toolkit = cuda_minor(toolkit)
    system = system_of(stack, "toolkit")
    newest = int(stack.host_compiler) if stack.host_compiler else _newest_compiler(toolkit)
    variables = {name: value for name, value in building_environment(stack) if name not in ("CUDA_HOME", "PATH")}
    if stack.arch_list:
        variables.setdefault("TORCH_CUDA_ARCH_LIST", stack.arch_list)
    values: dict[str, Any] = {
        "toolkit": toolkit,
        "major": toolkit.partition(".")[0],
        "system": system,
        "repository": nvidia_repository(system, "toolkit"),
        "newest_gcc": newest,
        "compilers": tuple(range(newest, newest - _HOW_MANY, -1)),
        "standard": "c++20" if Version(stack.torch) >= Version("2.13") else "c++17",
        # PyPI has nvcc as a whole from CUDA 13 on, in the folder nvidia/cu13.
        "wheels": Version(toolkit) >= Version("13"),
        # Read in 2.0.1's cpp_extension.py, and no longer there in 2.13's; in between the hint would be a guess.
        "old_setuptools": Version(stack.torch) < Version("2.1"),
        "environment": tuple(variables.items()),
        "script": "toolkit.sh",
    }
    run = {
        "toolkit.sh": (
            f"Installs CUDA {toolkit} and a compiler on {system.title}. Only builders of extensions need them.",
            (
                "bash toolkit.sh --dry-run; sudo bash toolkit.sh; . ./cuda-env.sh;",
                "bash toolkit.sh --verify .venv/bin/python",
            ),
        ),
        "cuda-env.sh": (f"What a shell that builds with CUDA {toolkit} needs to know.", (". ./cuda-env.sh",)),
        "check_extension.py": (
            f"Builds a CUDA extension with torch {stack.torch} and nvcc {toolkit}, and runs it where there is a GPU.",
            (". ./cuda-env.sh && python check_extension.py",),
        ),
    }
    return tuple(
        RenderedFile(
            name,
            fill(f"toolkit/{name}.j2", stack, options, what=what, run=how, **values),
            executable=name == "toolkit.sh",
        )
        for name, (what, how) in run.items()
    )


def _newest_compiler(toolkit: str) -> int:
    known = load().host_compilers(toolkit)
    newest = known.gcc_max if known else None
    if newest is None and known and known.torch_gcc_below:
        newest = known.torch_gcc_below - 1
    if newest is None:
        raise InputError(f"which compilers nvcc {toolkit} accepts is not known; name another: --cuda 12.6")
    return newest
