"""Rebuilds the tables that package metadata can rebuild: torch on PyPI, companions, versions of NVIDIA's packages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec
from packaging.requirements import Requirement
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from envdoctor.knowledge.companions import Companion, Companions, CompanionTable
from envdoctor.knowledge.published import PublishedTable
from envdoctor.knowledge.registry import IndexFile, Registry, RegistryError
from envdoctor.knowledge.torch_rows import PypiRelease, PypiTable, PypiWheel
from envdoctor.knowledge.versions import version
from envdoctor.knowledge.wheel_facts import python_tags, read_torch_wheel, requirements

OLDEST_TORCH = Version("1.13.0")
# torchvision and torchaudio are paired with each torch release; the others are the packages that pin an exact torch
# most often in people's environments. Of a package that releases every week the newest patch of each minor is enough.
COMPANIONS = {
    "torchvision": False,
    "torchaudio": False,
    "torchtext": False,
    "torchcodec": False,
    "xformers": False,
    "vllm": True,
}
PUBLISHED = (
    "cuda-toolkit",
    "nvidia-cudnn-cu11",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "nvidia-nccl-cu11",
    "nvidia-nccl-cu12",
    "nvidia-nccl-cu13",
    "triton",
)
_PLATFORMS = ("linux_aarch64", "linux_x86_64", "macos_arm64", "macos_x86_64", "windows_amd64")
_INSPECTED = ("linux_aarch64", "linux_x86_64", "windows_amd64")
# What was uploaded when the first torch of the table came out; older companions pin a torch that is not in it.
_OLDEST_COMPANION = "2022-10-28"

Progress = Callable[[str], None]


def rebuild_torch(
    registry: Registry, old: PypiTable, companions: CompanionTable, today: str, progress: Progress, reread: bool
) -> PypiTable:
    """The torch table from the index. Wheels already read are not read again unless `reread`, or their file is gone.
    A release that has left the index is kept as it was: its wheels may still be installed."""
    known = {row.version: row for row in old.releases}
    by_version = _by_version(registry.files("torch"), yanked=True)
    if not by_version:
        raise RegistryError(f"{registry.base} lists no torch: is it a package index?")
    rows = dict(known)
    for release, files in by_version.items():
        if release < OLDEST_TORCH:
            continue
        rows[str(release)] = _torch_release(registry, str(release), files, known.get(str(release)), progress, reread)
    paired = [_paired(row, companions) for row in rows.values()]
    paired.sort(key=lambda row: version(row.version), reverse=True)
    return msgspec.structs.replace(old, as_of=today, releases=tuple(paired))


def _torch_release(
    registry: Registry,
    release: str,
    files: list[IndexFile],
    known: PypiRelease | None,
    progress: Progress,
    reread: bool,
) -> PypiRelease:
    tags: dict[str, set[str]] = {}
    for file in files:
        for platform, found in python_tags(file).items():
            tags.setdefault(platform, set()).update(found)
    wheels: dict[str, PypiWheel] = {}
    for platform in _INSPECTED:
        candidates = [file for file in files if platform in python_tags(file)]
        if not candidates:
            continue
        before = known.wheels.get(platform) if known else None
        if before is not None and not reread and before.file in {file.filename for file in candidates}:
            wheels[platform] = before
            continue
        file = _representative(candidates, before)
        progress(f"reading {file.filename}")
        wheels[platform] = read_torch_wheel(registry, file)
    return PypiRelease(
        version=release,
        date=min(file.date for file in files),
        requires_python=next((file.requires_python for file in files if file.requires_python), ""),
        yanked=all(file.yanked is not False for file in files),
        python={
            platform: tuple(sorted(tags[platform], key=_python_order)) for platform in _PLATFORMS if platform in tags
        },
        wheels=wheels,
    )


def _representative(candidates: list[IndexFile], before: PypiWheel | None) -> IndexFile:
    """The wheel to read for a platform: the one read before, else CPython 3.11's, which every release so far has."""
    for file in candidates:
        if before is not None and file.filename == before.file:
            return file
    preferred = [file for file in candidates if "-cp311-cp311-" in file.filename]
    return sorted(preferred or candidates, key=lambda file: file.filename)[0]


def _paired(row: PypiRelease, companions: CompanionTable) -> PypiRelease:
    """With the torchvision and the torchaudio that go with it, from their own metadata alone: what the table said before
    has no say, so that two refreshes of one day agree whatever they began with."""
    return msgspec.structs.replace(
        row, torchvision=_pair("torchvision", row, companions), torchaudio=_pair("torchaudio", row, companions)
    )


def _pair(package: str, row: PypiRelease, companions: CompanionTable) -> str | None:
    """The release that pins exactly this torch; else the newest that accepts it and was out when it came."""
    have = version(row.version)
    fitting: list[Companion] = []
    for companion in companions.companions:
        if companion.package != package:
            continue
        wanted = Requirement(f"torch{companion.torch}").specifier
        if wanted.contains(have):
            if companion.torch.startswith("=="):
                return companion.version
            fitting.append(companion)
    fitting = [companion for companion in fitting if companion.date <= row.date] or fitting
    return max(fitting, key=lambda companion: version(companion.version)).version if fitting else None


def rebuild_companions(
    registry: Registry, old: CompanionTable, today: str, progress: Progress, reread: bool
) -> CompanionTable:
    """The companion table: one METADATA a release that is not in it yet. What has left the index is kept."""
    known = {(row.package, row.version): row for row in old.companions}
    documentation = Companions()
    rows = []
    for package, newest_patch_only in COMPANIONS.items():
        by_version = releases_of(registry, package, newest_patch=newest_patch_only)
        for release, files in by_version.items():
            row = known.get((package, str(release)))
            if row is None or reread:
                if min(file.date for file in files) < _OLDEST_COMPANION:
                    continue
                row = _companion(registry, package, release, files, progress) or row
            written = documentation.written(package, str(release))
            if row is not None and written is not None:
                row = msgspec.structs.replace(row, torch=written)
            # Where only the documentation says which torch it goes with, what it does not name yet is not known.
            if row is not None and (row.torch or not documentation.documented(package)):
                rows.append(row)
        minors_there = {release.release[:2] for release in by_version} if newest_patch_only else set()
        rows += [
            row
            for row in old.companions
            if row.package == package
            and Version(row.version) not in by_version
            and Version(row.version).release[:2] not in minors_there
        ]
    return msgspec.structs.replace(old, as_of=today, companions=tuple(rows))


def releases_of(registry: Registry, package: str, *, newest_patch: bool) -> dict[Version, list[IndexFile]]:
    """Final releases with their files, newest first; with `newest_patch` one of each minor."""
    by_version = _by_version(registry.files(package), yanked=True)
    releases = sorted(by_version, reverse=True)
    if newest_patch:
        minors: dict[tuple[int, int], Version] = {}
        for release in releases:
            minors.setdefault((release.major, release.minor), release)
        releases = list(minors.values())
    return {release: by_version[release] for release in releases}


def _companion(
    registry: Registry, package: str, release: Version, files: list[IndexFile], progress: Progress
) -> Companion | None:
    wheels = [file for file in files if file.filename.endswith(".whl") and file.yanked is False]
    if not wheels:
        return None  # an sdist may compute its requirements; only a wheel states them
    linux = [file for file in wheels if re.search(r"linux.*_x86_64|-none-any", file.filename)]
    file = sorted(linux or wheels, key=lambda wheel: wheel.filename)[0]
    progress(f"reading {file.filename}")
    found, _ = requirements(registry.metadata(file))
    torch = [requirement for requirement in found if requirement.name == "torch"]
    specifier = ",".join(sorted(str(requirement.specifier) for requirement in torch[:1]))
    return Companion(
        package=package,
        version=str(release),
        date=min(file.date for file in files),
        torch=specifier,
        file=file.filename,
    )


def rebuild_published(registry: Registry, old: PublishedTable, today: str) -> PublishedTable:
    """Versions and upload days of the packages that torch pins; what has left the index is kept."""
    packages = {}
    for package in PUBLISHED:
        by_version = _by_version(registry.files(package), yanked=True)
        days = dict(old.packages.get(package, {}))
        days |= {str(release): min(file.date for file in files) for release, files in by_version.items()}
        packages[package] = {release: days[release] for release in sorted(days, key=version)}
    return msgspec.structs.replace(old, as_of=today, packages=packages)


def _by_version(files: Iterable[IndexFile], *, yanked: bool = False) -> dict[Version, list[IndexFile]]:
    """Final releases only, by version."""
    found: dict[Version, list[IndexFile]] = {}
    for file in files:
        release = _version_of(file.filename)
        if release is not None and not release.is_prerelease:
            found.setdefault(release, []).append(file)
    if yanked:
        return found
    return {release: files_of for release, files_of in found.items() if not all(file.yanked for file in files_of)}


def _version_of(filename: str) -> Version | None:
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[1]
        if filename.endswith((".tar.gz", ".zip")):
            return parse_sdist_filename(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        pass  # names from before the standard; nothing that torch ships
    return None


def _python_order(tag: str) -> tuple[int, int, bool]:
    major, _, minor = tag.removesuffix("t").partition(".")
    return int(major), int(minor), tag.endswith("t")
