"""Reads what companions' wheels were built against out of the wheels on PyPI: parts of each, never a whole one."""

from __future__ import annotations

import re
import zipfile
from email.parser import HeaderParser

import msgspec
from packaging.requirements import Requirement
from packaging.version import Version

from envdoctor.knowledge.companion_wheels import CompanionWheel, CompanionWheelTable, majors_of
from envdoctor.knowledge.elf import NotAnElfFile, needed_libraries
from envdoctor.knowledge.rebuild import Progress, releases_of
from envdoctor.knowledge.registry import IndexFile, Registry, read_metadata
from envdoctor.knowledge.versions import version
from envdoctor.knowledge.wheel_facts import assigned, platforms_of, requirements


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A package whose wheels are read. `platforms`: of which one wheel each is read. `newest_patch`: one release of each
    minor is enough. `libraries`: where its CUDA code is, the first that is there and small enough; `states`: the file in
    which it says its version or its CUDA; `pins`: whether its metadata names the libraries that it opens."""

    platforms: tuple[str, ...] = ("linux_x86_64",)
    newest_patch: bool = False
    libraries: tuple[str, ...] = ()
    states: str | None = None
    pins: bool = False


_ALL = ("linux_x86_64", "linux_aarch64", "windows_amd64", "macos_arm64")
FOLLOWED = {
    "torchvision": Followed(
        platforms=_ALL, libraries=(r"torchvision/_C(_stable)?\.so",), states="torchvision/version.py"
    ),
    "torchaudio": Followed(
        platforms=_ALL, libraries=(r"torchaudio/lib/libtorchaudio\.so",), states="torchaudio/version.py"
    ),
    "torchcodec": Followed(
        platforms=_ALL, libraries=(r"torchcodec/libtorchcodec_core6\.so",), states="torchcodec/version.py"
    ),
    "xformers": Followed(libraries=(r"xformers/_C\.so", r"xformers/.*\.so")),
    "vllm": Followed(newest_patch=True, libraries=(r"vllm/_flashmla_C.*\.so", r"vllm/[^/]*\.so", r"vllm/.*\.so")),
    "bitsandbytes": Followed(newest_patch=True),
    "onnxruntime-gpu": Followed(newest_patch=True, states="onnxruntime/capi/build_and_package_info.py", pins=True),
    "ctranslate2": Followed(newest_patch=True, libraries=(r"ctranslate2\.libs/libctranslate2.*",)),
}
# What is opened while a program runs is no entry of the loader's table, only a text inside.
_OPENED = {"ctranslate2"}
_SONAME = re.compile(rb"lib(?:cudart|cublas|cublasLt|cudnn|nvrtc)\.so\.\d+")
_BITSANDBYTES = re.compile(r"bitsandbytes/libbitsandbytes_cuda(\d{2})(\d)(?:_nocublaslt)?\.so")
# Wheels older than the summer of 2024 pair with a torch before 2.4; and a library is read to its end to be unpacked.
OLDEST = "2024-07-01"
_LARGEST_LIBRARY = 48 * 1024 * 1024


def rebuild_companion_wheels(
    registry: Registry, old: CompanionWheelTable, today: str, progress: Progress, reread: bool
) -> CompanionWheelTable:
    """The table from the index. A wheel that was read is not read again unless `reread`, for a file on PyPI never
    changes; what has left the index is kept, for it may still be installed."""
    known = {row.file: row for row in old.wheels}
    rows: list[CompanionWheel] = []
    for package, followed in FOLLOWED.items():
        releases = releases_of(registry, package, newest_patch=followed.newest_patch)
        seen: set[str] = set()
        for release, files in releases.items():
            seen.add(str(release))
            if min(file.date for file in files) < OLDEST:
                continue
            for platform in followed.platforms:
                wheel = representative(files, platform)
                if wheel is None:
                    continue
                row = known.get(wheel.filename)
                if row is None or reread:
                    progress(f"reading {wheel.filename}")
                    row = _read(registry, package, release, platform, wheel, followed)
                rows.append(row)
        rows += [row for row in old.wheels if row.package == package and row.version not in seen and _kept(row, seen)]
    rows.sort(key=lambda row: version(row.version), reverse=True)
    rows.sort(key=lambda row: (list(FOLLOWED).index(row.package), row.platform))
    return msgspec.structs.replace(old, as_of=today, wheels=tuple(rows))


def _kept(row: CompanionWheel, seen: set[str]) -> bool:
    """Whether a release that the index did not give stays: not where only the newest patch of its minor is followed."""
    minor = version(row.version).release[:2]
    return not FOLLOWED[row.package].newest_patch or all(version(text).release[:2] != minor for text in seen)


def representative(files: list[IndexFile], platform: str) -> IndexFile | None:
    """The wheel to read for a platform: for any Python, for CPython 3.11, else the first by name."""
    wheels = [file for file in files if file.filename.endswith(".whl") and platform in platforms_of(file.filename)]
    wheels.sort(key=lambda file: ("-cp311-cp311-" not in file.filename, file.filename))
    return wheels[0] if wheels else None


def _read(
    registry: Registry, package: str, release: Version, platform: str, file: IndexFile, followed: Followed
) -> CompanionWheel:
    with registry.wheel(file) as wheel:
        metadata = read_metadata(wheel)
        found, _ = requirements(metadata)
        torch = next((str(requirement.specifier) for requirement in found if requirement.name == "torch"), None)
        local, cuda = _stated(wheel, package, followed)
        library, needs = _needs(wheel, followed) if platform.startswith("linux") else (None, ())
        loads = _opened(wheel, library) if package in _OPENED and library else ()
    named = majors_of((*needs, *loads))
    if platform.startswith("macos") or (cuda is None and library is not None and not named and _complete(needs)):
        cuda = ()
    return CompanionWheel(
        package=package,
        version=str(release),
        platform=platform,
        file=file.filename,
        date=file.date,
        local=local,
        cuda=cuda,
        library=library,
        needs=tuple(name for name in needs if not name.startswith(("libc.", "libm.", "libdl.", "libpthread", "ld-"))),
        loads=loads,
        pins=_pins(metadata) if followed.pins else (),
        torch=",".join(sorted(torch.split(","))) if torch else None,
    )


def _pins(metadata: str) -> tuple[str, ...]:
    """The requirements on NVIDIA's packages, those of extras too."""
    found = [Requirement(text) for text in HeaderParser().parsestr(metadata).get_all("Requires-Dist") or []]
    return tuple(sorted({f"{one.name}{one.specifier}" for one in found if one.name.startswith("nvidia-")}))


def _complete(needs: tuple[str, ...]) -> bool:
    """Whether a library that names no CUDA can be said to be built without: one that links torch_cuda is not."""
    return not any("cuda" in name for name in needs)


def _stated(wheel: zipfile.ZipFile, package: str, followed: Followed) -> tuple[str | None, tuple[str, ...] | None]:
    """(local version, CUDA versions) in the package's own words; CUDA None where it has none for that."""
    if package == "bitsandbytes":
        found = {f"{m[1]}.{m[2]}" for name in wheel.namelist() if (m := _BITSANDBYTES.match(name))}
        return None, tuple(sorted(found, key=version))
    if followed.states is None or followed.states not in wheel.namelist():
        return None, None
    text = wheel.read(followed.states).decode("utf-8")
    cuda = assigned(text, "cuda_version")
    if cuda is not None:
        return None, (cuda,)
    local = assigned(text, "__version__")
    if local is None or "+" not in local:
        return None, None
    variant = local.partition("+")[2]
    if match := re.fullmatch(r"cu(\d{2})(\d)", variant):
        return local, (f"{match[1]}.{match[2]}",)
    return local, () if variant == "cpu" else None


def _needs(wheel: zipfile.ZipFile, followed: Followed) -> tuple[str | None, tuple[str, ...]]:
    """The first library of the wheel that names CUDA, else the first that can be read; smallest first."""
    first: tuple[str | None, tuple[str, ...]] = (None, ())
    for pattern in followed.libraries:
        entries = [entry for entry in wheel.infolist() if re.fullmatch(pattern, entry.filename)]
        for entry in sorted(entries, key=lambda entry: entry.compress_size)[:4]:
            if entry.compress_size > _LARGEST_LIBRARY:
                continue
            try:
                with wheel.open(entry) as library:
                    needs = needed_libraries(library)
            except NotAnElfFile:
                continue
            needs = tuple(_plain(name) for name in needs)
            if majors_of(needs):
                return entry.filename, needs
            first = first if first[0] else (entry.filename, needs)
    return first


def _plain(name: str) -> str:
    """A library that auditwheel took into the wheel under a name with a hash: "libcudart.3eda8113.so.13"."""
    return re.sub(r"[-.][0-9a-f]{8}(?=\.so)", "", name)


def _opened(wheel: zipfile.ZipFile, library: str) -> tuple[str, ...]:
    """The names of NVIDIA's libraries that stand in a library as text."""
    found: set[bytes] = set()
    with wheel.open(library) as file:
        kept = b""
        while chunk := file.read(1 << 20):
            found.update(match[0] for match in _SONAME.finditer(kept + chunk))
            kept = chunk[-64:]
    return tuple(sorted(name.decode("ascii") for name in found))
