"""Why an installer found no torch to install: the index, the Python or the platform. One answer for the three causes."""

from __future__ import annotations

import enum

import msgspec
from packaging.version import Version

from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.planning.target import wheel_platform
from envdoctor.reading.messages.install_refusals import Refusal, only_torchs_index, refusals

FAMILY = ("torch", "torchvision", "torchaudio")
INTEL_MAC = "macos_x86_64"
_TAGS = ("cu", "rocm", "cpu", "xpu")


class Why(enum.Enum):
    """What the list of releases that an installer saw tells."""

    INDEX = "index"
    """The build lies on an index that was not given."""
    PYTHON_TOO_NEW = "python-too-new"
    """All that fits this Python is newer than what was asked for."""
    PYTHON_TOO_OLD = "python-too-old"
    """All that fits this Python is older."""
    PLATFORM = "platform"
    """The releases for this platform ended before."""


class RefusedInstall(msgspec.Struct, frozen=True):
    refusal: Refusal
    why: Why


def why_refused(machine: Snapshot, world: Knowledge) -> RefusedInstall | None:
    """The first refusal in the machine's messages whose reason its own words show; None where they leave it open."""
    for refusal in refusals(machine.messages):
        why = _why(refusal, machine, world)
        if why is not None:
            return RefusedInstall(refusal, why)
    return None


def variant_of(refusal: Refusal) -> str | None:
    """'cu121', 'rocm6.1' or 'cpu' where a build of one variant was asked for."""
    version = refusal.version
    local = version.local if version is not None else None
    return local if local is not None and local.startswith(_TAGS) else None


def is_nightly(refusal: Refusal) -> bool:
    return refusal.name in FAMILY and refusal.version is not None and refusal.version.dev is not None


def published(refusal: Refusal, world: Knowledge) -> tuple[TorchBuild, ...]:
    """The builds that the table has of what was asked for: of this very variant where one was named."""
    version, variant = refusal.version, variant_of(refusal)
    if version is None:
        return ()
    release: str | None = version.public
    if refusal.name == "torchvision":
        release = world.torch_for_torchvision(version.public)
    elif refusal.name == "torchaudio":
        release = world.torch_for_torchaudio(version.public)
    builds = world.torch_builds(release) if release else ()
    return tuple(build for build in builds if variant is None or build.variant == variant)


def _why(refusal: Refusal, machine: Snapshot, world: Knowledge) -> Why | None:
    wanted, offered = refusal.version, refusal.versions
    variant = variant_of(refusal)
    if refusal.name not in FAMILY and refusal.offered == () and only_torchs_index(machine.messages):
        return Why.INDEX
    if is_nightly(refusal) and not any(version.dev is not None for version in offered):
        return Why.INDEX
    if wanted is None:
        return None
    if (unfit := _unfit_python(wanted, machine, world)) is not None and refusal.name == "torch":
        return unfit
    if not offered:
        # 'none', or no list: a build with a tag is on no default index. Whether the index was given is not said.
        bare = refusal.offered is None and variant is not None and bool(published(refusal, world))
        return Why.INDEX if bare and not _index_given(machine, variant) else None
    if variant is not None and any(version.public == wanted.public for version in offered):
        # No index has a build for another maker's GPU that a Mac can take.
        return Why.PLATFORM if on_a_mac(machine) and variant != "cpu" else Why.INDEX
    if refusal.name not in FAMILY:
        return None
    if refusal.whole and _ends_before(wanted, offered, refusal):
        return _why_ended(refusal, offered[-1], machine, world)
    if min(offered) > wanted and not any(version.public == wanted.public for version in offered):
        return Why.PYTHON_TOO_NEW
    return None


def _unfit_python(wanted: Version, machine: Snapshot, world: Knowledge) -> Why | None:
    """Whether the Python that the text names is too new or too old for every wheel of that release, on any index."""
    interpreter = machine.interpreter
    release = world.torch_release(wanted.public)
    pythons = release.python.get(wheel_platform(machine) or "", ()) if release is not None else ()
    if interpreter is None or interpreter.version is None or not pythons:
        return None
    here = Version(".".join(interpreter.version.split(".")[:2]))
    known = sorted(Version(python.rstrip("t")) for python in pythons)
    return Why.PYTHON_TOO_NEW if here > known[-1] else Why.PYTHON_TOO_OLD if here < known[0] else None


def on_a_mac(machine: Snapshot) -> bool:
    return machine.host is not None and machine.host.system == "Darwin"


def _index_given(machine: Snapshot, variant: str | None) -> bool:
    return any(f"whl/{variant}" in line for line in machine.messages)


def _ends_before(wanted: Version, offered: tuple[Version, ...], refusal: Refusal) -> bool:
    """Whether everything on offer is older than what was asked for."""
    return refusal.spec[:1] in "=~>^" and offered[-1] < wanted and offered[-1].public != wanted.public


def _why_ended(refusal: Refusal, last: Version, machine: Snapshot, world: Knowledge) -> Why | None:
    """What ended with that release: a Python, or a platform."""
    host = machine.host
    if refusal.name != "torch":
        return None
    if world.torch_release(last.public) is None and last < Version(world.torch_releases()[-1].version):
        return Why.PYTHON_TOO_OLD
    ended = _last_releases(world)
    if last.public in ended.get(INTEL_MAC, {}).values() and (
        (host is not None and host.system == "Darwin")
        or last.public == max(map(Version, ended[INTEL_MAC].values())).public
    ):
        return Why.PLATFORM
    newest = world.torch_releases()[0].version
    ends = {
        python
        for platform, pythons in ended.items()
        if platform != INTEL_MAC
        for python, release in pythons.items()
        if release == last.public and release != newest
    }
    return Why.PYTHON_TOO_OLD if ends else None


def _last_releases(world: Knowledge) -> dict[str, dict[str, str]]:
    """platform -> Python -> the newest torch that has a wheel for it there."""
    found: dict[str, dict[str, str]] = {}
    for release in world.torch_releases():
        for platform, pythons in release.python.items():
            for python in pythons:
                found.setdefault(platform, {}).setdefault(python, release.version)
    return found
