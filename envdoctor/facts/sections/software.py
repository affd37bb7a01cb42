"""CUDA software outside the target interpreter: toolkits, compilers, and the libraries that the loader would find."""

from __future__ import annotations

from envdoctor.facts.sections.base import Exact, Facts


class Nvcc(Facts, frozen=True, kw_only=True):
    """A CUDA compiler."""

    path: str
    """As found; `resolved` follows its links."""
    resolved: str | None = None
    version: Exact | None = None
    """'12.8.93', or '12.8' where only that is known."""
    found_by: tuple[str, ...] = ()
    """Any of PATH, CUDA_HOME, CUDA_PATH, /usr/local, environment (the target's prefix or wheels), distribution."""


class Compiler(Facts, frozen=True, kw_only=True):
    """A host compiler."""

    name: Exact
    """gcc, g++, clang, clang++, c++, cc or cl: the command."""
    path: str | None = None
    version: Exact | None = None


class Toolkit(Facts, frozen=True, kw_only=True):
    """CUDA toolkits and what builds extensions with them."""

    nvcc: tuple[Nvcc, ...] | None = None
    """Every one found; the first is what PATH finds, if any is on it."""
    cuda_home: str | None = None
    """The variable CUDA_HOME, else CUDA_PATH; '' when neither is set."""
    cuda_home_exists: bool | None = None
    compilers: tuple[Compiler, ...] | None = None
    ninja: Exact | None = None
    """Path of ninja; '' when there is none."""


class LibraryFile(Facts, frozen=True, kw_only=True):
    """A CUDA library that the loader could pick for a program outside any Python environment."""

    name: Exact
    """The soname's stem: libcuda, libcudart, libcudnn, libnccl, libcublas, libnvrtc, libstdc++."""
    path: str
    version: Exact | None = None
    via: Exact
    """LD_PRELOAD, LD_LIBRARY_PATH, ld.so.cache, default."""
    stub: bool = False
    """A link-time stub (…/stubs/libcuda.so): it can never run anything."""
    compat: bool = False
    """A forward-compatibility libcuda (cuda-compat)."""


class Libraries(Facts, frozen=True, kw_only=True):
    """Which CUDA libraries the loader would find, in its own order, and the variables that steer it."""

    files: tuple[LibraryFile, ...] | None = None
    ld_library_path: tuple[str, ...] | None = None
    ld_preload: tuple[str, ...] | None = None
