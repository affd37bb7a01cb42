"""Runs the diagnoses over one Snapshot, folds consequences under their root cause and puts the findings in order."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from envdoctor.diagnosis.model import Diagnosed, Diagnosis, Finding, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge


def diagnose(snapshot: Snapshot, world: Knowledge, diagnoses: Iterable[Diagnosis]) -> Diagnosed:
    """Judges the Snapshot by each of the diagnoses.

    Order: roots before consequences, errors before warnings, then the order of the catalogue (nearest the metal first).
    """
    diagnoses = tuple(diagnoses)
    found = [(d, finding) for d in diagnoses if (finding := d.check(snapshot, world)) is not None]
    present = {d.code: finding.severity or d.severity for d, finding in found}
    findings = [_complete(d, finding, present) for d, finding in found]
    findings.sort(key=lambda f: (f.consequence_of is not None, present[f.code].rank))
    return Diagnosed(findings=tuple(findings), ran=tuple(d.code for d in diagnoses))


def _complete(diagnosis: Diagnosis, finding: Finding, present: dict[str, Severity]) -> Finding:
    cause = next(iter(_causes(diagnosis, present)), None)
    return msgspec.structs.replace(
        finding,
        code=diagnosis.code,
        severity=present[diagnosis.code],
        title=diagnosis.title,
        consequence_of=finding.consequence_of or cause,
    )


def _causes(diagnosis: Diagnosis, present: dict[str, Severity]) -> list[str]:
    """Codes among the findings that explain this one away; '*' stands for any other error."""
    if diagnosis.follows_from == ("*",):
        return [code for code, severity in present.items() if code != diagnosis.code and severity is Severity.ERROR]
    return [code for code in diagnosis.follows_from if code in present]
