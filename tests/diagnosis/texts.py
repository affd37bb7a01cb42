"""Texts on their way through the one judge."""

from __future__ import annotations

import io

from envdoctor.diagnosis.judging import judge_text
from envdoctor.diagnosis.model import Diagnosed, Finding, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import load


def judged(text: str | bytes, machine: Snapshot | None = None, *, own: bool = True) -> Diagnosed:
    """What is found in a text, held against a machine's facts where there are any."""
    data = text.encode() if isinstance(text, str) else text
    return judge_text(io.BytesIO(data), load(), machine, own=own)[1]


def causes(text: str | bytes) -> list[Finding]:
    """The causes that are found in a text, the best first."""
    return [finding for finding in judged(text).findings if finding.severity is not Severity.INFO]


def codes(text: str | bytes) -> list[str]:
    return [finding.code for finding in causes(text)]
