"""One subject alone: what there is to know about a GPU, a torch release, a driver, a CUDA version or a Python."""

from __future__ import annotations

from envdoctor.compat.answer import Answer
from envdoctor.compat.overviews.driver import of_cuda, of_driver
from envdoctor.compat.overviews.gpu import of_gpu
from envdoctor.compat.overviews.package import of_package
from envdoctor.compat.overviews.python import of_glibc, of_python
from envdoctor.compat.overviews.torch import of_torch
from envdoctor.compat.question import CompatQuestion
from envdoctor.compat.subject import GpuSubject
from envdoctor.knowledge.world import Knowledge


def sheet(
    world: Knowledge, question: CompatQuestion, gpus: tuple[GpuSubject, ...], platform: str, newer: tuple[str, ...]
) -> Answer:
    """The sheet of the one subject asked about."""
    if question.package is not None:
        summary, facts, build = of_package(world, question.package, question.release, platform)
    elif gpus:
        summary, facts, build = of_gpu(world, gpus[0], platform)
    elif question.torch is not None:
        summary, facts, build = of_torch(world, question.torch, platform, newer)
    elif question.driver is not None:
        summary, facts, build = of_driver(world, question.driver, platform)
    elif question.cuda is not None:
        summary, facts, build = of_cuda(world, question.cuda, platform)
    elif question.python is not None:
        summary, facts, build = of_python(world, question.python, platform)
    else:
        summary, facts, build = of_glibc(world, question.glibc or "", platform)
    return Answer(
        question=question,
        answer=None,
        summary=summary,
        facts=tuple(facts),
        build=build,
        newer_than_table=newer,
        as_of=world.as_of,
    )
