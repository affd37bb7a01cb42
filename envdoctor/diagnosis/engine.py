"""Runs the diagnoses over one Snapshot, folds consequences under their root cause and puts the findings in order."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion

from envdoctor.diagnosis.model import Diagnosed, Diagnosis, Finding, Severity
from envdoctor.diagnosis.repairs.system import for_system
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge, KnowledgeError

UNREADABLE = (KnowledgeError, InvalidVersion, InvalidSpecifier, InvalidRequirement)
"""What a fact raises that is no version or requirement: a shared or hand-made snapshot may hold such."""


def diagnose(snapshot: Snapshot, world: Knowledge, diagnoses: Iterable[Diagnosis]) -> Diagnosed:
    """Judges the Snapshot by each of the diagnoses.

    Order: roots before consequences, errors before warnings, then the order of the catalogue (nearest the metal first).
    """
    diagnoses = tuple(diagnoses)
    found: dict[str, tuple[Diagnosis, Finding]] = {}
    unjudged: dict[str, str] = {}
    for d in diagnoses:
        try:
            said = d.check(snapshot, world)
        except UNREADABLE as error:  # no reason to withhold the other diagnoses
            unjudged[d.code] = str(error).partition("\n")[0]
            continue
        if said is not None:
            found[d.code] = (d, said)
    severities = {code: said.severity or d.severity for code, (d, said) in found.items()}
    causes = {code: said.consequence_of or _cause(d, severities) for code, (d, said) in found.items()}
    findings = [
        msgspec.structs.replace(
            said,
            code=code,
            severity=severities[code],
            title=d.title,
            consequence_of=root_of(code, causes),
            fixes=for_system(said.fixes, snapshot),
        )
        for code, (d, said) in found.items()
    ]
    findings.sort(key=lambda f: (f.consequence_of is not None, severities[f.code].rank))
    ran = tuple(d.code for d in diagnoses if d.code not in unjudged)
    return Diagnosed(findings=tuple(findings), ran=ran, unjudged=unjudged)


def _cause(diagnosis: Diagnosis, present: dict[str, Severity]) -> str | None:
    """The finding that explains this one away; a milder one never does. '*' stands for any other error."""
    own = present[diagnosis.code]
    wanted = present if diagnosis.follows_from == ("*",) else diagnosis.follows_from
    for code in wanted:
        if code != diagnosis.code and code in present and present[code].rank <= own.rank:
            return code
    return None


def root_of(code: str, causes: dict[str, str | None]) -> str | None:
    """The end of the chain of causes; None where the finding is a root itself."""
    root, seen = causes[code], {code}
    while root is not None and root not in seen and (further := causes.get(root)) is not None:
        seen.add(root)
        root = further
    return root
