"""Simulated machines: folders of files that a `Machine` takes for a file system.

A `Sysroot` writes what a real machine would have (sysfs, procfs, package databases, the loader's cache, ELF files) in
the real formats, so that probes read them as they read the machine under test.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from envdoctor.facts.host import Machine

_ELF_MACHINES = {"x86_64": 0x3E, "aarch64": 0xB7, "i686": 0x03}


def elf(architecture: str = "x86_64", sections: Mapping[str, bytes] | None = None) -> bytes:
    """A minimal ELF shared object of that processor with the given sections."""
    wide = architecture != "i686"
    if not wide:
        return b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHI", 3, _ELF_MACHINES[architecture], 1) + bytes(28)
    named = {"": b"", **(sections or {})}
    names, offsets = b"", {}
    for name in [*named, ".shstrtab"]:
        offsets[name] = len(names)
        names += name.encode() + b"\0"
    named[".shstrtab"] = names
    body, table = b"", b""
    for name, data in named.items():
        kind = 0 if name == "" else 3
        table += struct.pack("<IIQQQQIIQQ", offsets[name], kind, 0, 0, 64 + len(body), len(data), 0, 0, 1, 0)
        body += data
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQI", 3, _ELF_MACHINES[architecture], 1, 0, 0, 64 + len(body), 0)
    head += struct.pack("<HHHHHH", 64, 0, 0, 64, len(named), len(named) - 1)
    return head + body + table


def kernel_module(version: str, licence: str, *, signer: str | None = None, kernel: str = "") -> bytes:
    """An nvidia.ko as modinfo reads it: version and licence in .modinfo, the signature appended."""
    info = f"version={version}\0license={licence}\0vermagic={kernel} SMP preempt mod_unload modversions \0"
    data = elf(sections={".modinfo": info.encode()})
    if signer is None:
        return data
    # Kernel's struct module_signature (scripts/sign-file.c): a PKCS#7 message, 12 bytes of lengths, the magic text.
    name = signer.encode()
    common_name = b"\x06\x03\x55\x04\x03\x0c" + bytes([len(name)]) + name
    return (
        data
        + common_name
        + struct.pack(">BBBBBBBBI", 0, 0, 2, 0, 0, 0, 0, 0, len(common_name))
        + b"~Module signature appended~\n"
    )


def library_cache(entries: Iterable[tuple[str, str]], *, flags: int = 0x0303, with_old_format: bool = False) -> bytes:
    """An /etc/ld.so.cache as glibc writes it: pairs of soname and path, in the loader's order."""
    entries = list(entries)
    strings, places = b"", []
    header = 48 + 24 * len(entries)
    for soname, path in entries:
        key = header + len(strings)
        strings += soname.encode() + b"\0"
        value = header + len(strings)
        strings += path.encode() + b"\0"
        places.append((key, value))
    table = b"".join(struct.pack("<iIIIQ", flags, key, value, 0, 0) for key, value in places)
    new = b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", len(entries), len(strings), 2, 0) + table + strings
    if not with_old_format:
        return new
    # glibc before 2.32 wrote the old table first; the new one follows it, aligned to its own alignment of 8.
    old = (
        b"ld.so-1.7.0\0"
        + struct.pack("<I", len(entries))
        + b"".join(struct.pack("<iII", flags, *place) for place in places)
    )
    return old + bytes(-len(old) % 8) + new


def rpm_header(name: str, version: str, release: str) -> bytes:
    """The header blob of a package as the rpm database stores it: tags 1000 to 1002, all of type string (6)."""
    store, index = b"", b""
    for tag, value in ((1000, name), (1001, version), (1002, release)):
        index += struct.pack(">IIII", tag, 6, len(store), 1)
        store += value.encode() + b"\0"
    return struct.pack(">II", 3, len(store)) + index + store


class Sysroot:
    """The root folder of a simulated machine. Every method that writes returns the Sysroot, so that calls chain."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Where a file lies; links of its folders are followed inside the root, so make them before what lies under them."""
        folder, _, last = name.rstrip("/").rpartition("/")
        machine = Machine(root=self.root, environment={})
        return machine.path(machine.resolve(folder)) / last

    def machine(self, environment: Mapping[str, str] | None = None) -> Machine:
        return Machine(root=self.root, environment=dict(environment or {"PATH": "/usr/local/bin:/usr/bin:/bin"}))

    # --- files -----------------------------------------------------------------------------------------------------

    def file(self, name: str, content: str | bytes = "", mode: int | None = None) -> Sysroot:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if mode is not None:
            path.chmod(mode)
        return self

    def files(self, contents: Mapping[str, str | bytes]) -> Sysroot:
        for name, content in contents.items():
            self.file(name, content)
        return self

    def folder(self, name: str) -> Sysroot:
        self.path(name).mkdir(parents=True, exist_ok=True)
        return self

    def link(self, name: str, target: str) -> Sysroot:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return self

    def command(self, name: str, script: str) -> Sysroot:
        """An executable shell script."""
        return self.file(name, f"#!/bin/sh\n{script}\n", mode=0o755)

    def library(self, name: str, *links: str, content: bytes | None = None) -> Sysroot:
        """A shared library and the links beside it that lead to it."""
        self.file(name, elf() if content is None else content)
        folder, _, last = name.rpartition("/")
        for link in links:
            self.link(f"{folder}/{link}", last)
        return self

    # --- the kernel's files ----------------------------------------------------------------------------------------

    def kernel(self, release: str, *, build: str = "#1 SMP PREEMPT_DYNAMIC", architecture: str = "x86_64") -> Sysroot:
        self.file("/proc/sys/kernel/osrelease", release + "\n")
        self.file("/proc/version", f"Linux version {release} (builder@farm) (gcc 13.3.0) {build}\n")
        return self.file("/usr/bin/sh", elf(architecture))

    def memory(self, total: int, available: int) -> Sysroot:
        return self.file(
            "/proc/meminfo", f"MemTotal: {total >> 10} kB\nMemFree: 1 kB\nMemAvailable: {available >> 10} kB\n"
        )

    def processors(self, count: int, model: str, *, flags: str = "fpu vme") -> Sysroot:
        blocks = [f"processor\t: {n}\nmodel name\t: {model}\nflags\t\t: {flags}\n" for n in range(count)]
        return self.file("/proc/cpuinfo", "\n".join(blocks))

    def pci(self, address: str, ids: str, class_code: str, driver: str | None = None, **attributes: object) -> Sysroot:
        """A device of sysfs; `ids` is 'vendor:device' or 'vendor:device:subvendor:subdevice'."""
        folder = f"/sys/bus/pci/devices/{address}"
        for key, value in zip(
            ("vendor", "device", "subsystem_vendor", "subsystem_device"), ids.split(":"), strict=False
        ):
            self.file(f"{folder}/{key}", f"0x{value}\n")
        self.file(f"{folder}/class", f"0x{class_code}\n")
        for key, attribute in attributes.items():
            self.file(f"{folder}/{key}", f"{attribute}\n")
        if driver:
            self.folder(f"/sys/bus/pci/drivers/{driver}")
            self.link(f"{folder}/driver", f"../../drivers/{driver}")
        return self

    def nvidia_module(
        self, version: str, *, is_open: bool, also: Iterable[str] = ("nvidia_uvm", "nvidia_modeset")
    ) -> Sysroot:
        """The loaded kernel module as /proc and /sys show it."""
        name = "NVIDIA UNIX Open Kernel Module for x86_64" if is_open else "NVIDIA UNIX x86_64 Kernel Module"
        text = f"NVRM version: {name}  {version}  Release Build  (buildd@farm)\nGCC version:  gcc 13.3.0\n"
        self.file("/proc/driver/nvidia/version", text)
        self.file("/sys/module/nvidia/version", version + "\n")
        lines = [f"{module} 1835008 2 - Live 0x0000000000000000 (OE)" for module in ("nvidia", *also)]
        return self.file("/proc/modules", "\n".join(lines) + "\n")

    # --- the distribution ------------------------------------------------------------------------------------------

    def os_release(self, **values: str) -> Sysroot:
        return self.file("/etc/os-release", "".join(f'{key.upper()}="{value}"\n' for key, value in values.items()))

    def dpkg(self, packages: Mapping[str, str], states: Mapping[str, str] | None = None) -> Sysroot:
        paragraphs = [
            f"Package: {name}\nStatus: {(states or {}).get(name, 'install ok installed')}\nPriority: optional\n"
            f"Architecture: amd64\nVersion: {version}\nDescription: words\n Package: not-a-field\n"
            for name, version in packages.items()
        ]
        return self.file("/var/lib/dpkg/status", "\n".join(paragraphs))

    def rpm(self, packages: Mapping[str, tuple[str, str]]) -> Sysroot:
        """An rpm database of the SQLite kind: name -> (version, release)."""
        path = self.path("/var/lib/rpm/rpmdb.sqlite")
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path)
        try:
            database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
            database.execute("CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
            for number, (name, (version, release)) in enumerate(packages.items(), 1):
                database.execute("INSERT INTO Packages VALUES (?, ?)", (number, rpm_header(name, version, release)))
                database.execute("INSERT INTO Name VALUES (?, ?, 0)", (name, number))
            database.commit()
        finally:
            database.close()
        return self

    def pacman(self, packages: Mapping[str, str]) -> Sysroot:
        for name, version in packages.items():
            self.file(f"/var/lib/pacman/local/{name}-{version}/desc", f"%NAME%\n{name}\n\n%VERSION%\n{version}\n")
        return self

    def cache(self, entries: Iterable[tuple[str, str]], **options: int | bool) -> Sysroot:
        return self.file("/etc/ld.so.cache", library_cache(entries, **options))  # type: ignore[arg-type]
