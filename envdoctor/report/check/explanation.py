"""What `explain` says, for scripts: `envdoctor.explain/1`."""

from __future__ import annotations

import msgspec

from envdoctor.diagnosis.explaining import Candidate, Explanation
from envdoctor.diagnosis.model import Diagnosis, Fix, Severity

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


class Report(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """`primary`: the code of the best match; null where the text is no environment problem that envdoctor knows."""

    primary: str | None
    matches: tuple[ReportedMatch, ...]
    lines: int
    """How many lines were read."""
    page: str | None = None
    """The diagnosis's page, where a code was asked for."""


def to_json(explanation: Explanation) -> str:
    """The explanation as indented JSON text."""
    primary = explanation.primary
    return _json(
        Report(
            primary=primary.code if primary else None,
            matches=tuple(_match(candidate) for candidate in explanation.candidates),
            lines=explanation.lines,
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
    return _json(Report(primary=diagnosis.code, matches=(match,), lines=0, page=diagnosis.page))


def _match(candidate: Candidate) -> ReportedMatch:
    return ReportedMatch(
        code=candidate.code,
        confidence=candidate.confidence,
        line=candidate.line,
        summary=candidate.summary,
        fixes=candidate.fixes,
        title=candidate.title,
        severity=candidate.severity,
        line_number=candidate.line_number,
        count=candidate.count,
        machine=candidate.machine,
        machine_says=candidate.machine_says,
    )


def _json(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
