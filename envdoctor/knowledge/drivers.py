"""CUDA toolkits, the drivers they need, and driver branches with their life cycle.

Minor-version compatibility (from CUDA 11): a runtime of any minor runs on the driver of its major's first toolkit, as
long as compiled code for the GPU is there. The toolkit's own driver is needed only to compile PTX and for features
that came with it. Sources: docs.nvidia.com/deploy/cuda-compatibility and the CUDA release notes, table 3.
"""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read, source_texts
from envdoctor.knowledge.versions import cuda_key, cuda_minor, version


class Family(Record, frozen=True, kw_only=True):
    """The lowest driver for every runtime of one CUDA major. None where each toolkit needs its own."""

    major: int
    linux_driver: str | None = None
    windows_driver: str | None = None
    note: str | None = None
    source: tuple[str, ...]


class CudaToolkit(Record, frozen=True, kw_only=True):
    """One CUDA toolkit release. Drivers are NVIDIA's table values: the toolkit's own, not the family minimum."""

    version: str
    branch: str | None = None
    linux_driver: str | None = None
    windows_driver: str | None = None
    linux_bundled: bool | None = None
    """whether the installer carries that driver"""
    windows_bundled: bool | None = None
    note: str | None = None
    source: tuple[str, ...]


class DriverBranch(Record, frozen=True, kw_only=True):
    """A driver branch. `max_cuda`: the newest CUDA whose features it has (what nvidia-smi prints), None if unread.
    `cuda_major`: the newest major it runs without a forward-compatibility package, where NVIDIA's page says so.
    `eol`: "2028-06", or "passed" where only that is known. `newer_than_table`: judged by rules alone.
    `known`: False for a branch number between two known ones; its `max_cuda` is then a lower bound."""

    branch: str
    max_cuda: str | None = None
    cuda_major: int | None = None
    confidence: str = "unknown"
    designation: str | None = None
    eol: str | None = None
    latest_seen: str | None = None
    latest_seen_on: str | None = None
    note: str | None = None
    newer_than_table: bool = False
    known: bool = True
    source: tuple[str, ...] = ()


class Rule(Record, frozen=True, kw_only=True):
    """A statement of a vendor's document, with where it is written."""

    topic: str
    text: str
    source: tuple[str, ...]


class ImageRequirement(Record, frozen=True, kw_only=True):
    """What NVIDIA_REQUIRE_CUDA of an nvidia/cuda image accepts besides a driver of its own CUDA: older data-center
    branches, through the forward-compatibility package inside."""

    image: str
    accepts: tuple[str, ...]
    source: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    sources: dict[str, str]
    families: tuple[Family, ...]
    toolkits: tuple[CudaToolkit, ...]
    branches: tuple[DriverBranch, ...]
    forward_compatibility: tuple[Rule, ...]
    image_requirements: tuple[ImageRequirement, ...]
    limits: tuple[Rule, ...]


class Drivers:
    """Queries over data/drivers.json."""

    @cached_property
    def table(self) -> _Table:
        return read("drivers", _Table)

    def cite(self, ids: tuple[str, ...]) -> tuple[str, ...]:
        return source_texts(ids, self.table.sources)

    def minimum_driver(self, cuda: str, platform: str) -> str | None:
        major, minor = cuda_key(cuda)
        # 11.0 shipped before minor-version compatibility did and needs its own driver, older than the family's.
        if (major, minor) == (11, 0) or major < 11:
            return self.toolkit_driver(f"{major}.{minor}", platform)
        family = next((row for row in self.table.families if row.major == major), None)
        if family is None:
            return None
        return family.windows_driver if _windows(platform) else family.linux_driver

    def toolkit(self, cuda: str) -> CudaToolkit | None:
        """The toolkit's row; for "12.8" that of the first 12.8."""
        key = cuda_key(cuda)
        same = [row for row in self.table.toolkits if cuda_key(row.version) == key]
        same.sort(key=lambda row: version(row.version))
        if not same or cuda.count(".") < 2:
            return same[0] if same else None
        wanted = version(cuda)
        exact = [row for row in same if version(row.version) == wanted]
        if exact and exact[0].branch is not None:
            return exact[0]
        # A patch release without a row of its own: the previous update of the same minor is the lower bound.
        below = [row for row in same if version(row.version) <= wanted and row.branch is not None]
        return below[-1] if below else (exact or same)[0]

    def toolkit_driver(self, cuda: str, platform: str) -> str | None:
        row = self.toolkit(cuda)
        if row is None:
            return None
        if _windows(platform):
            return row.windows_driver
        return row.linux_driver or row.branch

    def newest_cuda(self) -> str:
        return cuda_minor(max(self.table.toolkits, key=lambda row: version(row.version)).version)

    def branch(self, driver: str) -> DriverBranch:
        """Branches are multiples of five (R418 apart); a Windows driver counts on inside its branch (572.83 is R570)."""
        major = version(driver).major
        number = major - major % 5
        branches = sorted(self.table.branches, key=lambda row: int(row.branch))
        oldest, newest = branches[0], branches[-1]
        if number > int(newest.branch):
            return DriverBranch(branch=str(number), newer_than_table=True, known=False)
        if number < int(oldest.branch):
            return DriverBranch(branch=str(number), known=False, note="older than the table", eol="passed")
        below = [row for row in branches if int(row.branch) <= major][-1]
        if int(below.branch) >= number:
            return msgspec.structs.replace(below, source=self.cite(below.source))
        return DriverBranch(
            branch=str(number),
            max_cuda=below.max_cuda,
            confidence="lower bound",
            known=False,
            source=self.cite(below.source),
        )

    def forward_compatible(self, gpu_kind: str) -> bool | None:
        """By NVIDIA's rule "supported GPUs" in the table: data center, select RTX, Jetson; no consumer parts."""
        if gpu_kind in ("data-center", "jetson"):
            return True
        return False if gpu_kind in ("geforce", "titan", "laptop") else None

    def bridged_branches(self, cuda: str) -> tuple[str, ...]:
        for row in self.table.image_requirements:
            if cuda_key(row.image.partition("-")[0]) == cuda_key(cuda):
                return tuple(branch for branch in row.accepts if branch.isdecimal())
        return ()

    def branches(self) -> tuple[DriverBranch, ...]:
        ordered = sorted(self.table.branches, key=lambda row: int(row.branch))
        return tuple(msgspec.structs.replace(row, source=self.cite(row.source)) for row in ordered)


def _windows(platform: str) -> bool:
    return platform.startswith("windows")
