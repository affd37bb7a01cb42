"""Linux distributions by family, and NVIDIA's package repository for each."""

from __future__ import annotations

from envdoctor.facts.model import Snapshot

_FAMILIES = {
    "ubuntu": ("ubuntu", "linuxmint", "pop", "zorin", "elementary"),
    "debian": ("debian", "raspbian", "kali"),
    "fedora": ("fedora",),
    "rhel": ("rhel", "centos", "rocky", "almalinux", "ol", "amzn"),
    "suse": ("suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles", "sled"),
    "arch": ("arch", "manjaro", "endeavouros", "cachyos"),
}
_REPOSITORY = "https://developer.download.nvidia.com/compute/cuda/repos"


def family(snapshot: Snapshot) -> str | None:
    """'ubuntu', 'debian', 'rhel', 'fedora', 'suse' or 'arch'; None for another or an unknown distribution."""
    distribution = snapshot.host.distribution if snapshot.host else None
    if distribution is None or distribution.id is None:
        return None
    for identifier in (distribution.id, *distribution.like):
        name = identifier.lower()
        for known, ids in _FAMILIES.items():
            if name in ids:
                return known
    return None


def major_version(snapshot: Snapshot) -> int | None:
    """24 of Ubuntu 24.04, 9 of Rocky 9.4, 2023 of Amazon Linux; None where it is not a number."""
    distribution = snapshot.host.distribution if snapshot.host else None
    text = (distribution.version_id or "").partition(".")[0] if distribution else ""
    return int(text) if text.isdecimal() else None


def repository_folder(snapshot: Snapshot) -> str | None:
    """The address of NVIDIA's package repository for this distribution and processor; None where its folder is not known.

    Folder names: NVIDIA driver installation guide, 'Distribution-Specific Identifiers'.
    """
    distribution, host, kind = snapshot.host.distribution if snapshot.host else None, snapshot.host, family(snapshot)
    version = major_version(snapshot)
    if distribution is None or host is None or version is None:
        return None
    processor = {"linux_x86_64": "x86_64", "linux_aarch64": "sbsa"}.get(host.platform or "")
    if processor is None:
        return None
    folder = ""
    if kind in ("ubuntu", "debian") and distribution.id in ("ubuntu", "debian"):  # derivatives count on their own
        folder = f"{distribution.id}{(distribution.version_id or '').replace('.', '')}"
    elif kind == "rhel":
        folder = f"amzn{version}" if distribution.id == "amzn" else f"rhel{version}"
    elif kind == "fedora":
        folder = f"fedora{version}"
    elif kind == "suse" and version in (15, 16):
        folder = "suse16" if version == 16 else "opensuse15" if "opensuse" in (distribution.id or "") else "sles15"
    return f"{_REPOSITORY}/{folder}/{processor}" if folder else None


def repository_file(snapshot: Snapshot) -> str:
    """What is fetched from that folder to set the repository up: a keyring package (apt), or the repository's file."""
    if family(snapshot) in ("ubuntu", "debian"):
        return "cuda-keyring_1.1-1_all.deb"
    return f"cuda-{(repository_folder(snapshot) or '').split('/')[-2]}.repo"


def nvidia_repository(snapshot: Snapshot) -> tuple[str, ...]:
    """The commands that set up NVIDIA's repository here; () where its folder for this distribution is not known."""
    folder = repository_folder(snapshot)
    if folder is None:
        return ()
    file = repository_file(snapshot)
    if file.endswith(".deb"):
        return f"wget {folder}/{file}", f"sudo dpkg -i {file}"
    target = "/etc/zypp/repos.d" if family(snapshot) == "suse" else "/etc/yum.repos.d"
    return (f"sudo curl -fsSLo {target}/{file} {folder}/{file}",)
