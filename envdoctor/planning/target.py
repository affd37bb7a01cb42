"""The Target of a plan, from what a person describes or from the facts of a machine."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge, KnowledgeError
from envdoctor.knowledge.versions import python_tag, version
from envdoctor.planning.gpu_list import gpu_of, parse_gpus
from envdoctor.planning.machine_gpus import machine_gpus
from envdoctor.planning.model import Target, TargetGpu

_ARCHITECTURES = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "x64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "sbsa": "aarch64",
}


def describe(
    world: Knowledge,
    *,
    gpus: Sequence[str] = (),
    driver: str | None = None,
    os: str | None = None,
    arch: str | None = None,
    base: Target | None = None,
) -> Target:
    """The machine that the words describe, laid over `base` where there is one. What is not said stays open.

    Raises InputError, in one line that says what to write, for a word that means nothing.
    """
    target = base or Target()
    boards: str | None = None
    if gpus:
        found, records = parse_gpus(gpus, world)
        homes = {record.platform for record in records if record.platform}
        boards = "aarch64" if homes == {"linux_aarch64"} else None
        target = msgspec.structs.replace(
            target,
            gpus=found,
            jetson=any(gpu.kind == "jetson" for gpu in found),
            driver=None if base is None else target.driver,
        )
        boards = boards or ("aarch64" if target.jetson else None)
    wsl = False
    if os is not None:
        target, wsl = _on_system(target, os, world)
    machine = _architecture(arch) if arch is not None else None
    if boards and machine not in (None, boards):
        raise InputError(
            f"--arch {arch}: {target.gpus[0].name if target.gpus else 'this GPU'} is found in aarch64 machines only"
        )
    machine = machine or boards or (target.arch if base is not None else None)
    target = _placed(target, machine, wsl=wsl or target.wsl)
    if driver is not None:
        target = msgspec.structs.replace(target, driver=parse_driver(driver))
    return target


def parse_driver(text: str) -> str | None:
    """The driver version, None for "none". A branch ("580", "R580", "580.xx") stands for its best release."""
    word = text.strip().lower()
    if word in ("none", "no", "-"):
        return None
    word = re.sub(r"^(?:nvidia[\s-]*(?:driver)?[\s-]*)?[rv]?", "", word)
    # "580.xx"; a package's "580.95.05-0ubuntu1".
    word = re.sub(r"(?:\.x+)+$|-\d\w*(?:[.~+]\w+)*$", "", word)
    # Windows shows 32.0.15.7283 in the device manager for 572.83: the last five digits.
    if match := re.fullmatch(r"\d+\.\d+\.1(\d)\.(\d{4})", word):
        word = f"{match[1]}{match[2][:2]}.{match[2][2:]}"
    if not re.fullmatch(r"\d{3}(?:\.\d{1,3}){0,3}", word):
        raise InputError(f"--driver {text!r} is no driver version; write it as 580, 570.86.15 or 572.83 (or 'none')")
    return word


def _on_system(target: Target, text: str, world: Knowledge) -> tuple[Target, bool]:
    words = text.strip().lower()
    wsl = bool(re.search(r"\bwsl ?2?\b|wsl2?(?=[-_ ]|$)", words))
    if wsl:
        words = re.sub(r"\(?wsl ?2?\)?", "", words).strip(" -_/:()")
        words = "" if words in ("windows", "") else words
        if not words:
            return msgspec.structs.replace(target, os=None, glibc=None, python=None, wsl=True), True
    try:
        system = world.system(words if wsl else text)
    except KnowledgeError as error:
        raise InputError(f"--os: {error}") from None
    changed = msgspec.structs.replace(target, os=system.id, glibc=system.glibc, python=system.python, wsl=wsl)
    return changed, wsl


def _architecture(text: str) -> str:
    word = text.strip().lower()
    if word not in _ARCHITECTURES:
        raise InputError(f"--arch {text!r} is not known; it is x86_64 or aarch64")
    return _ARCHITECTURES[word]


def _placed(target: Target, machine: str | None, *, wsl: bool) -> Target:
    """With architecture and platform, by the system: a Mac is arm64 where nothing else is said."""
    system = {"windows": "windows", "macos": "macos"}.get(target.os or "", "linux")
    if machine is None:
        machine = "aarch64" if system == "macos" else "x86_64"
    if system == "windows":
        arch, platform = machine, "windows_amd64" if machine == "x86_64" else "windows_arm64"
    elif system == "macos":
        arch, platform = ("arm64", "macos_arm64") if machine in ("aarch64", "arm64") else ("x86_64", "macos_x86_64")
    else:
        arch, platform = machine, f"linux_{machine}"
    return msgspec.structs.replace(target, arch=arch, platform=platform, wsl=wsl)


def wheel_platform(snapshot: Snapshot) -> str | None:
    """The platform whose wheels run here. Dumps older than torch 1.8 name the system and not its architecture: x86-64 then."""
    host = snapshot.host
    if host is None:
        return None
    if host.platform is None and host.architecture is None and host.system in ("Linux", "Windows"):
        return "linux_x86_64" if host.system == "Linux" else "windows_amd64"
    return host.platform


def from_snapshot(snapshot: Snapshot, world: Knowledge) -> Target:
    """The machine that the facts show. What they leave open stays open; a GPU that is seen but not known by any name or id
    is left out, for nothing could be planned for it."""
    host, interpreter = snapshot.host, snapshot.interpreter
    platform = wheel_platform(snapshot) or "linux_x86_64"
    gpus = _gpus(snapshot, world)
    arch = platform.partition("_")[2]
    return Target(
        gpus=gpus,
        driver=_version(snapshot.driver_version),
        os=_system_of(snapshot, world),
        arch="x86_64" if arch == "amd64" else arch,
        platform=platform,
        glibc="" if host and host.glibc == "" else _version(host.glibc if host else None),
        python=_python_of(interpreter.version, interpreter.free_threaded) if interpreter else None,
        wsl=bool(host and host.wsl),
        container=bool(snapshot.container and snapshot.container.inside),
        jetson=any(gpu.kind == "jetson" for gpu in gpus or ()),
    )


def _version(text: str | None) -> str | None:
    """The text where it is a version; what is none says nothing."""
    try:
        return text if text is not None and version(text) else None
    except KnowledgeError:
        return None


def _python_of(text: str | None, free_threaded: bool | None) -> str | None:
    if text is None:
        return None
    try:
        tag = python_tag(text)
    except KnowledgeError:
        return None
    return f"{tag.rstrip('t')}t" if free_threaded else tag


def _system_of(snapshot: Snapshot, world: Knowledge) -> str | None:
    host = snapshot.host
    if host is None:
        return None
    if host.system in ("Windows", "Darwin"):
        return "windows" if host.system == "Windows" else "macos"
    distribution = host.distribution
    names = [f"{distribution.id}{distribution.version_id or ''}"] if distribution and distribution.id else []
    found = (_system_named(text, world) for text in (*names, host.os_name or "") if text)
    return next((identifier for identifier in found if identifier is not None), None)


def _system_named(text: str, world: Knowledge) -> str | None:
    try:
        return world.system(text).id
    except KnowledgeError:
        return None


def _gpus(snapshot: Snapshot, world: Knowledge) -> tuple[TargetGpu, ...] | None:
    seen = machine_gpus(snapshot, world)
    known = tuple(gpu for one in seen or () if (gpu := gpu_of(one)) is not None)
    return known if known or seen == () else None


def for_image(target: Target) -> Target:
    """The target of an image that runs there: Linux, whatever the host is; on Windows it runs under WSL, on a Mac without GPU."""
    if target.platform.startswith("linux"):
        return target
    changes = {"os": None, "glibc": None, "python": None}
    if target.platform.startswith("windows"):
        return msgspec.structs.replace(target, platform="linux_x86_64", wsl=True, **changes)
    arch = "x86_64" if target.arch == "x86_64" else "aarch64"
    return msgspec.structs.replace(target, platform=f"linux_{arch}", arch=arch, gpus=(), driver=None, **changes)
