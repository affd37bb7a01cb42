"""The types of a diagnosis: what is found, why, and how it is repaired. Types only; the judging is in the files beside."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable

import msgspec

from envdoctor.facts.evidence import Evidence
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message import Message


class Severity(enum.Enum):
    """How bad a finding is."""

    ERROR = "error"
    """CUDA work fails, or will."""
    WARNING = "warning"
    """It works, but slower, fragile or soon broken."""
    INFO = "info"
    """Worth knowing."""

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


class Layer(enum.Enum):
    """Where in the stack a cause lies, from the metal upwards."""

    GPU = "gpu"
    DRIVER = "driver"
    CONTAINER = "container"
    HOST = "host"
    ENVIRONMENT = "environment"
    PYTHON = "python"
    PYTORCH = "pytorch"
    LIBRARIES = "libraries"
    TOOLKIT = "toolkit"
    MULTI_GPU = "multi-gpu"


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """One way to repair the cause, complete in itself.

    `commands` are literal, run in order in a shell (`#` lines are remarks for the reader). What cannot be typed (a firmware
    switch, a download for Windows) is said in `note`. `verify` is a command that shows that it worked.
    """

    title: str
    commands: tuple[str, ...] = ()
    needs_root: bool = False
    needs_reboot: bool = False
    note: str | None = None
    verify: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a diagnosis says. The engine fills `code`, `severity`, `title` and `consequence_of`."""

    summary: str
    """One or two sentences with this machine's own numbers."""
    evidence: tuple[Evidence, ...] = ()
    fixes: tuple[Fix, ...] = ()
    """The one to try first comes first: the cheapest that really helps."""
    confidence: float = 1.0
    """1.0: the facts say it; 0.8: inferred from them; 0.5: one of two causes that the facts cannot tell apart."""
    code: str = ""
    severity: Severity | None = None
    """None takes the diagnosis's own; a finding may be milder than that (one GPU of several)."""
    title: str = ""
    consequence_of: str | None = None
    """The code of the finding that brings this one about: repairing that one removes both."""
    file: str | None = None
    """The file that it is about, where a file and not the machine was judged, as the user named it."""
    line: int | None = None
    """The line in it, counted from 1."""


Check = Callable[[Snapshot, Knowledge], "Finding | None"]
Remedy = Callable[[Snapshot, Knowledge], tuple[Fix, ...]]


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """A root cause: its code, its page and its judgement."""

    code: str
    layer: Layer
    severity: Severity
    title: str
    page: str
    """The docstring of its file."""
    follows_from: tuple[str, ...]
    """Codes of the causes that, where present, explain this one away; ('*',) for every other error."""
    check: Check
    messages: tuple[Message, ...] = ()
    """The wordings that this cause is reported in, across versions."""
    remedy: Remedy | None = None
    """The fixes of this cause where its wording is all that is known (with what else the snapshot holds)."""


def diagnosis(
    code: str,
    *,
    layer: Layer,
    severity: Severity,
    follows_from: tuple[str, ...] = (),
    messages: tuple[Message, ...] = (),
    remedy: Remedy | None = None,
) -> Callable[[Check], Diagnosis]:
    """Turns a pure `check(snapshot, knowledge)` into a Diagnosis; its file's docstring is its page, the first line its title."""

    def decorate(check: Check) -> Diagnosis:
        page = (sys.modules[check.__module__].__doc__ or code).strip()
        return Diagnosis(
            code=code,
            layer=layer,
            severity=severity,
            title=page.partition("\n")[0].rstrip("."),
            page=page,
            follows_from=follows_from,
            check=check,
            messages=messages,
            remedy=remedy,
        )

    return decorate


class Diagnosed(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one machine, the primary one first, consequences last."""

    findings: tuple[Finding, ...]
    ran: tuple[str, ...]
    """Codes that were checked."""
    unjudged: dict[str, str] = {}
    """Codes that could not be checked because a fact of the snapshot is no version, GPU or number, with the reason."""
    files: tuple[str, ...] = ()
    """The files that were judged, where it was not the machine."""

    @property
    def primary(self) -> Finding | None:
        """The root cause to repair first; None on a healthy machine."""
        roots = [f for f in self.findings if f.consequence_of is None]
        return roots[0] if roots and roots[0].severity is not Severity.INFO else None

    def has(self, severity: Severity) -> bool:
        """Whether any finding is of this severity or worse."""
        return any(f.severity is not None and f.severity.rank <= severity.rank for f in self.findings)
