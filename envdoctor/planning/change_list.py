"""The single changes that a machine's user could make: to the GPUs in use, the pins, Python, the driver, the system."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from envdoctor.knowledge import TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, cuda_minor, version
from envdoctor.planning.driver_limits import branch_range, jetpack_of, lowest_driver, needs
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import Question
from envdoctor.planning.search import meeting_all
from envdoctor.planning.stacks import make_stack
from envdoctor.planning.words import capabilities_in_order, driver_words, gpu_words


class PlanChange(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do differently: the target and the wishes that it leads to. `text`: what to do, starting with a verb."""

    text: str
    cost: str
    target: Target
    wishes: Wishes
    commands: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    system_packages: tuple[str, ...] = ()


def single_changes(question: Question, *, feasible: bool) -> list[PlanChange]:
    target, wishes = question.target, question.wishes
    return [
        *_leave_out(target, wishes, feasible=feasible),
        *_relax(wishes, target, question),
        *_python(target, wishes, question),
        *_drivers(target, wishes, question),
        *_forward_compatibility(target, wishes, question),
        *_systems(target, wishes, question),
    ]


def _leave_out(target: Target, wishes: Wishes, *, feasible: bool) -> Iterator[PlanChange]:
    """Of mixed GPUs, those of the oldest kinds hidden. Where there is no plan at all, any other choice of one kind, too; the
    newest GPU is not given up for a newer torch."""
    gpus = target.gpus or ()
    kinds = capabilities_in_order(gpus)
    kept_sets = [kinds[place:] for place in range(1, len(kinds))]
    if not feasible:
        kept_sets += [kinds[:place] for place in range(len(kinds) - 1, 0, -1)]
        kept_sets += [[kind] for kind in reversed(kinds)]
    for kept in kept_sets:
        places = [place for place, gpu in enumerate(gpus) if gpu.capability in kept]
        out = [gpu for gpu in gpus if gpu.capability not in kept]
        visible = ",".join(str(place) for place in places)
        remaining = tuple(gpus[place] for place in places)
        yield PlanChange(
            text=f"Leave the {gpu_words(out)} out and use the {gpu_words(remaining)}",
            cost="none",
            target=msgspec.structs.replace(target, gpus=remaining, jetson=any(g.kind == "jetson" for g in remaining)),
            wishes=wishes,
            commands=(f"export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES={visible}",),
            environment={"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible},
        )


def _relax(wishes: Wishes, target: Target, question: Question) -> Iterator[PlanChange]:
    replace = msgspec.structs.replace
    if wishes.torch is not None:
        if (near := _nearest_torch(wishes, question)) is not None:
            yield PlanChange(
                text=f"Take torch {near}, the nearest to {wishes.torch} that fits",
                cost="reinstall",
                target=target,
                wishes=replace(wishes, torch=f"=={near}"),
            )
        yield PlanChange(
            text=f"Give up the pin torch {wishes.torch}",
            cost="reinstall",
            target=target,
            wishes=replace(wishes, torch=None),
        )
    if wishes.cuda is not None:
        if (near := _nearest_cuda(wishes, question)) is not None:
            yield PlanChange(
                text=f"Take CUDA {near}, the nearest to {wishes.cuda} that fits",
                cost="reinstall",
                target=target,
                wishes=replace(wishes, cuda=near),
            )
        words = "CPU build" if wishes.cuda == "cpu" else f"CUDA {wishes.cuda}"
        yield PlanChange(
            text=f"Give up the wish for {'a ' if wishes.cuda == 'cpu' else ''}{words}",
            cost="reinstall",
            target=target,
            wishes=replace(wishes, cuda=None),
        )
    limited = {limit.short for limit in question.limits if limit.constraint == "package"}
    for package in wishes.packages:
        if package in limited:
            rest = tuple(other for other in wishes.packages if other != package)
            yield PlanChange(
                text=f"Do without {package}, or another release of it",
                cost="reinstall",
                target=target,
                wishes=replace(wishes, packages=rest),
            )


def _nearest_torch(wishes: Wishes, question: Question) -> str | None:
    """The release nearest to a pin on one, counted in releases; None where a range was asked for, or the pin fits."""
    match = re.fullmatch(r"(?:==)?\s*(\d+(?:\.\d+)*)(?:\.\*)?", wishes.torch or "")
    if match is None:
        return None
    left = meeting_all((limit for limit in question.limits if limit.constraint != "torch"), question.start)
    releases = list(dict.fromkeys(build.torch for build in question.pool.chosen(left)))
    wanted = version(match[1])
    order = sorted({*(build.torch for build in question.pool.builds), match[1]}, key=version)
    place = order.index(match[1])
    near = min(
        releases, key=lambda release: (abs(order.index(release) - place), version(release) < wanted), default=None
    )
    return near if near is not None and question.best() is None else None


def _nearest_cuda(wishes: Wishes, question: Question) -> str | None:
    """The CUDA minor nearest to the one that was asked for; None where any minor of a major was, or the wish fits."""
    if wishes.cuda is None or "." not in wishes.cuda or question.best() is not None:
        return None
    left = meeting_all((limit for limit in question.limits if limit.constraint != "cuda"), question.start)
    cudas = sorted({build.cuda for build in question.pool.chosen(left) if build.cuda}, key=cuda_key)
    wanted = cuda_key(wishes.cuda)
    same = [cuda for cuda in cudas if cuda_key(cuda)[0] == wanted[0]] or cudas
    return min(
        same,
        key=lambda cuda: abs(cuda_key(cuda)[0] * 10 + cuda_key(cuda)[1] - wanted[0] * 10 - wanted[1]),
        default=None,
    )


def _python(target: Target, wishes: Wishes, question: Question) -> Iterator[PlanChange]:
    if wishes.python is None:
        return
    freed = msgspec.structs.replace(wishes, python=None)
    open_target = msgspec.structs.replace(target, python=None)
    build = Question(open_target, freed, question.world).best()
    if build is None:
        # Another change is needed as well: then the pair decides which Python.
        yield PlanChange(
            text="Use another Python (uv and conda bring any)", cost="python", target=open_target, wishes=freed
        )
        return
    python = make_stack(build, open_target, freed, question.world).python
    yield PlanChange(
        text=f"Use Python {python} (uv and conda bring it)",
        cost="python",
        target=open_target,
        wishes=msgspec.structs.replace(wishes, python=python),
        commands=(f"uv venv --python {python}",),
    )


def _drivers(target: Target, wishes: Wishes, question: Question) -> Iterator[PlanChange]:
    """The thresholds above the driver that is there; and below it, the last branch that still drives all the GPUs."""
    if target.driver is None or target.gpus == () or target.jetson:
        return
    best: TorchBuild | None = question.best()
    _, last = branch_range(target.gpus or (), question.world)
    for step in driver_steps(target, question):
        changed = msgspec.structs.replace(target, driver=step)
        build = Question(changed, wishes, question.world).best()
        if build is None or (best is not None and version(build.torch) <= version(best.torch)):
            continue
        best = build
        # A branch may be needed for the GPU, and only its later releases run the build.
        driver = lowest_driver(build, changed, question.world) or step
        changed = msgspec.structs.replace(target, driver=driver)
        named = driver_words(driver, last, target.gpus or ())
        branch = question.world.driver_branch(driver)
        if last is None and branch is not None and branch.branch != driver:
            named += f" (branch {branch.branch})"
        yield PlanChange(text=f"Update to {named}", cost="driver", target=changed, wishes=wishes)
    if last is not None and version(target.driver).major > last + 4:
        yield PlanChange(
            text=f"Install driver branch {last}, the last that drives {gpu_words(dict.fromkeys(target.gpus or ()))}",
            cost="driver",
            target=msgspec.structs.replace(target, driver=str(last)),
            wishes=wishes,
        )


def _forward_compatibility(target: Target, wishes: Wishes, question: Question) -> Iterator[PlanChange]:
    """cuda-compat, which puts a newer libcuda on an older driver: for data-center GPUs, and the branches that NVIDIA's own
    image with that package accepts."""
    world, gpus = question.world, target.gpus or ()
    if target.driver is None or not gpus or target.jetson or target.wsl or not target.platform.startswith("linux"):
        return
    branch = world.driver_branch(target.driver)
    if branch is None or not all(world.forward_compatible(gpu.kind or "") for gpu in gpus):
        return
    if not all(world.drives(target.driver, capability) for capability in target.capabilities):
        return  # libcuda is newer then, the kernel's part is not
    for image in world.image_requirements():
        cuda = cuda_minor(image.image.partition("-")[0])
        libcuda = world.toolkit(cuda)
        if libcuda is None or libcuda.branch is None or int(libcuda.branch) <= int(branch.branch):
            continue
        if branch.branch in world.bridged_branches(cuda) and world.minimum_driver(cuda) == libcuda.branch:
            package = f"cuda-compat-{cuda.replace('.', '-')}"
            yield PlanChange(
                text=f"Put NVIDIA's {package} beside driver {target.driver} (data-center GPUs only)",
                cost="driver",
                target=msgspec.structs.replace(target, driver=libcuda.branch),
                wishes=wishes,
                environment={"LD_LIBRARY_PATH": f"/usr/local/cuda-{cuda}/compat"},
                system_packages=(package,),
            )


def driver_steps(target: Target, question: Question) -> list[str]:
    """The drivers at which more becomes possible, above the one that is there, oldest first."""
    first, last = branch_range(target.gpus or (), question.world)
    steps = {need for need in needs(None, target, question.world, question.pool) if need is not None}
    if first is not None:
        steps = {step if at_least(step, str(first)) else str(first) for step in steps}
        # A build that is old enough for any driver still needs one that knows the GPU.
        steps.add(str(first))
    return [
        step
        for step in sorted(steps, key=version)
        if (target.driver is None or not at_least(target.driver, step))
        and (last is None or version(step).major <= last + 4)
    ]


def _systems(target: Target, wishes: Wishes, question: Question) -> Iterator[PlanChange]:
    replace = msgspec.structs.replace
    if any(limit.constraint == "glibc" for limit in question.limits):
        yield PlanChange(
            text="Run it in a container, which brings its own C library (envdoctor recipe docker)",
            cost="os",
            target=target,
            wishes=replace(wishes, container=True),
        )
    if target.platform == "windows_arm64" or (target.platform == "windows_amd64" and target.gpus != ()):
        yield PlanChange(
            text="Use WSL 2, where the Linux wheels run" + (" on Windows' driver" if target.gpus != () else ""),
            cost="os",
            target=replace(target, platform=f"linux_{target.arch}", os=None, glibc=None, python=None, wsl=True),
            wishes=wishes,
        )
    boards = [row for row in question.world.jetpacks() if set(target.capabilities) <= set(row.capabilities)]
    if target.jetson and boards and boards[0] != jetpack_of(target, question.world):
        newest, system = boards[0], question.world.system(boards[0].os)
        yield PlanChange(
            text=f"Install JetPack {newest.version} ({newest.os}, CUDA {newest.cuda})",
            cost="os",
            target=replace(target, os=system.id, glibc=system.glibc, python=system.python, driver=None),
            wishes=wishes,
        )


def on_the_cpu(question: Question) -> PlanChange:
    return PlanChange(
        text="Run on the CPU, without the GPU",
        cost="reinstall",
        target=msgspec.structs.replace(question.target, gpus=(), driver=None, jetson=False),
        wishes=question.wishes,
    )
