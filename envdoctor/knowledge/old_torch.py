"""torch before 1.13, and NVIDIA's monthly images of it: what is known is the CUDA, and which Pythons there were wheels for."""

from __future__ import annotations

from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read
from envdoctor.knowledge.versions import version


class OldTorch(Record, frozen=True, kw_only=True):
    """A release before the table of builds begins. `python`, `cuda`: of PyPI's Linux x86_64 wheels, `file` being the one that
    was read; `listed`: the variants that pytorch.org names for it, which need not be all; `torchvision`: the one beside it."""

    version: str
    date: str
    python: tuple[str, ...]
    cuda: str
    file: str
    listed: tuple[str, ...]
    torchvision: str | None = None

    @property
    def cudas(self) -> tuple[str, ...]:
        """Every CUDA that a build of it is known to have, newest first: "11.6"."""
        named = {f"{variant[2:-1]}.{variant[-1]}" for variant in self.listed}
        return tuple(sorted({*named, self.cuda}, key=version, reverse=True))


class _OldTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    releases: tuple[OldTorch, ...]


class _Month(Record, frozen=True, kw_only=True):
    release: str
    cuda: str


class _NgcTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    releases: tuple[_Month, ...]


class OldTorches:
    """Queries over data/torch_old.json and data/ngc_images.json."""

    @cached_property
    def all(self) -> tuple[OldTorch, ...]:
        """Newest first."""
        return read("torch_old", _OldTable).releases

    @cached_property
    def _months(self) -> tuple[_Month, ...]:
        return read("ngc_images", _NgcTable).releases

    def find(self, text: str) -> OldTorch | None:
        """The release; of a minor ("1.10") its newest."""
        parts = text.partition("+")[0].split(".")
        return next((row for row in self.all if row.version.split(".")[: len(parts)] == parts), None)

    def cudas_of_month(self, release: str) -> tuple[str, ...]:
        """The CUDA of the image of a month ("21.03") lies between the two answers: those of the months read beside it. One
        answer where both are the same; () after the newest and before the oldest that was read."""
        month = version(release)
        before = [row.cuda for row in self._months if version(row.release) <= month]
        after = [row.cuda for row in self._months if version(row.release) >= month]
        return tuple(dict.fromkeys((before[-1], after[0]))) if before and after else ()
