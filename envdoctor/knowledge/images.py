"""Container images: nvidia/cuda and pytorch/pytorch tags that were seen to exist."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import cuda_key, version


class _Tags(Record, frozen=True, kw_only=True):
    os: tuple[str, ...]
    flavours: tuple[str, ...]


class _CudaImages(Record, frozen=True, kw_only=True):
    cuda: str
    status: tuple[str, ...]
    cudnn_suffix: str | None = None
    cudnn: str | None = None
    tags: tuple[_Tags, ...] = ()
    note: str | None = None
    source: tuple[str, ...]


class CudaImage(msgspec.Struct, frozen=True, kw_only=True):
    """One nvidia/cuda tag. `flavour`: base, runtime or devel, with "cudnn-" in front where cuDNN is inside (`cudnn`:
    its version, None if not read). `status`: what the lists it was read in say."""

    cuda: str
    os: str
    flavour: str
    tag: str
    cudnn: str | None = None
    status: tuple[str, ...] = ()
    source: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"nvidia/cuda:{self.tag}"


class _PytorchImages(Record, frozen=True, kw_only=True):
    torch: str
    pairs: tuple[str, ...]
    source: tuple[str, ...]


class PytorchImage(msgspec.Struct, frozen=True, kw_only=True):
    """One pytorch/pytorch tag: its CUDA pair was seen in use, the runtime/devel twin follows the naming scheme."""

    torch: str
    cuda: str
    tag: str
    flavour: str
    source: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"pytorch/pytorch:{self.tag}"


class PythonImage(Record, frozen=True, kw_only=True):
    """The official `python` images of one minor. `suites`: the Debian releases of its slim variants, newest first."""

    python: str
    suites: tuple[str, ...]
    source: tuple[str, ...]

    @property
    def reference(self) -> str:
        return f"python:{self.python}-slim-{self.suites[0]}"


class ImageRule(Record, frozen=True, kw_only=True):
    topic: str
    text: str
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    cuda_images: tuple[_CudaImages, ...]
    pytorch_images: tuple[_PytorchImages, ...]
    python_images: tuple[PythonImage, ...]
    rules: tuple[ImageRule, ...]


class Images:
    """Queries over data/images.json."""

    @cached_property
    def table(self) -> _Table:
        return read("images", _Table)

    def cuda_images(
        self, cuda: str | None, os: str | None, flavour: str | None, cudnn: bool | None
    ) -> tuple[CudaImage, ...]:
        found = []
        for row in sorted(self.table.cuda_images, key=lambda row: version(row.cuda), reverse=True):
            if cuda is not None and not _same(row.cuda, cuda):
                continue
            source = source_texts(row.source, self.table.sources)
            for group in row.tags:
                for system in sorted(group.os, key=_system_order):
                    for name in group.flavours:
                        kind = name.rpartition("-")[2]
                        has_cudnn = "-" in name
                        if os is not None and system != os:
                            continue
                        if flavour is not None and kind != flavour:
                            continue
                        if cudnn is not None and has_cudnn != cudnn:
                            continue
                        found.append(
                            CudaImage(
                                cuda=row.cuda,
                                os=system,
                                flavour=name,
                                tag=f"{row.cuda}-{name}-{system}",
                                cudnn=row.cudnn if has_cudnn else None,
                                status=row.status,
                                source=source,
                            )
                        )
        return tuple(found)

    def pytorch_images(self, torch: str, cuda: str | None, flavour: str | None) -> tuple[PytorchImage, ...]:
        found = []
        for row in self.table.pytorch_images:
            if row.torch != torch.partition("+")[0]:
                continue
            for pair in row.pairs:
                inside = pair.partition("-")[0].removeprefix("cuda")
                if cuda is not None and cuda_key(inside) != cuda_key(cuda):
                    continue
                found += [
                    PytorchImage(
                        torch=row.torch,
                        cuda=inside,
                        tag=f"{row.torch}-{pair}-{kind}",
                        flavour=kind,
                        source=source_texts(row.source, self.table.sources),
                    )
                    for kind in ("runtime", "devel")
                    if flavour in (None, kind)
                ]
        return tuple(found)

    def python_image(self, python: str) -> PythonImage | None:
        for row in self.table.python_images:
            if row.python == python:
                return msgspec.structs.replace(row, source=source_texts(row.source, self.table.sources))
        return None


def _same(have: str, wanted: str) -> bool:
    return version(have) == version(wanted) if wanted.count(".") >= 2 else cuda_key(have) == cuda_key(wanted)


def _system_order(system: str) -> tuple[bool, tuple[int, ...], str]:
    """Ubuntu first, newest first: what most people build on."""
    ubuntu = system.startswith("ubuntu")
    release = tuple(-int(part) for part in system.removeprefix("ubuntu").split(".")) if ubuntu else ()
    return (not ubuntu, release, system)
