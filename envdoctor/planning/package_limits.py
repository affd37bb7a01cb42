"""What the user's own packages ask of torch, by their metadata in the knowledge base."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
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
    try:
        if not text.isprintable():
            raise InvalidRequirement("it holds a control character")
        return Requirement(text)
    except InvalidRequirement as error:
        raise InputError(
            f"--with {text!r} is no requirement ({str(error).splitlines()[0]}); write it as 'xformers' or 'numpy>=2'"
        ) from None


def package_limits(wishes: Wishes, world: Knowledge, pool: Pool) -> Iterator[Limit]:
    """One for each package whose requirement on torch is known."""
    for text in wishes.packages:
        requirement = parsed(text)
        name = canonicalize_name(requirement.name)
        key = ("package", str(requirement))
        if name == "torch":
            spec = requirement.specifier
            meets = pool.meeting(key, lambda build, spec=spec: spec.contains(version(build.torch)))
            said = f"--with {text}: "
        elif name in FAMILY:
            spec = requirement.specifier

            def paired(build: TorchBuild, name: str = name, spec: object = spec) -> bool:
                release = build.torchvision if name == "torchvision" else build.torchaudio
                return release is not None and spec.contains(version(release))  # type: ignore[attr-defined,no-any-return]

            meets = pool.meeting(key, paired)
            said = f"{text} goes with "
        elif name in world.companion_packages():
            meets = pool.meeting(key, lambda build, r=requirement: fitting(r, build.torch, world) is not None)
            said = f"{text} asks for its own torch: by its metadata it goes with "
        else:
            meets = pool.meeting(key, lambda build, r=requirement: _pin_allows(r, build))
            if meets == pool.all:
                continue
            said = f"torch pins {name} itself: {text} fits "
        text_ = said + (f"{span(pool.chosen(meets))}." if meets else "no published torch.")
        yield Limit(constraint="package", key=key, text=text_, short=text, meets=meets)


def fitting(requirement: Requirement, torch: str, world: Knowledge) -> Companion | None:
    """The newest release of a companion that the requirement allows and that accepts this torch.

    A release that bounds torch from below only says nothing of torch releases that came after it: of those, only the
    package's newest allowed release is believed."""
    name = canonicalize_name(requirement.name)
    allowed = [
        row for row in world.companions(name) if requirement.specifier.contains(version(row.version), prereleases=True)
    ]
    have = version(torch)
    for place, row in enumerate(allowed):
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
        companion = fitting(requirement, build.torch, world) if name in world.companion_packages() else None
        if companion is not None:
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            packages.append(f"{requirement.name}{extras}=={companion.version}")
            continue
        packages.append(str(requirement))
        if not any(_name(line) == name for line in build.requires):
            notes.append(
                f"{requirement.name}: what it asks of torch is not in the knowledge base, so it was not checked."
            )
    return tuple(packages), tuple(notes)


def _name(line: str) -> str:
    end = next((place for place, char in enumerate(line) if char not in "-_." and not char.isalnum()), len(line))
    return canonicalize_name(line[:end])


def _pin_allows(requirement: Requirement, build: TorchBuild) -> bool:
    name = canonicalize_name(requirement.name)
    for line in build.requires:
        if _name(line) == name:
            pins = [part.version for part in Requirement(line).specifier if part.operator == "=="]
            return not pins or requirement.specifier.contains(pins[0], prereleases=True)
    return True
