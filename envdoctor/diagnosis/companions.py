"""Packages built against a torch: what their metadata, their names and they themselves say of it. No table of products."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec
from packaging.requirements import Requirement

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import BrokenPin, Distribution, Interpreter, Torch
from envdoctor.knowledge import Knowledge

_TORCH = re.compile(r"(?:^|[^a-z])(?:torch|pt)(\d+(?:\.\d+)*)|\d(?:torch|pt)(\d+(?:\.\d+)*)")
_CUDA = re.compile(r"(?:^|[^a-z])cu(\d{2,3})(?!\d)")
_ABI = re.compile(r"cxx11abi(true|false)")


class BuiltFor(msgspec.Struct, frozen=True):
    """What the local part of a version says: '2.7.4+cu12torch2.6cxx11abiFALSE', '2.1.2+pt26cu124', '0.1.6+cu121torch2.4'."""

    torch: tuple[int, int] | None = None
    """(major, minor)."""
    cuda: int | None = None
    """The major version; 0 for a CPU build."""
    cxx11_abi: bool | None = None


def distribution_built_for(distribution: Distribution) -> BuiltFor:
    """By its version, else by the name of the file it was installed from: some publishers write it only there."""
    said = built_for(distribution.version)
    file = unquote(distribution.origin or "").rpartition("/")[2]
    return built_for(file.split("-")[1]) if said == BuiltFor() and file.endswith(".whl") and "-" in file else said


def built_for(version: str | None) -> BuiltFor:
    """What the local part of a version tells of its build; nothing where it has none."""
    local = (version or "").partition("+")[2].lower()[:100]
    torch, cuda, abi = _TORCH.search(local), _CUDA.search(local), _ABI.search(local)
    major: int | None = None
    if cuda:
        # cu92 is CUDA 9.2; cu12 is any 12; cu118 and cu130 are major and minor.
        digits = cuda[1]
        major = int(digits[0]) if len(digits) == 2 and digits[0] == "9" else int(digits[:2])
    elif local.endswith("cpu"):
        major = 0
    return BuiltFor(_two(torch[1] or torch[2]) if torch else None, major, None if abi is None else abi[1] == "true")


def _two(digits: str) -> tuple[int, int] | None:
    """(2, 6) of '2.6', '2.6.0' and '26'; (2, 11) of '211', (1, 13) of '113'."""
    parts = digits.split(".")
    if len(parts) >= 2:
        return int(parts[0]), int(parts[1])
    return (int(digits[0]), int(digits[1:])) if 2 <= len(digits) <= 3 else None


def release_of(torch: Torch) -> tuple[int, int] | None:
    """(major, minor) of the installed torch."""
    parts = (torch.version or "").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdecimal() and parts[1].isdecimal() else None


def major_of(version: str | None) -> int | None:
    """12 of '12.8'."""
    first = (version or "").partition(".")[0]
    return int(first) if first.isdecimal() else None


def pins(interpreter: Interpreter | None, *names: str, prefix: str = "") -> Iterator[tuple[BrokenPin, Requirement]]:
    """The requirements on one of `names`, or on a name that begins with `prefix`, that the environment does not meet."""
    for pin in (interpreter.broken_pins or ()) if interpreter else ():
        requirement = Requirement(pin.requirement)
        name = requirement.name.lower().replace("_", "-").replace(".", "-")
        if name in names or (prefix and name.startswith(prefix)):
            yield pin, requirement


def compiled(distribution: Distribution | None) -> bool | None:
    """Whether it holds compiled code, by the tag of its wheel."""
    if distribution is None or distribution.tag is None:
        return None
    return not distribution.tag.endswith("-none-any")


def variant(version: str | None) -> str | None:
    """'cpu', 'cu126' or 'rocm6.4' from the local part of a version; None where there is none."""
    local = (version or "").partition("+")[2]
    return local if local.startswith(("cpu", "cu", "rocm")) else None


def variants_clash(ours: str, theirs: str) -> bool:
    """Whether two variants are for different devices or CUDA majors; cu124 and cu126 go together."""

    def family(name: str) -> str:
        return name[:4] if name.startswith("cu1") else "rocm" if name.startswith("rocm") else name

    return family(ours) != family(theirs)


def sibling_built_for(machine: Snapshot, world: Knowledge, name: str) -> str | None:
    """The torch that the installed torchvision or torchaudio was built for, when it is not the one that is there.

    Its own pin decides; where pins are not known (a dump), the table of releases that belong together.
    """
    interpreter, torch = machine.interpreter, machine.torch
    own = interpreter.distribution(name) if interpreter else None
    if interpreter is None or torch is None or own is None or own.version is None:
        return None
    if interpreter.broken_pins is not None:
        for pin, requirement in pins(interpreter, "torch"):
            if pin.distribution == name and pin.installed is not None:
                return str(requirement.specifier).removeprefix("==")
        return None
    release = torch.release or ""
    # Alpha versions are source builds (NGC images, conda), made together with the torch beside them.
    if any("a0" in version for version in (release, own.version)) or world.torch_release(release) is None:
        return None
    goes_with = world.torchvision_for(release) if name == "torchvision" else world.torchaudio_for(release)
    if goes_with == own.version.partition("+")[0]:
        return None
    if world.companion_accepts(name, own.version, release):
        return None
    made_for = world.torch_for_torchvision if name == "torchvision" else world.torch_for_torchaudio
    expected = made_for(own.version.partition("+")[0])
    return expected if expected != release else None
