"""The nearest thing that works: the smallest changes that turn a no into a yes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from envdoctor.compat.answer import NearestChange
from envdoctor.compat.case import CompatCase
from envdoctor.compat.subject import GpuSubject
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, cuda_minor, version
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.change_list import driver_steps
from envdoctor.planning.driver_limits import branch_number, branch_range
from envdoctor.planning.model import Wishes
from envdoctor.planning.question import Question as PlanQuestion
from envdoctor.planning.words import driver_words

Possible = Callable[[Knowledge, CompatCase], TorchBuild | None]


def nearest(world: Knowledge, case: CompatCase, possible: Possible) -> tuple[NearestChange, ...]:
    """Changes of one wish at a time, then of torch and driver together; empty where nothing known helps."""
    question = case.question
    changes = []
    if question.cuda is not None and not case.about_torch and (change := _other_cuda(world, case)):
        changes.append(change)
    if case.about_torch and (question.torch is not None or question.cuda is not None):
        # torch and the CUDA inside it come together: another build of either is the cheapest change, and rootless.
        build = None
        for kept in (("torch",), ("cuda",), ("torch", "cuda")):
            if all(getattr(question, field) is not None for field in kept):
                build = possible(world, case.without(*kept))
            if build is not None:
                break
        if build is not None:
            changes.append(_to_build(build))
    if question.driver is not None and (change := _other_driver(world, case, possible)):
        changes.append(change)
    if question.python is not None and (change := _other_python(world, case, possible)):
        changes.append(change)
    if question.glibc is not None and (build := possible(world, case.without("glibc"))) is not None:
        text = f"glibc {build.glibc} or newer (a newer system or container image), with torch {build.name}."
        changes.append(
            NearestChange(change="glibc", text=text, build=build.name, pip=build.pip_arguments(), sources=build.source)
        )
    if (change := _bridge(world, case)) is not None:
        changes.append(change)
    if not changes and question.driver is not None:
        relaxed = case.without("torch", "cuda")
        if change := _other_driver(world, relaxed, possible):
            changes.append(change)
    if not changes:
        build = possible(world, case.without("torch", "cuda", "driver", "python", "glibc"))
        if build is not None:
            changes.append(_to_build(build, needs=True))
    return tuple(changes)


def _bridge(world: Knowledge, case: CompatCase) -> NearestChange | None:
    """NVIDIA's forward-compatibility package, where the GPUs may use it and an image with that CUDA accepts the branch."""
    question = case.question
    kinds = {gpu.record.kind for gpu in case.gpus if gpu.record is not None}
    if question.driver is None or question.cuda is None or not kinds or kinds != {"data-center"}:
        return None
    branch = world.driver_branch(question.driver)
    if branch is None or branch.branch not in world.bridged_branches(question.cuda):
        return None
    major, minor = cuda_key(question.cuda)
    text = (
        f"the driver kept: NVIDIA's cuda-compat-{major}-{minor} package (it is in the nvidia/cuda images), which a "
        f"data-center GPU may use on branch {branch.branch}."
    )
    images = [
        image for image in world.image_requirements() if cuda_key(image.image.partition("-")[0]) == (major, minor)
    ]
    sources = [source for image in images for source in world.driver_sources(image)]
    sources += [source for rule in world.forward_compatibility()[:2] for source in world.driver_sources(rule)]
    return NearestChange(change="forward compatibility", text=text, sources=tuple(dict.fromkeys(sources)))


def _to_build(build: TorchBuild, *, needs: bool = False) -> NearestChange:
    driver = f" (driver {build.min_driver} or newer)" if needs and build.min_driver else ""
    text = f"torch {build.name}{driver}"
    return NearestChange(
        change="torch", text=f"{text}.", build=build.name, pip=build.pip_arguments(), sources=build.source
    )


def _other_driver(world: Knowledge, case: CompatCase, possible: Possible) -> NearestChange | None:
    """The lowest driver that makes it work, or the last branch where the driver is too new for the GPU."""
    given = case.question.driver
    _, last = branch_range(case.target.gpus or (), world)
    for candidate in _thresholds(world, case):
        trial = msgspec.structs.replace(case, question=msgspec.structs.replace(case.question, driver=candidate))
        build = possible(world, trial) if case.about_torch else None
        if case.about_torch and build is None:
            continue
        if not case.about_torch and not _holds(world, trial):
            continue
        with_build = f", with torch {build.name}" if build is not None else ""
        if (
            given is not None
            and last is not None
            and branch_number(given, world) > last
            and not at_least(candidate, given)
        ):
            text = f"a driver of branch {last}, the last for this GPU{with_build}."
        else:
            text = f"{driver_words(candidate, last, case.target.gpus or ())}{with_build}."
        return NearestChange(
            change="driver",
            text=text,
            build=build.name if build is not None else None,
            pip=build.pip_arguments() if build is not None else (),
            sources=build.source if build is not None else (),
        )
    return None


def _thresholds(world: Knowledge, case: CompatCase) -> list[str]:
    """Drivers worth trying, lowest first: minimums of CUDA majors, toolkit drivers, first and last branches of the
    GPUs. Those above the given driver come first: an update is the usual way, going back the exception."""
    question = PlanQuestion(msgspec.structs.replace(case.target, driver=None), Wishes(), world)
    found = set(driver_steps(question.target, question))
    if case.question.cuda is not None and (minimum := world.minimum_driver(case.question.cuda, case.driver_platform)):
        found.add(minimum)
    for gpu in case.gpus:
        if gpu.architecture is not None and not gpu.jetson:
            found |= {gpu.architecture.first_driver_branch or "", gpu.architecture.last_driver_branch or ""} - {""}
    ordered = sorted(found, key=version)
    given = case.question.driver
    if given is None:
        return ordered
    newer = [driver for driver in ordered if not at_least(given, driver)]
    older = [driver for driver in reversed(ordered) if at_least(given, driver)]
    return newer + older


def _holds(world: Knowledge, case: CompatCase) -> bool:
    """Whether driver, CUDA and GPU of a case agree, when no torch is asked about."""
    question = case.question
    assert question.driver is not None
    if question.cuda is not None:
        minimum = world.minimum_driver(question.cuda, case.driver_platform)
        if minimum is None or not at_least(question.driver, minimum):
            return False
    return all(world.drives(question.driver, gpu.capability) for gpu in case.gpus)


def _other_cuda(world: Knowledge, case: CompatCase) -> NearestChange | None:
    """The newest toolkit minor that both the driver and the GPUs accept."""
    question = case.question
    for toolkit in world.toolkits():
        cuda = cuda_minor(toolkit)
        trial = msgspec.structs.replace(case, question=msgspec.structs.replace(question, cuda=cuda))
        targeted = all(_targets(cuda, gpu) for gpu in case.gpus)
        if targeted and (question.driver is None or _holds(world, trial)):
            row = world.toolkit(cuda)
            sources = world.driver_sources(row) if row is not None else ()
            return NearestChange(change="cuda", text=f"CUDA {cuda}.", sources=sources)
    return None


def _targets(cuda: str, gpu: GpuSubject) -> bool:
    architecture = gpu.architecture
    if architecture is None or architecture.first_cuda is None or cuda_key(cuda) < cuda_key(architecture.first_cuda):
        return False
    return architecture.last_cuda is None or cuda_key(cuda) <= cuda_key(architecture.last_cuda)


def _other_python(world: Knowledge, case: CompatCase, possible: Possible) -> NearestChange | None:
    build = possible(world, case.without("python"))
    if build is None:
        return None
    plain = [tag for tag in build.python_tags if not tag.endswith("t")]
    span = f"{plain[0]} to {plain[-1]}" if len(plain) > 1 else "".join(plain)
    text = f"Python {span}, with torch {build.name}."
    return NearestChange(change="python", text=text, build=build.name, pip=build.pip_arguments(), sources=build.source)


def newest_cuda_for(world: Knowledge, driver: str, platform: str) -> str | None:
    """The newest CUDA minor in the table whose runtime works on this driver."""
    for toolkit in world.toolkits():
        minimum = world.minimum_driver(toolkit, platform)
        if minimum is not None and at_least(driver, minimum):
            return cuda_minor(toolkit)
    return None
