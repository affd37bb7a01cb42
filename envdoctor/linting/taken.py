"""The torch that an environment ends up with, however it comes: by pip, by conda, as a wheel, inside an image.

Where the table of builds has it, it is that build. What is older, or comes by another way, is known by its CUDA: `cudas` are
those that it can be, and what holds for all of them holds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envdoctor.knowledge import Knowledge, KnowledgeError, TorchBuild
from envdoctor.knowledge.conda_forge import conda_builds
from envdoctor.linting.model import DescribedEnvironment, Install, PlacedValue, Wanted
from envdoctor.linting.resolving import PYPI, Circumstances, bringing, channel_of, resolve, specifier
from envdoctor.linting.systems import parse

# pytorch.org/blog/pytorch2-6: from 2.6 on nothing is published on Conda (github.com/pytorch/pytorch/issues/138506).
_WHEEL = re.compile(r"torch-(\d+\.\d+(?:\.\d+)?)(?:(?:\+|%2B)([a-z]+[\d.]*))?-cp(\d)(\d+)", re.IGNORECASE)
_CONDA_BUILD = re.compile(r"cuda_?(\d+\.\d+|\d{3})(?!\d)")
_MONTH = re.compile(r"(\d\d\.\d\d)(?:-|$)")
_CUDA_TAG = re.compile(r"(?:cuda|cu)[-_]?(\d{1,2}\.\d|\d{2,3}|\d(?=-))(?!\d)")


class Origin(enum.Enum):
    """How it comes."""

    PIP = "pip"
    CONDA = "conda"
    IMAGE = "image"
    WHEEL = "wheel"


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """`said`: the words and their place. `cudas`: the versions that it can be built with, () where not known; `cpu`: it is
    built without. `for_python`: the Pythons of its wheels where the one there is not among them."""

    said: Wanted
    origin: Origin
    release: str | None = None
    cudas: tuple[str, ...] = ()
    cpu: bool = False
    build: TorchBuild | None = None
    pythons: tuple[str, ...] = ()
    python_missing: bool = False

    @property
    def known(self) -> bool:
        """Whether it can be held against a GPU."""
        return self.build is not None or bool(self.cudas) or self.cpu or self.python_missing


def taken(environment: DescribedEnvironment, where: Circumstances, world: Knowledge) -> tuple[Taken, ...]:
    """One for each install that brings a torch, and the image's own where none of them replaces it."""
    found = [one for install in environment.installs if (one := _by_conda(install, world)) is not None]
    found += [_by_pip(install, wanted, where, world) for install, wanted in bringing(environment, world)]
    replaced = any(
        one.said.specifier or one.said.elsewhere or one.origin is not Origin.PIP or _named_index(one, environment)
        for one in found
    )
    image = of_image(environment.image, world) if environment.image is not None and not replaced else None
    if image is not None:
        return (image, *(one for one in found if one.origin is not Origin.PIP))
    return tuple(found)


def _named_index(one: Taken, environment: DescribedEnvironment) -> bool:
    return any(i.indexes or i.tool != "pip" for i in environment.installs if i.find("torch") == one.said)


def _by_pip(install: Install, wanted: Wanted, where: Circumstances, world: Knowledge) -> Taken:
    if wanted.elsewhere:
        return _wheel(wanted, where, world)
    resolved = resolve(install, where, world)
    if resolved is not None and resolved.build is not None:
        build = resolved.build
        return Taken(
            said=wanted,
            origin=Origin.PIP,
            release=build.torch,
            cudas=(build.cuda,) if build.cuda else (),
            cpu=build.cuda is None,
            build=build,
        )
    if resolved is not None and resolved.obstacle:
        nearest = resolved.nearest.torch if resolved.nearest is not None else None
        return Taken(said=wanted, origin=Origin.PIP, release=nearest, python_missing=True)
    return _by_release(install, wanted, where, world)


def variant_cuda(variant: str) -> str | None:
    """'11.3' of "cu113"; None for another."""
    match = re.fullmatch(r"cu(\d{1,2})(\d)", variant)
    return f"{match[1]}.{match[2]}" if match else None


def _by_release(install: Install, wanted: Wanted, where: Circumstances, world: Knowledge) -> Taken:
    """What a requirement that names few releases can be, whichever index it comes from."""
    unknown = Taken(said=wanted, origin=Origin.PIP)
    asked = specifier(wanted)
    if asked is None or not asked[0]:
        return unknown
    admitted, local = asked
    newer = [row.version for row in world.torch_releases() if admitted.contains(row.version)]
    old = [row for row in world.old_torches() if admitted.contains(row.version)]
    if newer:
        exact = len(newer) == 1 and wanted.specifier.startswith("==")
        cudas = _cudas_of(newer[0], world) if exact and where.fresh is not None else ()
        own = variant_cuda(local) if local else None
        return msgspec.structs.replace(
            unknown, release=newer[0] if exact else None, cudas=(own,) if own and exact else cudas, cpu=local == "cpu"
        )
    if where.platform == "linux_aarch64":
        return unknown
    if not old:
        # Before all that the tables know: with no newer CUDA than the oldest in them.
        first = world.old_torches()[-1]
        pins = [s.version for s in admitted if s.operator == "==" and not s.version.endswith("*")]
        before = bool(pins) and all(Version(pin) < Version(first.version) for pin in pins)
        return msgspec.structs.replace(unknown, release=pins[0], cudas=first.cudas) if before else unknown
    fitting = [row for row in old if where.python is None or where.python in row.python]
    row = (fitting or old)[0]
    found = msgspec.structs.replace(unknown, release=row.version, pythons=row.python, python_missing=not fitting)
    if local is not None:
        own = variant_cuda(local)
        return msgspec.structs.replace(found, cudas=(own,) if own else (), cpu=local == "cpu")
    own_index = [channel_of(index) for index in install.indexes if not index.beside][-1:] or [PYPI]
    beside = [channel_of(index) for index in install.indexes if index.beside]
    channels = [*own_index, *beside]
    if channels == [PYPI] and not install.incomplete and where.platform == "linux_x86_64":
        return msgspec.structs.replace(found, cudas=(row.cuda,))
    if own_index == ["cpu"] and not beside:
        return msgspec.structs.replace(found, cpu=True)
    named = [cuda for channel in channels if (cuda := variant_cuda(channel)) is not None]
    if len(channels) == 1 and named:
        return msgspec.structs.replace(found, cudas=tuple(named))
    if set(beside) & set(row.listed) and own_index == [PYPI] and len(beside) == 1:
        return msgspec.structs.replace(found, cudas=tuple(named))  # its local part is higher than PyPI's none
    return msgspec.structs.replace(found, cudas=tuple(dict.fromkeys((*named, *row.cudas))))


def _cudas_of(release: str, world: Knowledge) -> tuple[str, ...]:
    """The CUDA of every build of a release that is known or named anywhere; () where one of them is not known."""
    row = world.old_torch(release)
    if row is not None:
        return row.cudas
    found = {build.cuda for build in world.torch_builds(release) if build.cuda is not None}
    known = world.torch_release(release)
    for unconfirmed in known.unconfirmed if known is not None else ():
        if (cuda := variant_cuda(unconfirmed.variant)) is not None:
            found.add(cuda)
    return tuple(sorted(found, key=Version, reverse=True))


def _wheel(wanted: Wanted, where: Circumstances, world: Knowledge) -> Taken:
    """A wheel by its address, whose name says what it is."""
    found = Taken(said=wanted, origin=Origin.WHEEL)
    match = _WHEEL.search(wanted.text)
    if match is None or "download.pytorch.org" not in wanted.text:
        return found
    release, local = match[1], match[2]
    folder = re.search(r"/whl/(cu\d+|cpu)/", wanted.text)
    variant = local or (folder[1] if folder else None)
    python = f"{match[3]}.{match[4]}"
    build = next(
        (b for b in world.torch_builds(release) if b.variant == variant and b.platform == where.platform), None
    )
    cuda = variant_cuda(variant) if variant else None
    return msgspec.structs.replace(
        found,
        release=release,
        cudas=(cuda,) if cuda else (),
        cpu=variant == "cpu",
        build=build,
        pythons=(python,),
        python_missing=where.python is not None and where.python.rstrip("t") != python,
    )


def _by_conda(install: Install, world: Knowledge) -> Taken | None:
    wanted = (install.find("pytorch") or install.find("pytorch-gpu")) if install.tool == "conda" else None
    if wanted is None:
        return None
    found = Taken(said=wanted, origin=Origin.CONDA, release=_conda_release(wanted, install, world))
    if install.find("cpuonly") or "_cpu" in wanted.text or "=cpu" in wanted.text:
        return msgspec.structs.replace(found, cpu=True)
    if match := _CONDA_BUILD.search(wanted.text):
        text = match[1]
        return msgspec.structs.replace(found, cudas=(text if "." in text else f"{text[:2]}.{text[2:]}",))
    for other in install.wanted:
        if match := re.fullmatch(
            r"cuda(\d{1,2})(\d)", other.name
        ):  # cuda90, cuda100: before cudatoolkit there were these
            return msgspec.structs.replace(found, cudas=(f"{match[1]}.{match[2]}",))
    for name in ("pytorch-cuda", "cudatoolkit", "cuda-version"):
        pin = install.find(name)
        exact = re.match(r"==(\d+\.\d+)", pin.specifier) if pin is not None else None
        if exact is not None:
            return msgspec.structs.replace(found, cudas=(exact[1],))
        if pin is not None:
            return found
    if found.release is None:
        return found
    if "conda-forge" in install.channels or not install.channels:
        cudas = [build.cuda for build in conda_builds(found.release, "linux_x86_64") if build.cuda is not None]
        # Before the table of its builds begins, conda-forge built for CUDA versions that are not known here.
        forge = "conda-forge" in install.channels and "pytorch" not in install.channels
        return msgspec.structs.replace(found, cudas=tuple(cudas)) if forge else found
    return msgspec.structs.replace(found, cudas=_cudas_of(found.release, world))


def _conda_release(wanted: Wanted, install: Install, world: Knowledge) -> str | None:
    try:
        admitted = SpecifierSet(wanted.specifier)
    except InvalidSpecifier:
        return None
    known = [row.version for row in world.torch_releases()] + [row.version for row in world.old_torches()]
    if "conda-forge" not in install.channels and "pytorch" in install.channels:
        known = [text for text in known if Version(text) < Version("2.6")]
    elif not wanted.specifier.startswith("=="):
        return None
    return next((text for text in known if admitted.contains(text)), None)


def of_image(said: PlacedValue, world: Knowledge) -> Taken | None:
    """The torch that an image holds, as far as its name says so."""
    reference = parse(said.value)
    if reference.digest and not reference.tag:
        return None
    wanted = Wanted(name="torch", specifier="", place=said.place, text=str(reference))
    found = Taken(said=wanted, origin=Origin.IMAGE)
    if reference.repository.endswith("nvidia/pytorch"):
        match = _MONTH.match(reference.tag)
        try:
            return msgspec.structs.replace(found, cudas=world.ngc_cudas(match[1])) if match else found
        except KnowledgeError:
            return found
    name = f"{reference.repository.rpartition('/')[2]}:{reference.tag}".lower()
    if "torch" not in name and not re.search(r"\bth\d", name):
        return None
    cuda = _CUDA_TAG.search(reference.tag.lower())
    if cuda is None:
        return found
    text = cuda[1] if "." in cuda[1] else f"{cuda[1]}.0" if len(cuda[1]) == 1 else f"{cuda[1][:-1]}.{cuda[1][-1]}"
    release = re.search(r"(?:^|torch|th|pt|-)v?(\d\.\d{1,2}(?:\.\d+)?)(?=[-_]|$)", reference.tag.lower())
    official = reference.repository == "pytorch/pytorch"
    build = _image_build(release[1], text, world) if release and official else None
    return msgspec.structs.replace(found, release=release[1] if release else None, cudas=(text,), build=build)


def _image_build(release: str, cuda: str, world: Knowledge) -> TorchBuild | None:
    builds: Iterable[TorchBuild] = world.torch_builds(release) if release.count(".") == 2 else ()
    return next((b for b in builds if b.platform == "linux_x86_64" and b.cuda == cuda), None)
