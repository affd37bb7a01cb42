"""Reads which GPUs triton's ptxas binaries compile for, out of the wheels on PyPI."""

from __future__ import annotations

import re
import zipfile

import msgspec
from packaging.version import Version

from envdoctor.knowledge.rebuild import Progress, releases_of
from envdoctor.knowledge.rebuild_wheels import representative
from envdoctor.knowledge.registry import IndexFile, Registry
from envdoctor.knowledge.triton import TritonRelease, TritonTable

# The triton of torch 2.4: older ones pin a torch that no GPU newer than their ptxas is used with.
OLDEST_TRITON = Version("3.0.0")
_BINARY = re.compile(r"triton/(?:backends/nvidia|common/\.\./third_party/cuda)/bin/(ptxas(?:-blackwell)?)")
_TARGET = re.compile(rb"(?<!\w)sm_(\d{2,3}[af]?)(?=\0)")
_RELEASE = re.compile(rb"V(\d+\.\d+\.\d+)")
# From here on triton takes ptxas-blackwell where the wheel has one (triton/backends/nvidia/compiler.py, get_ptxas).
_BLACKWELL = 100
# Names of architectures long gone stay in the binaries; below this one torch does not ask triton at all.
_OLDEST_TARGET = 70


def rebuild_triton(registry: Registry, old: TritonTable, today: str, progress: Progress, reread: bool) -> TritonTable:
    """The table from the index. A release that was read is not read again unless `reread`; what left the index is kept."""
    known = {row.version: row for row in old.releases}
    rows = dict(known)
    for release, files in releases_of(registry, "triton", newest_patch=False).items():
        wheel = representative(files, "linux_x86_64") if release >= OLDEST_TRITON else None
        if wheel is None or (str(release) in known and not reread):
            continue
        progress(f"reading {wheel.filename}")
        rows[str(release)] = _read(registry, str(release), wheel)
    ordered = sorted(rows.values(), key=lambda row: Version(row.version), reverse=True)
    return msgspec.structs.replace(old, as_of=today, releases=tuple(ordered))


def _read(registry: Registry, release: str, file: IndexFile) -> TritonRelease:
    targets: dict[str, set[str]] = {}
    versions: list[str] = []
    with registry.wheel(file) as wheel:
        for entry in wheel.infolist():
            match = _BINARY.fullmatch(entry.filename)
            if match is not None:
                found, version = _targets(wheel, entry)
                targets[match[1]] = found
                versions += [version] if version else []
    newest = targets.get("ptxas-blackwell", targets.get("ptxas", set()))
    known = {name for name in targets.get("ptxas", set()) if _number(name) < _BLACKWELL}
    known |= {name for name in newest if _number(name) >= _BLACKWELL}
    return TritonRelease(
        version=release,
        file=file.filename,
        ptxas=tuple(versions),
        targets=tuple(sorted((name for name in known if _number(name) >= _OLDEST_TARGET), key=_order)),
    )


def _targets(wheel: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[set[str], str | None]:
    """(architectures that the binary names, its CUDA version)."""
    found: set[bytes] = set()
    versions: set[bytes] = set()
    with wheel.open(entry) as binary:
        kept = b""
        while chunk := binary.read(1 << 20):
            window = kept + chunk
            found.update(_TARGET.findall(window))
            versions.update(_RELEASE.findall(window))
            kept = window[-64:]
    version = max((text.decode("ascii") for text in versions), key=Version, default=None)
    return {name.decode("ascii") for name in found}, version


def _number(target: str) -> int:
    return int(target.rstrip("af"))


def _order(target: str) -> tuple[int, str]:
    return _number(target), target
