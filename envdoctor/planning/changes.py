"""The changes that would make a plan possible or newer, cheapest first, each with the Stack that it buys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import msgspec

from envdoctor.knowledge import TorchBuild
from envdoctor.knowledge.versions import at_least, version
from envdoctor.planning.driver_limits import branch_range, jetpack_of, needed_by
from envdoctor.planning.model import Alternative, Stack, Target, Wishes
from envdoctor.planning.planner import Question
from envdoctor.planning.stacks import lowest_driver, make_stack
from envdoctor.planning.words import build_words, capabilities_in_order, gpu_words, system_words

COSTS = ("none", "reinstall", "python", "driver", "os", "hardware")
MOST = 6


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do differently: the target and the wishes that it leads to. `text`: what to do, starting with a verb."""

    text: str
    cost: str
    target: Target
    wishes: Wishes
    commands: tuple[str, ...] = ()
    environment: dict[str, str] = {}


def alternatives(question: Question, current: TorchBuild | None) -> tuple[Alternative, ...]:
    """For a plan that exists (`current`), the changes that buy a newer torch; for none, those that make one possible: single
    changes, or pairs where no single one does. The CPU comes last: it is always there and seldom what was wanted."""
    found = _worth(_singles(question), question, current)
    if current is None and not found:
        found = _worth(_pairs(question), question, current)
    found.sort(key=lambda pair: (COSTS.index(pair[0].cost), _age(pair[1])))
    kept = _distinct(found)[: MOST if current is not None else MOST - 1]
    if current is None and question.target.gpus and question.wishes.cuda is None:
        kept += _worth([_on_the_cpu(question)], question, current)
    return tuple(_alternative(change, build, question, current) for change, build in kept)


def try_change(change: Change, question: Question) -> TorchBuild | None:
    """The build that the change leads to."""
    return Question(change.target, change.wishes, question.world, question.pools).best()


def _worth(changes: list[Change], question: Question, current: TorchBuild | None) -> list[tuple[Change, TorchBuild]]:
    found = []
    for change in changes:
        build = try_change(change, question)
        if build is None or (current is not None and version(build.torch) <= version(current.torch)):
            continue
        found.append((change, build))
    return found


def _age(build: TorchBuild) -> tuple[int, ...]:
    return tuple(-part for part in version(build.torch).release)


def _distinct(found: list[tuple[Change, TorchBuild]]) -> list[tuple[Change, TorchBuild]]:
    texts: dict[str, tuple[Change, TorchBuild]] = {}
    for change, build in found:
        texts.setdefault(change.text, (change, build))
    return list(texts.values())


def _singles(question: Question) -> list[Change]:
    target, wishes = question.target, question.wishes
    return [
        *_leave_out(target, wishes),
        *_relax(wishes, target, question),
        *_python(target, wishes, question),
        *_drivers(target, wishes, question),
        *_systems(target, wishes, question),
    ]


def _pairs(question: Question) -> list[Change]:
    """Every two changes that touch different things."""
    found = []
    for one, two in combinations(_singles(question), 2):
        merged = _merged(question, one, two)
        if merged is not None:
            found.append(merged)
    return found


def _merged(question: Question, one: Change, two: Change) -> Change | None:
    """Both changes at once; None where they touch the same thing."""
    target, wishes = question.target, question.wishes
    for struct, first, second in ((target, one.target, two.target), (wishes, one.wishes, two.wishes)):
        for field in struct.__struct_fields__:
            before = getattr(struct, field)
            if getattr(first, field) != before and getattr(second, field) != before:
                return None

    def both(before: object, first: object, second: object) -> dict[str, object]:
        changed = {}
        for field in before.__struct_fields__:  # type: ignore[attr-defined]
            for after in (first, second):
                if getattr(after, field) != getattr(before, field):
                    changed[field] = getattr(after, field)
        return changed

    return Change(
        text=f"{one.text}, and {two.text[0].lower()}{two.text[1:]}",
        cost=max(one.cost, two.cost, key=COSTS.index),
        target=msgspec.structs.replace(target, **both(target, one.target, two.target)),
        wishes=msgspec.structs.replace(wishes, **both(wishes, one.wishes, two.wishes)),
        commands=(*one.commands, *two.commands),
        environment={**one.environment, **two.environment},
    )


def _leave_out(target: Target, wishes: Wishes) -> Iterator[Change]:
    """Of mixed GPUs, those of one capability hidden; where there are more than two kinds, also all but one."""
    gpus = target.gpus or ()
    kinds = capabilities_in_order(gpus)
    if len(kinds) < 2:
        return
    kept_sets = [[kind for kind in kinds if kind != out] for out in kinds]
    if len(kinds) > 2:
        kept_sets += [[kind] for kind in kinds]
    for kept in kept_sets:
        places = [place for place, gpu in enumerate(gpus) if gpu.capability in kept]
        out = [gpu for gpu in gpus if gpu.capability not in kept]
        visible = ",".join(str(place) for place in places)
        remaining = tuple(gpus[place] for place in places)
        yield Change(
            text=f"Leave the {gpu_words(out)} out and use the {gpu_words(remaining)}",
            cost="none",
            target=msgspec.structs.replace(target, gpus=remaining, jetson=any(g.kind == "jetson" for g in remaining)),
            wishes=wishes,
            commands=(f"export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES={visible}",),
            environment={"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible},
        )


def _relax(wishes: Wishes, target: Target, question: Question) -> Iterator[Change]:
    replace = msgspec.structs.replace
    if wishes.torch is not None:
        yield Change(
            text=f"Give up the pin torch {wishes.torch}",
            cost="reinstall",
            target=target,
            wishes=replace(wishes, torch=None),
        )
    if wishes.cuda is not None:
        words = "CPU build" if wishes.cuda == "cpu" else f"CUDA {wishes.cuda}"
        yield Change(
            text=f"Give up the wish for {'a ' if wishes.cuda == 'cpu' else ''}{words}",
            cost="reinstall",
            target=target,
            wishes=replace(wishes, cuda=None),
        )
    limited = {limit.short for limit in question.limits if limit.constraint == "package"}
    for package in wishes.packages:
        if package in limited:
            rest = tuple(other for other in wishes.packages if other != package)
            yield Change(
                text=f"Do without {package}, or another release of it",
                cost="reinstall",
                target=target,
                wishes=replace(wishes, packages=rest),
            )


def _python(target: Target, wishes: Wishes, question: Question) -> Iterator[Change]:
    if wishes.python is None:
        return
    freed = msgspec.structs.replace(wishes, python=None)
    open_target = msgspec.structs.replace(target, python=None)
    build = Question(open_target, freed, question.world, question.pools).best()
    if build is None:
        # Another change is needed as well: then the pair decides which Python.
        yield Change(
            text="Use another Python (uv and conda bring any)", cost="python", target=open_target, wishes=freed
        )
        return
    python = make_stack(build, open_target, freed, question.world).python
    yield Change(
        text=f"Use Python {python} (uv and conda bring it)",
        cost="python",
        target=open_target,
        wishes=msgspec.structs.replace(wishes, python=python),
        commands=(f"uv venv --python {python}",),
    )


def _drivers(target: Target, wishes: Wishes, question: Question) -> Iterator[Change]:
    """The thresholds above the driver that is there; and below it, the last branch that still drives all the GPUs."""
    if target.driver is None or target.gpus == () or target.jetson:
        return
    best: TorchBuild | None = question.best()
    for driver in driver_steps(target, question):
        changed = msgspec.structs.replace(target, driver=driver)
        build = Question(changed, wishes, question.world, question.pools).best()
        if build is None or (best is not None and version(build.torch) <= version(best.torch)):
            continue
        best = build
        branch = question.world.driver_branch(driver)
        named = f"driver {driver} or newer"
        if branch is not None and branch.branch != driver:
            named += f" (branch {branch.branch})"
        yield Change(text=f"Update to {named}", cost="driver", target=changed, wishes=wishes)
    _, last = branch_range(target.gpus or (), question.world)
    if last is not None and version(target.driver).major > last + 4:
        yield Change(
            text=f"Install driver branch {last}, the last that drives {gpu_words(dict.fromkeys(target.gpus or ()))}",
            cost="driver",
            target=msgspec.structs.replace(target, driver=str(last)),
            wishes=wishes,
        )


def driver_steps(target: Target, question: Question) -> list[str]:
    """The drivers at which more becomes possible, above the one that is there, oldest first."""
    first, last = branch_range(target.gpus or (), question.world)
    steps = {need for b in question.pool.builds if (need := needed_by(b, None, target, question.world))}
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


def _systems(target: Target, wishes: Wishes, question: Question) -> Iterator[Change]:
    replace = msgspec.structs.replace
    if any(limit.constraint == "glibc" for limit in question.limits):
        yield Change(
            text="Run it in a container, which brings its own C library (envdoctor recipe docker)",
            cost="os",
            target=target,
            wishes=replace(wishes, container=True),
        )
    if target.platform == "windows_amd64" and target.gpus != ():
        yield Change(
            text="Use WSL 2, where the Linux wheels run on Windows' driver",
            cost="os",
            target=replace(target, platform="linux_x86_64", os=None, glibc=None, python=None, wsl=True),
            wishes=wishes,
        )
    jetpack = jetpack_of(target, question.world)
    if jetpack is not None:
        for newer in question.world.jetpacks():
            if newer.version != jetpack.version and set(target.capabilities) <= set(newer.capabilities):
                system = question.world.system(newer.os)
                yield Change(
                    text=f"Install JetPack {newer.version} ({newer.os}, CUDA {newer.cuda})",
                    cost="os",
                    target=replace(target, os=system.id, glibc=system.glibc, python=system.python, driver=None),
                    wishes=wishes,
                )
                break


def _on_the_cpu(question: Question) -> Change:
    return Change(
        text="Run on the CPU, without the GPU",
        cost="none",
        target=msgspec.structs.replace(question.target, gpus=(), driver=None, jetson=False),
        wishes=question.wishes,
    )


def _alternative(change: Change, build: TorchBuild, question: Question, current: TorchBuild | None) -> Alternative:
    stack = make_stack(build, change.target, change.wishes, question.world)
    if change.environment:
        stack = msgspec.structs.replace(stack, environment={**stack.environment, **change.environment})
    buys = build_words(build)
    if current is not None:
        buys += f" instead of {build_words(current).removeprefix('torch ')}"
    return Alternative(change=change.text, buys=buys, cost=change.cost, commands=change.commands, stack=stack)
