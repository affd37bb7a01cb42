"""Broken, healthy, or not known: what the findings and the facts of a case amount to. Green is earned by facts that show it."""

from __future__ import annotations

from msgspec.structs import replace

from envdoctor.diagnosis.architecture import has_code
from envdoctor.diagnosis.engine import UNREADABLE
from envdoctor.diagnosis.model import Diagnosed, Severity, Unknown, Verdict
from envdoctor.diagnosis.seen_failures import lacks_gpu, seen_failure
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Torch
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import own_devices, visible_gpus
from envdoctor.reading.case import Case, Origin
from envdoctor.reading.failures import Failure, is_programs_own
from envdoctor.reading.harmless import Harmless, HarmlessWarning, harmless_in


def concluded(found: Diagnosed, case: Case, world: Knowledge) -> Diagnosed:
    """The same findings with the verdict, what is missing for a better one, and the failures that no finding accounts for."""
    harmless = _harmless(found, case, world)
    if any(f.severity is Severity.ERROR and f.consequence_of is None for f in found.findings):
        return replace(found, verdict=Verdict.BROKEN, harmless=harmless)
    try:
        unknown, readable = missing_proof(case, world), True
    except UNREADABLE:  # a fact that is no version, of a damaged snapshot
        unknown, readable = (), False
    own, strange = _unexplained(found, case)
    strange = tuple(f for f in strange if f.text not in {warning.text for warning in harmless})
    healthy = readable and not unknown and not strange and not found.unjudged
    return replace(
        found,
        verdict=Verdict.HEALTHY if healthy else Verdict.UNKNOWN,
        unknown=unknown,
        own_errors=own,
        not_understood=strange,
        harmless=harmless,
    )


def _harmless(found: Diagnosed, case: Case, world: Knowledge) -> tuple[HarmlessWarning, ...]:
    """The warnings that no finding is about. That torch names a GPU's capability is harmless where it has code for that GPU."""
    quoted = {" ".join(finding.quote.split()) for finding in found.findings if finding.quote}
    return tuple(
        warning
        for warning in harmless_in(case.excerpt.splitlines())
        if not any(warning.text in quote or quote in warning.text for quote in quoted)
        and (warning.why is not Harmless.CAPABILITY or _has_code(case.facts, world))
    )


def _has_code(facts: Snapshot, world: Knowledge) -> bool:
    try:
        return has_code(facts, world) is True
    except UNREADABLE:  # a fact that is no version, of a damaged snapshot
        return False


def _unexplained(found: Diagnosed, case: Case) -> tuple[tuple[Failure, ...], tuple[Failure, ...]]:
    """The failures that are the program's own, and those that nobody understands."""
    codes = {finding.code for finding in found.findings}
    heard = [" ".join(match.line.split()) for match in case.heard if match.code in codes]
    left = [f for f in case.failures if not any(f.text in line or line in f.text for line in heard)]
    own = tuple(f for f in left if is_programs_own(f))
    # Where a program's own error ended it, words of failure in the prose around are about that.
    strange = tuple(f for f in left if f not in own and (f.raised or not own))
    return own, strange


def missing_proof(case: Case, world: Knowledge) -> tuple[Unknown, ...]:
    """What is not known without which nobody can call this environment healthy; () where the facts show that it is."""
    facts = case.facts
    looked = case.origin is Origin.MACHINE
    failed = (Unknown.PROBE,) if looked and any(probe.outcome != "ok" for probe in facts.probes) else ()
    torch = facts.torch
    if torch is None:
        return (Unknown.TORCH, *failed)
    run = torch.run
    # Some of the causes may not have been asked for: what failed before our eyes is never healthy.
    if looked and seen_failure(facts, world) is not None:
        return (Unknown.TORCH_RUN, *failed)
    if run is not None and run.computation == "ok":
        return ()
    if torch.build == "cuda":
        counted = () if looked or _counts_agree(facts) else (Unknown.GPU,)
        return (*(_missing_for_cuda(facts, torch, world, looked=looked) or counted), *failed)
    if torch.build is None:
        return (Unknown.TORCH, *failed)
    if run is None:
        return (*(() if looked else (Unknown.TORCH_RUN,)), *failed)
    if run.outcome != "ok":
        return (Unknown.TORCH_RUN, *failed)
    sees_none = (torch.build == "rocm" and not run.cuda_available) or (torch.build == "xpu" and not run.xpu_available)
    return ((Unknown.GPU,) if sees_none else ()) + failed


def _counts_agree(facts: Snapshot) -> bool:
    """Whether the bus, the driver and torch name as many GPUs each, as far as a text tells."""
    run = facts.torch.run if facts.torch else None
    own, listed = own_devices(facts), facts.gpus
    seen = run.device_count if run is not None and facts.variable("CUDA_VISIBLE_DEVICES") is None else None
    return len({number for number in (own and len(own), listed and len(listed), seen) if number}) < 2


def _missing_for_cuda(facts: Snapshot, torch: Torch, world: Knowledge, *, looked: bool) -> tuple[Unknown, ...]:
    run, cuda = torch.run, facts.cuda_driver
    if run is not None and run.outcome != "ok":
        return (Unknown.TORCH_RUN,)
    starts = bool(run and run.cuda_available) or bool(cuda and cuda.init_code == 0 and cuda.device_count)
    gpus = visible_gpus(facts, world)
    if not starts:
        # A GPU build on a machine that is known to have no NVIDIA GPU computes on the CPU, as it should.
        if looked and run is not None and lacks_gpu(facts, world):
            return ()
        return tuple(
            part for part, known in ((Unknown.GPU, bool(gpus)), (Unknown.DRIVER, False)) if not known
        )  # fmt: skip
    if not gpus:
        return (Unknown.GPU,)
    return () if has_code(facts, world) else (Unknown.DEVICE_CODE,)
