"""Lines of a text that tell of a failure, whoever understands them; and the failures that are known to be a program's own."""

from __future__ import annotations

import re
from functools import cache

import msgspec

from envdoctor.reading.messages.normalised_text import cleaned

MOST = 50
LONGEST = 600

# What ended a program stands at a line's start: 'RuntimeError: ...', 'torch.cuda.OutOfMemoryError: ...'.
_RAISED = re.compile(r"(?:[A-Za-z_]\w{0,60}\.){0,8}[A-Z]\w{0,60}(?:Error|Exception|Exit|Failure|Died)\b(?::|$)")
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
    r"\bwarn(?:ing)?s?\b", "deprecat", "could not collect", r"\bnot (?:affected|set)\b", "mitigation", "vulnerab",
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


# Failures that no repair of the environment mends: what a program computes, is given or asks for, in the wordings of ATen and of
# Python. They are looked for in the failing line itself, so that a dump around it changes nothing.
_OWN_WORDS = (
    "shapes? cannot be multiplied", "size mismatch for", "sizes? of tensors? must match", "the size of tensor a",
    "must match the size",
    r"expected (?:input|target|scalar type|tensor|\d+D|all tensors to be on the same device|floating|object of)",
    "contains nan", r"\bnan\b.{0,30}\bloss", r"loss.{0,30}\bnan\b", r"index (?:out of (?:range|bounds)|\d+ is out of bounds)",
    "list index out of range", "device-side assert", "assertion `.{0,80}` failed", "is not JSON serializable", "JSONDecodeError",
    r"invalid literal for int", "could not convert string", "division by zero", "ZeroDivisionError", r"\bKeyError\b",
    r"\bIndexError\b", "UnicodeDecodeError", r"\bNameError\b", "unexpected keyword argument", r"missing \d+ required (?:pos|key)",
    r"takes \d+ positional", "object is not (?:callable|iterable|subscriptable)", "'NoneType' object", "unsupported operand type",
    "grad can be implicitly", "backward through the graph", "modified by an inplace", "does not require grad",
    r"(?:missing|unexpected) key\(s\) in state_dict", r"error\(s\) in loading state_dict", "HTTP ?Error", r"status code [45]\d\d",
    r"\b(?:401|403|404|429|50[023]) (?:client|server|unauthorized|forbidden|not found)", "ConnectionError", "ConnectionRefused",
    "Max retries exceeded", "SSLError", "gated repo", "RepositoryNotFound", "No space left", "KeyboardInterrupt",
    r"Input type \(.{0,60}\) and weight type", "Default process group has not been initialized", "num_samples should be",
    "truth value of an array", "only (?:one element|integer) tensors", "bool value of Tensor",
)  # fmt: skip


def is_programs_own(failure: Failure) -> bool:
    """Whether the failure is known to be the program's own: a shape, a value, a key, a request over the network."""
    return _any_of(_OWN_WORDS).search(failure.text) is not None
