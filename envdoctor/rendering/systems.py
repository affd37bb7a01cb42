"""The Linux distribution that a plan names, and where NVIDIA keeps its packages for it."""

from __future__ import annotations

import re

import msgspec

from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host, LinuxDistribution
from envdoctor.planning.distributions import family, repository_file, repository_folder
from envdoctor.planning.driver_packages import ended, module_streams
from envdoctor.planning.model import Stack

# Ids of os-release(5) that share packages: a script made for one serves the others.
_KIN = {
    "rhel": ("rhel", "centos", "rocky", "almalinux", "ol"),
    "sles": ("sles", "sled", "sle_hpc"),
    "opensuse-leap": ("opensuse-leap", "opensuse"),
}
# As people and other tools write them.
_WRITTEN = {
    "leap": "opensuse-leap",
    "opensuse": "opensuse-leap",
    "amazon": "amzn",
    "amazonlinux": "amzn",
    "oraclelinux": "ol",
    "oracle": "ol",
    "alma": "almalinux",
    "sle": "sles",
}
_TITLES = {
    "ubuntu": "Ubuntu {0}",
    "debian": "Debian {0}",
    "fedora": "Fedora {0}",
    "rhel": "RHEL {0} and its kin (Rocky, AlmaLinux, CentOS Stream, Oracle)",
    "amzn": "Amazon Linux {0}",
    "sles": "SUSE Linux Enterprise {0}",
    "opensuse-leap": "openSUSE Leap {0}",
}


class Repository(msgspec.Struct, frozen=True):
    """NVIDIA's package repository. `folder`: its address; `url`: what sets it up; `file`: where that goes, "" for a package."""

    folder: str
    url: str
    file: str


class PackageSystem(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution. `ids`: of os-release that are meant; `version`: as there, major only where minors share packages;
    `family`: ubuntu, debian, rhel, fedora, suse; `module_streams`: NVIDIA's driver comes in DNF modules; `epel`: dkms does
    not come from its own repositories."""

    ids: tuple[str, ...]
    version: str
    title: str
    family: str
    repository: Repository | None

    @property
    def major(self) -> int:
        """24 of Ubuntu 24.04; 0 where no version is known."""
        return int(self.version.partition(".")[0] or 0)

    @property
    def module_streams(self) -> bool:
        return module_streams(self.family, self.major)

    @property
    def epel(self) -> bool:
        return self.family == "rhel" and "amzn" not in self.ids


def system_of(stack: Stack, recipe: str) -> PackageSystem:
    """The plan's distribution. Raises InputError where it is not a Linux whose packages are known, with what to do."""
    if stack.platform.startswith("windows") or stack.os == "windows":
        raise InputError(
            f"'{recipe}' is for Linux; on Windows (and for WSL) the driver is installed in Windows: "
            "https://www.nvidia.com/drivers"
        )
    if stack.platform.startswith("macos") or stack.os == "macos":
        raise InputError(f"'{recipe}' is for Linux with NVIDIA GPUs; macOS has neither their driver nor CUDA")
    if not stack.os:
        raise InputError(
            f"'{recipe}' needs to know the distribution: --os ubuntu24.04 (debian12, rhel9, sles15, fedora44...)"
        )
    found = re.fullmatch(r"([a-z][a-z_-]*?)-?(\d+(?:\.\d+)*)?", stack.os)
    if found is None or (found[2] is None and found[1] in _TITLES):
        raise InputError(
            f"'{recipe}' cannot read the distribution '{stack.os}'; write it as ubuntu24.04, rhel9 or sles15"
        )
    identifier, version = found[1], found[2] or ""
    identifier = _WRITTEN.get(identifier, identifier)
    name = next((name for name, kin in _KIN.items() if identifier in kin), identifier)
    snapshot = Snapshot(
        host=Host(
            system="Linux",
            architecture=stack.platform.removeprefix("linux_"),
            distribution=LinuxDistribution(id=identifier, version_id=version),
        )
    )
    kind = family(snapshot)
    if kind is None or name not in _TITLES:
        raise InputError(
            f"'{recipe}' has no packages for '{stack.os}'; it knows Ubuntu, Debian, Fedora, RHEL and its kin, Amazon Linux, "
            "SLES and openSUSE Leap. https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/ may help"
        )
    if ended(identifier, kind, int(version.partition(".")[0] or 0)):
        raise InputError(
            f"'{recipe}' has no packages for '{stack.os}': NVIDIA's for it have ended; it needs a newer release"
        )
    # Ubuntu's 24.04 and 24.10 differ; a minor of the others is an update.
    shown = version if kind == "ubuntu" else version.partition(".")[0]
    return PackageSystem(
        ids=_KIN.get(name, (name,)),
        version=shown,
        title=_TITLES[name].format(shown),
        family=kind,
        repository=_repository(snapshot),
    )


def nvidia_repository(system: PackageSystem, recipe: str) -> Repository:
    """NVIDIA's repository for that system. Raises InputError where there is none."""
    if system.repository is None:
        raise InputError(f"'{recipe}' cannot be made for {system.title}: NVIDIA has no package repository for it")
    return system.repository


def _repository(snapshot: Snapshot) -> Repository | None:
    folder = repository_folder(snapshot)
    if folder is None:
        return None
    name = repository_file(snapshot)
    place = {"suse": "/etc/zypp/repos.d/", "ubuntu": "", "debian": ""}.get(family(snapshot) or "", "/etc/yum.repos.d/")
    return Repository(folder, f"{folder}/{name}", f"{place}{name}" if place else "")
