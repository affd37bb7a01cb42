"""The Stack of a chosen build: everything around torch that the templates need, from the knowledge base."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, python_tag, version
from envdoctor.planning.driver_choice import choose_driver
from envdoctor.planning.driver_limits import needed_by
from envdoctor.planning.images import base_image, build_image, toolkit_of
from envdoctor.planning.model import Stack, Target, Wishes
from envdoctor.planning.package_limits import resolved
from envdoctor.planning.system_packages import system_packages
from envdoctor.planning.words import capabilities_in_order, gpu_words, listed, system_words

# The first torch compiled against NumPy 2: github.com/pytorch/pytorch/issues/107302.
FIRST_FOR_NUMPY_2 = "2.3"


def choose_python(build: TorchBuild, target: Target, wishes: Wishes, world: Knowledge) -> str:
    """The one that was insisted on; else the one that is there, where torch has wheels for it; else the newest that the
    torch release before had wheels for too, for other packages follow a new Python later than torch does."""
    if wishes.python is not None:
        return python_tag(wishes.python)
    if target.python is not None and not wishes.container and target.python in build.python_tags:
        return target.python
    ordinary = [tag for tag in build.python_tags if not tag.endswith("t")] or list(build.python_tags)
    return max(_established(build, ordinary, world) or ordinary, key=version)


def _established(build: TorchBuild, tags: list[str], world: Knowledge) -> list[str]:
    minor = version(build.torch).release[:2]
    earlier = [release for release in world.torch_releases() if version(release.version).release[:2] < minor]
    before = earlier[0].python.get(build.platform, ()) if earlier else ()
    return [tag for tag in tags if tag in before]


def make_stack(build: TorchBuild, target: Target, wishes: Wishes, world: Knowledge) -> Stack:
    """The Stack around a build that meets the target and the wishes."""
    gpus = (target.gpus or ()) if build.cuda else ()
    python = choose_python(build, target, wishes, world)
    torchaudio, torchaudio_reason = _torchaudio(build, world)
    packages, package_notes = resolved(wishes, build, world)
    toolkit = toolkit_of(build, target, world) if wishes.purpose == "build-extensions" else None
    driver = choose_driver(build, target, world, toolkit=toolkit)
    built_in = build_image(toolkit, target, world) if toolkit else None
    compilers = world.host_compilers(toolkit) if toolkit else None
    gcc = _newest_gcc(compilers.gcc_max, compilers.torch_gcc_below) if compilers else None
    arch_list = _arch_list(target, toolkit or build.cuda, world) if build.cuda else None
    requirements = [*build.requirements("torch", "torchvision")]
    if torchaudio is not None:
        requirements.append(f"torchaudio=={torchaudio}")
    if not at_least(build.torch, FIRST_FOR_NUMPY_2):
        requirements.append("numpy<2")
    stack = Stack(
        python=python,
        torch=build.torch,
        torchvision=build.torchvision,
        torchaudio=torchaudio,
        torchaudio_reason=torchaudio_reason,
        cuda=build.cuda,
        channel=build.variant,
        index_url=build.index_url,
        requirements=tuple(requirements),
        packages=packages,
        cudnn=build.cudnn,
        nccl=build.nccl,
        triton=_triton(build, world),
        min_driver=lowest_driver(build, target, world),
        driver_branch=driver.branch,
        driver_flavour=driver.flavour,
        platform=build.platform,
        os=target.os,
        arch=target.arch,
        glibc=target.glibc,
        base_image=base_image(python, built_in, target, world),
        build_image=built_in,
        toolkit=toolkit,
        host_compiler=gcc,
        system_packages=system_packages(target, wishes, world, python=python, gcc=gcc, image=built_in),
        environment=_environment(target, wishes, toolkit, arch_list) if build.cuda else {},
        arch_list=arch_list,
        gpus=gpus,
        purpose=wishes.purpose,
    )
    return msgspec.structs.replace(
        stack,
        notes=(*_notes(build, stack, target, wishes, world), *driver.notes, *package_notes),
        sources=tuple(dict.fromkeys((*build.evidence, *build.source, *driver.sources))),
    )


def lowest_driver(build: TorchBuild, target: Target, world: Knowledge) -> str | None:
    """What the wheel needs on these GPUs: of its CUDA, and of the GPUs themselves. None for CPU builds."""
    if build.cuda is None:
        return None
    needs = [need for c in target.capabilities or (None,) if (need := needed_by(build, c, target, world))]
    for capability in target.capabilities:
        record = world.architecture(capability)
        if record is not None and record.first_driver_branch is not None:
            needs.append(record.first_driver_branch)
    return max(needs, key=version, default=None)


def _torchaudio(build: TorchBuild, world: Knowledge) -> tuple[str | None, str | None]:
    """The torchaudio made for this release, or why there is none: 2.11 was the last."""
    if build.torchaudio is None:
        return None, f"no torchaudio release goes with torch {build.torch}"
    made_for = world.torch_for_torchaudio(build.torchaudio)
    if made_for is not None and version(made_for).release[:2] != version(build.torch).release[:2]:
        return None, f"torchaudio ended at {build.torchaudio}, which was made for torch {made_for}"
    return build.torchaudio, None


def _triton(build: TorchBuild, world: Knowledge) -> str | None:
    """As pinned; builds of one release pin the same triton, so a channel build has that of its release's PyPI build."""
    if build.triton is not None or build.cuda is None or not build.platform.startswith("linux"):
        return build.triton
    same = [other for other in world.torch_builds(build.torch) if other.platform == build.platform and other.triton]
    return same[0].triton if same else None


def _newest_gcc(nvcc: int | None, torch_below: int | None) -> str | None:
    bounds = [bound for bound in (nvcc, torch_below - 1 if torch_below else None) if bound is not None]
    return str(min(bounds)) if bounds else None


def _arch_list(target: Target, cuda: str | None, world: Knowledge) -> str | None:
    """TORCH_CUDA_ARCH_LIST for these GPUs: what this nvcc can compile for, else the nearest below that they run."""
    compilers = world.host_compilers(cuda) if cuda else None
    known = compilers.nvcc_sm if compilers else ()
    chosen: list[str] = []
    for capability in capabilities_in_order(target.gpus or ()):
        if known and capability.replace(".", "") not in known:
            flag = world.serving_flag([f"sm_{sm}" for sm in known if sm.isdigit()], capability, cuda)
            if flag is None:
                continue
            digits = flag.removeprefix("sm_")
            capability = f"{digits[:-1]}.{digits[-1]}"
        chosen.append(capability)
    return ";".join(dict.fromkeys(chosen)) or None


def _environment(target: Target, wishes: Wishes, toolkit: str | None, arch_list: str | None) -> dict[str, str]:
    environment: dict[str, str] = {}
    if len({gpu.name for gpu in target.gpus or ()}) > 1:
        # Otherwise CUDA numbers the fastest GPU first and nvidia-smi counts along the bus.
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if wishes.purpose == "build-extensions" and toolkit is not None:
        if target.platform.startswith("linux"):
            environment["CUDA_HOME"] = f"/usr/local/cuda-{toolkit}"
        if arch_list is not None:
            environment["TORCH_CUDA_ARCH_LIST"] = arch_list
    return environment


def _notes(build: TorchBuild, stack: Stack, target: Target, wishes: Wishes, world: Knowledge) -> list[str]:
    notes = []
    if not wishes.container and target.python is not None and stack.python != target.python and wishes.python is None:
        notes.append(
            f"{system_words(target)} has Python {target.python}, for which torch {build.torch} has no wheel: "
            f"Python {stack.python} comes from uv or conda, and the system's own stays as it is."
        )
    if build.cuda and target.gpus is None:
        notes.append(
            "No GPU was described, so none decided: name it with --gpu to be sure that this build has code for it."
        )
    if build.cuda and target.gpus == ():
        notes.append(
            "This build brings CUDA's libraries, which stay unused: no CPU build of this release is known to be published."
        )
    if target.jetson and build.cuda:
        notes.append(
            f"A Jetson's driver comes with JetPack: use one with CUDA {cuda_key(build.cuda)[0]} or newer ({_jetpacks(build, target, world)})."
        )
    if target.wsl:
        notes.append("Under WSL the driver is Windows' own: install none inside, and no CUDA toolkit that brings one.")
    if "numpy<2" in stack.requirements:
        notes.append(f"torch {build.torch} was compiled against NumPy 1.")
    if stack.toolkit and build.cuda and cuda_key(stack.toolkit) != cuda_key(build.cuda):
        notes.append(
            f"There is no nvidia/cuda image of CUDA {build.cuda}: the nearest of the same major, {stack.toolkit}, builds extensions too."
        )
    if build.confidence in ("runtime-table", "conflict", "unknown") and build.cuda:
        notes.append(
            "The device code of this build is known from torch's own table, not from the wheel: check it after installing."
        )
    notes += _listed_later(target, world)
    return notes


def _jetpacks(build: TorchBuild, target: Target, world: Knowledge) -> str:
    fitting = [
        row.version
        for row in reversed(world.jetpacks())
        if set(target.capabilities) <= set(row.capabilities)
        and cuda_key(row.cuda)[0] >= cuda_key(build.cuda or "0.0")[0]
    ]
    return f"JetPack {listed(fitting[:1])} or newer" if fitting else "none is known"


def _listed_later(target: Target, world: Knowledge) -> list[str]:
    """GPUs whose very model came with a later driver than the one there; only a driver given in full says so."""
    if target.driver is None or target.driver.count(".") == 0 or not target.platform.startswith("linux") or target.wsl:
        return []
    notes = []
    for gpu in dict.fromkeys(target.gpus or ()):
        try:
            record = world.gpu(gpu.name)
        except ValueError:
            continue
        if record.first_driver and not record.models and not at_least(target.driver, record.first_driver):
            notes.append(
                f"{gpu_words([gpu])} is first listed by driver {record.first_driver}; {target.driver} may not know this model yet."
            )
    return notes
