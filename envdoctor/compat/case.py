"""A question made ready to be judged."""

from __future__ import annotations

import msgspec

from envdoctor.compat.question import CompatQuestion
from envdoctor.compat.subject import GpuSubject
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.versions import cuda_minor
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build


class CompatCase(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its GPUs found and its platform settled."""

    question: CompatQuestion
    gpus: tuple[GpuSubject, ...]
    platform: str

    def without(self, *fields: str) -> CompatCase:
        """The same case with some of the user's wishes dropped."""
        return msgspec.structs.replace(self, question=msgspec.structs.replace(self.question, **dict.fromkeys(fields)))

    @property
    def about_torch(self) -> bool:
        """Whether a torch build belongs to the answer: always, unless CUDA alone is asked against GPU or driver."""
        asked = self.question
        return asked.cuda is None or any((asked.torch, asked.python, asked.glibc, asked.which_torch))

    @property
    def accelerated(self) -> bool:
        """A GPU or a driver asks for CUDA code; a question of Python or glibc alone is served by any build."""
        return bool(self.gpus or self.question.driver is not None or self.question.cuda is not None)

    @property
    def driver_platform(self) -> str:
        """The platform whose driver numbers count."""
        return "windows_amd64" if self.question.wsl else self.platform

    @property
    def target(self) -> Target:
        """The machine that the question describes. No GPU named is one that was not described."""
        return Target(
            gpus=tuple(gpu.target for gpu in self.gpus) or None,
            driver=self.question.driver,
            platform=self.platform,
            glibc=self.question.glibc,
            wsl=self.question.wsl,
            jetson=any(gpu.jetson for gpu in self.gpus),
        )

    @property
    def wishes(self) -> Wishes:
        asked = self.question
        cuda = cuda_minor(asked.cuda) if asked.cuda is not None else None
        return Wishes(torch=asked.torch, cuda=cuda, python=asked.python)


def chosen(world: Knowledge, case: CompatCase) -> TorchBuild | None:
    """The build that a plan for this case takes; None where there is none."""
    build = best_build(case.target, case.wishes, world)
    if build is None and not case.accelerated:
        return best_build(msgspec.structs.replace(case.target, gpus=()), case.wishes, world)
    return build
