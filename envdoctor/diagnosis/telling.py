"""What a message's own values tell of the cause: versions, capabilities, paths, in one sentence with the fix that they allow."""

from __future__ import annotations

from envdoctor.diagnosis.model import Diagnosis, Fix
from envdoctor.diagnosis.signatures import Match
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge


def told(d: Diagnosis, match: Match, context: Snapshot, world: Knowledge) -> tuple[str, tuple[Fix, ...]] | None:
    """(summary, fixes) where the values say more than the diagnosis alone."""
    return None
