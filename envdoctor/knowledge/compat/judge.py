"""Judges one pairing at a time: a build against a GPU, a driver, a Python; a driver against a GPU; CUDA against both."""

from __future__ import annotations

from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.compat.answer import Reason
from envdoctor.knowledge.compat.subject import Gpu
from envdoctor.knowledge.versions import at_least, cuda_key, python_tag, version
from envdoctor.knowledge.world import Knowledge

_MINOR_VERSION = "docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"

# Lists known by these ways were seen to be wrong for other builds: they may recommend, they may not rule out.
_TOO_WEAK_FOR_NO = frozenset({"runtime-table", "conflict"})


def driver_and_gpu(world: Knowledge, driver: str, gpu: Gpu) -> Reason:
    """Whether the driver branch drives the GPU at all."""
    architecture = gpu.architecture
    if architecture is None:
        return Reason(
            about="driver and GPU",
            verdict="unknown",
            text=f"No architecture of {gpu.name} is in the table, so no rule says which drivers know it.",
            confidence="unknown",
        )
    branch = int(_branch(world, driver))
    first, last = architecture.first_driver_branch, architecture.last_driver_branch
    if last is not None and branch > int(last):
        text = f"Driver branch {last} is the last one that drives {architecture.name} ({gpu.name}); {driver} is newer."
        return Reason(about="driver and GPU", verdict="no", text=text, sources=architecture.source)
    if first is not None and branch < int(first):
        text = f"{gpu.name} ({architecture.name}) needs driver branch {first} or newer; {driver} does not know it yet."
        return Reason(about="driver and GPU", verdict="no", text=text, sources=architecture.source)
    listed = gpu.record.first_driver if gpu.record is not None and not gpu.record.models else None
    if listed is not None and not at_least(driver, listed) and driver.count(".") >= 1:
        return Reason(
            about="driver and GPU",
            verdict="caution",
            text=f"{gpu.name} is first listed by driver {listed}; {driver} may not know this model yet.",
            confidence="observed",
            sources=gpu.sources,
        )
    text = f"Driver {driver} drives {architecture.name} GPUs such as {gpu.name}."
    newer = _newer(world, driver)
    if newer and last is None:
        text = (
            f"No driver branch has dropped {architecture.name} ({gpu.name}) so far; {driver} is newer than the table."
        )
    return Reason(
        about="driver and GPU",
        verdict="yes",
        text=text,
        confidence="rule" if newer else "documented",
        sources=architecture.source,
    )


def kernel_modules(gpus: tuple[Gpu, ...]) -> Reason | None:
    """A no where one driver cannot serve all the GPUs of a machine: open kernel modules needed by one, impossible for
    another."""

    def of(gpu: Gpu) -> str | None:
        own = gpu.record.open_kernel_modules if gpu.record is not None else None
        return own or (gpu.architecture.open_kernel_modules if gpu.architecture is not None else None)

    needing = [gpu for gpu in gpus if of(gpu) == "required"]
    refusing = [gpu for gpu in gpus if of(gpu) == "unsupported"]
    if not needing or not refusing:
        return None
    text = (
        f"{needing[0].name} needs NVIDIA's open kernel modules and {refusing[0].name} does not work with them: "
        "one machine cannot drive both."
    )
    return Reason(about="driver and GPU", verdict="no", text=text, sources=(*needing[0].sources, *refusing[0].sources))


def jetson(gpu: Gpu) -> Reason:
    """The caution that goes with every Jetson."""
    text = f"{gpu.name} is a Jetson: its driver comes with JetPack, so pick a JetPack whose CUDA has the build's major."
    return Reason(about="driver and GPU", verdict="caution", text=text, sources=gpu.sources)


def cuda_and_driver(world: Knowledge, cuda: str, driver: str, platform: str, what: str | None = None) -> Reason:
    """Whether a runtime of this CUDA works on this driver. `what` names what contains it ("torch 2.15.0+cu132")."""
    subject = f"{what} (CUDA {cuda})" if what else f"CUDA {cuda}"
    needed = world.minimum_driver(cuda, platform)
    if needed is None:
        return _unknown_major(world, cuda, driver, subject)
    source = (_MINOR_VERSION,) if cuda_key(cuda) >= (11, 1) else _toolkit_sources(world, cuda)
    confidence = "rule" if _newer(world, driver) or cuda_key(cuda) > cuda_key(world.newest_cuda()) else "documented"
    if at_least(driver, needed):
        text = f"{subject} needs driver {needed} or newer; {driver} is."
        return Reason(about="driver", verdict="yes", text=text, confidence=confidence, sources=source)
    text = f"{subject} needs driver {needed} or newer; {driver} is older."
    return Reason(about="driver", verdict="no", text=text, confidence=confidence, sources=source)


def own_driver(world: Knowledge, cuda: str, driver: str, platform: str) -> Reason | None:
    """A caution where the driver suffices for the runtime but not for compiling the toolkit's PTX."""
    own = world.toolkit_driver(cuda, platform)
    if own is None or at_least(driver, own):
        return None
    text = (
        f"CUDA {cuda} shipped with driver {own}: with {driver}, code that carries only PTX and features new in "
        f"CUDA {cuda} fail; compiled code works."
    )
    return Reason(about="driver", verdict="caution", text=text, sources=_toolkit_sources(world, cuda))


def cuda_and_gpu(world: Knowledge, cuda: str, gpu: Gpu) -> Reason:
    """Whether the toolkit targets the GPU."""
    architecture = gpu.architecture
    if architecture is None:
        text = f"Compute capability {gpu.capability} is not in the table: newer than it, or never made."
        return Reason(about="CUDA and GPU", verdict="unknown", text=text, confidence="unknown")
    name = f"{architecture.name} ({gpu.name}, {gpu.capability})"
    if architecture.last_cuda is not None and cuda_key(cuda) > cuda_key(architecture.last_cuda):
        text = f"CUDA {architecture.last_cuda} is the last toolkit for {name}; {cuda} dropped it."
        return Reason(about="CUDA and GPU", verdict="no", text=text, sources=architecture.source)
    if architecture.first_cuda is not None and cuda_key(cuda) < cuda_key(architecture.first_cuda):
        text = f"CUDA {architecture.first_cuda} is the first toolkit for {name}; {cuda} is older."
        return Reason(about="CUDA and GPU", verdict="no", text=text, sources=architecture.source)
    if not world.cuda_major_known(cuda):
        text = f"CUDA {cuda} is newer than the table ({world.newest_cuda()}); whether it keeps {name} is not known."
        return Reason(about="CUDA and GPU", verdict="unknown", text=text, confidence="unknown")
    compilers = world.host_compilers(cuda)
    if (
        architecture.first_cuda is None
        and compilers is not None
        and gpu.capability.replace(".", "") in compilers.nvcc_sm
    ):
        text = f"CUDA {cuda} compiles for {name}."
        return Reason(about="CUDA and GPU", verdict="yes", text=text, confidence="measured", sources=compilers.source)
    if architecture.first_cuda is None:
        text = f"The first toolkit for {name} was not read."
        return Reason(about="CUDA and GPU", verdict="unknown", text=text, confidence="unknown")
    newer = cuda_key(cuda) > cuda_key(world.newest_cuda())
    text = f"CUDA supports {name} from {architecture.first_cuda}" + (
        f" to {architecture.last_cuda}." if architecture.last_cuda else " on."
    )
    return Reason(
        about="CUDA and GPU",
        verdict="yes",
        text=text,
        confidence="rule" if newer else "documented",
        sources=architecture.source,
    )


def published(build: TorchBuild) -> Reason:
    """Where the build is to be had; only builds with evidence of publication are ever judged."""
    where = f"at {build.index_url}" if build.index_url else "on PyPI"
    text = f"torch {build.name} is published for {build.platform} {where}."
    confidence = "measured" if build.index_url is None else "documented"
    return Reason(about="torch", verdict="yes", text=text, confidence=confidence, sources=build.evidence)


def build_and_gpu(world: Knowledge, build: TorchBuild, gpu: Gpu) -> Reason:
    """Device code, then cuDNN's kernels."""
    name = f"torch {build.name}"
    sources = tuple(dict.fromkeys((*build.source, *world.device_code_source())))
    if build.cuda is None:
        text = f"{name} has no CUDA code at all: it runs on the CPU."
        return Reason(about="device code", verdict="no", text=text, sources=build.source)
    if not build.arch_flags:
        text = f"The architectures inside {name} for {build.platform} were not read."
        return Reason(about="device code", verdict="unknown", text=text, confidence="unknown", sources=build.source)
    compiled = ", ".join(build.arch_flags)
    if not world.has_code(build, gpu.capability):
        text = f"{name} has code for {compiled} only; {gpu.name} is {gpu.capability}{_why_no_code(build, gpu)}."
        if build.confidence in _TOO_WEAK_FOR_NO:
            text = f"{name} seems to have no code for {gpu.name} ({gpu.capability}), but its architectures are not certain."
            return Reason(
                about="device code", verdict="unknown", text=text, confidence=build.confidence, sources=sources
            )
        return Reason(about="device code", verdict="no", text=text, confidence=build.confidence, sources=sources)
    if not world.has_cudnn_kernels(build, gpu.capability):
        release = world.cudnn_release(build.cudnn or "0", build.cuda)
        lowest = f" (lowest {release.min_capability})" if release else ""
        text = (
            f"{name} has code for {gpu.name} ({gpu.capability}), but its cuDNN {build.cudnn} has no kernels for it"
            f"{lowest}: convolutions fail unless cuDNN is switched off."
        )
        cudnn = release.source if release else ()
        return Reason(about="cuDNN", verdict="no", text=text, confidence="measured", sources=(*build.source, *cudnn))
    flag = world.serving_flag(build.arch_flags, gpu.capability, build.cuda)
    if flag is None:
        own = world.toolkit_driver(build.cuda, build.platform)
        text = f"{name} serves {gpu.name} ({gpu.capability}) by PTX, which the driver compiles" + (
            f" if it is {own} or newer." if own else "."
        )
    else:
        text = f"{name} has code for {gpu.name}: {flag} runs on {gpu.capability}."
    return Reason(about="device code", verdict="yes", text=text, confidence=build.confidence, sources=sources)


def build_and_driver(world: Knowledge, build: TorchBuild, driver: str, gpus: tuple[Gpu, ...]) -> Reason:
    """The CUDA inside against the driver; the toolkit's own driver where PTX has to serve."""
    if build.cuda is None:
        return Reason(about="driver", verdict="yes", text=f"torch {build.name} needs no NVIDIA driver.")
    for gpu in gpus:
        needed = world.driver_needed(build, gpu.capability)
        only_ptx = build.arch_flags and world.has_code(build, gpu.capability) and needed != build.min_driver
        if only_ptx and needed is not None and not at_least(driver, needed):
            text = f"torch {build.name} serves {gpu.name} by PTX only, which needs driver {needed}; {driver} is older."
            return Reason(about="driver", verdict="no", text=text, sources=_toolkit_sources(world, build.cuda))
    return cuda_and_driver(world, build.cuda, driver, build.platform, f"torch {build.name}")


def build_and_python(build: TorchBuild, python: str) -> Reason:
    tag = python_tag(python)
    have = build.python_tags
    if tag in have:
        text = f"torch {build.torch} has wheels for Python {tag}."
        return Reason(
            about="Python", verdict="yes", text=text, confidence="measured", sources=("PyPI simple index: torch",)
        )
    text = f"torch {build.torch} has wheels for Python {_span(have)} on {build.platform}, not for {tag}."
    return Reason(about="Python", verdict="no", text=text, confidence="measured", sources=("PyPI simple index: torch",))


def build_and_glibc(build: TorchBuild, glibc: str) -> Reason | None:
    if build.glibc is None:
        if not build.platform.startswith("linux"):
            return None
        text = f"The glibc that torch {build.name} needs was not read."
        return Reason(about="glibc", verdict="unknown", text=text, confidence="unknown")
    enough = at_least(glibc, build.glibc)
    text = f"torch {build.name} needs glibc {build.glibc} or newer; {glibc} is{'' if enough else ' older'}."
    return Reason(about="glibc", verdict="yes" if enough else "no", text=text, sources=build.source)


def _why_no_code(build: TorchBuild, gpu: Gpu) -> str:
    architecture = gpu.architecture
    if architecture is None or build.cuda is None:
        return ""
    if architecture.last_cuda is not None and cuda_key(build.cuda) > cuda_key(architecture.last_cuda):
        return f" ({architecture.name}), which CUDA dropped after {architecture.last_cuda}"
    if architecture.first_cuda is not None and cuda_key(build.cuda) < cuda_key(architecture.first_cuda):
        return f" ({architecture.name}), which CUDA knows from {architecture.first_cuda} on"
    if architecture.jetson:
        return f" ({architecture.name}, a Jetson), which server code does not run on before CUDA 13.2"
    return f" ({architecture.name})"


def _unknown_major(world: Knowledge, cuda: str, driver: str, subject: str) -> Reason:
    branch = world.driver_branch(driver)
    limit = branch.cuda_major if branch is not None else None
    if limit is None and branch is not None and branch.max_cuda is not None:
        limit = cuda_key(branch.max_cuda)[0]
    if limit is not None and limit < cuda_key(cuda)[0]:
        text = (
            f"{subject} is newer than the table ({world.newest_cuda()}). Driver {driver} is of CUDA {limit}, and no driver "
            "runs a newer major without NVIDIA's forward-compatibility package."
        )
        return Reason(about="driver", verdict="no", text=text, confidence="rule", sources=(_MINOR_VERSION,))
    text = (
        f"{subject} is newer than the table ({world.newest_cuda()}), and so may be the driver it needs; whether "
        f"{driver} is enough is not known."
    )
    return Reason(about="driver", verdict="unknown", text=text, confidence="unknown", sources=(_MINOR_VERSION,))


def _toolkit_sources(world: Knowledge, cuda: str) -> tuple[str, ...]:
    row = world.toolkit(cuda)
    return world.driver_sources(row) if row is not None else ()


def _branch(world: Knowledge, driver: str) -> str:
    branch = world.driver_branch(driver)
    return branch.branch if branch is not None else str(version(driver).major)


def _newer(world: Knowledge, driver: str) -> bool:
    branch = world.driver_branch(driver)
    return branch is not None and branch.newer_than_table


def _span(tags: tuple[str, ...]) -> str:
    """ "3.10 to 3.14" of the ordinary tags."""
    plain = [tag for tag in tags if not tag.endswith("t")]
    return f"{plain[0]} to {plain[-1]}" if len(plain) > 1 else "".join(plain) or "no version"
