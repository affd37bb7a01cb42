"""Lines of a text that tell of a failure, whoever understands them; and the failures that are known to be a program's own."""

from __future__ import annotations

import re
from functools import cache

import msgspec

from envdoctor.reading.messages.normalised_text import cleaned
from envdoctor.reading.own_errors import is_own

MOST = 50
LONGEST = 600

# What ended a program stands at a line's start: 'RuntimeError: ...', 'torch.cuda.OutOfMemoryError: ...'.
_RAISED = re.compile(
    r"(?:[A-Za-z_]\w{0,60}\.){0,8}[A-Z]\w{0,60}(?:Error|Exception|Exit|Failure|Died|Interrupt)\b(?::|$)"
)
_RAISED_INSIDE = re.compile(r"\b(?:[a-z_]\w{0,60}\.){0,8}[A-Z]\w{1,60}(?:Error|Exception): \S")

_WORDS = (
    "errors?", "fatal", "fail(?:s|ed|ure|ing)?", "crash(?:ed|es)?", "abort(?:ed)?", "panic", "segmentation fault",
    "core dumped", "bus error", "illegal instruction", "killed", "cannot", "can't", "could not", "couldn't", "unable to",
    "not found", "no such", "not available", "unavailable", "undefined symbol", "unsupported", "not supported",
    "not compatible", "incompatible", "mismatch(?:ed)?", "missing", "denied", "refused", "timed out", "invalid",
    "not defined", "has no attribute", "no module named", "not compiled with", "is insufficient", "fallen off", "xid",
    "conflicts?", "does not exist", "no longer", "too old", "too new", "no kernel image", "no devices?",
    "doesn't (?:work|run|start)", "returns? false", "is false", "(?:dies|died) with",
)  # fmt: skip
# Words of failure in lines that tell of none.
_HARMLESS_WORDS = (
    r"\b(?:0|no|zero|without(?: any)?) (?:errors?|failures?|failed)\b", r"\berrors? ?[:=] ?(?:0|none|false)\b",
    r"\bwarn(?:ing)?s?\b", r"\w+Warning:(?!.{0,200}(?:CUDA init|not compatible|too old|can(?:no|')t load|failed to load))",
    r"^not found\.?$", r"\bNCCL INFO\b", r"register cu(?:DNN|BLAS|FFT) factory",
    "deprecat", "could not collect", r"\bnot (?:affected|set)\b", "mitigation", "vulnerab",
    r"on_error|error_if|errors=",
    r"^\s*(?:info|debug)\b", r"\bis (?:debug build|xnnpack|xpu|mps)\b",
)  # fmt: skip


@cache
def _any_of(words: tuple[str, ...], *, whole: bool = False) -> re.Pattern[str]:
    """One pattern for all of them, compiled when a text is read: a machine's check needs none."""
    joined = "|".join(words)
    return re.compile(rf"\b(?:{joined})\b" if whole else joined, re.IGNORECASE)


class Failure(msgspec.Struct, frozen=True):
    """One line that tells of a failure. `raised`: it stands where an exception is reported, and not somewhere in prose."""

    line: int
    """Its number in the text, counted from 1."""
    text: str
    raised: bool


def failures_in(excerpt: str, prose: tuple[str, ...]) -> tuple[Failure, ...]:
    """The lines of a text that tell of a failure, at most MOST, exceptions before mere words. `prose`: the lines that are no
    dump; what a dump's own lines say ('Could not collect') is no failure."""
    wanted = {" ".join(line.split()) for line in prose}
    raised: list[Failure] = []
    spoken: list[Failure] = []
    for number, raw in enumerate(excerpt.splitlines(), 1):
        if " ".join(raw[:1000].split()) not in wanted:
            continue
        text = " ".join(cleaned(raw[:LONGEST]).split())
        if _RAISED.match(text) or _RAISED_INSIDE.search(text):
            raised.append(Failure(number, text, True))
        elif _any_of(_WORDS, whole=True).search(text) and not _any_of(_HARMLESS_WORDS).search(text):
            spoken.append(Failure(number, text, False))
    chosen = [*raised[-MOST:], *spoken[-MOST:]][:MOST]
    return tuple(sorted(chosen, key=lambda failure: failure.line))


def failures_of(messages: tuple[str, ...]) -> tuple[Failure, ...]:
    """The same, of lines that were kept without their text."""
    return failures_in("\n".join(messages), messages)


def is_raised(line: str) -> bool:
    """Whether a line reports an exception."""
    return _RAISED.match(line[:LONGEST]) is not None


# 'v2.1: Fixed a crash when ...', '- Improved the message for ...'. Who says 'I fixed it by ...' tells of a failure of his own.
_CHANGE = re.compile(
    r"\W{0,4}(?:(?:changelog|release notes)\b.{0,20}?)?(?:v?\d[\d.]*\W{1,3})?(?:\[[\w-]{1,20}\]\s)?"
    r"(?:add|added|fix|fixed|fixes|feat|docs|improved|changed|resolved)(?:\([^()\n]{1,60}\))?:? ",
    re.IGNORECASE,
)


def is_change_note(line: str) -> bool:
    """Whether a line is one of a list of changes: what it names is repaired, or was never here."""
    return _CHANGE.match(line[:LONGEST]) is not None


def is_programs_own(failure: Failure) -> bool:
    """Whether the failure is known to be the program's own: a shape, a value, a key, a request over the network."""
    return is_own(failure.text)
