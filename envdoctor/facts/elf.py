"""A small reader of ELF files: what a binary was built for, and its sections. Reads headers only, never a whole file.

Source: the System V ABI's ELF chapters, https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from envdoctor.files import at_once

# e_machine -> the name that uname prints for it.
MACHINES = {
    0x03: "i686",
    0x15: "ppc64le",
    0x16: "s390x",
    0x28: "armv7l",
    0x3E: "x86_64",
    0xB7: "aarch64",
    0xF3: "riscv64",
}
_SECTION_LIMIT = 4 << 20  # a string table beyond this is none that we want to read
_MAX_SECTIONS = 4096


def architecture(path: Path) -> str | None:
    """The processor that an ELF file was built for, as uname names it; None where it is no such file."""
    try:
        with open(path, "rb", opener=at_once) as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    (machine,) = struct.unpack_from(">H" if head[5] == 2 else "<H", head, 18)
    return MACHINES.get(machine)


def is_64_bit(path: Path) -> bool | None:
    """Whether an ELF file is of the 64-bit class; None where it is no ELF file."""
    try:
        with open(path, "rb", opener=at_once) as file:
            head = file.read(5)
    except OSError:
        return None
    return head[4] == 2 if len(head) == 5 and head[:4] == b"\x7fELF" else None


def section(path: Path, name: str) -> bytes | None:
    """The contents of a section of a 64-bit little-endian ELF file; None where there is none or the file is broken."""
    try:
        with open(path, "rb", opener=at_once) as file:
            head = file.read(64)
            if len(head) < 64 or head[:4] != b"\x7fELF" or head[4] != 2 or head[5] != 1:
                return None
            (table,) = struct.unpack_from("<Q", head, 40)
            size, count, names_index = struct.unpack_from("<HHH", head, 58)
            if not table or size < 64 or count > _MAX_SECTIONS or names_index >= count:
                return None
            file.seek(table)
            headers = file.read(size * count)
            if len(headers) < size * count:
                return None

            def contents(index: int) -> bytes:
                offset, length = struct.unpack_from("<QQ", headers, size * index + 24)
                file.seek(offset)
                return file.read(min(length, _SECTION_LIMIT))

            names = contents(names_index)
            for index in range(count):
                (start,) = struct.unpack_from("<I", headers, size * index)
                if names[start : names.find(b"\0", start)] == name.encode():
                    return contents(index)
    except (OSError, struct.error, OverflowError, ValueError):
        return None
    return None


def highest_symbol_version(path: Path, prefix: str) -> str | None:
    """The highest version `N.N.N` of the symbol versions `PREFIX_N.N.N` that a library names."""
    strings = section(path, ".dynstr")
    if strings is None:
        return None
    wanted = f"{prefix}_".encode()
    found = {word[len(wanted) :].decode("ascii", "replace") for word in strings.split(b"\0") if word.startswith(wanted)}
    numeric = [version for version in found if re.fullmatch(r"[0-9]+(\.[0-9]+)*", version)]
    return max(numeric, key=lambda version: [int(part) for part in version.split(".")], default=None)
