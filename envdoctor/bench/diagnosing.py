"""What envdoctor makes of a workload's error: the same judgement as `envdoctor explain`, with this machine's facts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from envdoctor.bench.results import Diagnosed, Failure
from envdoctor.facts.model import Snapshot

if TYPE_CHECKING:
    from envdoctor.diagnosis.explaining import Candidate
    from envdoctor.diagnosis.model import Finding
SURE_ENOUGH = 0.5
MOST = 2


def explained(failure: Failure, snapshot: Snapshot) -> tuple[Diagnosed, ...]:
    """The causes that the error's text and the machine's facts point to, best first; () where it is no known problem of the
    environment (a workload too large for the memory is none)."""
    from envdoctor.diagnosis.explaining import explain
    from envdoctor.knowledge import load

    text = "\n".join((failure.message, failure.traceback or "", *failure.log_tail))
    found = explain(io.BytesIO(text.encode("utf-8", "replace")), load(), snapshot)
    return tuple(
        _diagnosed(candidate)
        for candidate in found.candidates[:MOST]
        if candidate.confidence >= SURE_ENOUGH and candidate.machine != "rules-out"
    )


def diagnosed(failure: Failure, snapshot: Snapshot, causes: tuple[Diagnosed, ...] = ()) -> tuple[Diagnosed, ...]:
    """As `explained`; then `causes`, the machine's own (`errors_of`) where it is the machine that failed."""
    found: dict[str, Diagnosed] = {}
    for one in (*explained(failure, snapshot), *causes):
        found.setdefault(one.code, one)
    return tuple(found.values())[:MOST]


def errors_of(snapshot: Snapshot) -> tuple[Diagnosed, ...]:
    """What `envdoctor check` calls an error of that machine, and no consequence of another; the first of them."""
    from envdoctor.diagnosis.catalogue import all_diagnoses
    from envdoctor.diagnosis.engine import diagnose
    from envdoctor.diagnosis.model import Severity
    from envdoctor.knowledge import load

    found = diagnose(snapshot, load(), all_diagnoses()).findings
    causes = (one for one in found if one.severity is Severity.ERROR and one.consequence_of is None)
    return tuple(map(_diagnosed, causes))[:MOST]


def _diagnosed(cause: Candidate | Finding) -> Diagnosed:
    first = cause.fixes[0] if cause.fixes else None
    return Diagnosed(
        code=cause.code,
        title=cause.title,
        summary=cause.summary,
        fix=first.title if first else None,
        commands=first.commands if first else (),
        note=first.note if first else None,
    )
