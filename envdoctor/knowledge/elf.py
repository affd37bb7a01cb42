"""The libraries that a shared object asks the loader for (DT_NEEDED), read with a few seeks: ELF64, little-endian."""

from __future__ import annotations

import struct
from typing import IO

_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRTAB, _STRSZ = 1, 5, 10
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")
_LARGEST_TABLE = 64 * 1024 * 1024


class NotAnElfFile(ValueError):
    """The bytes are no 64-bit little-endian ELF file, or one without a dynamic section."""


def needed_libraries(file: IO[bytes]) -> tuple[str, ...]:
    """DT_NEEDED of an open shared object, in its order: ("libcudart.so.13", "libc.so.6"). NotAnElfFile otherwise."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:6] != b"\x7fELF\x02\x01":
        raise NotAnElfFile("not a 64-bit little-endian ELF file")
    fields = _HEADER.unpack(header)
    table_at, entry_size, count = fields[5], fields[9], fields[10]
    file.seek(table_at)
    raw = file.read(entry_size * count)
    if entry_size < _SEGMENT.size or len(raw) < entry_size * count:
        raise NotAnElfFile("the program headers are cut off")
    segments = [_SEGMENT.unpack_from(raw, place * entry_size) for place in range(count)]
    dynamic = next((segment for segment in segments if segment[0] == _DYNAMIC), None)
    if dynamic is None:
        raise NotAnElfFile("no dynamic section")
    file.seek(dynamic[2])
    section = file.read(dynamic[5])
    if len(section) < dynamic[5]:
        raise NotAnElfFile("the dynamic section is cut off")
    entries = [_ENTRY.unpack_from(section, at) for at in range(0, len(section) - _ENTRY.size + 1, _ENTRY.size)]
    offsets = [value for tag, value in entries if tag == _NEEDED]
    values = dict(entries)
    address, size = values.get(_STRTAB), values.get(_STRSZ)
    if address is None or size is None or size > _LARGEST_TABLE:
        raise NotAnElfFile("no string table")
    for kind, _, offset, at, _, length, _, _ in segments:
        if kind == _LOAD and at <= address < at + length:
            file.seek(offset + address - at)
            names = file.read(size)
            if len(names) < size:
                raise NotAnElfFile("the string table is cut off")
            return tuple(names[start : names.index(b"\0", start)].decode("utf-8") for start in offsets)
    raise NotAnElfFile("the string table lies in no segment")
