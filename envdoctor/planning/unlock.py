"""What newer drivers would buy, branch by branch, and what other changes would."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, version
from envdoctor.planning.change_list import driver_steps
from envdoctor.planning.driver_limits import branch_number, lowest_driver
from envdoctor.planning.model import Alternative, Plan, Stack, Target, Wishes
from envdoctor.planning.planner import plan
from envdoctor.planning.question import Question, best_build
from envdoctor.planning.stacks import make_stack


class DriverStep(msgspec.Struct, frozen=True, kw_only=True):
    """From `min_driver` (of `branch`) on, `stack` is the newest. `state`: "past" where the machine's driver is newer,
    "current" where it is what runs there now, "ahead" where the driver would have to be updated."""

    branch: str
    min_driver: str
    state: str
    stack: Stack


class Unlocks(msgspec.Struct, frozen=True, kw_only=True):
    """`plan`: as things are. `drivers`: each driver that buys a newer torch, or a newer CUDA for it, than the one before, oldest
    first. `others`: the changes that are not the driver."""

    plan: Plan
    drivers: tuple[DriverStep, ...]
    others: tuple[Alternative, ...]


def unlocks(target: Target, wishes: Wishes, world: Knowledge) -> Unlocks:
    """The whole ladder of drivers for this target, and the other changes, from the knowledge base alone."""
    planned = plan(target, wishes, world)
    others = tuple(one for one in planned.alternatives if one.cost != "driver")
    return Unlocks(plan=planned, drivers=tuple(_ladder(target, wishes, world)), others=others)


def driver_ladder(target: Target, wishes: Wishes, world: Knowledge) -> list[tuple[str, TorchBuild]]:
    """Each driver, oldest first, that buys a newer torch than the one before, or a newer CUDA for it, with that build. The
    machine's own driver does not count."""
    if target.gpus == () or target.jetson:
        return []
    open_target = msgspec.structs.replace(target, driver=None)
    rungs: list[tuple[str, TorchBuild]] = []
    for driver in driver_steps(open_target, Question(open_target, wishes, world)):
        there = msgspec.structs.replace(target, driver=driver)
        build = best_build(there, wishes, world)
        if build is not None and build.cuda is not None and (not rungs or _newer(build, rungs[-1][1])):
            rungs.append((lowest_driver(build, there, world) or driver, build))
    return rungs


def _ladder(target: Target, wishes: Wishes, world: Knowledge) -> list[DriverStep]:
    steps: list[DriverStep] = []
    for driver, build in driver_ladder(target, wishes, world):
        stack = make_stack(build, msgspec.structs.replace(target, driver=driver), wishes, world)
        branch = str(branch_number(driver, world))
        steps.append(DriverStep(branch=branch, min_driver=driver, state="ahead", stack=stack))
    return _placed(steps, target)


def _newer(build: TorchBuild, than: TorchBuild) -> bool:
    return (version(build.torch), cuda_key(build.cuda or "0.0")) > (version(than.torch), cuda_key(than.cuda or "0.0"))


def _placed(steps: list[DriverStep], target: Target) -> list[DriverStep]:
    """Which of the steps the machine's driver has reached."""
    if target.driver is None:
        return steps
    reached = [step for step in steps if at_least(target.driver, step.min_driver)]
    placed = []
    for step in steps:
        state = "ahead" if step not in reached else "current" if step is reached[-1] else "past"
        placed.append(msgspec.structs.replace(step, state=state))
    return placed
