"""Which torch an install will really take: what pip, uv or conda picks from the indexes that the file names.

A version that several indexes hold goes to the highest one, local part included (2.7.1+cu118 is higher than 2.7.1), and
the newest release wins whichever index has it: an extra index never holds pip back. Sources: PEP 440, 'Local version
identifiers'; pip.pypa.io, 'Finding packages'; docs.astral.sh/uv/concepts/indexes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.linting.model import DescribedEnvironment, Index, Install, Wanted

PYPI = "pypi"
UNKNOWN = "unknown"


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is installed: the platform's wheels, '3.12', '2.35'; None is not known. `musl`: a system without glibc."""

    platform: str | None
    python: str | None = None
    glibc: str | None = None
    musl: bool = False
    fresh: bool = True
    """Nothing of torch is there before: where that is not known, only a pin says what will be there."""


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """`build`: what will be installed. Where it is None, `obstacle` says why none will be: 'python', 'glibc', 'musl',
    'channel' (that index has no such wheel) or '' (not known)."""

    build: TorchBuild | None = None
    obstacle: str = ""
    nearest: TorchBuild | None = None
    """Without the obstacle it would have been this one."""


def channel_of(index: Index) -> str:
    """'cu126' of pytorch.org's index of that name, 'pypi', or 'unknown' (a mirror, a nightly, a company's own)."""
    if index.url == "auto":
        return UNKNOWN
    parts = urlsplit(index.url)
    if parts.hostname in ("pypi.org", "pypi.python.org") and parts.path.rstrip("/").endswith("/simple"):
        return PYPI
    if parts.hostname in ("download.pytorch.org", "download-r2.pytorch.org"):
        match = re.fullmatch(r"/whl/((?:cu|rocm|xpu|cpu)[\w.]*)/?(?:torch_stable\.html|torch/?)?", parts.path)
        return match[1] if match else UNKNOWN
    return UNKNOWN


def channels_of(install: Install) -> tuple[str, ...] | None:
    """The channels that an install chooses among; None where one of them is not known."""
    own = [channel_of(index) for index in install.indexes if not index.beside]
    beside = [channel_of(index) for index in install.indexes if index.beside]
    found = [*(own[-1:] or [PYPI]), *beside]
    return None if UNKNOWN in found else tuple(dict.fromkeys(found))


def specifier(wanted: Wanted) -> tuple[SpecifierSet, str | None] | None:
    """The versions it admits, and the local part that it insists on (torch==2.6.0+cu124); None where it is nonsense."""
    local = re.fullmatch(r"={2,3}\s*([\w.]+)\+([\w.]+)", wanted.specifier)
    try:
        if local:
            return SpecifierSet(f"=={local[1]}"), local[2]
        return SpecifierSet(wanted.specifier), None
    except InvalidSpecifier:
        return None


# The newest METADATA of each on PyPI, Requires-Dist: torch without an extra.
_DEPENDENTS = frozenset((
    "accelerate", "basicsr", "bitsandbytes", "demucs", "easyocr", "facexlib", "fairseq", "kornia", "lightning",
    "open-clip-torch", "peft", "pytorch-lightning", "sentence-transformers", "timm", "torchaudio", "torchmetrics",
    "torchvision", "ultralytics",
))  # fmt: skip


def bringing(environment: DescribedEnvironment, world: Knowledge) -> Iterator[tuple[Install, Wanted]]:
    """The installs that bring a torch, each with what it asks of it. A package that depends on some torch brings the newest only
    where nothing else of the environment says which."""
    named = any(i.find(name) for i in environment.installs for name in ("torch", "pytorch", "pytorch-gpu"))
    said = named or environment.unread or not environment.fresh
    for install in environment.installs:
        wanted = torch_wanted(install, world)
        if wanted is None or (wanted.name == "torch" and wanted.specifier == "" and said and not install.find("torch")):
            continue
        yield install, wanted
        said = True


def torch_wanted(install: Install, world: Knowledge) -> Wanted | None:
    """What an install asks of torch: by its name, else through the first companion that is pinned to one release."""
    wanted = install.find("torch")
    if wanted is not None or install.tool == "conda":
        return wanted
    for other in install.wanted:
        needed = _needed_torch(other, world)
        if needed:
            return Wanted(name="torch", specifier=needed, place=other.place, text=other.text)
    for other in install.wanted:
        if other.name in _DEPENDENTS and not other.elsewhere and (other.name != "torchaudio" or not other.specifier):
            return Wanted(name="torch", specifier="", place=other.place, text=other.text)
    return None


def _needed_torch(wanted: Wanted, world: Knowledge) -> str | None:
    """What a package that is pinned to one release asks of torch, by that release's metadata: "==2.0.1"."""
    if wanted.elsewhere or wanted.name not in world.companion_packages():
        return None
    asked = specifier(wanted)
    pins = [s.version for s in (asked[0] if asked else ()) if s.operator == "==" and not s.version.endswith("*")]
    companion = world.companion(wanted.name, pins[0]) if pins else None
    return companion.torch if companion is not None else None


def resolve(install: Install, where: Circumstances, world: Knowledge) -> Resolved | None:
    """The torch that this install brings; None where that cannot be said (no torch wanted, an index that is not known)."""
    wanted = torch_wanted(install, world)
    if wanted is None or wanted.elsewhere or install.tool == "conda" or where.platform is None:
        return None
    asked, channels = specifier(wanted), channels_of(install)
    if asked is None or install.incomplete or (not where.fresh and not wanted.specifier.startswith("==")):
        return None
    admitted, local = asked
    if local is not None:  # the variant is named: wherever it is found, it is that one
        channels = (local,)
    if channels is None or any(not re.fullmatch(r"pypi|cpu|cu\d{2,3}", channel) for channel in channels):
        return None  # builds for AMD's and Intel's GPUs are not judged
    admitted &= _siblings(install, world)
    if install.tool == "uv" and len(channels) > 1:
        # uv takes a package from the first index that has it: the ones beside come before the default.
        channels = tuple(c for c in channels if c != PYPI)[:1]
    served = [
        build
        for build in world.torch_builds()
        if build.platform == where.platform
        and admitted.contains(build.torch)
        and any(_serves(channel, build) for channel in channels)
    ]
    if where.musl:
        return Resolved(obstacle="musl", nearest=_best(served, channels))
    fitting = [build for build in served if _installable(build, where)]
    if fitting:
        if install.constrained and not wanted.specifier.startswith("=="):
            return None
        return Resolved(build=_best(fitting, channels))
    if not served:
        return _no_wheel(admitted, channels, where, world)
    with_python = [build for build in served if where.python is None or where.python in build.python_tags]
    return Resolved(obstacle="glibc" if with_python else "python", nearest=_best(with_python or served, channels))


def _siblings(install: Install, world: Knowledge) -> SpecifierSet:
    """What pinned companions of the same install (torchvision, xformers) ask of torch: pip meets both."""
    narrowed = SpecifierSet()
    torch = install.find("torch")
    asked = specifier(torch) if torch is not None else None
    for wanted in install.wanted:
        needed = _needed_torch(wanted, world)
        if not needed:
            continue
        both = narrowed & SpecifierSet(needed)
        if asked is None or any(
            asked[0].contains(r.version) and both.contains(r.version) for r in world.torch_releases()
        ):
            narrowed = both  # where they cannot be met together, another rule says so
    return narrowed


def _installable(build: TorchBuild, where: Circumstances) -> bool:
    if where.python is not None and where.python not in build.python_tags:
        return False
    if where.glibc is None or build.glibc is None:
        return True
    return Version(where.glibc) >= Version(build.glibc)


def _serves(channel: str, build: TorchBuild) -> bool:
    """Whether a channel has this build. pytorch.org's channels carry what PyPI serves too, by its variant's name."""
    return build.index_url is None if channel == PYPI else build.variant == channel


def _best(builds: Iterable[TorchBuild], channels: Iterable[str]) -> TorchBuild | None:
    """pip's choice: the newest release; of one release the highest local part, which PyPI's files have none of."""
    named = set(channels)
    return max(
        builds,
        key=lambda b: (Version(b.torch), b.variant in named, Version(f"0+{b.variant}").local or ""),
        default=None,
    )


def _no_wheel(
    admitted: SpecifierSet, channels: tuple[str, ...], where: Circumstances, world: Knowledge
) -> Resolved | None:
    """'channel' only where it is known that no such wheel exists: of releases in the table, in channels that say so."""
    releases = [release for release in world.torch_releases() if admitted.contains(release.version)]
    variants = set(channels)
    platform = where.platform
    if not releases or PYPI in variants or platform is None:
        return None
    if any(
        world.wheel_published(release.version, variant, platform) is not False
        for release in releases
        for variant in variants
    ):
        return None
    elsewhere = [
        build
        for build in world.torch_builds()
        if build.platform == where.platform and admitted.contains(build.torch) and build.cuda is not None
    ]
    # A table newer than nothing: a range that also admits releases after it is not judged.
    newest = world.torch_releases()[0].version
    if admitted.contains(f"{Version(newest).major}.{Version(newest).minor + 1}.0"):
        return None
    return Resolved(obstacle="channel", nearest=_best(elsewhere, channels))
