"""The one judge: from a case, its facts and the messages heard, to the causes, whoever asks and whatever the case came from.

Messages propose causes; facts confirm them, rule them out, choose between them, and find causes of their own.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from envdoctor.diagnosis.catalogue import all_diagnoses, all_messages
from envdoctor.diagnosis.conclusion import concluded
from envdoctor.diagnosis.deciding import with_question
from envdoctor.diagnosis.engine import UNREADABLE, diagnose, root_of
from envdoctor.diagnosis.model import Diagnosed, Diagnosis, Finding, Fix, MachineSays, Severity
from envdoctor.diagnosis.repairs.system import for_system
from envdoctor.diagnosis.ruling_out import ruled_out
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.case import LIVE, Case, Origin, machine_case, text_case
from envdoctor.reading.dumps import snapshot_json
from envdoctor.reading.dumps.text import decode, is_text
from envdoctor.reading.failures import failures_of, is_change_note
from envdoctor.reading.messages.pattern import Signature, compile_all
from envdoctor.reading.messages.scan import Match

LEAST = 0.2
"""Less confident causes are noise."""
SURE = 0.8
"""The confidence from which on a warning that brings about an error counts as one."""
TOLD = 0.15
"""What is left of a message's weight in a line of release notes."""
RULED_OUT = 0.2
"""What is left of the confidence in a cause that the facts rule out."""
BOTH = 0.75
"""At least this much is a cause worth that was heard and that the facts show."""
LIKELY = 0.45
"""From here on a cause that was only heard is named for a failure that a machine showed."""
UNEXPLAINED = "torch-failure-unexplained"


def judge_text(
    stream: BinaryIO,
    world: Knowledge,
    machine: Snapshot | None = None,
    *,
    own: bool = True,
    tick: Callable[[int], None] | None = None,
) -> tuple[Case, Diagnosed]:
    """Reads a text of any size and shape and judges it; see `judge_case`."""
    case = text_case(stream, signatures(), world, tick)
    return case, judge_case(case, world, machine, own=own)


def judge_content(
    content: bytes, world: Knowledge, diagnoses: Iterable[Diagnosis] | None = None
) -> tuple[Snapshot, Diagnosed]:
    """Judges a file: a snapshot, a report or bench file that holds one, a dump, a log, an error, prose. Raises InputError where
    there is nothing to read, and for JSON that is broken or no snapshot."""
    text = decode(content)
    facts = snapshot_json.find(text)
    if facts is not None:
        return facts, judge_snapshot(facts, world, diagnoses)
    if not is_text(text):
        raise InputError("there is nothing to read in this text; give an error, a log, a dump or a snapshot.")
    case = text_case(io.BytesIO(content), signatures(), world)
    return case.facts, judge_case(case, world, diagnoses=diagnoses)


def judge_snapshot(facts: Snapshot, world: Knowledge, diagnoses: Iterable[Diagnosis] | None = None) -> Diagnosed:
    """Judges facts: a machine that was looked at, or what a text was read to state."""
    if facts.source in (None, LIVE):
        return judge_machine(facts, world, diagnoses)
    case = replace(machine_case(facts, signatures()), origin=Origin.TEXT, failures=failures_of(facts.messages))
    return judge_case(case, world, diagnoses=diagnoses)


def judge_machine(facts: Snapshot, world: Knowledge, diagnoses: Iterable[Diagnosis] | None = None) -> Diagnosed:
    """Judges a machine that was looked at. What torch said there is searched only where the facts explain no failure."""
    chosen = all_diagnoses() if diagnoses is None else tuple(diagnoses)
    found = diagnose(facts, world, chosen)
    roots = [f for f in found.findings if f.consequence_of is None and f.severity is Severity.ERROR]
    if [f.code for f in roots] == [UNEXPLAINED]:
        found = _with_heard(found, machine_case(facts, signatures()), world, chosen)
    return concluded(found, Case(facts=facts, origin=Origin.MACHINE), world)


def judge_without_python(facts: Snapshot, world: Knowledge) -> Diagnosed:
    """Judges what no Python environment can mend: a machine as it is for an environment that is yet to be made."""
    return judge_machine(msgspec.structs.replace(facts, interpreter=None), world)


def judge_case(
    case: Case,
    world: Knowledge,
    machine: Snapshot | None = None,
    *,
    own: bool = True,
    diagnoses: Iterable[Diagnosis] | None = None,
) -> Diagnosed:
    """Judges a case. `machine` are facts to hold a text against; `own` where these are certainly of the machine that the text
    comes from (given by the user, and not merely the machine that envdoctor runs on)."""
    if case.origin is Origin.MACHINE:
        return judge_machine(case.facts, world, diagnoses)
    chosen = all_diagnoses() if diagnoses is None else tuple(diagnoses)
    by_facts = diagnose(case.facts, world, chosen)
    context = machine if machine is not None and own else case.facts
    proposed = (_cause(d, case, by_facts, context, world) for d in chosen)
    causes = {f.code: f for f in proposed if f is not None and f.confidence >= LEAST}
    causes = _causes_first(causes, {d.code: d for d in chosen})
    if machine is not None:
        by_machine = {f.code: f for f in diagnose(machine, world, chosen).findings}
        causes = {
            code: _weighed(f, machine, by_machine.get(code), world, strength=1.0 if own else 0.3)
            for code, f in causes.items()
        }
    minor = [f for f in by_facts.findings if f.severity is Severity.INFO and f.code not in causes]
    ordered = with_question(_ordered(causes.values(), chosen), context, world)
    found = replace(by_facts, findings=(*ordered, *minor), lines=case.lines)
    return concluded(found, case, world)


def signatures() -> tuple[Signature, ...]:
    """Every message of every diagnosis, ready to be looked for."""
    return compile_all(all_messages())


def _ordered(causes: Iterable[Finding], diagnoses: tuple[Diagnosis, ...]) -> tuple[Finding, ...]:
    """Roots before consequences, errors before warnings, the surest first, then the order of the catalogue."""
    order = {d.code: place for place, d in enumerate(diagnoses)}
    kept = [replace(f, confidence=round(min(f.confidence, 0.99), 2)) for f in causes]
    return tuple(
        sorted(kept, key=lambda f: (f.consequence_of is not None, _rank(f), -f.confidence, order.get(f.code, 0)))
    )


def _rank(finding: Finding) -> int:
    return (finding.severity or Severity.ERROR).rank


def _cause(d: Diagnosis, case: Case, by_facts: Diagnosed, context: Snapshot, world: Knowledge) -> Finding | None:
    """The finding that the facts and the messages of one diagnosis make together."""
    heard = [match for match in case.heard if match.code == d.code]
    finding = next((f for f in by_facts.findings if f.code == d.code and f.severity is not Severity.INFO), None)
    if not heard and (finding is None or d.follows_from == ("*",) or d.code in case.denied):
        return None
    confidence = max((_weight(match, case.lines) for match in heard), default=0.0)
    # Several wordings of one cause support each other.
    confidence += 0.03 * min(len({match.message.text for match in heard}) - 1, 3) if heard else 0.0
    if finding is not None:
        said = 0.75 * finding.confidence * (1.0 if finding.consequence_of is None else 0.6)
        # A cause that the facts show by themselves and that was heard as well.
        both = BOTH if heard and finding.consequence_of is None else 0.0
        confidence = max(confidence + (0.05 if heard else 0.0), said, both)
    elif (borne_out := _borne_out(d, case, world)) is not None:
        confidence = max(confidence, 0.7) if borne_out else confidence * RULED_OUT
    best = max(heard, key=lambda match: (match.message.weight, match.last_line_number), default=None)
    quote, line = (best.line, best.line_number) if best else _quoted(finding, case)
    summary, fixes = _words(d, finding, context, world)
    return Finding(
        code=d.code,
        title=d.title,
        severity=(finding.severity if finding and finding.severity else d.severity),
        confidence=confidence,
        summary=summary,
        evidence=finding.evidence if finding is not None else (),
        fixes=fixes,
        consequence_of=finding.consequence_of if finding is not None and not heard else None,
        quote=quote,
        line=line,
        count=max((match.count for match in heard), default=1),
        last_line=max((match.last_line_number for match in heard), default=line),
    )


def _borne_out(d: Diagnosis, case: Case, world: Knowledge) -> bool | None:
    """What the facts say to a cause that was only heard: it is so, it cannot be so, or nothing."""
    if d.fits is not None and (said := d.fits(case.facts, world)) is not None:
        return said
    return False if ruled_out(d.code, case.certain, world) is not None else None


def _weight(match: Match, lines: int) -> float:
    """A message's weight; of two equals the later one is nearer to what stopped the program. What a list of changes tells of is
    repaired."""
    weight = match.message.weight * (TOLD if is_change_note(match.line) else 1.0)
    return weight * 0.95 + 0.02 * match.last_line_number / max(lines, 1)


def _quoted(finding: Finding | None, case: Case) -> tuple[str, int | None]:
    """The line that a finding of the text's facts rests on, where it quotes one."""
    quoted = [e.value for e in finding.evidence] if finding else []
    for number, line in enumerate(case.excerpt.splitlines(), 1):
        bare = " ".join(line.split())[:300]
        if bare and any(bare == value or (len(bare) > 20 and bare in value) for value in quoted):
            return bare, number
    return "; ".join(f"{e.fact}: {e.value}" for e in (finding.evidence[:2] if finding else ())), None


def _words(d: Diagnosis, finding: Finding | None, context: Snapshot, world: Knowledge) -> tuple[str, tuple[Fix, ...]]:
    """The summary and the fixes: a finding's own, else the diagnosis's remedy, else its page's."""
    fixes = finding.fixes if finding is not None else ()
    if not fixes and d.remedy is not None:
        try:
            fixes = for_system(d.remedy(context, world), context)
        except UNREADABLE:
            fixes = ()
    return (finding.summary if finding is not None else f"{d.title}."), fixes or (page_fix(d),)


def page_fix(d: Diagnosis) -> Fix:
    """The page's chapter 'Repair' as a fix, for a cause of which nothing more is known."""
    _, _, rest = d.page.partition("\nRepair\n")
    text = " ".join(rest.partition("\n\n")[0].split())
    return Fix(title="What repairs it", commands=(f"envdoctor explain {d.code}",), note=text or None)


def _causes_first(causes: dict[str, Finding], diagnoses: dict[str, Diagnosis]) -> dict[str, Finding]:
    """A consequence comes after its cause where both stand in the text, unless the cause is a mere hint."""
    parents: dict[str, str | None] = {code: f.consequence_of for code, f in causes.items()}
    ranked = dict(causes)
    for code, finding in causes.items():
        for cause in diagnoses[code].follows_from:
            root = ranked.get(cause)
            if root is None or root.confidence < 0.6 or root.confidence < ranked[code].confidence - 0.35:
                continue
            if _rank(root) > _rank(finding) and root.confidence >= SURE and root.quote:
                # What brings about an error is one, too.
                root = ranked[cause] = replace(root, severity=finding.severity)
            parents[code] = parents[code] or (cause if _rank(root) <= _rank(finding) else None)
            ranked[code] = replace(ranked[code], confidence=min(ranked[code].confidence, root.confidence - 0.05))
    present = {code: parent if parent in ranked else None for code, parent in parents.items()}
    return {code: replace(f, consequence_of=root_of(code, present)) for code, f in ranked.items()}


def _weighed(
    cause: Finding, machine: Snapshot, by_machine: Finding | None, world: Knowledge, *, strength: float
) -> Finding:
    """The cause in the light of a machine's facts; `strength`, 0 to 1: how surely the text is of that machine."""
    if by_machine is not None:
        return replace(
            cause,
            machine=MachineSays.CONFIRMS,
            machine_reason=by_machine.summary,
            confidence=cause.confidence + strength * 0.9 * (0.99 - cause.confidence) * by_machine.confidence,
            summary=by_machine.summary,
            fixes=by_machine.fixes or cause.fixes,
        )
    reason = ruled_out(cause.code, machine, world)
    if reason is None:
        return cause
    confidence = cause.confidence * (1 - 0.6 * strength)
    return replace(cause, machine=MachineSays.RULES_OUT, machine_reason=reason, confidence=confidence)


def _with_heard(found: Diagnosed, case: Case, world: Knowledge, diagnoses: tuple[Diagnosis, ...]) -> Diagnosed:
    """A failure that the machine showed and no fact explains: the causes that its words are known for, if they are likely."""
    causes = [
        f
        for d in diagnoses
        if d.code != UNEXPLAINED and (f := _cause(d, case, replace(found, findings=()), case.facts, world)) is not None
    ]
    likely = [f for f in causes if f.confidence >= LIKELY and _rank(f) == 0]
    if not likely:
        return found
    first = max(likely, key=lambda f: f.confidence)
    if not first.evidence:  # what was heard stands in what was seen
        first = replace(first, evidence=found.findings[0].evidence)
    rest = [replace(f, consequence_of=first.code) if f.code == UNEXPLAINED else f for f in found.findings]
    findings = sorted([first, *rest], key=lambda f: (f.consequence_of is not None, _rank(f)))
    return replace(found, findings=tuple(findings))
