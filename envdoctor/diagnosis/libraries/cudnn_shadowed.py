"""torch's own cuDNN is shadowed by another one on the loader's path.

What it is
    The wheels bring the cuDNN that they were built with. LD_LIBRARY_PATH or LD_PRELOAD can put another one before it (of the
    system, of another framework); when that one is older or of another major, torch refuses it ('cuDNN version
    incompatibility') or convolutions fail.

Told apart by
    The cuDNN that the import of torch really mapped lies outside its environment, and it does not fit the build: another major,
    a lower minor, or a failing convolution. A system cuDNN of any version that is not loaded is harmless, and so is a foreign one
    that fits. Where torch was not imported, an unfit one in LD_LIBRARY_PATH is only a risk. A wrong cuDNN wheel in the
    environment itself is `nvidia-wheels-mismatch`.

Repair
    Take the foreign folder out of LD_LIBRARY_PATH.

Sources
    torch/backends/cudnn/__init__.py, `_init`; ld.so(8): LD_LIBRARY_PATH comes before RUNPATH, after RPATH
"""

from __future__ import annotations

from envdoctor.diagnosis import cudnn_facts
from envdoctor.diagnosis.library_copies import forced, foreign, mapped, own_wheel, path_evidence, steered, without_path
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import run_python
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import first_saying, loader_errors
from envdoctor.reading.messages.message_files import beside

INCOMPATIBLE = "cuDNN version incompatibility"
CHECK = "import torch; print(torch.backends.cudnn.version())"


MESSAGES = beside(__file__)


@diagnosis(
    "cudnn-shadowed",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, _: (without_path(machine, run_python(machine, CHECK)),),
)
def cudnn_shadowed(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch = machine.torch
    run = torch.run if torch else None
    fixes = (without_path(machine, run_python(machine, CHECK)),)
    need = cudnn_facts.built(machine)
    built = (fact("torch.cudnn_built", need),) if need else ()
    taken = mapped(machine, "libcudnn")
    if taken is not None and run is not None:
        have = cudnn_facts.found(machine) or taken.version
        failing = (
            run.cudnn_convolution not in (None, "ok")
            or run.cudnn_error is not None
            or first_saying(machine, INCOMPATIBLE) is not None
        )
        unfit = cudnn_facts.fits(have, need) is False and run.cudnn_convolution != "ok"
        if not foreign(machine, taken.path) or not (unfit or failing):
            return None
        return Finding(
            summary=f"torch loads the cuDNN {have or 'library'} at {taken.path}"
            + (f"; it was built with {need}, which its own wheels bring." if need else " in place of its own."),
            evidence=(fact("torch.run.mapped", taken.path), *built, *path_evidence(machine)),
            fixes=fixes,
            confidence=1.0 if unfit else 0.8,
        )
    said = first_saying(machine, INCOMPATIBLE)
    if said is not None and "LD_LIBRARY_PATH" in said.text:
        # torch says this much only where LD_LIBRARY_PATH is set.
        return Finding(
            summary="torch found another cuDNN than the one it was built with, and LD_LIBRARY_PATH is set: "
            "a cuDNN there is loaded before torch's own.",
            evidence=(said.evidence(), *path_evidence(machine)),
            fixes=fixes,
            confidence=0.8,
        )
    refused = next((e for e in loader_errors(machine) if e.kind == "symbol" and e.wanted.startswith("cudnn")), None)
    if refused is not None and steered(machine):
        before = next(iter(forced(machine, "libcudnn")), None)
        return Finding(
            summary=f"torch asks cuDNN for {refused.wanted}, which the one that is loaded does not have"
            + (f": {before.path} comes before torch's own." if before else ": another one comes before torch's own."),
            evidence=(refused.said.evidence(), *built, *path_evidence(machine)),
            fixes=fixes,
            confidence=1.0 if before else 0.8,
        )
    unfit_files = [file for file in forced(machine, "libcudnn") if cudnn_facts.fits(file.version, need) is False]
    same_name = [
        file for file in unfit_files if (file.version or "").partition(".")[0] == (need or "").partition(".")[0]
    ]
    if run is not None or not same_name or own_wheel(machine, "libcudnn") is None:
        return None
    return Finding(
        summary=f"{same_name[0].via} puts cuDNN {same_name[0].version} ({same_name[0].path}) before torch's own {need}; "
        "it is too old for this torch wherever it is loaded.",
        severity=Severity.WARNING,
        evidence=(
            fact("libraries.files", f"{same_name[0].path} {same_name[0].version}"),
            *built,
            *path_evidence(machine),
        ),
        fixes=fixes,
        confidence=0.5,
    )
