"""What an image's reference says of the system inside: distribution, C library, Python, CUDA."""

from __future__ import annotations

import re

import msgspec

_CODENAMES = {
    "bionic": "ubuntu18.04", "focal": "ubuntu20.04", "jammy": "ubuntu22.04", "noble": "ubuntu24.04", "resolute": "ubuntu26.04",
    "buster": "debian10", "bullseye": "debian11", "bookworm": "debian12", "trixie": "debian13",
}  # fmt: skip
"""Code names in tags; wiki.ubuntu.com/Releases, debian.org/releases."""
_RPM = {
    "rockylinux": "rhel",
    "almalinux": "rhel",
    "centos": "centos",
    "ubi": "rhel",
    "oraclelinux": "rhel",
    "fedora": "fedora",
}


# Images that are known to hold no torch: in any other, a requirement without a pin may be met already.
_PLAIN = frozenset((
    "python", "ubuntu", "debian", "alpine", "fedora", "centos", "rockylinux", "almalinux", "amazonlinux", "buildpack-deps",
    "nvidia/cuda", "continuumio/miniconda3", "continuumio/anaconda3", "condaforge/miniforge3", "condaforge/mambaforge",
    "mambaorg/micromamba", "ghcr.io/astral-sh/uv",
))  # fmt: skip


class Reference(msgspec.Struct, frozen=True):
    """An image reference in its parts: 'nvidia/cuda', '12.4.1-base-ubuntu22.04', digest or ''."""

    repository: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(image: str) -> Reference:
    """The parts of a reference, Docker Hub's own names for its repositories taken off ('docker.io/library/python')."""
    name, _, digest = image.partition("@")
    repository, tag = name, ""
    if ":" in name.rpartition("/")[2]:
        repository, _, tag = name.rpartition(":")
    return Reference(re.sub(r"^(docker\.io/|index\.docker\.io/)?(library/)?", "", repository), tag, digest)


def is_plain(image: str | None) -> bool:
    """Whether the image is known to come without torch."""
    if not image:
        return False
    repository = parse(image).repository
    return repository in _PLAIN or repository.endswith(("nvidia/cuda", "/ubi8", "/ubi9"))


def system_of_image(image: str | None) -> tuple[str | None, bool]:
    """('ubuntu22.04', False) of the image's own name and tag, (None, True) for Alpine; (None, False) where they do not say."""
    if not image:
        return None, False
    reference = parse(image)
    tag = reference.tag.lower()
    base = reference.repository.rpartition("/")[2].lower()
    if base == "alpine" or "alpine" in tag:
        return None, True
    if match := re.search(r"(ubuntu|debian|ubi|rockylinux|centos|rhel|fedora)[-]?(\d+(?:\.\d+)?)", tag):
        return _named(match[1], match[2]), False
    if base in ("ubuntu", "debian", "fedora") and (match := re.match(r"\d+(\.\d+)?", tag)):
        return f"{base}{match[0]}", False
    if base in _RPM and (match := re.match(r"\d+", tag)):
        return f"{_RPM[base]}{match[0]}", False
    for codename, system in _CODENAMES.items():
        if re.search(rf"\b{codename}\b", tag):
            return system, False
    return None, False


def _named(family: str, number: str) -> str:
    family = _RPM.get(family, family)
    return f"{family}{number if family in ('ubuntu',) else number.partition('.')[0]}"


def python_of_image(image: str | None) -> str | None:
    """'3.12' of python:3.12-slim and its like; None where another image brings a Python of its own choice or none."""
    if not image:
        return None
    reference = parse(image)
    if reference.repository.rpartition("/")[2] == "python" and (
        match := re.match(r"3\.\d{1,2}(?![\d])", reference.tag)
    ):
        return match[0]
    if reference.repository.endswith("astral-sh/uv") and (match := re.search(r"python(3\.\d{1,2})", reference.tag)):
        return match[1]
    return None


class CudaTag(msgspec.Struct, frozen=True):
    """What a tag of nvidia/cuda says: CUDA '12.4.1', flavour 'devel', whether cuDNN is in it, the system."""

    cuda: str
    flavour: str
    cudnn: bool
    system: str | None


def cuda_tag(reference: Reference) -> CudaTag | None:
    """The parts of an nvidia/cuda tag; None for another repository or a tag without a version."""
    if not reference.repository.endswith("nvidia/cuda"):
        return None
    match = re.match(r"(\d+\.\d+(?:\.\d+)?)(?:-(cudnn\d*))?(?:-(base|runtime|devel))?(?:-(.+))?$", reference.tag)
    if match is None:
        return None
    return CudaTag(match[1], match[3] or "", bool(match[2]), match[4])
