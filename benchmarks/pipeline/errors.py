"""How a run of the pipeline says that it cannot go on."""

from __future__ import annotations

import shlex
import sys


class PipelineError(Exception):
    """One line for a person: what is wrong with what they gave (data, options, a checkpoint), and what to do."""


class ValidationError(Exception):
    """The run itself went wrong, and its result must not be trusted: accuracy, numerics or an export that disagrees."""


def insist(objection: str) -> None:
    """Raises ValidationError with the objection, where there is one."""
    if objection:
        raise ValidationError(objection)


def install(packages: str) -> str:
    """The command that installs packages into this very Python: the active `pip` is often another's."""
    return "{} -m pip install {}".format(shlex.quote(sys.executable), packages)
