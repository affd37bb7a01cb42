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
