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
    return int(text) if text.isdigit() else None


def nvidia_repository(snapshot: Snapshot) -> tuple[str, ...]:
    """The commands that set up NVIDIA's repository here; () where its folder for this distribution is not known.

    Folder names: NVIDIA driver installation guide, 'Distribution-Specific Identifiers'.
    """
    distribution, host, kind = snapshot.host.distribution if snapshot.host else None, snapshot.host, family(snapshot)
    version = major_version(snapshot)
    if distribution is None or host is None or version is None:
        return ()
    processor = {"linux_x86_64": "x86_64", "linux_aarch64": "sbsa"}.get(host.platform or "")
    if processor is None:
        return ()
    if kind in ("ubuntu", "debian"):
        if distribution.id not in ("ubuntu", "debian"):
            return ()  # a derivative has version numbers of its own
        folder = f"{distribution.id}{(distribution.version_id or '').replace('.', '')}"
        keyring = "cuda-keyring_1.1-1_all.deb"
        return (
            f"wget {_REPOSITORY}/{folder}/{processor}/{keyring}",
            f"sudo dpkg -i {keyring}",
        )
    folder = ""
    if kind == "rhel":
        folder = f"amzn{version}" if distribution.id == "amzn" else f"rhel{version}"
    elif kind == "fedora":
        folder = f"fedora{version}"
    elif kind == "suse" and version in (15, 16):
        folder = "suse16" if version == 16 else "opensuse15" if "opensuse" in distribution.id else "sles15"  # type: ignore[operator]
    if not folder:
        return ()
    target = "/etc/zypp/repos.d" if kind == "suse" else "/etc/yum.repos.d"
    file = f"cuda-{folder}.repo"
    return (f"sudo curl -fsSLo {target}/{file} {_REPOSITORY}/{folder}/{processor}/{file}",)
