"""The rows of torch's two data files, as they stand there."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge.builds import Unpublished
from envdoctor.knowledge.tables import Record


class PypiWheel(Record, frozen=True, kw_only=True):
    """What one wheel says of itself; `file` is the one that was read, `flags` the string compiled into it."""

    file: str
    local: str
    cuda: str | None = None
    flags: str | None = None
    requires: tuple[str, ...] = ()
    glibc: str | None = None
    cxx11_abi: bool | None = None


class PypiRelease(Record, frozen=True, kw_only=True):
    version: str
    date: str
    requires_python: str
    yanked: bool
    python: dict[str, tuple[str, ...]]
    torchvision: str | None = None
    torchaudio: str | None = None
    wheels: dict[str, PypiWheel]


class PypiTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    releases: tuple[PypiRelease, ...]


class Arch(Record, frozen=True, kw_only=True):
    platform: str
    flags: str | None = None
    ptx: bool | None = None
    confidence: str
    glibc: str | None = None
    cxx11_abi: bool | None = None
    source: tuple[str, ...]


class Variant(Record, frozen=True, kw_only=True):
    variant: str
    cuda: str | None = None
    toolkit: str | None = None
    status: str
    cudnn: str | None = None
    nccl: str | None = None
    note: str | None = None
    platforms: tuple[str, ...]
    source: tuple[str, ...]
    builds: tuple[Arch, ...]


class Channels(Record, frozen=True, kw_only=True):
    version: str
    cpp_standard: str | None = None
    rocm: tuple[str, ...] | None = None
    rocm_source: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    cpu_python: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Python tags of CPU builds on a platform that PyPI has no wheel for"""
    cpu_source: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    unconfirmed: tuple[Unpublished, ...] = ()
    not_published: tuple[Unpublished, ...] = ()


class ChannelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    index: str
    sources: dict[str, str]
    releases: tuple[Channels, ...]
