"""Host compilers: what each nvcc accepts, and what torch's extension builder accepts on top."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import cuda_key


class HostCompilers(Record, frozen=True, kw_only=True):
    """Bounds for one CUDA minor. `gcc_max`: newest accepted major, `clang_below`: first rejected major, `msvc_years`:
    oldest and newest Visual Studio (crt/host_config.h). `torch_gcc_below`, `torch_clang_below`: the first version
    that torch.utils.cpp_extension refuses. `nvcc_sm`: targets of ptxas. `conflicts`: where the two disagree.
    `nvcc -allow-unsupported-compiler` overrides nvcc's own check."""

    cuda: str
    gcc_max: int | None = None
    clang_below: int | None = None
    msvc_years: tuple[int, ...] = ()
    torch_gcc_below: int | None = None
    torch_clang_below: int | None = None
    nvcc_sm: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    source: tuple[str, ...]


class SystemCompiler(Record, frozen=True, kw_only=True):
    """The compiler and C library that an operating system ships, from a CUDA installation guide."""

    name: str
    gcc: str
    glibc: str
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    notes: tuple[str, ...]
    compilers: tuple[HostCompilers, ...]
    os: tuple[SystemCompiler, ...]


class Compilers:
    """Queries over data/compilers.json."""

    @cached_property
    def table(self) -> _Table:
        return read("compilers", _Table)

    def of(self, cuda: str) -> HostCompilers | None:
        for row in self.table.compilers:
            if cuda_key(row.cuda) == cuda_key(cuda):
                return msgspec.structs.replace(row, source=source_texts(row.source, self.table.sources))
        return None

    def systems(self) -> tuple[SystemCompiler, ...]:
        return tuple(
            msgspec.structs.replace(row, source=source_texts(row.source, self.table.sources)) for row in self.table.os
        )
