"""What the user's own packages ask of torch, by their metadata in the knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from envdoctor.errors import InputError
from envdoctor.knowledge import Companion, Knowledge, TorchBuild
from envdoctor.knowledge.versions import specifier, version
from envdoctor.planning.model import Wishes
from envdoctor.planning.search import Limit, Pool
from envdoctor.planning.words import span

FAMILY = ("torchvision", "torchaudio")


def parsed(text: str) -> Requirement:
    """The requirement. Raises InputError for what is none."""
    # packaging takes a line break for a space; in a requirements file it would begin a line of its own.
    if not text.isprintable():
        raise InputError(f"--with {text!r} is no requirement: it holds a character that no name has")
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        why = str(error).splitlines()[0]
        raise InputError(f"--with {text!r} is no requirement ({why}); write it as 'xformers' or 'numpy>=2'") from None


def package_limits(wishes: Wishes, world: Knowledge, pool: Pool) -> Iterator[Limit]:
    """One for each package whose requirement on torch is known."""
    for text in wishes.packages:
        requirement = parsed(text)
        said, test = _test_of(requirement, world)
        key = ("package", str(requirement))
        meets = pool.meeting(key, test)
        if meets == pool.all and said == _PINNED:
            continue
        said = said.format(text=text, name=requirement.name)
        fits = f"{span(pool.chosen(meets))}." if meets else "no published torch."
        yield Limit(constraint="package", key=key, text=f"{said} {fits}", short=text, meets=meets)


_PINNED = "torch pins {name} itself: {text} fits"


def _test_of(requirement: Requirement, world: Knowledge) -> tuple[str, Callable[[TorchBuild], bool]]:
    """What is to be said of a package before the builds that it goes with, and whether it goes with one."""
    name, spec = canonicalize_name(requirement.name), requirement.specifier
    if name == "torch":
        return "{text} was asked for: that is", lambda build: spec.contains(version(build.torch))
    if name in FAMILY:
        return "{text} goes with", lambda build: _paired(build, name, spec)
    if known_releases(requirement, world):
        fits: dict[str, bool] = {}

        def accepts(build: TorchBuild) -> bool:
            if build.torch not in fits:
                fits[build.torch] = fitting(requirement, build.torch, world) is not None
            return fits[build.torch]

        return "{text} asks for a torch of its own: by its metadata it goes with", accepts
    return _PINNED, lambda build: _pin_allows(requirement, build, world)


def known_releases(requirement: Requirement, world: Knowledge) -> list[Companion]:
    """The releases in the knowledge base that a requirement allows, newest first. None: what they ask of torch is not known."""
    rows = world.companions(canonicalize_name(requirement.name))
    return [row for row in rows if requirement.specifier.contains(version(row.version), prereleases=True)]


def _paired(build: TorchBuild, name: str, spec: SpecifierSet) -> bool:
    release = build.torchvision if name == "torchvision" else build.torchaudio
    return release is not None and spec.contains(version(release))


def fitting(requirement: Requirement, torch: str, world: Knowledge) -> Companion | None:
    """The newest release of a companion that the requirement allows and that accepts this torch.

    A release that bounds torch from below only says nothing of torch releases that came after it: of those, only the
    package's newest allowed release is believed."""
    have = version(torch)
    for place, row in enumerate(known_releases(requirement, world)):
        accepted = specifier(row.torch) if row.torch else None
        open_ended = accepted is None or all(part.operator in (">=", ">", "!=") for part in accepted)
        if accepted is not None and not accepted.contains(have):
            continue
        if not open_ended or place == 0:
            return row
    return None


def resolved(wishes: Wishes, build: TorchBuild, world: Knowledge) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The packages as they are to be installed after torch, and notes on them. A companion is pinned to the newest release that
    accepts this torch, for left alone pip would take the newest of all and another torch with it."""
    packages: list[str] = []
    notes: list[str] = []
    for text in wishes.packages:
        requirement = parsed(text)
        name = canonicalize_name(requirement.name)
        if name in ("torch", "torchvision"):
            continue
        if name in FAMILY:
            packages.append(f"torchaudio=={build.torchaudio}")
            continue
        companion = fitting(requirement, build.torch, world)
        if companion is not None:
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            packages.append(f"{requirement.name}{extras}=={companion.version}")
            continue
        packages.append(str(requirement))
        if not any(_name(line) == name for line in build.requires):
            notes.append(f"{requirement}: what it asks of torch is not in the knowledge base, so it was not checked.")
    return tuple(packages), tuple(notes)


def _name(line: str) -> str:
    end = next((place for place, char in enumerate(line) if char not in "-_." and not char.isalnum()), len(line))
    return canonicalize_name(line[:end])


def _pin_allows(requirement: Requirement, build: TorchBuild, world: Knowledge) -> bool:
    name = canonicalize_name(requirement.name)
    requires = build.requires
    if name == "triton" and not requires and (pin := build.triton):
        requires = (f"triton{pin}" if pin[0] in "=~<>!" else f"triton=={pin}",)
    for line in requires:
        if _name(line) == name:
            own = Requirement(line).specifier
            pins = [part.version for part in own if part.operator == "=="]
            candidates = pins or list(world.published(name))
            both = (release for release in candidates if requirement.specifier.contains(release, prereleases=True))
            return not candidates or any(own.contains(release) for release in both)
    return True
