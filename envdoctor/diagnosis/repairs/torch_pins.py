"""The packages that decide which torch is installed, because their wheels are compiled against one release of it."""

from __future__ import annotations

import re

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge, KnowledgeError
from envdoctor.knowledge.versions import version

PINNING = ("vllm", "xformers", "sglang", "torchtext")
"""Packages with wheels that pin one release of torch (knowledge: companions, and sglang's metadata), whose words people paste."""

_RUNS = (
    ("vllm", re.compile(r"-packages[/\\]vllm[/\\]|\bvllm serve\b|\bvllm\.entrypoints\b|^pip install vllm\b", re.M)),
    ("sglang", re.compile(r"-packages[/\\]sglang[/\\]|\bsglang\.launch_server\b", re.M)),
)
"""What shows that a text is of such a package's program, where no list of packages stands in it."""


class Pin(msgspec.Struct, frozen=True):
    """A package that decides which torch is here: `torch` is the release that it pins; None where that is not known."""

    package: str
    version: str
    torch: str | None

    @property
    def words(self) -> str:
        """'torch 2.8.0'."""
        return f"torch {self.torch}" if self.torch else "its own torch"

    def allows(self, release: str) -> bool:
        """Whether this release of torch is known to be the one that it pins."""
        return self.torch is not None and version(release) == version(self.torch)


def torch_pins(snapshot: Snapshot, world: Knowledge) -> tuple[Pin, ...]:
    """The packages that pin torch to one release, by their own metadata, else by the table of their releases."""
    found = []
    for distribution in (snapshot.interpreter.distributions or ()) if snapshot.interpreter else ():
        if distribution.version is None or distribution.name in ("torch", "torchvision", "torchaudio"):
            continue
        wanted = next((w for line in distribution.requires if (w := _exact(line)) is not None), None)
        if wanted is None and distribution.name in PINNING and not distribution.requires:
            wanted, pins = _by_table(distribution.name, distribution.version, world)
            if not pins:
                continue
        elif wanted is None:
            continue
        found.append(Pin(distribution.name, distribution.version, wanted))
    named = {pin.package for pin in found}
    text = "\n".join(snapshot.messages)[:100_000] if snapshot.source != "live" else ""
    found += [Pin(name, "", None) for name, runs in _RUNS if name not in named and runs.search(text)]
    return tuple(found)


def _exact(line: str) -> str | None:
    """'2.8.0' of 'torch==2.8.0'."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    if requirement.name != "torch":
        return None
    return next((s.version for s in requirement.specifier if s.operator == "==" and "*" not in s.version), None)


def _by_table(name: str, text: str, world: Knowledge) -> tuple[str | None, bool]:
    """The torch that this release pins, where the table has it, and whether it pins one at all."""
    try:
        row = world.companion(name, text)
    except KnowledgeError:
        return None, False
    if row is None:
        return None, True
    return (row.torch.removeprefix("=="), True) if row.torch.startswith("==") else (None, False)
