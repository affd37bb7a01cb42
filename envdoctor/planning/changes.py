"""The changes that would make a plan possible or newer, cheapest first, each with the Stack that it buys."""

from __future__ import annotations

from itertools import combinations

import msgspec

from envdoctor.knowledge import TorchBuild
from envdoctor.knowledge.versions import version
from envdoctor.planning.change_list import PlanChange, on_the_cpu, single_changes
from envdoctor.planning.model import Alternative
from envdoctor.planning.question import Question
from envdoctor.planning.stacks import make_stack
from envdoctor.planning.words import build_words

COSTS = ("none", "reinstall", "python", "driver", "os", "hardware")
MOST = 6


def alternatives(question: Question, current: TorchBuild | None) -> tuple[Alternative, ...]:
    """For a plan that exists (`current`), the changes that buy a newer torch; for none, those that make one possible: single
    changes, or pairs where no single one does. The CPU comes last: it is always there and seldom what was wanted."""
    found = _worth(single_changes(question, feasible=current is not None), question, current)
    if current is None and not found:
        found = _worth(_pairs(question), question, current)
    found.sort(key=lambda pair: (COSTS.index(pair[0].cost), _age(pair[1])))
    kept = _distinct(found)[: MOST if current is not None else MOST - 1]
    if current is None and question.target.gpus and question.wishes.cuda is None:
        kept += _worth([on_the_cpu(question)], question, current)
    return tuple(_alternative(change, build, question, current) for change, build in kept)


def try_change(change: PlanChange, question: Question) -> TorchBuild | None:
    """The build that the change leads to."""
    return Question(change.target, change.wishes, question.world).best()


def _worth(
    changes: list[PlanChange], question: Question, current: TorchBuild | None
) -> list[tuple[PlanChange, TorchBuild]]:
    found = []
    for change in changes:
        build = try_change(change, question)
        if build is None or (current is not None and version(build.torch) <= version(current.torch)):
            continue
        found.append((change, build))
    return found


def _age(build: TorchBuild) -> tuple[int, ...]:
    return tuple(-part for part in version(build.torch).release)


def _distinct(found: list[tuple[PlanChange, TorchBuild]]) -> list[tuple[PlanChange, TorchBuild]]:
    """Of changes of one machine that buy the same build, the first: that which says most exactly what to take."""
    firsts: dict[object, tuple[PlanChange, TorchBuild]] = {}
    for change, build in found:
        firsts.setdefault((change.cost, change.target, change.system_packages, build.name), (change, build))
    return list(firsts.values())


def _pairs(question: Question) -> list[PlanChange]:
    """Every two changes that touch different things."""
    found = []
    for one, two in combinations(single_changes(question, feasible=False), 2):
        merged = _merged(question, one, two)
        if merged is not None:
            found.append(merged)
    return found


def _merged(question: Question, one: PlanChange, two: PlanChange) -> PlanChange | None:
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

    return PlanChange(
        text=f"{one.text}, and {two.text[0].lower()}{two.text[1:]}",
        cost=max(one.cost, two.cost, key=COSTS.index),
        target=msgspec.structs.replace(target, **both(target, one.target, two.target)),
        wishes=msgspec.structs.replace(wishes, **both(wishes, one.wishes, two.wishes)),
        commands=(*one.commands, *two.commands),
        environment={**one.environment, **two.environment},
        system_packages=(*one.system_packages, *two.system_packages),
    )


def _alternative(change: PlanChange, build: TorchBuild, question: Question, current: TorchBuild | None) -> Alternative:
    stack = make_stack(build, change.target, change.wishes, question.world)
    stack = msgspec.structs.replace(
        stack,
        environment={**stack.environment, **change.environment},
        system_packages=(*stack.system_packages, *change.system_packages),
    )
    buys = build_words(build, idle=change.target.gpus == ())
    if current is not None:
        buys += f" instead of {build_words(current).removeprefix('torch ')}"
    return Alternative(change=change.text, buys=buys, cost=change.cost, commands=change.commands, stack=stack)
