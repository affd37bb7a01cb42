"""What `explain` says, for scripts: `envdoctor.explain/1`."""

from __future__ import annotations

import msgspec

from envdoctor.diagnosis.model import Diagnosed, Diagnosis, Finding, Fix, Severity, Verdict

SCHEMA = "envdoctor.explain/1"


class ReportedMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate as scripts see it; every key is always there."""

    code: str
    confidence: float
    line: str
    summary: str
    fixes: tuple[Fix, ...]
    title: str
    severity: Severity
    line_number: int | None
    count: int
    machine: str
    machine_says: str | None


class ExplainReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """`primary`: the code of the best match; null where no cause is known. `not_understood`: lines that tell of a failure that
    nothing accounts for; `own_errors`: those that are known to be the program's own;
    `harmless`: warnings in it that are none."""

    primary: str | None
    verdict: Verdict
    matches: tuple[ReportedMatch, ...]
    not_understood: tuple[str, ...] = ()
    own_errors: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    lines: int
    """How many lines were read."""
    page: str | None = None
    """The diagnosis's page, where a code was asked for."""


def to_json(diagnosed: Diagnosed) -> str:
    """What was found in a text, as indented JSON text."""
    primary = diagnosed.primary
    return _json(
        ExplainReport(
            primary=primary.code if primary else None,
            verdict=diagnosed.verdict,
            matches=tuple(_match(f) for f in diagnosed.findings if f.severity is not Severity.INFO),
            not_understood=tuple(f.text for f in diagnosed.not_understood),
            own_errors=tuple(f.text for f in diagnosed.own_errors),
            harmless=tuple(w.text for w in diagnosed.harmless),
            lines=diagnosed.lines,
        )
    )


def page_to_json(diagnosis: Diagnosis) -> str:
    """A diagnosis's page in the same shape: one sure match."""
    match = ReportedMatch(
        code=diagnosis.code,
        confidence=1.0,
        line="",
        summary=f"{diagnosis.title}.",
        fixes=(),
        title=diagnosis.title,
        severity=diagnosis.severity,
        line_number=None,
        count=0,
        machine="silent",
        machine_says=None,
    )
    return _json(
        ExplainReport(primary=diagnosis.code, verdict=Verdict.UNKNOWN, matches=(match,), lines=0, page=diagnosis.page)
    )


def _match(cause: Finding) -> ReportedMatch:
    return ReportedMatch(
        code=cause.code,
        confidence=cause.confidence,
        line=cause.quote,
        summary=cause.summary,
        fixes=cause.fixes,
        title=cause.title,
        severity=cause.severity or Severity.ERROR,
        line_number=cause.line,
        count=cause.count,
        machine=cause.machine.value if cause.machine else "silent",
        machine_says=cause.machine_reason,
    )


def _json(report: ExplainReport) -> str:
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
