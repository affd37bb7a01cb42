"""Judges whether an environment meets the requirements in its own metadata, by the target's markers, as pip would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envdoctor.facts.sections.interpreter import BrokenPin


@dataclass(frozen=True)
class Pins:
    """What applies of one distribution's requirements, and what of it is not met."""

    applying: tuple[str, ...]
    broken: tuple[BrokenPin, ...]


def judge_pins(
    distribution: str,
    requirements: Iterable[str],
    installed: Mapping[str, str | None],
    markers: Mapping[str, str],
    extras: Iterable[str] = (),
) -> Pins:
    """`requirements`: its Requires-Dist lines; `installed`: versions by normalised name; `extras`: those that are asked for.

    torch 2.15 pins its nvidia wheels through extras of cuda-toolkit, so these count. What cannot be parsed or compared is
    left out: it is unknown, not broken.
    """
    applying, broken = [], []
    for line in requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker and not any(requirement.marker.evaluate({**markers, "extra": e}) for e in ("", *extras)):
            continue
        requirement.marker = None
        words = str(requirement)
        if words in applying:
            continue
        applying.append(words)
        name = canonicalize_name(requirement.name)
        if _met(requirement, installed, name) is False:
            broken.append(BrokenPin(distribution=distribution, requirement=words, installed=installed.get(name)))
    return Pins(tuple(applying), tuple(broken))


def _met(requirement: Requirement, installed: Mapping[str, str | None], name: str) -> bool | None:
    if name not in installed:
        return False
    version = installed[name]
    if version is None:
        return None
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return None
