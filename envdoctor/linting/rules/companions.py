"""Packages that pin an exact torch (xformers, vllm), asked for beside another one: no installer can meet both."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Companion, Knowledge
from envdoctor.linting.model import DescribedEnvironment, Wanted
from envdoctor.linting.resolving import specifier

_PINNING = ("xformers", "vllm", "torchtext")


def judge(environment: DescribedEnvironment, world: Knowledge) -> Iterator[Finding]:
    """Only within one install, only for an exact torch, and only where every release that is admitted is known to refuse it."""
    for install in environment.installs:
        torch = install.find("torch")
        if torch is None or torch.elsewhere or install.tool not in ("pip", "uv") or install.incomplete:
            continue
        release = _exact(torch)
        if release is None:
            continue
        for name in _PINNING:
            wanted = install.find(name)
            if wanted is not None and not wanted.elsewhere:
                yield from _conflict(wanted, torch, release, world)


def _conflict(wanted: Wanted, torch: Wanted, release: str, world: Knowledge) -> Iterator[Finding]:
    asked = specifier(wanted)
    rows = world.companions(wanted.name)
    if asked is None or not asked[0] or not rows:
        return
    # Of vllm the table has the newest patch of each minor only: an exact pin is judged by its own row, or not at all.
    if wanted.name == "vllm" and _exact(wanted) is None:
        return
    admitted = [row for row in rows if asked[0].contains(row.version, prereleases=True)]
    if not admitted or any(_accepts(row, release) for row in admitted):
        return
    pins = sorted({row.torch for row in admitted})
    right = next((row for row in rows if _exact_pin(row) == release), None)
    yield Finding(
        rule="companion-pins-another-torch",
        code="extension-abi-mismatch",
        severity=Severity.ERROR,
        title=f"{wanted.name} asks for another torch",
        summary=f"`{wanted.text}` needs torch {pins[0] if len(pins) == 1 else 'of another release'}; `{torch.text}` is asked "
        "for in the same install: no installer can meet both.",
        evidence=(fact("requirement", wanted.text), fact("torch", torch.text)),
        fixes=(
            (Fix(title=f"Ask for {wanted.name}=={right.version}, which goes with torch {release}"),)
            if right is not None
            else (Fix(title=f"Leave torch out: {wanted.name} brings the one that it was built for"),)
        ),
        file=wanted.place.file,
        line=wanted.place.line,
    )


def _accepts(row: Companion, release: str) -> bool:
    return SpecifierSet(row.torch).contains(release)


def _exact_pin(row: Companion) -> str | None:
    return row.torch.removeprefix("==") if row.torch.startswith("==") else None


def _exact(wanted: Wanted) -> str | None:
    asked = specifier(wanted)
    pins = [s for s in (asked[0] if asked else ()) if s.operator == "==" and not s.version.endswith("*")]
    return Version(pins[0].version).public if len(pins) == 1 else None
