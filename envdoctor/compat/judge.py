"""Judges one pairing at a time: a driver against a GPU, CUDA against both."""

from __future__ import annotations

from envdoctor.compat.answer import JudgedReason
from envdoctor.compat.case import CompatCase
from envdoctor.compat.subject import GpuSubject
from envdoctor.compat.subject_build import SubjectBuild
from envdoctor.knowledge.versions import at_least, cuda_key
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.driver_limits import branch_number, branch_range
from envdoctor.planning.kernel_modules import module_clash
from envdoctor.planning.words import clash_words

_MINOR_VERSION = "docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"


def driver_and_gpu(world: Knowledge, driver: str, gpu: GpuSubject) -> JudgedReason:
    """Whether the driver branch drives the GPU at all."""
    architecture = gpu.architecture
    if architecture is None:
        return JudgedReason(
            about="driver and GPU",
            verdict="unknown",
            text=f"No architecture of {gpu.name} is in the table, so no rule says which drivers know it.",
            confidence="unknown",
        )
    branch = branch_number(driver, world)
    first, last = architecture.first_driver_branch, architecture.last_driver_branch
    if last is not None and branch > int(last):
        text = f"Driver branch {last} is the last one that drives {architecture.name} ({gpu.name}); {driver} is newer."
        return JudgedReason(about="driver and GPU", verdict="no", text=text, sources=architecture.source)
    if first is not None and branch < int(first):
        text = f"{gpu.name} ({architecture.name}) needs driver branch {first} or newer; {driver} does not know it yet."
        return JudgedReason(about="driver and GPU", verdict="no", text=text, sources=architecture.source)
    listed = gpu.record.first_driver if gpu.record is not None and not gpu.record.models else None
    if listed is not None and world.listed_later(driver, listed):
        return JudgedReason(
            about="driver and GPU",
            verdict="caution",
            text=f"{gpu.name} is first listed by driver {listed}; {driver} may not know this model yet.",
            confidence="observed",
            sources=(*gpu.sources, *world.first_driver_source()),
        )
    text = f"Driver {driver} drives {architecture.name} GPUs such as {gpu.name}."
    newer = _newer(world, driver)
    if newer and last is None:
        text = (
            f"No driver branch has dropped {architecture.name} ({gpu.name}) so far; {driver} is newer than the table."
        )
    return JudgedReason(
        about="driver and GPU",
        verdict="yes",
        text=text,
        confidence="rule" if newer else "documented",
        sources=architecture.source,
    )


def together(world: Knowledge, case: CompatCase) -> JudgedReason | None:
    """A no where one driver cannot serve all the GPUs of a machine: by the kernel modules, or by the branch, that they need."""
    target = case.target
    first, last = branch_range(target.gpus or (), world)
    modules_matter = target.platform.startswith("linux") and not target.wsl
    clash = module_clash(target.gpus or (), world) if modules_matter else None
    if clash is not None:
        text = f"{clash_words(clash)}: one machine cannot drive both."
    elif first is not None and last is not None and first > last:
        text = f"One of these GPUs needs driver branch {first} or newer, another is driven up to branch {last} only."
    else:
        return None
    sources = tuple(dict.fromkeys(source for gpu in case.gpus for source in gpu.sources))
    return JudgedReason(about="driver and GPU", verdict="no", text=text, sources=sources)


def jetson(gpu: GpuSubject) -> JudgedReason:
    """The caution that goes with every Jetson."""
    text = f"{gpu.name} is a Jetson: its driver comes with JetPack, so pick a JetPack whose CUDA has the build's major."
    return JudgedReason(about="driver and GPU", verdict="caution", text=text, sources=gpu.sources)


def cuda_and_driver(
    world: Knowledge, cuda: str, driver: str, platform: str, inside: SubjectBuild | None = None
) -> JudgedReason:
    """Whether a runtime of this CUDA works on this driver. `inside`: the build that contains it."""
    subject = f"{inside.name} (CUDA {cuda})" if inside else f"CUDA {cuda}"
    needs = inside.needs if inside else "needs"
    needed = world.minimum_driver(cuda, platform)
    if needed is None:
        return _unknown_major(world, cuda, driver, subject)
    source = (_MINOR_VERSION,) if cuda_key(cuda) >= (11, 1) else toolkit_sources(world, cuda)
    confidence = "rule" if _newer(world, driver) or cuda_key(cuda) > cuda_key(world.newest_cuda()) else "documented"
    if at_least(driver, needed):
        text = f"{subject} {needs} driver {needed} or newer; {driver} is."
        return JudgedReason(about="driver", verdict="yes", text=text, confidence=confidence, sources=source)
    text = f"{subject} {needs} driver {needed} or newer; {driver} is older."
    return JudgedReason(about="driver", verdict="no", text=text, confidence=confidence, sources=source)


def own_driver(world: Knowledge, cuda: str, driver: str, platform: str) -> JudgedReason | None:
    """A caution where the driver suffices for the runtime but not for compiling the toolkit's PTX."""
    own = world.toolkit_driver(cuda, platform)
    if own is None or at_least(driver, own):
        return None
    text = (
        f"CUDA {cuda} shipped with driver {own}: with {driver}, code that carries only PTX and features new in "
        f"CUDA {cuda} fail; compiled code works."
    )
    return JudgedReason(about="driver", verdict="caution", text=text, sources=toolkit_sources(world, cuda))


def cuda_and_gpu(world: Knowledge, cuda: str, gpu: GpuSubject) -> JudgedReason:
    """Whether the toolkit targets the GPU."""
    architecture = gpu.architecture
    if architecture is None:
        text = f"Compute capability {gpu.capability} is not in the table: newer than it, or never made."
        return JudgedReason(about="CUDA and GPU", verdict="unknown", text=text, confidence="unknown")
    name = f"{architecture.name} ({gpu.name}, {gpu.capability})"
    if architecture.last_cuda is not None and cuda_key(cuda) > cuda_key(architecture.last_cuda):
        text = f"CUDA {architecture.last_cuda} is the last toolkit for {name}; {cuda} dropped it."
        return JudgedReason(about="CUDA and GPU", verdict="no", text=text, sources=architecture.source)
    if architecture.first_cuda is not None and cuda_key(cuda) < cuda_key(architecture.first_cuda):
        text = f"CUDA {architecture.first_cuda} is the first toolkit for {name}; {cuda} is older."
        return JudgedReason(about="CUDA and GPU", verdict="no", text=text, sources=architecture.source)
    if not world.cuda_major_known(cuda):
        text = f"CUDA {cuda} is newer than the table ({world.newest_cuda()}); whether it keeps {name} is not known."
        return JudgedReason(about="CUDA and GPU", verdict="unknown", text=text, confidence="unknown")
    compilers = world.host_compilers(cuda)
    if (
        architecture.first_cuda is None
        and compilers is not None
        and gpu.capability.replace(".", "") in compilers.nvcc_sm
    ):
        text = f"CUDA {cuda} compiles for {name}."
        return JudgedReason(
            about="CUDA and GPU", verdict="yes", text=text, confidence="measured", sources=compilers.source
        )
    if architecture.first_cuda is None:
        text = f"The first toolkit for {name} was not read."
        return JudgedReason(about="CUDA and GPU", verdict="unknown", text=text, confidence="unknown")
    newer = cuda_key(cuda) > cuda_key(world.newest_cuda())
    text = f"CUDA supports {name} from {architecture.first_cuda}" + (
        f" to {architecture.last_cuda}." if architecture.last_cuda else " on."
    )
    return JudgedReason(
        about="CUDA and GPU",
        verdict="yes",
        text=text,
        confidence="rule" if newer else "documented",
        sources=architecture.source,
    )


def _unknown_major(world: Knowledge, cuda: str, driver: str, subject: str) -> JudgedReason:
    branch = world.driver_branch(driver)
    limit = branch.cuda_major if branch is not None else None
    if limit is None and branch is not None and branch.max_cuda is not None:
        limit = cuda_key(branch.max_cuda)[0]
    if limit is not None and limit < cuda_key(cuda)[0]:
        text = (
            f"{subject} is newer than the table ({world.newest_cuda()}). Driver {driver} is of CUDA {limit}, and no driver "
            "runs a newer major without NVIDIA's forward-compatibility package."
        )
        return JudgedReason(about="driver", verdict="no", text=text, confidence="rule", sources=(_MINOR_VERSION,))
    text = (
        f"{subject} is newer than the table ({world.newest_cuda()}), and so may be the driver it needs; whether "
        f"{driver} is enough is not known."
    )
    return JudgedReason(about="driver", verdict="unknown", text=text, confidence="unknown", sources=(_MINOR_VERSION,))


def toolkit_sources(world: Knowledge, cuda: str) -> tuple[str, ...]:
    row = world.toolkit(cuda)
    return world.driver_sources(row) if row is not None else ()


def _newer(world: Knowledge, driver: str) -> bool:
    branch = world.driver_branch(driver)
    return branch is not None and branch.newer_than_table
