"""A case: what is known of one environment, and what was heard of it. Every text, and every machine, becomes one."""

from __future__ import annotations

import enum
import io
from collections.abc import Callable
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.failures import Failure, failures_in
from envdoctor.reading.messages.loader_errors import said
from envdoctor.reading.messages.pattern import Signature
from envdoctor.reading.messages.scan import Match, Scan, scan
from envdoctor.reading.text_facts import stated

LIVE = "live"
"""Snapshot.source of a machine that probes looked at."""


class Origin(enum.Enum):
    """Where a case's facts are from."""

    MACHINE = "machine"
    """Probes looked at it: what they do not show is not there or could not be seen."""
    TEXT = "text"
    """Somebody wrote or pasted it: what it does not say may be anything."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one environment and the messages heard of it.

    `heard`: known messages, in the order of the text. `denied`: codes of which a message stands there whose condition does not
    let it count, and no other. `failures`: lines that tell of a failure, understood or not. `lines`: how many were read.
    """

    facts: Snapshot
    origin: Origin
    heard: tuple[Match, ...] = ()
    denied: frozenset[str] = frozenset()
    failures: tuple[Failure, ...] = ()
    excerpt: str = ""
    lines: int = 0
    platform_assumed: bool = False
    """The text does not name its platform: facts.host's system steers repairs, and rules nothing out."""

    @property
    def certain(self) -> Snapshot:
        """The facts without what was assumed."""
        host = self.facts.host
        if not self.platform_assumed or host is None:
            return self.facts
        return replace(self.facts, host=replace(host, system=None, architecture=None))


def text_case(
    stream: BinaryIO,
    signatures: tuple[Signature, ...],
    world: Knowledge,
    tick: Callable[[int], None] | None = None,
) -> Case:
    """The case of a text of any size and shape; `tick` is told how many bytes have been read. Raises InputError for JSON of
    envdoctor's own that is broken."""
    found = scan(stream, signatures, tick)
    facts, platform_assumed = stated(found, world)
    if facts.source == LIVE:  # a snapshot, whose own errors are facts
        return machine_case(facts, signatures)
    return Case(
        facts=facts,
        origin=Origin.TEXT,
        heard=tuple(found.matches),
        denied=found.denied,
        failures=failures_in(found.excerpt, facts.messages),
        excerpt=found.excerpt,
        lines=found.lines,
        platform_assumed=platform_assumed,
    )


def machine_case(facts: Snapshot, signatures: tuple[Signature, ...] = ()) -> Case:
    """The case of a machine that was looked at: what torch, its libraries and the kernel said there is its text."""
    found = heard_on(facts, signatures)
    return Case(
        facts=facts, origin=Origin.MACHINE, heard=tuple(found.matches), denied=found.denied, excerpt=found.excerpt
    )


def heard_on(facts: Snapshot, signatures: tuple[Signature, ...]) -> Scan:
    """What stands in the errors and warnings that a machine's facts quote."""
    run = facts.torch.run if facts.torch else None
    lines = [line.text for line in said(facts)]
    lines += (run.stderr or "").splitlines() if run else []
    return scan(io.BytesIO("\n".join(lines).encode("utf-8", "replace")), signatures)
