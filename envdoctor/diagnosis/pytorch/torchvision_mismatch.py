"""torchvision was built for another torch, or for another CUDA variant.

What it is
    Each torchvision release is compiled against exactly one torch release. With another one its operators do not load:
    'operator torchvision::nms does not exist', undefined symbols, or 'compiled with different CUDA major versions'.

Told apart by
    torchvision's own metadata pins the torch it was built for (`Requires-Dist: torch==2.15.0`); where there is none (a dump),
    the table of releases speaks. The local version tags (+cu126, +cpu) tell the variants apart: a different CUDA major version
    or a CPU torchvision beside a CUDA torch is a mismatch, different minors of one CUDA are not.

Repair
    The torchvision that goes with the torch that is there, from the same channel.

Sources
    torchvision/extension.py, `_check_cuda_version`; github.com/pytorch/vision#installation
"""

from __future__ import annotations

from envdoctor.diagnosis.companions import sibling_built_for, variant, variants_clash
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.companion_install import companion_fixes
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

REFUSED = ("undefined symbol", "torchvision::nms does not exist", "different CUDA major versions")


MESSAGES = beside(__file__)


@diagnosis(
    "torchvision-mismatch",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("torch-duplicate-install",),
    messages=MESSAGES,
    remedy=lambda machine, world: companion_fixes(machine, world, "torchvision"),
)
def torchvision_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, torch = machine.interpreter, machine.torch
    vision = interpreter.distribution("torchvision") if interpreter else None
    if torch is None or torch.version is None or vision is None or vision.version is None:
        return None
    fixes = companion_fixes(machine, world, "torchvision")
    built_for = sibling_built_for(machine, world, "torchvision")
    if built_for is not None:
        return Finding(
            summary=f"torchvision {vision.version} was built for torch {built_for}; torch {torch.version} is installed.",
            evidence=(
                fact("torchvision.version", vision.version),
                fact("torchvision.requires", f"torch=={built_for}"),
                fact("torch.version", torch.version),
            ),
            # Its operators were seen to load, so it works as far as that goes.
            severity=Severity.WARNING if torch.run is not None and torch.run.torchvision == "ok" else None,
            fixes=fixes,
        )
    said = torch.run.torchvision if torch.run else None
    if said is not None and any(words in said for words in REFUSED):
        return Finding(
            summary=f"torchvision {vision.version} does not load into torch {torch.version}: it was built for another one.",
            evidence=(
                fact("torch.run.torchvision", " ".join(said.split())[:300]),
                fact("torchvision.version", vision.version),
            ),
            fixes=fixes,
        )
    ours, theirs = variant(torch.version), variant(vision.build or vision.version)
    if ours is None or theirs is None or not variants_clash(ours, theirs):
        return None
    return Finding(
        summary=f"torchvision {vision.version} and torch {torch.version} are builds for different devices "
        f"({theirs} and {ours}): torchvision's CUDA operators will fail.",
        evidence=(fact("torchvision.version", vision.version), fact("torch.version", torch.version)),
        fixes=fixes,
    )
