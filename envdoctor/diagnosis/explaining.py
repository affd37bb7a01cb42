"""From an error text to its causes: signatures, the facts that the text states, and a machine's facts, weighed together."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import msgspec

from envdoctor.diagnosis.catalogue import all_diagnoses, all_messages
from envdoctor.diagnosis.engine import diagnose
from envdoctor.diagnosis.model import Diagnosed, Diagnosis, Finding, Fix, Severity
from envdoctor.diagnosis.ruling_out import ruled_out
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.pattern import compile_all
from envdoctor.reading.messages.scan import Match, Scan, scan
from envdoctor.reading.text_facts import stated

LEAST = 0.2
"""Less confident candidates are noise."""


class Candidate(msgspec.Struct, kw_only=True):
    """A cause that the text may come from."""

    code: str
    title: str
    severity: Severity
    confidence: float
    """0 to 1: how surely the text, and the machine's facts where there are any, mean this cause."""
    line: str
    """The most telling line."""
    line_number: int | None
    count: int
    """How often a message of this cause stands in the text."""
    last_line_number: int | None
    summary: str
    fixes: tuple[Fix, ...]
    machine: str = "silent"
    """'confirms', 'rules-out' or 'silent': what the machine's facts say to it."""
    machine_says: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a text means, the best candidate first; none where it is no environment problem that is known."""

    candidates: tuple[Candidate, ...]
    lines: int
    facts: Snapshot
    """What the text states."""

    @property
    def primary(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None


def explain(
    stream: BinaryIO,
    world: Knowledge,
    machine: Snapshot | None = None,
    *,
    own: bool = True,
    tick: Callable[[int], None] | None = None,
) -> Explanation:
    """Judges a text of any size. `machine` are facts to hold it against; `own` where these are certainly of the machine that the
    text comes from (given by the user, and not merely the machine that envdoctor runs on)."""
    diagnoses = all_diagnoses()
    found = scan(stream, compile_all(all_messages()), tick)
    facts = stated(found, world)
    by_text = diagnose(facts, world, diagnoses)
    by_machine = diagnose(machine, world, diagnoses) if machine is not None else None
    context = machine if machine is not None and own else facts
    candidates = [
        candidate
        for d in diagnoses
        if (candidate := _candidate(d, found, by_text, context, world)) is not None and candidate.confidence >= LEAST
    ]
    _causes_first(candidates, {d.code: d for d in diagnoses})
    if machine is not None and by_machine is not None:
        for candidate in candidates:
            _weigh(candidate, machine, by_machine, world, own=own)
    order = {d.code: place for place, d in enumerate(diagnoses)}
    candidates.sort(key=lambda c: (-c.confidence, order[c.code]))
    for candidate in candidates:
        candidate.confidence = round(min(candidate.confidence, 0.99), 2)
    return Explanation(candidates=tuple(candidates), lines=found.lines, facts=facts)


def _candidate(d: Diagnosis, found: Scan, by_text: Diagnosed, context: Snapshot, world: Knowledge) -> Candidate | None:
    own = [match for match in found.matches if match.code == d.code]
    finding = next((f for f in by_text.findings if f.code == d.code and f.severity is not Severity.INFO), None)
    if not own and (finding is None or d.follows_from == ("*",) or d.code in found.denied):
        return None
    confidence = max((_weight(match, found.lines) for match in own), default=0.0)
    # Several wordings of one cause support each other.
    confidence += 0.03 * min(len({match.message.text for match in own}) - 1, 3) if own else 0.0
    if finding is not None:
        said = 0.75 * finding.confidence * (1.0 if finding.consequence_of is None else 0.6)
        confidence = max(confidence + (0.05 if own else 0.0), said)
    best = max(own, key=lambda match: (match.message.weight, match.last_line_number), default=None)
    line, number = (best.line, best.line_number) if best else _line_of(finding, found)
    summary, fixes = _words(d, finding, context, world)
    return Candidate(
        code=d.code,
        title=d.title,
        severity=(finding.severity if finding and finding.severity else d.severity),
        confidence=confidence,
        line=line,
        line_number=number,
        count=max((match.count for match in own), default=1),
        last_line_number=max((match.last_line_number for match in own), default=number),
        summary=summary,
        fixes=fixes,
    )


def _weight(match: Match, lines: int) -> float:
    """A message's weight; of two equals the later one is nearer to what stopped the program."""
    return match.message.weight * 0.95 + 0.02 * match.last_line_number / max(lines, 1)


def _line_of(finding: Finding | None, found: Scan) -> tuple[str, int | None]:
    """The line that a finding of the text's facts rests on, where it quotes one."""
    quoted = [e.value for e in finding.evidence] if finding else []
    for number, line in enumerate(found.excerpt.splitlines(), 1):
        bare = " ".join(line.split())[:300]
        if bare and any(bare == value or (len(bare) > 20 and bare in value) for value in quoted):
            return bare, number
    return "; ".join(f"{e.fact}: {e.value}" for e in (finding.evidence[:2] if finding else ())), None


def _words(d: Diagnosis, finding: Finding | None, context: Snapshot, world: Knowledge) -> tuple[str, tuple[Fix, ...]]:
    """The summary and the fixes: a finding's own, else the diagnosis's remedy, else its page's."""
    fixes = finding.fixes if finding is not None else ()
    if not fixes and d.remedy is not None:
        fixes = d.remedy(context, world)
    return (finding.summary if finding is not None else f"{d.title}."), fixes or (page_fix(d),)


def page_fix(d: Diagnosis) -> Fix:
    """The page's chapter 'Repair' as a fix, for a cause of which nothing more is known."""
    _, _, rest = d.page.partition("\nRepair\n")
    text = " ".join(rest.partition("\n\n")[0].split())
    return Fix(title="What repairs it", commands=(f"envdoctor explain {d.code}",), note=text or None)


def _causes_first(candidates: list[Candidate], diagnoses: dict[str, Diagnosis]) -> None:
    """A consequence comes after its cause where both stand in the text, unless the cause is a mere hint."""
    present = {c.code: c for c in candidates}
    for candidate in candidates:
        for code in diagnoses[candidate.code].follows_from:
            cause = present.get(code)
            if cause is not None and cause.confidence >= 0.6 and cause.confidence >= candidate.confidence - 0.35:
                candidate.confidence = min(candidate.confidence, cause.confidence - 0.05)


def _weigh(candidate: Candidate, machine: Snapshot, by_machine: Diagnosed, world: Knowledge, *, own: bool) -> None:
    finding = next((f for f in by_machine.findings if f.code == candidate.code), None)
    strength = 1.0 if own else 0.3
    if finding is not None:
        candidate.machine, candidate.machine_says = "confirms", finding.summary
        candidate.confidence += strength * 0.9 * (0.99 - candidate.confidence) * finding.confidence
        candidate.summary, candidate.fixes = finding.summary, finding.fixes or candidate.fixes
        return
    reason = ruled_out(candidate.code, machine, world)
    if reason is not None:
        candidate.machine, candidate.machine_says = "rules-out", reason
        candidate.confidence *= 1 - 0.6 * strength
