"""The types of a diagnosis: what is found, why, and how it is repaired. Types only; the judging is in the files beside."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Sequence

import msgspec

from envdoctor.facts.evidence import Evidence
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.failures import Failure
from envdoctor.reading.harmless import HarmlessWarning
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


class MachineSays(enum.Enum):
    """What a machine's facts say to a cause that a text points to."""

    CONFIRMS = "confirms"
    RULES_OUT = "rules-out"


class Verdict(enum.Enum):
    """The state of an environment, as far as it is shown. Green is earned: HEALTHY needs facts that show it."""

    BROKEN = "broken"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"


class Unknown(enum.Enum):
    """A fact without which nobody can call an environment healthy."""

    TORCH = "torch"
    """Which torch is installed, and whether one is."""
    TORCH_RUN = "torch-run"
    """Whether torch computes."""
    GPU = "gpu"
    """Which GPU there is."""
    DRIVER = "driver"
    """Which driver there is, and whether CUDA starts."""
    DEVICE_CODE = "device-code"
    """Whether torch has code for the GPU."""
    PROBE = "probe"
    """Something could not be looked at: a probe failed or ran out of time."""


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
    """The line in it, or in the text that was judged, counted from 1."""
    quote: str = ""
    """That line of a text, where the cause was heard in one."""
    count: int = 1
    """How often a message of this cause stands in the text."""
    last_line: int | None = None
    rule: str = ""
    """The rule for files that found it, where a file was judged."""
    machine: MachineSays | None = None
    """What another machine's facts, which the text was held against, say to this cause; None where they say nothing."""
    machine_reason: str | None = None


Check = Callable[[Snapshot, Knowledge], "Finding | None"]
Remedy = Callable[[Snapshot, Knowledge], tuple[Fix, ...]]
Fits = Callable[[Snapshot, Knowledge], "bool | None"]
"""True: the facts bear the cause out; False: they rule it out; None: they leave it open."""


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
    messages: Sequence[Message] = ()
    """The wordings that this cause is reported in, across versions."""
    remedy: Remedy | None = None
    """The fixes of this cause where its wording is all that is known (with what else the snapshot holds)."""
    fits: Fits | None = None
    """Whether the facts bear the cause out where one of its messages was heard, which may mean another cause as well."""


def diagnosis(
    code: str,
    *,
    layer: Layer,
    severity: Severity,
    follows_from: tuple[str, ...] = (),
    messages: Sequence[Message] = (),
    remedy: Remedy | None = None,
    fits: Fits | None = None,
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
            fits=fits,
        )

    return decorate


HINT = 0.65
"""The confidence below which words alone are a hint."""


class Topic(enum.Enum):
    """What of a file was understood."""

    IMAGE = "image"
    PYTHON = "python"
    TORCH = "torch"
    CUDA = "cuda"
    INDEX = "index"
    GPUS = "gpus"


class NotJudged(enum.Enum):
    """Why a part of a file was not judged."""

    VARIABLE = "variable"
    """A word is known only where it is built or run."""
    FILE = "file"
    """It names a file that is not there to be read."""
    INDEX = "index"
    """An index whose wheels are not known."""
    IMAGE = "image"
    """An image that may hold a torch, or of which it is not known which."""
    INSTALLER = "installer"
    """A project, a lock or an environment is installed by a tool that decides for itself."""
    WHEEL = "wheel"
    """A wheel or a repository by its address."""
    BUILD = "build"
    """Which build of torch is taken, among those that the file admits."""
    RULES = "rules"
    """A file of this name is read by another program, by rules that are not known here."""


class Understood(msgspec.Struct, frozen=True):
    """One thing that a file says, as it was understood."""

    topic: Topic
    value: str
    line: int | None = None


class Gap(msgspec.Struct, frozen=True):
    """One thing in a file that was not judged: why, its own words, and the line."""

    reason: NotJudged
    text: str
    line: int | None = None


class FileAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What of one file was understood, and what was not judged. `machine`: the words for the GPUs and the driver that it was
    judged for, () where none are known and it was judged for the current generations; `python`: the machine's, where that
    is the one that counts."""

    file: str
    kind: str
    understood: tuple[Understood, ...] = ()
    not_judged: tuple[Gap, ...] = ()
    machine: tuple[str, ...] = ()
    python: str | None = None
    concerns_torch: bool = False


class Diagnosed(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one case: the root cause to repair first comes first, consequences last."""

    findings: tuple[Finding, ...]
    ran: tuple[str, ...]
    """Codes that were checked."""
    unjudged: dict[str, str] = {}
    """Codes that could not be checked because a fact of the snapshot is no version, GPU or number, with the reason."""
    files: tuple[str, ...] = ()
    """The files that were judged, where it was not the machine."""
    accounts: tuple[FileAccount, ...] = ()
    """What was understood of each of them."""
    verdict: Verdict = Verdict.UNKNOWN
    unknown: tuple[Unknown, ...] = ()
    """What is missing for calling it healthy."""
    not_understood: tuple[Failure, ...] = ()
    """Lines that tell of a failure that no finding accounts for."""
    own_errors: tuple[Failure, ...] = ()
    """Lines that tell of a failure that is known to be the program's own."""
    harmless: tuple[HarmlessWarning, ...] = ()
    """Warnings that sound like a cause, and are none here."""
    lines: int = 0
    """How many lines of text were read; 0 for a machine."""

    @property
    def rivals(self) -> tuple[Finding, ...]:
        """Alternatives, and no further problems: causes that only explain words which an earlier, likelier cause explains as
        well, and mere hints beside a cause that facts show."""
        quoted: set[str] = set()
        shown = False
        found = []
        for finding in self.findings:
            heard_only = finding.consequence_of is None and finding.quote and not finding.evidence
            if heard_only and (finding.quote in quoted or (shown and finding.confidence < HINT)):
                found.append(finding)
            quoted.add(finding.quote)
            shown = shown or bool(finding.evidence and finding.severity is Severity.ERROR)
        return tuple(found)

    @property
    def roots(self) -> tuple[Finding, ...]:
        """What is to be repaired, the first first: without consequences and rivals."""
        rivals = self.rivals
        return tuple(f for f in self.findings if f.consequence_of is None and f not in rivals)

    @property
    def primary(self) -> Finding | None:
        """The root cause to repair first; None where none was found."""
        roots = self.roots
        return roots[0] if roots and roots[0].severity is not Severity.INFO else None

    def has(self, severity: Severity) -> bool:
        """Whether any finding is of this severity or worse."""
        return any(f.severity is not None and f.severity.rank <= severity.rank for f in self.findings)
