"""What each Linux distribution calls the driver's packages, and what it takes to install them.

The facts that a repair's commands and the driver script are both made from.

Sources: NVIDIA driver installation guide, editions 610 and 620 ('Kernel Modules', 'Version Locking'); ubuntu-drivers-common's
detect.py for Ubuntu's package names; Arch Linux news of December 2025; for SUSE's signed modules software.opensuse.org and
SUSE/suse-ai-stack pull request 26; docs.fedoraproject.org, 'Extra Packages for Enterprise Linux'.
"""

from __future__ import annotations

import msgspec

from envdoctor.planning.kernel_modules import OPEN

KERNEL = "$(uname -r)"
"""The running kernel, in a shell: packages that modules are built with are for exactly that one."""

_LAST_G06 = 580
"""SUSE numbers its driver packages by generation: G06 up to this branch, G07 after it."""

_HEADERS = {
    "ubuntu": "linux-headers-{0}",
    "debian": "linux-headers-{0}",
    "rhel": "kernel-devel-{0}",
    "fedora": "kernel-devel-{0}",
    "suse": "kernel-default-devel",
    "arch": "linux-headers",
}
_BUILT_WITH = {
    "ubuntu": ("dkms", "mokutil", f'"linux-headers-{KERNEL}"'),
    # The second of the headers follows the kernel.
    "debian": ("dkms", "mokutil", f'"linux-headers-{KERNEL}"', '"linux-headers-$(dpkg --print-architecture)"'),
    "rhel": (f'"kernel-devel-{KERNEL}"', "kernel-headers", "gcc", "make", "mokutil"),
    "fedora": (f'"kernel-devel-{KERNEL}"', "kernel-headers", "gcc", "make", "mokutil"),
    "suse": ("\"kernel-default-devel == $(uname -r | sed 's/-default$//')\"", "gcc", "make", "mokutil"),
}
_KEYS = {"ubuntu": "/var/lib/shim-signed/mok/MOK.der"}
MACHINE_KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub")
"""Where a machine's own key for signing modules may lie: Ubuntu's place, then that of DKMS."""


class DriverPackages(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of one branch and one flavour of the kernel modules on one distribution.

    `package`: brings the whole driver. `built_with`: what its modules are compiled with here, as words of a shell; () where they
    come compiled. `pin`: the package that keeps apt on the branch, to be installed first; `stream`: DNF's module stream of it;
    `lock`: what `dnf versionlock` is to hold where there are no streams. `signed_modules`: SUSE's own, which Secure Boot takes as
    they are, and `utilities`, the libraries that must be of their exact version; None where there are none."""

    package: str
    built_with: tuple[str, ...] = ()
    pin: str | None = None
    stream: str | None = None
    lock: str | None = None
    signed_modules: str | None = None
    utilities: str | None = None


def repository_packages(family: str, major: int | None, *, branch: str | None, flavour: str) -> DriverPackages:
    """Those of NVIDIA's repository for a family of distributions ("debian", "ubuntu", "rhel", "fedora" or "suse") and its major
    version. `branch`: None for the newest; `flavour`: "open" or "proprietary"."""
    package = "nvidia-open" if flavour == OPEN else "cuda-drivers"
    built_with = _BUILT_WITH[family]
    if family in ("debian", "ubuntu"):
        return DriverPackages(
            package=package, built_with=built_with, pin=f"nvidia-driver-pinning-{branch}" if branch else None
        )
    if family == "suse":
        generation = "G06" if branch and int(branch) <= _LAST_G06 else "G07"
        return DriverPackages(
            package=f"{package}-{branch}" if branch else package,
            built_with=built_with,
            signed_modules=f"nvidia-open-driver-{generation}-signed-cuda-kmp-default" if flavour == OPEN else None,
            utilities=f"nvidia-compute-utils-{generation}",
        )
    if module_streams(family, major):
        stream = (f"{branch}-open" if branch else "open-dkms") if flavour == OPEN else f"{branch or 'latest'}-dkms"
        return DriverPackages(package=package, built_with=built_with, stream=stream)
    return DriverPackages(package=package, built_with=built_with, lock=f"*nvidia*{branch}*" if branch else None)


def ubuntu_package(branch: str, flavour: str, *, server: bool) -> str:
    """The package of Ubuntu's own archive. `server`: the branch for data centers."""
    return f"nvidia-driver-{branch}{'-server' if server else ''}{'-open' if flavour == OPEN else ''}"


def module_streams(family: str, major: int | None) -> bool:
    """Whether NVIDIA's driver comes in DNF's module streams: on RHEL 8 and 9 and on Amazon Linux 2023."""
    return family == "rhel" and major is not None and major != 10


def ended(identifier: str, family: str, major: int | None) -> bool:
    """Whether NVIDIA's packages for that release of a Red Hat have ended."""
    return family == "rhel" and major is not None and major < (2023 if identifier == "amzn" else 8)


def epel(identifier: str, major: int) -> tuple[str, ...]:
    """The commands, as root, that set EPEL up, which has dkms; it leans on a repository of each distribution's own. () on Amazon
    Linux, whose own repositories have dkms. "rhel": for a registered machine."""
    url = f"https://dl.fedoraproject.org/pub/epel/epel-release-latest-{major}.noarch.rpm"
    manager = "dnf install -y 'dnf-command(config-manager)'"
    if identifier == "amzn":
        return ()
    if identifier == "rhel":
        builder = f"codeready-builder-for-rhel-{major}-$(uname -m)-rpms"
        return (f'subscription-manager repos --enable "{builder}"', f"dnf install -y {url}")
    if identifier == "ol":
        package = url if major >= 10 else f"oracle-epel-release-el{major}"
        return (
            manager,
            f"dnf config-manager --set-enabled ol{major}_codeready_builder",
            f"dnf install -y {package}",
        )
    own = "powertools" if major == 8 else "crb"
    return manager, f"dnf config-manager --set-enabled {own}", "dnf install -y epel-release"


def headers(family: str, kernel: str = KERNEL) -> str | None:
    """The package of a kernel's headers, which modules are built against; None for a family that it is not known of."""
    return _HEADERS[family].format(kernel) if family in _HEADERS else None


def machine_key(family: str | None) -> str:
    """Where the key lies that this machine signs its modules with."""
    return _KEYS.get(family or "", "/var/lib/dkms/mok.pub")
