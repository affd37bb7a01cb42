"""The CUDA toolkit that would build extensions is of another CUDA major version than torch.

What it is
    torch brings its own CUDA runtime; the toolkit (nvcc) is needed only to compile extensions. Then both must be of one CUDA
    major version: torch's extension builder refuses anything else with 'The detected CUDA version mismatches the version that
    was used to compile PyTorch'. An extension that was built past this check fails later, in CUDA.

Told apart by
    The nvcc that the builder takes (CUDA_HOME, CUDA_PATH, else PATH) against torch's own CUDA version, and a sign that somebody
    builds here: a failed build, an extension compiled on this machine, CUDA_HOME or TORCH_CUDA_ARCH_LIST set. Without such a
    sign another toolkit on the machine hurts nobody. Another minor version ('12.4' and '12.8') is accepted.

Repair
    Point CUDA_HOME at a toolkit of torch's major version, install that one beside the other, or take a torch of the
    toolkit's version.

Sources
    torch/utils/cpp_extension.py, `_check_cuda_version`, `_find_cuda_home`
"""

from __future__ import annotations

from envdoctor.diagnosis.building import builders_nvcc, building, toolkit_fixes
from envdoctor.diagnosis.companions import major_of
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import Said, first_saying
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "toolkit-mismatch",
    layer=Layer.TOOLKIT,
    severity=Severity.WARNING,
    follows_from=("toolkit-multiple",),
    messages=MESSAGES,
    remedy=lambda machine, _: toolkit_fixes(machine),
)
def toolkit_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch = machine.torch
    refused = _refusal(machine)
    nvcc = builders_nvcc(machine)
    cuda = torch.cuda if torch and torch.build in (None, "cuda") else None
    if refused is not None:
        return Finding(
            summary="The build of an extension was refused: the CUDA toolkit and torch are of different CUDA versions"
            + (f" ({nvcc.version} and {cuda})." if nvcc and nvcc.version and cuda else "."),
            evidence=(refused.evidence(), *((fact("torch.cuda", cuda),) if cuda else ())),
            fixes=toolkit_fixes(machine),
        )
    reason = building(machine)
    ours, theirs = major_of(cuda), major_of(nvcc.version if nvcc else None)
    if ours is None or theirs is None or ours == theirs or reason is None or nvcc is None or torch is None:
        return None
    builds = (machine.interpreter.extension_builds or ()) if machine.interpreter else ()
    return Finding(
        # An extension that came out of this toolkit is already unfit for this torch: then it is no mere warning.
        severity=Severity.ERROR if any(major_of(build.cuda) == theirs for build in builds) else None,
        summary=f"Extensions would be built with CUDA {nvcc.version} ({nvcc.path}), and torch {torch.version} is of CUDA {cuda}: "
        "torch's extension builder refuses that. Running torch itself is not affected.",
        evidence=(fact("toolkit.nvcc", f"{nvcc.path} {nvcc.version}"), fact("torch.cuda", cuda), reason),
        fixes=toolkit_fixes(machine),
        confidence=0.8,
    )


def _refusal(machine: Snapshot) -> Said | None:
    """The builder's refusal. Of its two messages only the one on another major version ends the build."""
    said = first_saying(machine, "The detected CUDA version")
    return None if said is None or "minor version mismatch" in said.text else said
