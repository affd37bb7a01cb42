"""The report for scripts: `envdoctor.report/1`, the contract of `check --format json`."""

from __future__ import annotations

import msgspec

from envdoctor.diagnosis.model import Diagnosed, FileAccount, Finding, Fix, Severity, Unknown, Verdict
from envdoctor.facts.evidence import Evidence
from envdoctor.facts.model import Snapshot

SCHEMA = "envdoctor.report/1"


class ReportedFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as scripts see it; every key is always there."""

    code: str
    severity: Severity
    title: str
    summary: str
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]
    confidence: float
    consequence_of: str | None
    file: str | None
    line: int | None
    rule: str
    quote: str


class CheckReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """`ok`: no error-level finding. `primary`: the code of the root cause to repair first. `unknown`: what is missing for calling
    it healthy. `not_understood`: lines of a text that tell of a failure that no finding accounts for.
    `harmless`: warnings that are known to be none. `files`: what was
    understood of each file, and what was not judged."""

    ok: bool
    verdict: Verdict
    primary: str | None
    findings: tuple[ReportedFinding, ...]
    unknown: tuple[Unknown, ...]
    not_understood: tuple[str, ...]
    own_errors: tuple[str, ...]
    harmless: tuple[str, ...]
    files: tuple[FileAccount, ...]
    snapshot: Snapshot


def report(snapshot: Snapshot, diagnosed: Diagnosed) -> CheckReport:
    """The report as data."""
    return CheckReport(
        ok=not diagnosed.has(Severity.ERROR),
        verdict=diagnosed.verdict,
        primary=diagnosed.primary.code if diagnosed.primary else None,
        findings=tuple(_finding(f) for f in diagnosed.findings),
        unknown=diagnosed.unknown,
        not_understood=tuple(f.text for f in diagnosed.not_understood),
        own_errors=tuple(f.text for f in diagnosed.own_errors),
        harmless=tuple(w.text for w in diagnosed.harmless),
        files=diagnosed.accounts,
        snapshot=snapshot,
    )


def _finding(finding: Finding) -> ReportedFinding:
    return ReportedFinding(
        code=finding.code,
        severity=finding.severity or Severity.ERROR,
        title=finding.title,
        summary=finding.summary,
        evidence=finding.evidence,
        fixes=finding.fixes,
        confidence=finding.confidence,
        consequence_of=finding.consequence_of,
        file=finding.file,
        line=finding.line,
        rule=finding.rule,
        quote=finding.quote,
    )


def to_json(snapshot: Snapshot, diagnosed: Diagnosed) -> str:
    """The report as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(report(snapshot, diagnosed)), indent=2).decode()
