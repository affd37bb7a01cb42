"""Probe: the machine and its operating system."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
from pathlib import Path

from envdoctor.facts import cgroup, elf
from envdoctor.facts.host import Machine
from envdoctor.facts.probes.virtualization import virtualization, wsl_version
from envdoctor.facts.sections.host import Host, LinuxDistribution

# Files that every Linux has and whose ELF header tells the processor of a machine that is not running.
_WITNESSES = ("/bin/sh", "/usr/bin/sh", "/bin/busybox", "/usr/bin/env", "/sbin/init", "/usr/lib/systemd/systemd")
LIBRARY_FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)


def probe(machine: Machine) -> Host:
    if not machine.simulated and sys.platform != "linux":
        return _elsewhere(machine)
    kernel = kernel_release(machine)
    distribution = _distribution(machine)
    memory = _memory(machine)
    shm_total, shm_free = _shared_memory(machine)
    count, model = _processors(machine)
    return Host(
        system="Linux",
        architecture=_architecture(machine),
        kernel=kernel,
        distribution=distribution,
        os_name=distribution.name if distribution else None,
        glibc=_glibc(machine),
        libstdcxx=_libstdcxx(machine),
        wsl=wsl_version(machine, kernel),
        virtualization=virtualization(machine, kernel),
        cpu_model=model,
        cpu_count=count,
        cpu_usable=_usable(machine, count),
        memory_total=memory.get("MemTotal"),
        memory_available=memory.get("MemAvailable"),
        shm_total=shm_total,
        shm_free=shm_free,
        disk_free=_disk_free(machine),
        # Of a folder of files nobody knows who would use the machine.
        root=None if machine.simulated else os.geteuid() == 0,
        groups=None if machine.simulated else _groups(),
    )


def kernel_release(machine: Machine) -> str | None:
    if not machine.simulated:
        return os.uname().release
    release = machine.read("/proc/sys/kernel/osrelease") or ""
    if re.fullmatch(r"[!-~]+", release):
        return release
    found = re.match(r"Linux version (\S+)", machine.read("/proc/version") or "")
    return found[1] if found else None


def _architecture(machine: Machine) -> str | None:
    if not machine.simulated:
        return os.uname().machine
    folders = (f"{folder}/libc.so.6" for folder in LIBRARY_FOLDERS)
    for name in (*_WITNESSES, *folders):
        found = elf.architecture(machine.real(name))
        if found:
            return found
    # A machine without binaries still shows which kernel module and which loader it has.
    text = machine.read("/proc/driver/nvidia/version") or ""
    match = re.search(r"\b(x86_64|aarch64)\b", text)
    if match:
        return match[1]
    for processor, loader in (("x86_64", "ld-linux-x86-64.so.2"), ("aarch64", "ld-linux-aarch64.so.1")):
        if any(machine.exists(f"{folder}/{loader}") for folder in ("/lib64", "/lib", "/usr/lib64", "/usr/lib")):
            return processor
        if machine.exists(f"/usr/lib/{processor}-linux-gnu"):
            return processor
    return None


def _distribution(machine: Machine) -> LinuxDistribution | None:
    text = machine.read("/etc/os-release") or machine.read("/usr/lib/os-release")
    if not text:
        return None
    fields = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            # os-release(5): shell quoting, of which only the two quotes and the backslash matter in practice.
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            fields[key] = re.sub(r"\\(.)", r"\1", value)
    return LinuxDistribution(
        id=fields.get("ID", "linux"),
        version_id=fields.get("VERSION_ID"),
        codename=fields.get("VERSION_CODENAME") or fields.get("UBUNTU_CODENAME"),
        name=fields.get("PRETTY_NAME") or fields.get("NAME"),
        like=tuple(fields.get("ID_LIKE", "").split()),
    )


def _glibc(machine: Machine) -> str | None:
    """The C library's version; '' where the C library is musl."""
    if not machine.simulated:
        try:
            text = os.confstr("CS_GNU_LIBC_VERSION") or ""  # 'glibc 2.36'
        except (ValueError, OSError):
            text = ""
        if text.startswith("glibc "):
            return text.partition(" ")[2]
    for folder in LIBRARY_FOLDERS:
        name = machine.resolve(f"{folder}/libc.so.6")
        by_name = re.search(r"/libc-(\d+\.\d+)\.so$", name)
        if by_name:
            return by_name[1]
        data = machine.read_bytes(name, 8 << 20) or b""
        by_banner = re.search(rb"GNU C Library [^\n]*version (\d+\.\d+)", data)
        if by_banner:
            return by_banner[1].decode()
    musl = any(name.startswith("ld-musl-") for name in machine.list("/lib") or ())
    return "" if musl else None


def _libstdcxx(machine: Machine) -> str | None:
    for folder in LIBRARY_FOLDERS:
        path = machine.real(f"{folder}/libstdc++.so.6")
        found = elf.highest_symbol_version(path, "GLIBCXX")
        if found:
            return found
    return None


def _processors(machine: Machine) -> tuple[int | None, str | None]:
    text = machine.read("/proc/cpuinfo", 8 << 20)
    if not text:
        return None, None
    count = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    model = re.search(r"^(?:model name|Hardware|cpu model)\s*:\s*(.+)$", text, re.MULTILINE)
    if model is None:
        board = machine.read("/proc/device-tree/model")  # Arm boards name themselves only there
        return count or None, board.rstrip("\0") if board else None
    return count or None, re.sub(r"\s+", " ", model[1]).strip()


def _usable(machine: Machine, count: int | None) -> int | None:
    """Processors by affinity and by the control group's quota, rounded up, as a quota of 1.5 still runs two threads."""
    if not machine.simulated:
        count = len(os.sched_getaffinity(0))
    quota = cgroup.processors(machine)
    if quota is None or count is None:
        return count
    return max(1, min(count, math.ceil(quota)))


def _memory(machine: Machine) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    pairs = re.findall(r"^(\w+):\s+(\d+) kB$", machine.read("/proc/meminfo") or "", re.MULTILINE)
    return {name: int(kilobytes) << 10 for name, kilobytes in pairs}


def _shared_memory(machine: Machine) -> tuple[int | None, int | None]:
    """Size and free bytes of /dev/shm; under a sysroot the size that it was mounted with."""
    if not machine.simulated:
        try:
            usage = os.statvfs("/dev/shm")  # noqa: S108 - the very thing that is measured
        except OSError:
            return None, None
        return usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize
    for line in (machine.read("/proc/mounts") or machine.read("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[1] == "/dev/shm":  # noqa: S108
            size = re.search(r"\bsize=(\d+)([kmg]?)", fields[3])
            return (int(size[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[size[2]] if size else None), None
    return None, None


def _disk_free(machine: Machine) -> int | None:
    if machine.simulated:
        return None
    places = (machine.variable("VIRTUAL_ENV"), machine.variable("CONDA_PREFIX"), str(Path("~").expanduser()), "/")
    for place in places:
        if place and Path(place).is_absolute():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                continue
    return None


def _groups() -> tuple[str, ...]:
    return tuple(_group(number) for number in sorted({os.getegid(), *os.getgroups()}))


def _group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:  # a group of the host that the container's /etc/group does not have
        return str(number)


def _elsewhere(machine: Machine) -> Host:
    """Windows and macOS: what the standard library and psutil know."""
    import platform

    import psutil

    system = platform.system()
    release = platform.mac_ver()[0] if system == "Darwin" else platform.release()
    memory = psutil.virtual_memory()
    return Host(
        system=system,
        architecture=platform.machine() or None,
        kernel=platform.version() or None,
        os_name=f"{'macOS' if system == 'Darwin' else system} {release}".strip(),
        wsl=0,
        cpu_model=platform.processor() or None,
        cpu_count=os.cpu_count(),
        cpu_usable=os.cpu_count(),
        memory_total=memory.total,
        memory_available=memory.available,
        disk_free=_disk_free(machine),
    )
