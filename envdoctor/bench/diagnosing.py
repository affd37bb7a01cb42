"""What envdoctor makes of a workload's error: the same judgement as `envdoctor explain`, with this machine's facts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from envdoctor.bench.results import ErrorDiagnosis, WorkloadFailure
from envdoctor.facts.model import Snapshot

if TYPE_CHECKING:
    from envdoctor.diagnosis.model import Finding
SURE_ENOUGH = 0.5
MOST = 2


def explained(failure: WorkloadFailure, snapshot: Snapshot) -> tuple[ErrorDiagnosis, ...]:
    """The causes that the error's text and the machine's facts point to, best first; () where it is no known problem of the
    environment (a workload too large for the memory is none)."""
    from envdoctor.diagnosis.judging import judge_text
    from envdoctor.diagnosis.model import MachineSays
    from envdoctor.knowledge import load

    text = "\n".join((failure.message, failure.traceback or "", *failure.log_tail))
    _, found = judge_text(io.BytesIO(text.encode("utf-8", "replace")), load(), snapshot)
    return tuple(
        _diagnosed(candidate)
        for candidate in found.findings
        if candidate.confidence >= SURE_ENOUGH
        and candidate.consequence_of is None
        and candidate.machine is not MachineSays.RULES_OUT
    )[:MOST]


def diagnosed(
    failure: WorkloadFailure, snapshot: Snapshot, causes: tuple[ErrorDiagnosis, ...] = ()
) -> tuple[ErrorDiagnosis, ...]:
    """As `explained`; then `causes`, the machine's own (`errors_of`) where it is the machine that failed."""
    found: dict[str, ErrorDiagnosis] = {}
    for one in (*explained(failure, snapshot), *causes):
        found.setdefault(one.code, one)
    return tuple(found.values())[:MOST]


def errors_of(snapshot: Snapshot) -> tuple[ErrorDiagnosis, ...]:
    """What `envdoctor check` calls an error of that machine, and no consequence of another; the first of them."""
    from envdoctor.diagnosis.judging import judge_snapshot
    from envdoctor.diagnosis.model import Severity
    from envdoctor.knowledge import load

    found = judge_snapshot(snapshot, load()).findings
    causes = (one for one in found if one.severity is Severity.ERROR and one.consequence_of is None)
    return tuple(map(_diagnosed, causes))[:MOST]


def _diagnosed(cause: Finding) -> ErrorDiagnosis:
    first = cause.fixes[0] if cause.fixes else None
    return ErrorDiagnosis(
        code=cause.code,
        title=cause.title,
        summary=cause.summary,
        fix=first.title if first else None,
        commands=first.commands if first else (),
        note=first.note if first else None,
    )
