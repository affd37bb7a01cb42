"""What envdoctor makes of a workload's error: the same judgement as `envdoctor explain`, with this machine's facts."""

from __future__ import annotations

import io

from envdoctor.bench.results import Diagnosed, Failure
from envdoctor.facts.model import Snapshot

# Below this a candidate is one of several, and would mislead more than it helps under a benchmark's table.
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
        Diagnosed(
            code=candidate.code,
            title=candidate.title,
            summary=candidate.summary,
            fix=candidate.fixes[0].title if candidate.fixes else None,
            commands=candidate.fixes[0].commands if candidate.fixes else (),
        )
        for candidate in found.candidates[:MOST]
        if candidate.confidence >= SURE_ENOUGH and candidate.machine != "rules-out"
    )


def diagnosed(failure: Failure, snapshot: Snapshot, *, whole_machine: bool) -> tuple[Diagnosed, ...]:
    """As `explained`; with `whole_machine`, then what `envdoctor check` calls an error: that machine failed."""
    found = {one.code: one for one in explained(failure, snapshot)}
    if whole_machine:
        from envdoctor.diagnosis.catalogue import all_diagnoses
        from envdoctor.diagnosis.engine import diagnose
        from envdoctor.diagnosis.model import Severity
        from envdoctor.knowledge import load

        for finding in diagnose(snapshot, load(), all_diagnoses()).findings:
            if finding.severity is Severity.ERROR and finding.consequence_of is None:
                first = finding.fixes[0] if finding.fixes else None
                found.setdefault(
                    finding.code,
                    Diagnosed(
                        code=finding.code,
                        title=finding.title,
                        summary=finding.summary,
                        fix=first.title if first else None,
                        commands=first.commands if first else (),
                    ),
                )
    return tuple(found.values())[:MOST]
