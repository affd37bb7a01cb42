"""A question made ready to be judged."""

from __future__ import annotations

import msgspec

from envdoctor.compat.question import Question
from envdoctor.compat.subject import Gpu


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its GPUs found and its platform settled."""

    question: Question
    gpus: tuple[Gpu, ...]
    platform: str

    def without(self, *fields: str) -> Case:
        """The same case with some of the user's wishes dropped."""
        return msgspec.structs.replace(self, question=msgspec.structs.replace(self.question, **dict.fromkeys(fields)))

    @property
    def about_torch(self) -> bool:
        """Whether a torch build belongs to the answer: always, unless CUDA alone is asked against GPU or driver."""
        asked = self.question
        return asked.cuda is None or any((asked.torch, asked.python, asked.glibc, asked.which_torch))
