"""What an answer consists of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from envdoctor.compat.question import CompatQuestion
from envdoctor.knowledge.builds import TorchBuild

SCHEMA = "envdoctor.compat/1"

Verdict = Literal["yes", "no", "unknown", "caution"]


class JudgedReason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was judged. `caution`: holds, but something is worth knowing. `confidence`: how the fact behind
    it is known, "rule" where a rule speaks for a version that is newer than the tables."""

    about: str
    verdict: Verdict
    text: str
    confidence: str = "documented"
    sources: tuple[str, ...] = ()


class NearestChange(msgspec.Struct, frozen=True, kw_only=True):
    """The nearest thing that works: what to change, and to what. `pip`: what follows `pip install`."""

    change: str
    text: str
    build: str | None = None
    pip: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One line about the subject of a question that asks no yes or no."""

    label: str
    value: str
    sources: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`answer`: yes, no or unknown; None where one subject alone was asked about, which `facts` describe.
    `build`: the torch build that the answer is about. `newer_than_table`: what was judged by rules alone."""

    question: CompatQuestion
    answer: Literal["yes", "no", "unknown"] | None
    summary: str
    reasons: tuple[JudgedReason, ...] = ()
    build: TorchBuild | None = None
    nearest: tuple[NearestChange, ...] = ()
    facts: tuple[Fact, ...] = ()
    newer_than_table: tuple[str, ...] = ()
    as_of: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source behind the answer, each once, in the order of use."""
        cited = [part.sources for part in self.reasons]
        cited += [part.sources for part in self.facts]
        cited += [part.sources for part in self.nearest]
        return tuple(dict.fromkeys(source for sources in cited for source in sources))

    def as_json(self) -> dict[str, Any]:
        """The document of schema envdoctor.compat/1."""
        document: dict[str, Any] = {"schema": SCHEMA}
        document |= msgspec.to_builtins(self)
        document["build"] = (
            {**msgspec.to_builtins(self.build), "pip": list(self.build.pip_arguments())} if self.build else None
        )
        document["sources"] = list(self.sources)
        return document
