"""Where the dynamic loader looks for a shared library, in its order: ld.so(8), without running ldconfig.

The cache's format: glibc, sysdeps/generic/dl-cache.h (`struct cache_file_new`, "glibc-ld.so.cache1.1").
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from envdoctor.facts import elf
from envdoctor.facts.host import Machine

LD_PRELOAD = "LD_PRELOAD"
LD_LIBRARY_PATH = "LD_LIBRARY_PATH"
CACHE = "ld.so.cache"
DEFAULT = "default"

_MAGIC = b"glibc-ld.so.cache1.1"
_OLD_MAGIC = b"ld.so-1.7.0\0"
# Bits 8 to 15 of an entry's flags: the ABI. 0 is 32-bit x86, 0x08 x32, 0x09 and 0x0b 32-bit Arm (dl-cache.h).
_NARROW = (0x00, 0x08, 0x09, 0x0B)
DEFAULT_FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)
_MAX_INCLUDES = 4  # a file that includes itself must end somewhere


@dataclass(frozen=True)
class LibraryCandidate:
    """A library file that the loader could pick.

    `path` and `resolved` (its links followed) are the machine's own names; of a file that a variable points to outside the
    root of a simulated machine they are what they really are. `soname` is the file's name, by which programs ask for it.
    """

    soname: str
    path: str
    resolved: str
    via: str


def search(machine: Machine, wanted: Callable[[str], bool]) -> Iterator[LibraryCandidate]:
    """Every library whose file name is wanted, in the order in which the loader looks; a file of one soname comes once."""
    seen: set[tuple[str, str]] = set()
    for found in _search(machine, wanted):
        key = (found.soname, found.resolved)  # /lib is a link to usr/lib on most machines
        if key not in seen:
            seen.add(key)
            yield found


def _search(machine: Machine, wanted: Callable[[str], bool]) -> Iterator[LibraryCandidate]:
    for entry in preloaded(machine):
        if "/" in entry and wanted(entry.rpartition("/")[2]):
            yield from _file(machine, entry, LD_PRELOAD, variable=True)
    for folder in library_path(machine):
        yield from _in_folder(machine, folder, wanted, LD_LIBRARY_PATH, variable=True)
    cache = _cache(machine)
    if cache is not None:
        for soname, name in cache:
            if wanted(soname):
                yield from _file(machine, name, CACHE)
    else:
        for folder in _configured(machine):
            yield from _in_folder(machine, folder, wanted, CACHE)
    for folder in DEFAULT_FOLDERS:
        yield from _in_folder(machine, folder, wanted, DEFAULT)


def has_folders(machine: Machine) -> bool:
    """Whether there is anything to search at all, so that nothing found means nothing there."""
    folders = machine.installed or any(machine.exists(name) for name in ("/etc/ld.so.cache", "/etc/ld.so.conf"))
    return not machine.windows and (folders or bool(library_path(machine)))


def library_path(machine: Machine) -> tuple[str, ...]:
    """The folders of LD_LIBRARY_PATH; an empty entry is the current folder."""
    value = machine.variable(LD_LIBRARY_PATH)
    return tuple(folder or "." for folder in re.split("[:;]", value)) if value else ()


def preloaded(machine: Machine) -> tuple[str, ...]:
    return tuple(entry for entry in re.split(r"[:\s]+", machine.variable(LD_PRELOAD) or "") if entry)


def _locate(machine: Machine, name: str, *, variable: bool) -> tuple[str, str, Path]:
    """Name, resolved name and real path; what a variable names is looked for under the root first, then as it really is."""
    if machine.simulated and variable:
        outside = not name.startswith("/") or not machine.real(name).exists()
        if outside and not Path(name).absolute().is_relative_to(machine.root):
            resolved = os.path.realpath(name)
            return name, resolved, Path(resolved)
        if outside:
            name = machine.name(Path(name).absolute())
    resolved = machine.resolve(name)
    return name, resolved, machine.path(resolved)


def _file(machine: Machine, name: str, via: str, *, variable: bool = False) -> Iterator[LibraryCandidate]:
    path, resolved, real = _locate(machine, name, variable=variable)
    # The loader passes over libraries of the other class; a broken link, and what a stale cache names, is nothing to it.
    if os.path.exists(real) and elf.is_64_bit(real) is not False:  # noqa: PTH110 - Path.exists raises for a closed folder
        yield LibraryCandidate(name.rpartition("/")[2], path, resolved, via)


def _in_folder(
    machine: Machine, name: str, wanted: Callable[[str], bool], via: str, *, variable: bool = False
) -> Iterator[LibraryCandidate]:
    try:
        entries = sorted(os.listdir(_locate(machine, name, variable=variable)[2]))  # noqa: PTH208 - names are wanted
    except OSError:
        return
    for entry in entries:
        if wanted(entry):
            yield from _file(machine, f"{name.rstrip('/')}/{entry}", via, variable=variable)


def _cache(machine: Machine) -> list[tuple[str, str]] | None:
    """Pairs of soname and path of /etc/ld.so.cache, this machine's 64-bit ABI only; None where it is missing or unknown."""
    data = machine.read_bytes("/etc/ld.so.cache", 64 << 20)
    if data is None:
        return None
    start = 0
    try:
        if data.startswith(_OLD_MAGIC):  # glibc < 2.32 puts a table for libc5 first
            (entries,) = struct.unpack_from("<I", data, len(_OLD_MAGIC))
            start = -(-(len(_OLD_MAGIC) + 4 + 12 * entries) // 8) * 8
        if data[start : start + len(_MAGIC)] != _MAGIC:
            return None
        count, _, order = struct.unpack_from("<IIB", data, start + len(_MAGIC))
        if order & 3 == 3:  # big-endian; no such machine has an NVIDIA driver
            return None
        found = []
        for flags, key, value, _, _ in struct.iter_unpack("<iIIIQ", data[start + 48 : start + 48 + 24 * count]):
            if (flags >> 8) & 0xFF not in _NARROW:
                found.append((_string(data, start + key), _string(data, start + value)))
    except (struct.error, ValueError):
        return None
    return found


def _string(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("utf-8", "replace")


def _configured(machine: Machine, name: str = "/etc/ld.so.conf", depth: int = 0) -> list[str]:
    """The folders of /etc/ld.so.conf and of the files that it includes, for a machine without a cache."""
    folders: list[str] = []
    for line in (machine.read(name) or "").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("include ") and depth < _MAX_INCLUDES:
            pattern = text.split(None, 1)[1]
            folder, _, last = (pattern if pattern.startswith("/") else f"/etc/{pattern}").rpartition("/")
            for included in machine.glob(folder, last):
                folders += _configured(machine, included, depth + 1)
        elif text.startswith("/"):
            folders.append(text.rstrip("/"))
    return folders
