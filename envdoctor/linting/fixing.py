"""The torch to ask for instead: the nearest that works, written into a copy of the file, which is linted before it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace
from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.linting import editing
from envdoctor.linting.account import Site
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import Described
from envdoctor.linting.resolving import Circumstances
from envdoctor.linting.systems import parse
from envdoctor.linting.taken import Taken, TakenFrom

DOWN = frozenset(("driver-older-than-torch",))
"""Repaired by an older release rather than by a newer one."""
OTHER_TORCH = DOWN | frozenset((
    "gpu-without-code", "cpu-build-on-gpu-machine", "python-without-wheel", "glibc-older-than-wheel", "index-without-wheel",
))  # fmt: skip
"""Rules whose findings another torch repairs."""
MOST_TRIES = 6
MOST_FIXED = 20
"""Findings of one file that a fix is sought for; who has more repairs these first."""
Again = Callable[[str], "Sequence[Finding] | None"]
"""Lints a text that stands in the file's place; None where it can no longer be read."""


def fixed(
    finding: Finding, file: Described, sites: Sequence[Site], machine: TargetMachine, world: Knowledge, again: Again
) -> Finding:
    """The finding with the torch to ask for as its first fix, where one was found that comes out clean."""
    if finding.rule not in OTHER_TORCH or finding.line is None:
        return finding
    place = (finding.file, finding.line)
    for _, where, torches in sites:
        one = next((t for t in torches if (t.said.place.file, t.said.place.line) == place), None)
        if one is None:
            continue
        tried = 0
        for build in _candidates(finding.rule, one, machine, where, world):
            for edited, fix in _edits(build, one, file, finding.line, world):
                if edited is None:
                    return replace(finding, fixes=(fix, *finding.fixes))
                if _clean(again(edited[0]), finding, file.name):
                    note = "\n".join(edited[1])
                    return replace(finding, fixes=(replace(fix, note=note), *finding.fixes))
                tried += 1
            if tried >= MOST_TRIES:
                break
        break
    return finding


def _clean(after: Sequence[Finding] | None, before: Finding, name: str) -> bool:
    """Whether neither this finding nor any other error about which torch is taken is left."""
    about = {*OTHER_TORCH, "companion-of-another-release", "companion-pins-another-torch", "library-torch-does-not-pin"}
    return after is not None and not any(
        f.rule in about and f.file == name and (f.severity is Severity.ERROR or f.rule == before.rule) for f in after
    )


def _candidates(
    rule: str, one: Taken, machine: TargetMachine, where: Circumstances, world: Knowledge
) -> Iterator[TorchBuild]:
    """Builds that run on the machine, nearest first: of the same release, then onwards in the direction that helps."""
    pinned = one.release
    if one.origin is not TakenFrom.IMAGE and not any(sign in one.said.specifier for sign in ("==", "<", "~=")):
        newest = machine.fitting(where, world)
        if newest is not None:
            yield newest
    if pinned is None:
        return
    releases = [row.version for row in world.torch_releases()]
    above = [text for text in reversed(releases) if Version(text) > Version(pinned)]
    below = [text for text in releases if Version(text) < Version(pinned)]
    for release in (pinned, *(below + above if rule in DOWN else above + below)):
        build = machine.fitting(where, world, f"=={release}")
        if build is not None:
            yield build


def _edits(
    build: TorchBuild, one: Taken, file: Described, line: int, world: Knowledge
) -> Iterator[tuple[editing.Edited | None, Fix]]:
    if one.origin is TakenFrom.IMAGE:
        reference = parse(one.said.text)
        flavour = "devel" if reference.tag.endswith("devel") else "runtime"
        for tag in world.pytorch_images(build.torch, cuda=build.cuda, flavour=flavour)[:1]:
            edited = editing.image(file.text, line, one.said.text, tag.reference)
            # A name that is put together from variables cannot be written for the person.
            yield edited, Fix(title=f"Start from {tag.reference}")
        return
    fix = Fix(title=f"Ask for torch {build.torch} ({build.variant})")
    editor = editing.EDITORS.get(file.kind)
    inside = one.said.place.file == file.name
    if editor is None or not inside:
        arguments = " ".join(build.pip_arguments("torch"))
        yield None, replace(fix, note=f"By pip: {arguments}")
        return
    edited = editor(file.text, line, build, world)
    if edited is not None:
        yield edited, fix
