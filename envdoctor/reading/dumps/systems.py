"""Names of operating systems and platforms -> Host facts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envdoctor.facts.sections.host import LinuxDistribution

_MACHINE = re.compile(r"\s*\((x86_64|aarch64|arm64|AMD64|ARM64|ppc64le|i[36]86|riscv64|armv7l|s390x)\)\s*$")
_NUMBER = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)*)")
_WINDOWS_BUILD = re.compile(r"\s*\((\d+\.\d+\.\d{3,6})[^()]{0,40}\)$")
_CODENAME = re.compile(r"\(([A-Za-z][A-Za-z -]{2,40})\)")

# PRETTY_NAME or lsb_release's description, lower case -> ID, ID_LIKE, and how many components VERSION_ID has there (os-release(5)
# files of these distributions). Longer names first where one starts like another.
_DISTRIBUTIONS: tuple[tuple[str, str, tuple[str, ...], int], ...] = (
    ("ubuntu", "ubuntu", ("debian",), 2),
    ("debian", "debian", (), 1),
    ("red hat enterprise linux", "rhel", ("fedora",), 2),
    ("rhel", "rhel", ("fedora",), 2),
    ("centos", "centos", ("rhel", "fedora"), 1),
    ("rocky linux", "rocky", ("rhel", "centos", "fedora"), 2),
    ("almalinux", "almalinux", ("rhel", "centos", "fedora"), 2),
    ("oracle linux", "ol", ("fedora",), 2),
    ("scientific linux", "scientific", ("rhel", "centos", "fedora"), 2),
    ("fedora", "fedora", (), 1),
    ("amazon linux", "amzn", ("centos", "rhel", "fedora"), 1),
    ("opensuse leap", "opensuse-leap", ("suse", "opensuse"), 2),
    ("opensuse tumbleweed", "opensuse-tumbleweed", ("opensuse", "suse"), 1),
    ("suse linux enterprise server", "sles", ("suse",), 2),
    ("sles", "sles", ("suse",), 2),
    ("linux mint", "linuxmint", ("ubuntu", "debian"), 2),
    ("pop!_os", "pop", ("ubuntu", "debian"), 2),
    ("elementary os", "elementary", ("ubuntu", "debian"), 2),
    ("zorin os", "zorin", ("ubuntu", "debian"), 1),
    ("kali", "kali", ("debian",), 2),
    ("arch linux", "arch", (), 0),
    ("manjaro", "manjaro", ("arch",), 0),
    ("endeavouros", "endeavouros", ("arch",), 0),
    ("garuda linux", "garuda", ("arch",), 0),
    ("cachyos", "cachyos", ("arch",), 0),
    ("artix linux", "artix", ("arch",), 0),
    ("gentoo", "gentoo", (), 0),
    ("nixos", "nixos", (), 2),
    ("alpine linux", "alpine", (), 3),
    ("void", "void", (), 0),
    ("azure linux", "azurelinux", (), 2),
    ("cbl-mariner", "mariner", (), 2),
    ("common base linux mariner", "mariner", (), 2),
    ("tencentos", "tencentos", ("rhel", "fedora", "centos"), 2),
    ("alibaba cloud linux", "alinux", ("rhel", "fedora", "centos"), 2),
    ("openeuler", "openEuler", (), 2),
    ("kylin", "kylin", ("fedora",), 2),
    ("container-optimized os", "cos", (), 1),
    ("flatcar", "flatcar", (), 3),
)


@dataclass(frozen=True)
class NamedSystem:
    """What a name gave away."""

    system: str | None = None
    architecture: str | None = None
    os_name: str | None = None
    distribution: LinuxDistribution | None = None
    kernel: str | None = None
    glibc: str | None = None


def operating_system(value: str) -> NamedSystem | None:
    """'Ubuntu 22.04.3 LTS (x86_64)', 'Microsoft Windows 11 Pro (10.0.22631 64-bit)', 'macOS 14.5 (arm64)', 'linux (x86_64)'."""
    found = _MACHINE.search(value)
    machine = found[1] if found else None
    name = value[: found.start()].strip() if found else value.strip()
    low = name.lower()
    if not name or len(name) > 160:
        return None
    if "windows" in low:
        if "wsl" in low or "subsystem" in low:
            return None
        build = _WINDOWS_BUILD.search(name)
        name = _WINDOWS_BUILD.sub("", name).removeprefix("Microsoft ").strip()
        return NamedSystem(system="Windows", architecture=machine, os_name=name, kernel=build[1] if build else None)
    if low.startswith(("macos", "mac os", "osx", "os x", "darwin")):
        return NamedSystem(system="Darwin", architecture=machine, os_name=name)
    distribution = linux_distribution(name)
    if distribution.id:
        return NamedSystem(system="Linux", architecture=machine, os_name=name, distribution=distribution)
    if low.startswith(("linux", "gnu/linux")) and len(low) < 12:
        return NamedSystem(system="Linux", architecture=machine)
    platform = python_platform(name)
    if platform is not None:
        return platform
    if machine:  # the form of collect_env's line on Linux
        return NamedSystem(system="Linux", architecture=machine, os_name=name, distribution=distribution)
    return None


def linux_distribution(name: str) -> LinuxDistribution:
    """The distribution behind PRETTY_NAME; its id stays None for a name that is not known."""
    low = name.lower()
    for start, id_, like, components in _DISTRIBUTIONS:
        if not low.startswith(start):
            continue
        version = _NUMBER.search(name)
        number = None
        if version and components:
            number = ".".join(version[1].split(".")[:components])
            patch = re.search(r"\bSP(\d)\b", name)
            if id_ == "sles" and patch:
                number = f"{number}.{patch[1]}"
            if id_ == "amzn" and version[1].startswith("20"):
                number = version[1].split(".")[0]
        codename = _CODENAME.search(name)
        debian_code = codename[1] if codename and id_ == "debian" else None
        return LinuxDistribution(id=id_, version_id=number, codename=debian_code, name=name, like=like)
    return LinuxDistribution(name=name)


def python_platform(value: str, python: str | None = None) -> NamedSystem | None:
    """platform.platform(): 'Linux-5.15.0-84-generic-x86_64-with-glibc2.35', 'Windows-10-10.0.22631-SP0', 'macOS-14.5-arm64-…'."""
    value = value.strip("`'\" ")
    start, _, rest = value.partition("-")
    if start == "Windows" and rest:
        build = re.search(r"\b(\d+\.\d+\.\d{3,6})\b", rest)
        return NamedSystem(system="Windows", kernel=build[1] if build else None)
    if start in ("macOS", "Darwin") and rest:
        machine = re.search(r"-(arm64|x86_64)\b", rest)
        release = _NUMBER.search(rest)
        kernel = release[1] if release and start == "Darwin" else None
        os_name = f"macOS {release[1]}" if release and start == "macOS" else None
        return NamedSystem(
            system="Darwin", architecture=machine[1] if machine else None, kernel=kernel, os_name=os_name
        )
    if start != "Linux" or not rest[:1].isdecimal():
        return None
    front, with_, back = rest.partition("-with-")
    kernel, dash, machine_name = front.rpartition("-")
    if not dash or not _MACHINE.match(f" ({machine_name})"):  # cut off
        return NamedSystem(system="Linux", kernel=front if with_ else None)
    # The architecture comes twice where uname's machine and processor both have it.
    kernel = kernel.removesuffix(f"-{machine_name}") if front.count(machine_name) > 2 else kernel
    glibc = re.match(r"glibc(2\.\d{1,2})$", back)
    return NamedSystem(
        system="Linux",
        architecture=machine_name,
        kernel=kernel,
        glibc=glibc[1] if glibc and trustworthy_libc(python, platform=True) else None,
    )


def trustworthy_libc(python: str | None, *, platform: bool = False) -> bool:
    """Whether this Python's idea of glibc is the system's.

    Before 3.8 platform.libc_ver() gave the newest symbol version that the interpreter's own file needs (2.9 or 2.17 for conda's),
    and platform.platform() still did in 3.8.
    """
    if python is None:
        return False
    major, _, minor = python.partition(".")
    number = int(re.match(r"\d{0,3}", minor)[0] or 0)  # type: ignore[index]
    return major == "3" and number >= (9 if platform else 8)


def wsl(kernel: str | None) -> int | None:
    """The WSL version that a kernel's release names: 0 outside WSL."""
    if kernel is None:
        return None
    low = kernel.lower()
    if "wsl2" in low or "microsoft-standard" in low:
        return 2
    if kernel.endswith("-Microsoft"):
        return 1
    return None if "microsoft" in low or "wsl" in low else 0


HYPERVISORS = {
    "kvm": "kvm", "microsoft": "microsoft", "vmware": "vmware", "xen": "xen", "oracle": "oracle", "parallels": "parallels",
    "windows subsystem for linux": "microsoft", "bhyve": "bhyve", "qemu": "qemu",
}  # fmt: skip
"""lscpu's hypervisor vendor -> systemd-detect-virt's name."""
