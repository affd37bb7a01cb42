"""What code hosts read and show beside the line: SARIF 2.1.0 and GitLab's code quality report.

Both are about files. A finding about the machine has no line: SARIF takes it without a place, GitLab's format cannot hold it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import msgspec

from envdoctor import __version__
from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.model import Diagnosed, Finding, Severity
from envdoctor.facts.model import Snapshot

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_GITLAB = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def to_sarif(_snapshot: Snapshot, diagnosed: Diagnosed) -> str:
    """SARIF: a run with the rules that were broken and a result for each finding."""
    found = list(dict.fromkeys(finding.code for finding in diagnosed.findings))
    run = {
        "tool": {"driver": {"name": "envdoctor", "version": __version__, "rules": [_rule(code) for code in found]}},
        "results": [_result(finding, mark, found.index(finding.code)) for finding, mark in _marked(diagnosed)],
    }
    return _text({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str) -> dict[str, Any]:
    pages = {diagnosis.code: diagnosis for diagnosis in all_diagnoses()}
    known = pages.get(code)
    if known is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": known.title},
        "fullDescription": {"text": known.page},
        "defaultConfiguration": {"level": _LEVELS[known.severity]},
    }


def _result(finding: Finding, fingerprint: str, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity or Severity.ERROR],
        "message": {"text": _message(finding)},
        "partialFingerprints": {"envdoctor/1": fingerprint},
    }
    if finding.file:
        physical: dict[str, Any] = {"artifactLocation": {"uri": quote(PurePath(finding.file).as_posix())}}
        if finding.line:
            physical["region"] = {"startLine": finding.line}
        result["locations"] = [{"physicalLocation": physical}]
    return result


def to_gitlab(_snapshot: Snapshot, diagnosed: Diagnosed) -> str:
    """GitLab's code quality report, of the findings that are about a file."""
    return _text(
        [
            {
                "description": _message(finding),
                "check_name": finding.code,
                "fingerprint": fingerprint,
                "severity": _GITLAB[finding.severity or Severity.ERROR],
                "location": {"path": PurePath(finding.file).as_posix(), "lines": {"begin": finding.line or 1}},
            }
            for finding, fingerprint in _marked(diagnosed)
            if finding.file
        ]
    )


def _message(finding: Finding) -> str:
    return " ".join([finding.summary, *(f"{fix.title}." for fix in finding.fixes[:1])])


def _marked(diagnosed: Diagnosed) -> Iterator[tuple[Finding, str]]:
    """Each finding and its fingerprint: the same while the finding is, and no other's. The line's number is not in it, for that
    moves when somebody adds a comment above."""
    seen: Counter[str] = Counter()
    for finding in diagnosed.findings:
        said = "\0".join((finding.code, finding.file or "", finding.summary))
        seen[said] += 1
        yield finding, hashlib.sha256(f"{said}\0{seen[said]}".encode("utf-8", "replace")).hexdigest()


def _text(document: object) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
