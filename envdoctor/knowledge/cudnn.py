"""cuDNN: the devices each release has kernels for, and the drivers it asks for."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import capability_key, cuda_key, version


class CudnnRelease(Record, frozen=True, kw_only=True):
    """The device code of one cuDNN wheel. `sm`: compiled (capability times ten), `ptx`: as PTX;
    `min_capability`: the lowest compiled. Measured on the convolution library; other engines may differ."""

    package: str
    version: str
    date: str
    cuda_major: int
    sm: tuple[int, ...]
    ptx: tuple[int, ...]
    min_capability: str
    source: tuple[str, ...]


class CudnnSupport(Record, frozen=True, kw_only=True):
    """A row of NVIDIA's support matrix. `cuda` and `capabilities` are its own words."""

    cudnn: str
    cuda: str
    linux_driver: str | None = None
    windows_driver: str | None = None
    capabilities: str
    source: tuple[str, ...]


class CudnnRule(Record, frozen=True, kw_only=True):
    text: str
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    kernels: tuple[CudnnRelease, ...]
    support_matrix: tuple[CudnnSupport, ...]
    rules: tuple[CudnnRule, ...]


class Cudnn:
    """Queries over data/cudnn.json."""

    @cached_property
    def table(self) -> _Table:
        return read("cudnn", _Table)

    @cached_property
    def _by_major(self) -> dict[int, list[CudnnRelease]]:
        """The measured releases of each CUDA major, oldest first."""
        rows: dict[int, list[CudnnRelease]] = {}
        for row in sorted(self.table.kernels, key=lambda row: version(row.version)):
            rows.setdefault(row.cuda_major, []).append(row)
        return rows

    def _nearest(self, cudnn: str, cuda: str) -> CudnnRelease | None:
        rows = self._by_major.get(cuda_key(cuda)[0], [])
        wanted = version(cudnn)
        below = [row for row in rows if version(row.version) <= wanted]
        return below[-1] if below else next(iter(rows), None)

    def release(self, cudnn: str, cuda: str) -> CudnnRelease | None:
        """The measured release nearest below this one for the same CUDA major; the oldest where none is below.

        Kernels for old GPUs are dropped at a release and do not come back, so the nearest below bounds them."""
        row = self._nearest(cudnn, cuda)
        return (
            None if row is None else msgspec.structs.replace(row, source=source_texts(row.source, self.table.sources))
        )

    def supports(self, cudnn: str, cuda: str, capability: str) -> bool | None:
        """Whether cuDNN has kernels for a GPU this old. None where no release of that CUDA major was read."""
        row = self._nearest(cudnn, cuda)
        return None if row is None else capability_key(capability) >= capability_key(row.min_capability)
