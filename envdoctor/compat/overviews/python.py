"""The sheets of a Python and of a C library version."""

from __future__ import annotations

from envdoctor.compat.answer import Fact
from envdoctor.compat.overviews.common import Sheet, named
from envdoctor.knowledge.versions import python_tag
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build


def of_python(world: Knowledge, python: str, platform: str) -> Sheet:
    tag = python_tag(python)
    with_wheels = [release for release in world.torch_releases() if tag in release.python.get(platform, ())]
    target, own = Target(platform=platform), Wishes(python=tag)
    best = best_build(target, own, world) or best_build(Target(gpus=(), platform=platform), own, world)
    if not with_wheels:
        newest = world.torch_releases()[0]
        have = ", ".join(newest.python.get(platform, ()))
        facts = [Fact(label=f"torch {newest.version}", value=f"has wheels for {have}", sources=newest.source)]
        return f"No torch has wheels for Python {tag} on {platform} (table of {world.as_of}).", facts, None
    facts = [
        Fact(
            label="torch",
            value=f"{with_wheels[-1].version} to {with_wheels[0].version}"
            if len(with_wheels) > 1
            else with_wheels[0].version,
            sources=with_wheels[0].source,
        )
    ]
    if best is not None:
        facts.append(Fact(label="Newest", value=named(world, best, target), sources=best.source))
    return f"Python {tag}: torch {with_wheels[0].version} is the newest with wheels for it ({platform}).", facts, best


def of_glibc(world: Knowledge, glibc: str, platform: str) -> Sheet:
    target = Target(platform=platform, glibc=glibc)
    best = best_build(target, Wishes(), world)
    if best is None:
        return f"No torch in the table runs on glibc {glibc}.", [], None
    facts = [Fact(label="Newest torch", value=named(world, best, target), sources=best.source)]
    return f"glibc {glibc}: torch {best.name} is the newest ({platform}).", facts, best
