"""The torch build that a question is judged by."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge.builds import TorchBuild


class SubjectBuild(msgspec.Struct, frozen=True, kw_only=True):
    """The build that is judged. `assumed`: the release that it stands in for, "torch 2.16", which the table does not have: then
    what is said is an expectation, and rests on a rule."""

    build: TorchBuild
    assumed: str | None = None

    @property
    def name(self) -> str:
        return self.assumed or f"torch {self.build.name}"

    @property
    def release(self) -> str:
        return self.assumed or f"torch {self.build.torch}"

    @property
    def has(self) -> str:
        return "would have" if self.assumed else "has"

    @property
    def needs(self) -> str:
        return "would need" if self.assumed else "needs"
