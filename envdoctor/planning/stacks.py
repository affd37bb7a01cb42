"""The Stack of a chosen build: everything around torch that the templates need, from the knowledge base."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, python_tag, version
from envdoctor.planning.driver_choice import choose_driver
from envdoctor.planning.driver_limits import lowest_driver
from envdoctor.planning.images import base_image, build_image, toolkit_of
from envdoctor.planning.model import Stack, Target, Wishes
from envdoctor.planning.notes import plan_notes
from envdoctor.planning.package_limits import resolved
from envdoctor.planning.system_packages import system_packages
from envdoctor.planning.words import capabilities_in_order

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
        triton=build.triton,
        min_driver=lowest_driver(build, target, world),
        driver_branch=driver.branch,
        driver_flavour=driver.flavour,
        platform=build.platform,
        os=target.os,
        arch=target.arch,
        glibc=None if wishes.container else target.glibc,
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
        notes=(*plan_notes(build, stack, target, wishes, world), *driver.notes, *package_notes),
        sources=tuple(dict.fromkeys((*build.evidence, *build.source, *driver.sources))),
    )


def _torchaudio(build: TorchBuild, world: Knowledge) -> tuple[str | None, str | None]:
    """The torchaudio that goes with this build and that its own index has, or why there is none."""
    if build.torchaudio is not None:
        return build.torchaudio, None
    other = world.torchaudio_for(build.torch)
    if other is None:
        return None, f"no torchaudio is known to go with torch {build.torch}"
    where = build.index_url or "PyPI"
    return (
        None,
        f"no torchaudio of CUDA {build.cuda} was seen on {where}" if build.cuda else f"none was seen on {where}",
    )


def _newest_gcc(nvcc: int | None, torch_below: int | None) -> str | None:
    bounds = [bound for bound in (nvcc, torch_below - 1 if torch_below else None) if bound is not None]
    return str(min(bounds)) if bounds else None


def _arch_list(target: Target, cuda: str | None, world: Knowledge) -> str | None:
    """TORCH_CUDA_ARCH_LIST for these GPUs: what this nvcc can compile for, else the nearest below that they run."""
    compilers = world.host_compilers(cuda) if cuda else None
    known = compilers.nvcc_sm if compilers else ()
    chosen: list[str] = []
    for capability in capabilities_in_order(target.gpus or ()):
        if not known or capability.replace(".", "") in known:
            chosen.append(capability)
        elif flag := world.serving_flag([f"sm_{sm}" for sm in known if sm.isdecimal()], capability, cuda):
            digits = flag.removeprefix("sm_")
            chosen.append(f"{digits[:-1]}.{digits[-1]}")
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
