"""The image that a build starts from: tags that are gone, CUDA twice, a CUDA that the host's driver refuses, a driver inside."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.knowledge.versions import cuda_key, cuda_minor
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment, PlacedValue
from envdoctor.linting.resolving import Circumstances, resolve
from envdoctor.linting.rules.wheels import update_driver
from envdoctor.linting.systems import CudaTag, Reference, cuda_tag, parse

# Debian's and Ubuntu's names, NVIDIA's repository's, and the RPM ones: packages that hold the driver's own libraries.
_DRIVER = re.compile(
    r"(nvidia-driver(-.*)?|cuda-drivers(-.*)?|libnvidia-(compute|gl|ml|decode|encode|cfg1)(-.*)?|libcuda1|nvidia-utils(-.*)?|"
    r"nvidia-smi|nvidia-kernel-.*|nvidia-dkms-.*|nvidia-open(-.*)?|xserver-xorg-video-nvidia.*|akmod-nvidia|kmod-nvidia.*)"
)
# NVIDIA's meta-packages that bring the driver along; cuda-toolkit-X-Y does not.
_WITH_DRIVER = re.compile(r"cuda(-\d+-\d+)?|cuda-runtime(-\d+-\d+)?|cuda-demo-suite-\d+-\d+")


def judge(
    environment: DescribedEnvironment, where: Circumstances, machine: TargetMachine, world: Knowledge
) -> Iterator[Finding]:
    """What is wrong with the base image and with what is put beside it."""
    if environment.image is not None:
        yield from judge_image(environment.image, machine, world, runs=environment.runs)
        tag = cuda_tag(parse(environment.image.value))
        if tag is not None:
            yield from _two_cudas(environment, environment.image, tag, where, world)
    for package in environment.system_packages if environment.runs else ():
        brings = _WITH_DRIVER.fullmatch(package.value)
        if not (_DRIVER.fullmatch(package.value) or brings):
            continue
        yield Finding(
            rule="driver-in-image",
            code="driver-library-mismatch",
            severity=Severity.ERROR,
            title="A driver installed into an image",
            summary=f"{package.value} puts {'a driver with its libraries' if brings else 'libraries of a driver'} into the "
            "image. The container runtime mounts the host's: of any other version, these fail to initialise or shadow them.",
            evidence=(fact("package", package.value),),
            fixes=(
                Fix(
                    title="Install cuda-toolkit-X-Y instead, which has no driver"
                    if brings
                    else "Leave it out of the image",
                    note="The host's driver comes in with `docker run --gpus all`.",
                ),
            ),
            file=package.place.file,
            line=package.place.line,
        )


def judge_image(said: PlacedValue, machine: TargetMachine, world: Knowledge, *, runs: bool = True) -> Iterator[Finding]:
    """The reference alone: whether the tag exists, and, where it `runs`, whether this host's driver lets it start."""
    reference = parse(said.value)
    missing = _missing(reference, world)
    if missing is not None:
        yield Finding(
            rule="image-missing",
            code="platform-unsupported",
            severity=Severity.ERROR,
            title="No such image",
            summary=missing,
            evidence=(fact("image", str(reference)),),
            fixes=_other_tags(reference, world),
            file=said.place.file,
            line=said.place.line,
        )
        return
    tag = cuda_tag(reference)
    if tag is not None and _retired(reference, tag, world):
        yield Finding(
            rule="image-unsupported",
            code="platform-unsupported",
            severity=Severity.WARNING,
            title="An image that may be gone",
            summary=f"NVIDIA listed {reference} as unsupported in 2025, and deletes such tags after six months: it may be gone.",
            evidence=(fact("image", str(reference)),),
            fixes=_other_tags(reference, world),
            file=said.place.file,
            line=said.place.line,
        )
    if runs and tag is not None and machine.driver is not None and not machine.on_windows_driver:
        branch = world.driver_branch(machine.driver)
        newest = branch.max_cuda if branch else None
        if (
            branch is not None
            and newest is not None
            and branch.known
            and cuda_key(newest) < cuda_key(tag.cuda)
            and branch.branch not in _bridged(tag, world)
        ):
            yield Finding(
                rule="driver-older-than-image",
                code="driver-too-old",
                severity=Severity.ERROR,
                title="The host's driver is too old for this image",
                summary=f"{reference} asks for a driver of CUDA {cuda_minor(tag.cuda)} (NVIDIA_REQUIRE_CUDA); this machine's "
                f"{machine.driver} is of CUDA {newest}, so the container will not start.",
                evidence=(fact("image", str(reference)), fact("driver.version", machine.driver)),
                fixes=(
                    Fix(
                        title="Start from a plain image: torch's wheels bring CUDA themselves", note="python:3.12-slim"
                    ),
                    Fix(title=f"Use an image of CUDA {newest} or older"),
                    *_newer_driver(tag, machine, world),
                ),
                file=said.place.file,
                line=said.place.line,
            )


def _newer_driver(tag: CudaTag, machine: TargetMachine, world: Knowledge) -> tuple[Fix, ...]:
    """The driver of the image's CUDA, by its branch where a later one would drop the GPU; () where none is for these GPUs."""
    needed = world.toolkit_driver(tag.cuda)
    if needed is None:
        return (Fix(title="Update the host's driver", needs_root=True, needs_reboot=True),)
    return update_driver(needed, Circumstances(platform=machine.platform or "linux_x86_64"), machine, world)


def _bridged(tag: CudaTag, world: Knowledge) -> set[str]:
    """The branches that the image accepts by its cuda-compat. Where no image of that minor was read, any that one of the same
    major accepts may be among them."""
    own = world.bridged_branches(tag.cuda)
    if own:
        return set(own)
    rows = [
        row for row in world.image_requirements() if cuda_key(row.image.partition("-")[0])[0] == cuda_key(tag.cuda)[0]
    ]
    return {branch for row in rows for branch in row.accepts}


def _missing(reference: Reference, world: Knowledge) -> str | None:
    """Why there is no such image; None where there is, or where that is not known."""
    if reference.digest:
        return None
    if reference.repository == "pytorch/pytorch":
        return _missing_pytorch(reference, world)
    if not reference.repository.endswith("nvidia/cuda"):
        return None
    if reference.tag in ("", "latest"):
        return "nvidia/cuda has no tag 'latest': a version has to be named, nvidia/cuda:<version>-<flavour>-<system>."
    tag = cuda_tag(reference)
    if tag is None:
        return None
    if tag.system is None or not tag.flavour:
        return f"nvidia/cuda:{reference.tag} does not exist: a tag names version, flavour and system, 12.9.1-base-ubuntu24.04."
    rows = world.cuda_images(tag.cuda)
    if any(image.tag == reference.tag for image in rows):
        return None
    known = sorted({image.cuda for image in world.cuda_images()}, key=Version)
    # The list of tags is whole up to the newest of its first reading; of later ones only some were seen.
    whole = [image.cuda for image in world.cuda_images() if {"supported", "unsupported"} & set(image.status)]
    if Version(tag.cuda) > max(Version(cuda) for cuda in whole):
        return None
    if not rows:
        near = [cuda for cuda in known if cuda_key(cuda) == cuda_key(tag.cuda)]
        return f"nvidia/cuda has no images of CUDA {tag.cuda}" + (
            f"; of {cuda_minor(tag.cuda)} there is {', '.join(near)}."
            if near
            else " (they never existed or were deleted)."
        )
    if {"supported", "unsupported"} & set(rows[0].status):
        return f"nvidia/cuda:{reference.tag} is not among the tags of CUDA {tag.cuda}."
    return None


def _missing_pytorch(reference: Reference, world: Knowledge) -> str | None:
    """A tag of a release whose images are known, with a CUDA that it has no build for, or another cuDNN beside that CUDA."""
    match = re.fullmatch(r"(\d+\.\d+\.\d+)-cuda(\d+\.\d+)-cudnn(\d+)-(runtime|devel)", reference.tag)
    images = world.pytorch_images(match[1], flavour="runtime") if match is not None else ()
    if match is None or not images:
        return None
    seen = ", ".join(image.tag.removesuffix("-runtime") for image in images)
    same = [image for image in images if image.cuda == match[2]]
    if same and any(f"-cudnn{match[3]}-" in image.tag for image in same):
        return None
    if not same and any(build.cuda == match[2] for build in world.torch_builds(match[1])):
        return None
    return f"pytorch/pytorch:{reference.tag} does not exist: of torch {match[1]} there is {seen}."


def _retired(reference: Reference, tag: CudaTag, world: Knowledge) -> bool:
    """Whether NVIDIA's list names it as unsupported and nothing later says otherwise (support-policy.md)."""
    image = next((image for image in world.cuda_images(tag.cuda) if image.tag == reference.tag), None)
    return image is not None and "unsupported" in image.status and "still listed later" not in image.status


def _other_tags(reference: Reference, world: Knowledge) -> tuple[Fix, ...]:
    tag = cuda_tag(reference)
    if reference.repository == "pytorch/pytorch":
        flavour = "devel" if reference.tag.endswith("devel") else "runtime"
        known = world.pytorch_images(reference.tag.partition("-")[0], flavour=flavour)
        return (Fix(title=f"Use {known[0].reference}"),) if known else ()
    fixes = [Fix(title="Start from a plain image: torch's wheels bring CUDA themselves", note="python:3.12-slim")]
    if tag is not None:
        same = [
            image
            for image in world.cuda_images(cuda_minor(tag.cuda), flavour=tag.flavour or None, cudnn=tag.cudnn)
            if "unsupported" not in image.status
        ]
        exact = [image for image in same if image.os == tag.system] or same
        if exact:
            fixes.insert(0, Fix(title=f"Use {exact[0].reference}"))
    return tuple(fixes)


def _two_cudas(
    environment: DescribedEnvironment, image: PlacedValue, tag: CudaTag, where: Circumstances, world: Knowledge
) -> Iterator[Finding]:
    """An image with CUDA below wheels that bring their own: gigabytes twice, and for builds possibly the wrong one."""
    for install in environment.installs:
        resolved = resolve(install, where, world)
        build, wanted = resolved.build if resolved else None, install.find("torch")
        if build is None or build.cuda is None or wanted is None:
            continue
        ours, theirs = cuda_key(build.cuda), cuda_key(tag.cuda)
        if tag.flavour == "devel" and environment.builds is not None:
            if ours[0] != theirs[0]:
                yield Finding(
                    rule="toolkit-of-another-cuda",
                    code="toolkit-mismatch",
                    severity=Severity.ERROR,
                    title="The image's toolkit is of another CUDA than torch",
                    summary=f"`{environment.builds.value}` compiles with the image's CUDA {tag.cuda}, but `{wanted.text}` "
                    f"takes {build.name}: torch refuses to build extensions across CUDA majors.",
                    evidence=(fact("image", image.value), fact("resolves to", build.name)),
                    fixes=_devel_of(build.cuda, world),
                    file=image.place.file,
                    line=image.place.line,
                )
            return
        if tag.flavour in ("runtime", "devel") and environment.runs:
            yield Finding(
                rule="cuda-twice",
                code="toolkit-multiple",
                severity=Severity.WARNING,
                title="CUDA twice",
                summary=f"The image brings CUDA {tag.cuda} and `{wanted.text}` brings CUDA {build.cuda} in wheels: gigabytes "
                "that torch does not use"
                + ("." if ours == theirs else ", and libraries of another version on the loader's path."),
                evidence=(fact("image", image.value), fact("resolves to", build.name)),
                fixes=(
                    Fix(
                        title="Start from a plain image, such as python:3.12-slim",
                        note="nvidia/cuda is only needed to compile extensions.",
                    ),
                ),
                file=image.place.file,
                line=image.place.line,
            )
        return


def _devel_of(cuda: str, world: Knowledge) -> tuple[Fix, ...]:
    images = world.cuda_images(cuda, flavour="devel", cudnn=False)
    return (Fix(title=f"Start from {images[0].reference}"),) if images else ()
