"""What is asked for beside torch: torchvision, torchaudio and NVIDIA's libraries of other versions than this torch goes with."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment, Install, Wanted
from envdoctor.linting.resolving import Circumstances, channels_of, resolve, specifier


def judge(
    environment: DescribedEnvironment, where: Circumstances, machine: TargetMachine, world: Knowledge
) -> Iterator[Finding]:
    """Pins that cannot be met together, or that pull in another torch than the one that was asked for."""
    del machine
    torches = [(install, wanted) for install in environment.installs if (wanted := install.find("torch")) is not None]
    for install in environment.installs:
        for package in ("torchvision", "torchaudio"):
            wanted = install.find(package)
            if wanted is None or wanted.elsewhere:
                continue
            beside = next(((i, w) for i, w in torches if i is install), torches[-1] if torches else None)
            if beside is not None and not beside[1].elsewhere:
                yield from _sibling(package, wanted, install, beside[1], beside[0], world)
        yield from _libraries(install, where, world)


def _exact(wanted: Wanted) -> str | None:
    """'2.6.0' of ==2.6.0 or ==2.6.0+cu124; None for a range."""
    asked = specifier(wanted)
    pins = [s for s in (asked[0] if asked else ()) if s.operator == "==" and not s.version.endswith("*")]
    return Version(pins[0].version).public if len(pins) == 1 else None


def _local(wanted: Wanted, install: Install) -> str | None:
    asked = specifier(wanted)
    if asked is not None and asked[1] is not None:
        return asked[1]
    channels = channels_of(install)
    return channels[0] if channels is not None and len(channels) == 1 and channels[0] != "pypi" else None


def _sibling(
    package: str, wanted: Wanted, install: Install, torch: Wanted, torch_install: Install, world: Knowledge
) -> Iterator[Finding]:
    code = f"{package}-mismatch"
    version, release = _exact(wanted), _exact(torch)
    made_for = None
    if version is not None:
        query = world.torch_for_torchvision if package == "torchvision" else world.torch_for_torchaudio
        made_for = query(version)
    if (
        version is not None
        and made_for is not None
        and release is not None
        and world.torch_release(release) is not None
    ):
        right = world.torchvision_for(release) if package == "torchvision" else world.torchaudio_for(release)
        if not world.companion_accepts(package, version, release) and Version(made_for) != Version(release):
            yield Finding(
                rule="companion-of-another-release",
                code=code,
                severity=Severity.ERROR,
                title=f"{package} and torch are of different releases",
                summary=f"{package} {version} was made for torch {made_for}; `{torch.text}` is asked for beside it.",
                evidence=(fact("requirement", wanted.text), fact("torch", torch.text)),
                fixes=_right_one(package, right, release),
                file=wanted.place.file,
                line=wanted.place.line,
            )
            return
    ours, theirs = _local(torch, torch_install), _local(wanted, install)
    if ours is not None and theirs is not None and _family(ours) != _family(theirs):
        yield Finding(
            rule="companion-for-another-device",
            code=code,
            severity=Severity.ERROR,
            title=f"{package} and torch are builds for different devices",
            summary=f"`{wanted.text}` comes as a {theirs} build and `{torch.text}` as a {ours} build: "
            f"{package}'s operators will not load.",
            evidence=(fact("requirement", wanted.text), fact("torch", torch.text)),
            fixes=(Fix(title=f"Take both from the {ours} index, in one install"),),
            file=wanted.place.file,
            line=wanted.place.line,
        )


def _right_one(package: str, right: str | None, release: str) -> tuple[Fix, ...]:
    if right is None:
        return (Fix(title=f"Leave {package} out: none goes with torch {release}"),)
    return (Fix(title=f"Ask for {package}=={right}, which goes with torch {release}"),)


def _family(variant: str) -> str:
    """CUDA's minors go together: 'cu12' of cu126 and cu128."""
    return variant[:4] if variant.startswith("cu") else variant.rstrip("0123456789.")


def _libraries(install: Install, where: Circumstances, world: Knowledge) -> Iterator[Finding]:
    """NVIDIA's wheels that are pinned by hand to another version than torch pins."""
    resolved = resolve(install, where, world)
    build = resolved.build if resolved else None
    if build is None or not build.requires:
        return
    pins: dict[str, Requirement] = {}
    for line in build.requires:
        requirement = Requirement(line)
        pins[canonicalize_name(requirement.name)] = requirement
    for wanted in install.wanted:
        pin, version = pins.get(wanted.name), _exact(wanted)
        if pin is None or version is None or not (wanted.name.startswith("nvidia-") or wanted.name == "triton"):
            continue
        if not pin.specifier.contains(version):
            yield Finding(
                rule="library-torch-does-not-pin",
                code="triton-problem" if wanted.name == "triton" else "nvidia-wheels-mismatch",
                severity=Severity.ERROR,
                title="A library of another version than torch pins",
                summary=f"`{wanted.text}` conflicts with torch {build.torch}, which pins {wanted.name}{pin.specifier}: "
                "pip refuses both together, or puts a library there that torch was not built with.",
                evidence=(fact("requirement", wanted.text), fact("torch pins", f"{wanted.name}{pin.specifier}")),
                fixes=(Fix(title="Leave it out: torch brings the one that it was built with"),),
                file=wanted.place.file,
                line=wanted.place.line,
            )
