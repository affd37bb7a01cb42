"""torch fails on this machine, and none of the known causes fits.

What it is
    envdoctor saw torch fail with its own eyes: the import ended in an error, a crash or silence, or a GPU that the driver
    shows could not be used. No other diagnosis explains it. This one names no cause; it makes sure that a failure which was
    seen is never reported as healthy.

Told apart by
    It is only a root finding when nothing else is; under a known cause it is folded as its consequence.

Repair
    Read the error that is quoted; `envdoctor snapshot` writes the facts for somebody else to look at.

Sources
    What the target interpreter answered.
"""

from __future__ import annotations

from envdoctor.diagnosis.architecture import has_code
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import TorchRun
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import visible_gpus

ASK = Fix(
    title="Write the facts to a file, without personal data, and attach it where you ask for help",
    commands=("envdoctor snapshot -o snapshot.json",),
)


@diagnosis("torch-failure-unexplained", layer=Layer.PYTORCH, severity=Severity.ERROR, follows_from=("*",))
def torch_failure_unexplained(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch = machine.torch
    run = torch.run if torch else None
    # A pasted dump is somebody else's account of a run, with its own gaps; only our own eyes count here.
    if torch is None or run is None or machine.source != "live":
        return None
    said = _import_failure(run) or _gpu_failure(machine, run, world)
    if said is None:
        return None
    summary, evidence = said
    return Finding(
        summary=summary, evidence=(fact("torch.version", torch.version), *evidence), fixes=(ASK,), confidence=0.5
    )


def _import_failure(run: TorchRun) -> tuple[str, tuple[Evidence, ...]] | None:
    stage = f" (at: {run.stage})" if run.stage else ""
    error = (fact("torch.run.error", run.error),) if run.error else ()
    if run.outcome == "import-error":
        return "torch is installed, and importing it fails.", error
    if run.outcome == "crash":
        how = run.signal or f"exit code {run.exit_code}"
        return f"Python died with {how} while it imported or tried torch{stage}.", error
    if run.outcome == "timeout":
        return f"torch was imported or tried for too long and did not come back{stage}.", error
    return None


def _gpu_failure(machine: Snapshot, run: TorchRun, world: Knowledge) -> tuple[str, tuple[Evidence, ...]] | None:
    torch = machine.torch
    if run.computation == "wrong":
        return "A tiny computation on the GPU gave wrong numbers.", (fact("torch.run.computation", "wrong"),)
    # One GPU of several without code in this build is a warning of its own, and all that there is to say.
    if run.computation is not None and "no kernel image" in run.computation and has_code(machine, world) is False:
        return None
    if run.computation not in (None, "ok"):
        return "A tiny computation on the GPU fails.", (fact("torch.run.computation", run.computation),)
    initialised = machine.cuda_driver is not None and machine.cuda_driver.init_code == 0
    if torch is None or torch.build != "cuda" or run.cuda_available is not False or not initialised:
        return None
    if not visible_gpus(machine, world) or not (machine.nvml and machine.nvml.gpus):
        return None
    return "The driver shows a usable GPU, and torch.cuda.is_available() is False.", tuple(
        fact("torch.run.warnings", warning) for warning in run.warnings[:2]
    )
