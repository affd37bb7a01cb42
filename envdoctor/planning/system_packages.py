"""What the operating system's own packages have to bring, by its package manager."""

from __future__ import annotations

from envdoctor.knowledge import Knowledge, KnowledgeError
from envdoctor.planning.model import Target, Wishes

# torch.compile and triton compile a small C program against Python's headers on the machine itself.
_TRAIN = {
    "debian": ("gcc", "libc6-dev"),
    "rhel": ("gcc", "glibc-devel"),
    "suse": ("gcc", "glibc-devel"),
    "arch": ("gcc",),
}
_BUILD = {
    "debian": ("gcc", "g++", "ninja-build"),
    "rhel": ("gcc", "gcc-c++", "ninja-build"),
    "suse": ("gcc", "gcc-c++", "ninja"),
    "arch": ("gcc", "ninja"),
}
_HEADERS = {"debian": "python3-dev", "rhel": "python3-devel", "suse": "python3-devel"}


def system_packages(
    target: Target, wishes: Wishes, world: Knowledge, *, python: str, gcc: str | None, image: str | None
) -> tuple[str, ...]:
    """For the machine, or for the image where the stack goes into one: an image of the recipes is Debian's or Ubuntu's."""
    if not target.platform.startswith("linux"):
        return ()
    family = "debian" if wishes.container else _family(target, world)
    if family is None:
        return ()
    own_python = not wishes.container and target.python == python
    names: list[str] = []
    if own_python and family == "debian":
        names.append("python3-venv")
    if wishes.purpose == "build-extensions":
        names += _compilers(_BUILD.get(family, ()), target, world, gcc=gcc, image=image if wishes.container else None)
    elif wishes.purpose == "train":
        names += _TRAIN.get(family, ())
    if own_python and wishes.purpose != "run" and family in _HEADERS:
        names.append(_HEADERS[family])
    return tuple(names)


def _family(target: Target, world: Knowledge) -> str | None:
    try:
        return world.system(target.os).family if target.os else None
    except KnowledgeError:
        return None


def _compilers(
    names: tuple[str, ...], target: Target, world: Knowledge, *, gcc: str | None, image: str | None
) -> list[str]:
    """With the version in the name where the system's own gcc is known to be too new for nvcc (Debian's and Ubuntu's names)."""
    system = image.rpartition(":")[2].rpartition("-")[2] if image else target.os
    own = next((row.gcc for row in world.system_compilers() if row.name.lower().replace(" ", "") == system), None)
    if gcc is None or own is None or int(own.split(".")[0]) <= int(gcc):
        return list(names)
    return [f"{name}-{gcc}" if name in ("gcc", "g++") else name for name in names]
