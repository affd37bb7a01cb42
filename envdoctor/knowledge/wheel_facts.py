"""What a torch wheel says of itself, read without downloading it whole: requirements, CUDA, device code, C++ ABI."""

from __future__ import annotations

import re
import zipfile
from email.parser import HeaderParser

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from envdoctor.knowledge.registry import IndexFile, Registry, RegistryError, read_metadata
from envdoctor.knowledge.torch_rows import PypiWheel

_ARCH_FLAGS = re.compile(rb"(?:(?:sm|compute)_\d{2,3}[af]?)(?: (?:sm|compute)_\d{2,3}[af]?)*(?=\0)")
_CHUNK = 1 << 20
# The signature of c10::Error's constructor names the std::string of one ABI or of the other.
_NEW_ABI = b"SourceLocationENSt7__cxx11"
_OLD_ABI = b"SourceLocationESs"


def python_tags(file: IndexFile) -> dict[str, set[str]]:
    """platform -> Python tags that this wheel serves ("3.13", "3.13t"); empty for an sdist or a foreign platform."""
    if not file.filename.endswith(".whl"):
        return {}
    found: dict[str, set[str]] = {}
    for tag in parse_wheel_filename(file.filename)[3]:
        platform = _platform(tag.platform)
        match = re.fullmatch(r"cp(\d)(\d+)", tag.interpreter)
        if platform is not None and match is not None:
            free_threaded = "t" if tag.abi.endswith("t") else ""
            found.setdefault(platform, set()).add(f"{match[1]}.{match[2]}{free_threaded}")
    return found


def platforms_of(filename: str) -> set[str]:
    """The platforms that a wheel serves, whatever its Python; every one for a wheel of Python alone."""
    tags = {tag.platform for tag in parse_wheel_filename(filename)[3]}
    if "any" in tags:
        return {platform for _, platform in _PLATFORMS}
    return {platform for tag in tags if (platform := _platform(tag)) is not None}


_PLATFORMS = (
    (r"(many)?linux.*_x86_64", "linux_x86_64"),
    (r"(many)?linux.*_aarch64", "linux_aarch64"),
    (r"win_amd64", "windows_amd64"),
    (r"win_arm64", "windows_arm64"),
    (r"macosx_.*_arm64", "macos_arm64"),
    (r"macosx_.*_x86_64", "macos_x86_64"),
)


def _platform(tag: str) -> str | None:
    for pattern, platform in _PLATFORMS:
        if re.fullmatch(pattern, tag):
            return platform
    return None


def glibc_of(filename: str) -> str | None:
    """The glibc that a wheel's platform tag promises. PyPI's torch wheels up to 2.6 are named manylinux1 although
    they were built for glibc 2.17 (pytorch/pytorch RELEASE.md), so old tags count as 2.17."""
    tags = {tag.platform for tag in parse_wheel_filename(filename)[3]}
    versions = [match for tag in tags if (match := re.match(r"manylinux_(\d+)_(\d+)_", tag))]
    if versions:
        major, minor = min((int(match[1]), int(match[2])) for match in versions)
        return f"{major}.{minor}"
    if any(tag.startswith(("manylinux1_", "manylinux2010_", "manylinux2014_")) for tag in tags):
        return "2.17"
    return None


def requirements(metadata: str) -> tuple[list[Requirement], str | None]:
    """(Requires-Dist without optional extras, Requires-Python) of a METADATA file."""
    headers = HeaderParser().parsestr(metadata)
    found = [Requirement(text) for text in headers.get_all("Requires-Dist") or []]
    kept = [r for r in found if r.marker is None or "extra" not in str(r.marker)]
    return kept, headers.get("Requires-Python")


def read_torch_wheel(registry: Registry, file: IndexFile) -> PypiWheel:
    """Everything the table keeps of one torch wheel. RegistryError where its parts are not where torch puts them."""
    with registry.wheel(file) as wheel:
        found, _ = requirements(read_metadata(wheel))
        version_py = wheel.read("torch/version.py").decode("utf-8")
        local = assigned(version_py, "__version__")
        if local is None:
            raise RegistryError(f"{file.filename}: torch/version.py names no version")
        cuda = assigned(version_py, "cuda")
        platform = next(iter(python_tags(file)), "")
        linux = platform.startswith("linux")
        return PypiWheel(
            file=file.filename,
            local=local,
            cuda=cuda,
            flags=_arch_flags(wheel, file.filename) if cuda else None,
            requires=tuple(sorted(_pin(r) for r in found if _is_library(r.name) and _applies(r, platform))),
            glibc=glibc_of(file.filename),
            cxx11_abi=_cxx11_abi(wheel) if linux else None,
        )


def assigned(source: str, name: str) -> str | None:
    """The text that a line `name = "text"` of a Python file assigns; None where there is none."""
    match = re.search(rf"^{name}(?:: [^=]+)? = ['\"]([^'\"]+)['\"]", source, re.MULTILINE)
    return match[1] if match else None


def _is_library(name: str) -> bool:
    """The requirements that carry CUDA; the rest (sympy, jinja2, ...) has no say in what runs where."""
    return name.startswith(("nvidia-", "cuda-")) or name in ("triton", "pytorch-triton")


def _applies(requirement: Requirement, platform: str) -> bool:
    """Whether the requirement holds on the wheel's own platform: up to 2.10 the aarch64 wheel lists the x86_64 pins
    too, behind a marker. Bounds on Python ("< 3.15") are taken as met."""
    if requirement.marker is None:
        return True
    system, _, machine = platform.partition("_")
    names = {"linux": ("Linux", "linux"), "windows": ("Windows", "win32"), "macos": ("Darwin", "darwin")}
    platform_system, sys_platform = names.get(system, ("", ""))
    environment = {
        "platform_system": platform_system,
        "sys_platform": sys_platform,
        "platform_machine": machine,
        "python_version": "3.12",
        "extra": "",
    }
    return requirement.marker.evaluate(environment)


def _pin(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _arch_flags(wheel: zipfile.ZipFile, name: str) -> str:
    """The string behind torch._C._cuda_getArchFlags(), compiled into libtorch_python."""
    found: set[bytes] = set()
    with wheel.open("torch/lib/libtorch_python.so") as library:
        kept = b""
        while chunk := library.read(_CHUNK):
            window = kept + chunk
            found.update(match[0] for match in _ARCH_FLAGS.finditer(window) if b" " in match[0])
            kept = window[-512:]
    # A window that ends inside the string holds a piece of it; the whole one contains every piece.
    whole = [text for text in found if not any(text != other and text in other for other in found)]
    if len(whole) != 1:
        raise RegistryError(f"{name}: {len(whole)} architecture strings in libtorch_python.so, expected one")
    return whole[0].decode("ascii")


def _cxx11_abi(wheel: zipfile.ZipFile) -> bool | None:
    if "torch/lib/libc10.so" not in wheel.namelist():
        return None
    symbols = wheel.read("torch/lib/libc10.so")
    new, old = _NEW_ABI in symbols, _OLD_ABI in symbols
    return new if new != old else None
