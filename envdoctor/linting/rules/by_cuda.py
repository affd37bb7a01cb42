"""A torch that the tables do not hold, by the CUDA that it was built with: an old release, one of conda, one in an image.

No build has code for a GPU that its own toolkit cannot make code for. CUDA itself is named by a tag (+cu113, an index of
cu111, an image's cuda10.1), by conda's cudatoolkit and pytorch-cuda, or bounded by the release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.knowledge.versions import cuda_key
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment, Install, Place, PlacedValue, Wanted
from envdoctor.linting.resolving import Circumstances, channels_of, resolve, specifier
from envdoctor.linting.rules.preinstalled_torch import torch_of
from envdoctor.linting.rules.wheels import update_driver, write_instead
from envdoctor.linting.systems import parse

_IMAGE_TAG = re.compile(r"(\d+\.\d+(?:\.\d+)?)-cuda(\d{1,2}\.\d)")
_BUILD_STRING = re.compile(r"[_=]cuda(\d{1,2}\.\d)|[_=]cu(?:da)?(\d{2,3})(?=\D|$)")
_CONDA_PINS = ("pytorch-cuda", "cudatoolkit", "cuda-version", "cuda-toolkit", "cuda-cudart")
_CHANNEL = re.compile(r"cu(\d{2,3})")


class NamedCuda(msgspec.Struct, frozen=True, kw_only=True):
    """The CUDA that a torch was built with. `at_most`: it is this one or an older one."""

    cuda: str
    text: str
    place: Place
    at_most: bool = False
    image: str | None = None
    conda: bool = False


def judge(
    environment: DescribedEnvironment, where: Circumstances, machine: TargetMachine, world: Knowledge
) -> Iterator[Finding]:
    """Every torch of the environment that `resolving` cannot name, held against the machine."""
    for said in named(environment, where, world):
        yield from judge_cuda(said, where, machine, world)


def named(environment: DescribedEnvironment, where: Circumstances, world: Knowledge) -> Iterator[NamedCuda]:
    """What is known of the CUDA of each torch that no published build in the tables stands for."""
    wants_torch = False
    for install in environment.installs:
        wanted = (
            install.find("torch") if install.tool != "conda" else install.find("pytorch") or install.find("pytorch-gpu")
        )
        if wanted is None or wanted.elsewhere:
            continue
        wants_torch = wants_torch or bool(wanted.specifier)
        if install.tool == "conda":
            found = _of_conda(install, wanted, world)
        else:
            resolved = resolve(install, where, world)
            found = None if resolved is not None else _of_pip(install, wanted, world)
        if found is not None:
            yield found
    if environment.image is not None and not wants_torch and (found := of_image(environment.image, world)) is not None:
        yield found


def of_image(said: PlacedValue, world: Knowledge) -> NamedCuda | None:
    """pytorch/pytorch's tags name torch and CUDA; those of other builders in that form as well."""
    reference = parse(said.value)
    match = _IMAGE_TAG.search(reference.tag)
    if match is None or "torch" not in reference.repository or torch_of(said, world) is not None:
        return None
    return NamedCuda(cuda=match[2], text=str(reference), place=said.place, image=reference.repository)


def _of_pip(install: Install, wanted: Wanted, world: Knowledge) -> NamedCuda | None:
    asked = specifier(wanted)
    if asked is None:
        return None
    admitted, local = asked
    tags = (local,) if local is not None else channels_of(install) or ()
    cudas = [_dotted(match[1]) for tag in tags if tag and (match := _CHANNEL.match(tag))]
    if cudas and len(tags) == 1:
        return NamedCuda(cuda=cudas[0], text=wanted.text, place=wanted.place)
    return _by_release(admitted, wanted, world, conda=False, default_index=tags == ("pypi",))


def _of_conda(install: Install, wanted: Wanted, world: Knowledge) -> NamedCuda | None:
    for name in _CONDA_PINS:
        pin = install.find(name)
        version = re.match(r"==\s?(\d{1,2}\.\d)", pin.specifier) if pin is not None else None
        if version is not None:
            return NamedCuda(
                cuda=version[1], text=pin.text if pin else "", place=pin.place if pin else wanted.place, conda=True
            )
    built = _BUILD_STRING.search(wanted.text)
    if built is not None:
        return NamedCuda(cuda=built[1] or _dotted(built[2]), text=wanted.text, place=wanted.place, conda=True)
    asked = specifier(wanted)
    return _by_release(asked[0], wanted, world, conda=True, default_index=False) if asked else None


def _by_release(
    admitted: SpecifierSet, wanted: Wanted, world: Knowledge, *, conda: bool, default_index: bool
) -> NamedCuda | None:
    """The newest CUDA that any build of the newest admitted release has; of a release before the table's, that of its oldest."""
    top = _highest(admitted)
    if top is None:
        return None
    release = next((r for r in world.torch_releases() if admitted.contains(r.version)), None)
    oldest = world.torch_releases()[-1].version
    if release is None and top >= Version(oldest):
        return None
    if release is None and default_index and (known := world.cuda_of_old(str(top))) is not None:
        return NamedCuda(cuda=known, text=wanted.text, place=wanted.place)
    builds = world.torch_builds(release.version if release is not None else oldest)
    newest = max((build.cuda for build in builds if build.cuda), key=cuda_key, default=None)
    if newest is None:
        return None
    return NamedCuda(cuda=newest, text=wanted.text, place=wanted.place, at_most=True, conda=conda)


def _highest(admitted: SpecifierSet) -> Version | None:
    """The highest release that a pin or an upper bound admits; None where nothing bounds it."""
    highest: list[Version] = []
    for one in admitted:
        if one.operator in ("==", "<=", "<", "~="):
            try:
                highest.append(Version(one.version.removesuffix(".*")))
            except InvalidVersion:
                return None
    return min(highest, default=None)


def _dotted(digits: str) -> str:
    """'11.3' of '113', '9.2' of '92'."""
    return f"{digits[:-1]}.{digits[-1]}"


def judge_cuda(said: NamedCuda, where: Circumstances, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    """Whether the machine's GPUs and driver go with a torch of that CUDA."""
    bound = f"CUDA {said.cuda}{' or older' if said.at_most else ''}"
    for gpu in machine.gpus:
        if gpu.capability is None or world.toolkit_reaches(said.cuda, gpu.capability) is not False:
            continue
        too_old = world.toolkit_reaches(world.newest_cuda(), gpu.capability) is False
        if too_old and said.at_most:
            continue  # an older CUDA may have had code for it
        yield Finding(
            code="gpu-arch-too-old-for-torch" if too_old else "gpu-arch-too-new-for-torch",
            severity=Severity.ERROR,
            title="This torch has no code for the GPU",
            summary=f"`{said.text}` is a torch of {bound}, which makes no code for {gpu}.",
            evidence=(fact("requirement", said.text), fact("torch.cuda", bound), fact("gpu", str(gpu))),
            fixes=_instead(said, where, machine, world),
            file=said.place.file,
            line=said.place.line,
        )
        return
    needed = None if said.at_most else world.minimum_driver(said.cuda, where.platform or "linux_x86_64")
    if needed is not None and machine.driver is not None and Version(machine.driver) < Version(needed):
        yield Finding(
            code="driver-too-old",
            severity=Severity.ERROR,
            title="The driver is older than this torch needs",
            summary=f"`{said.text}` is a torch of {bound}, which needs driver {needed} or newer; this machine has "
            f"{machine.driver}.",
            evidence=(fact("requirement", said.text), fact("driver.version", machine.driver)),
            fixes=update_driver(needed, where, machine, world),
            file=said.place.file,
            line=said.place.line,
        )


def _instead(said: NamedCuda, where: Circumstances, machine: TargetMachine, world: Knowledge) -> tuple[Fix, ...]:
    build = machine.fitting(where, world)
    if build is None:
        return ()
    names = ", ".join(dict.fromkeys(str(gpu) for gpu in machine.gpus))
    if said.image is not None:
        return (
            Fix(
                title=f"Start from a tag with CUDA {build.cuda} or newer: the newest torch for {names} is {build.torch}",
                note=f"https://hub.docker.com/r/{said.image}/tags lists them.",
            ),
        )
    if said.conda:
        return (
            Fix(
                title=f"Take torch {build.torch} or newer with CUDA {build.cuda} or newer: from conda-forge, or by pip",
                note="The pytorch channel ended with torch 2.5.",
            ),
        )
    return write_instead(build, f"the newest that runs on {names}")
