"""Plans the newest stack that meets a machine and its user's wishes, or derives why there is none."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import version
from envdoctor.planning.changes import alternatives
from envdoctor.planning.model import Plan, Reason, Stack, Target, Wishes
from envdoctor.planning.notes import own_python_note, surer_note
from envdoctor.planning.question import Question
from envdoctor.planning.search import meeting_all, smallest_conflict
from envdoctor.planning.stacks import make_stack
from envdoctor.planning.words import PLATFORMS, build_words, listed


def plan(target: Target, wishes: Wishes, world: Knowledge) -> Plan:
    """The Plan. `target` and `wishes` have been checked (see `target.describe`, `wishes.checked`)."""
    question = Question(target, wishes, world)
    build = question.best()
    if build is None:
        reasons = _why_not(question)
        return Plan(
            feasible=False, target=target, wishes=wishes, reasons=reasons, alternatives=alternatives(question, None)
        )
    stack = make_stack(build, target, wishes, world)
    fitting = question.pool.chosen(meeting_all(question.limits, question.start))
    more = (own_python_note(stack, target, wishes, fitting), surer_note(build, fitting))
    stack = msgspec.structs.replace(stack, notes=(*stack.notes, *(note for note in more if note is not None)))
    return Plan(
        feasible=True,
        target=target,
        wishes=wishes,
        stack=stack,
        reasons=_why(question, build, stack),
        alternatives=alternatives(question, build),
    )


def _why(question: Question, chosen: TorchBuild, stack: Stack) -> tuple[Reason, ...]:
    """The derivation: from the newest that there is, limit by limit, each with what it leaves."""
    place = PLATFORMS.get(question.target.platform, question.target.platform)
    before = question.best(())
    reasons = []
    if before is not None:
        reasons.append(Reason(constraint="platform", text=f"The newest for {place} is {_named(before)}."))
    for count, limit in enumerate(question.limits, 1):
        after = question.best(question.limits[:count])
        text = limit.text
        if after is not None and before is not None and after.name != before.name:
            text += f" The newest is now {_named(after)}."
        reasons.append(Reason(constraint=limit.constraint, text=text))
        before = after or before
    if question.target.driver is None and question.target.gpus:
        to_install = _driver_to_install(question, stack)
        reasons += [Reason(constraint="driver", text=to_install)] if to_install else []
    reasons.append(Reason(constraint="preference", text=_preference(question, chosen)))
    return tuple(reasons)


def _driver_to_install(question: Question, stack: Stack) -> str | None:
    """With no driver given: what the build needs, and the branch to install."""
    if stack.min_driver is None or question.target.jetson:
        return None
    text = f"No driver is given: torch {stack.torch} with CUDA {stack.cuda} needs {stack.min_driver} or newer on these GPUs"
    row = question.world.driver_branch(stack.driver_branch) if stack.driver_branch else None
    if row is not None and row.designation and row.eol and row.eol != "passed":
        text += f"; branch {row.branch} ({row.designation}, supported until {row.eol}) is the one to install"
    return f"{text}."


def _named(build: TorchBuild) -> str:
    return f"{build_words(build)} ({build.variant}, from {'PyPI' if build.index_url is None else 'its own index'})"


def _preference(question: Question, chosen: TorchBuild) -> str:
    if chosen.index_url is None:
        return f"{build_words(chosen)} is what PyPI serves by default: no index is needed."
    served = [b for b in question.pool.builds if b.torch == chosen.torch and b.index_url is None]
    default = (
        f"; PyPI's own {chosen.torch} is {served[0].variant}" if served and served[0].variant != chosen.variant else ""
    )
    return f"{build_words(chosen)} comes from {chosen.index_url}{default}."


def _why_not(question: Question) -> tuple[Reason, ...]:
    """The shortest derivation: the fewest limits that no build meets together."""
    place = PLATFORMS.get(question.target.platform, question.target.platform)
    if not question.pool.builds:
        return (Reason(constraint="platform", text=f"No published torch for {place} is known."),)
    if not question.start:
        return (Reason(constraint="platform", text=f"No CUDA build of torch has been published for {place}."),)
    conflict = smallest_conflict(question.limits, question.start)
    reasons = [Reason(constraint=limit.constraint, text=limit.text) for limit in conflict]
    if not conflict:
        return (Reason(constraint="platform", text=f"No published build for {place} fits."),)
    shorts = [limit.short for limit in conflict]
    if len(conflict) == 1:
        text = f"So nothing is left for {place}."
    else:
        releases = sorted({b.torch for b in question.pool.chosen(question.start)}, key=version)
        together = listed(list(dict.fromkeys(shorts)))
        text = f"No published build, of torch {releases[0]} to {releases[-1]}, meets {together} together."
    return (*reasons, Reason(constraint="conclusion", text=text))
