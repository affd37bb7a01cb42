"""What newer drivers would buy, branch by branch, and what other changes would."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, version
from envdoctor.planning.change_list import driver_steps
from envdoctor.planning.model import Alternative, Plan, Stack, Target, Wishes
from envdoctor.planning.planner import Question, plan
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


def _ladder(target: Target, wishes: Wishes, world: Knowledge) -> list[DriverStep]:
    open_target = msgspec.structs.replace(target, driver=None)
    question = Question(open_target, wishes, world)
    if target.gpus == () or target.jetson:
        return []
    steps: list[DriverStep] = []
    for driver in driver_steps(open_target, question):
        there = msgspec.structs.replace(target, driver=driver)
        build = Question(there, wishes, world).best()
        if build is None or build.cuda is None:
            continue
        if steps and not _newer(build, steps[-1].stack):
            continue
        stack = make_stack(build, there, wishes, world)
        needed = stack.min_driver or driver
        branch = world.driver_branch(needed)
        steps.append(
            DriverStep(branch=branch.branch if branch else needed, min_driver=needed, state="ahead", stack=stack)
        )
    return _placed(steps, target)


def _newer(build: TorchBuild, than: Stack) -> bool:
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
