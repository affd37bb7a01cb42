"""PyTorch as conda-forge builds it: which release, for which CUDA, with which device code.

The rules that hold for all of them, with their sources:
- The CUDA builds depend on `__cuda`, the virtual package by which conda says what the driver can do, so that a machine without a
  GPU gets the CPU build; CONDA_OVERRIDE_CUDA=12.9 says it by hand (pytorch-cpu-feedstock recipe/meta.yaml; conda's manual,
  "Managing virtual packages").
- `cuda-version` pins the CUDA minor and asks for `__cuda` of the same major (cuda-version-feedstock recipe/meta.yaml), which is
  CUDA's minor-version compatibility.
- `pytorch-gpu=X` and `pytorch-cpu=X` choose between the two (pytorch-cpu-feedstock, run_constrained).
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from envdoctor.knowledge.tables import Record, read


class CondaBuild(Record, frozen=True, kw_only=True):
    """One release of pytorch on conda-forge for one platform. `cuda`: None for the CPU build. `glibc`: the lowest, None
    off Linux. `torchvision`: the release there that was built against it, None where none was read. `source`: ids."""

    torch: str
    torchvision: str | None
    platform: str
    cuda: str | None
    arch_flags: tuple[str, ...]
    glibc: str | None
    python: tuple[str, ...]
    source: tuple[str, ...]


class CudaVersions(Record, frozen=True, kw_only=True):
    """The CUDA minors whose toolkit conda-forge has in parts, newest first."""

    versions: tuple[str, ...]
    source: tuple[str, ...]


class CondaForgeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    cuda_versions: CudaVersions
    builds: tuple[CondaBuild, ...]


@lru_cache(maxsize=1)
def table() -> CondaForgeTable:
    """data/conda_forge.json."""
    return read("conda_forge", CondaForgeTable)


def conda_builds(torch: str, platform: str) -> tuple[CondaBuild, ...]:
    """The builds of that release ("2.13.0") for that platform, the newest CUDA first, the CPU build last."""
    return tuple(build for build in table().builds if (build.torch, build.platform) == (torch, platform))


def newest_conda_torch() -> str:
    """The newest release in the table."""
    return table().builds[0].torch


def has_toolkit(cuda: str) -> bool:
    """Whether `cuda-version` and the parts of the toolkit are there for that minor ("13.2")."""
    return cuda in table().cuda_versions.versions
