"""torchaudio was built for another torch, or for another CUDA variant.

What it is
    torchaudio's libraries are compiled against one torch release and one CUDA version. With another: 'undefined symbol' in
    libtorchaudio.so or _torchaudio.so, 'Could not load this library', 'compiled with different CUDA versions'.

Told apart by
    torchaudio's own pin on torch; where there is none (a dump), the table of releases. from 2.11 on each accepts every later
    torch. The local version tags (+cu126, +cpu) tell variants apart: torchaudio compares its CUDA version with torch's.

Repair
    The torchaudio that goes with the torch that is there, from the same channel.

Sources
    torchaudio/_extension/utils.py, `_check_cuda_version`; its metadata
"""

from __future__ import annotations

from envdoctor.diagnosis.companions import sibling_built_for, variant, variants_clash
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.companion_install import companion_fixes
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import Said, said
from envdoctor.reading.messages.message_files import beside

LIBRARIES = ("libtorchaudio", "_torchaudio.", "\\torchaudio\\", "/torchaudio/")
FAILS = (
    "undefined symbol",
    "could not load this library",
    "cannot open shared object",
    "oserror",
    "winerror",
    "dll load failed",
)


MESSAGES = beside(__file__)


@diagnosis(
    "torchaudio-mismatch",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("torch-duplicate-install", "torch-install-corrupt"),
    messages=MESSAGES,
    remedy=lambda machine, world: companion_fixes(machine, world, "torchaudio"),
)
def torchaudio_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, torch = machine.interpreter, machine.torch
    audio = interpreter.distribution("torchaudio") if interpreter else None
    words = next((line for line in said(machine) if _says(line)), None)
    if torch is None or torch.version is None or audio is None or audio.version is None:
        return None if words is None else _by_words(words)
    evidence = (fact("torchaudio.version", audio.version), fact("torch.version", torch.version))
    fixes = companion_fixes(machine, world, "torchaudio")
    built_for = sibling_built_for(machine, world, "torchaudio")
    if built_for is not None:
        return Finding(
            summary=f"torchaudio {audio.version} was built for torch {built_for}; torch {torch.version} is installed.",
            evidence=(*evidence, fact("torchaudio.requires", f"torch=={built_for}")),
            fixes=fixes,
        )
    ours, theirs = variant(torch.version), variant(audio.build or audio.version)
    if ours is not None and theirs is not None and variants_clash(ours, theirs):
        return Finding(
            summary=f"torchaudio {audio.version} and torch {torch.version} are builds for different devices "
            f"({theirs} and {ours}).",
            evidence=evidence,
            fixes=fixes,
        )
    if words is None:
        return None
    found = _by_words(words)
    return Finding(
        summary=found.summary, evidence=(*evidence, *found.evidence), fixes=fixes, confidence=found.confidence
    )


def _says(line: Said) -> bool:
    low = line.text.lower()
    if "pytorch and torchaudio were compiled with different cuda versions" in low:
        return True
    # A traceback runs through torchaudio's files in healthy ways too; only a line that fails and names its library counts.
    return any(name in low for name in LIBRARIES) and any(failure in low for failure in FAILS)


def _by_words(line: Said) -> Finding:
    return Finding(
        summary="torchaudio's library does not load into this torch: it was built for another one.",
        evidence=(line.evidence(),),
        confidence=0.8,
    )
