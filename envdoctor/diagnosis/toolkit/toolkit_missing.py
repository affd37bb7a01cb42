"""Something here needs the CUDA compiler nvcc, and there is none.

What it is
    torch runs without a CUDA toolkit. Compiling an extension with CUDA code (pip installing one that has no wheel for this
    Python, a JIT-compiled kernel) needs nvcc: 'CUDA_HOME environment variable is not set', 'nvcc not found'.

Told apart by
    Such an error, or a CUDA_HOME that points to a folder without nvcc while no other nvcc is on the machine. A machine without
    nvcc that builds nothing is healthy. A toolkit of the wrong version is `toolkit-mismatch`.

Repair
    A ready-made wheel of the extension, where there is one; else point CUDA_HOME at a toolkit that is there, or install the one
    of torch's CUDA version.

Sources
    torch/utils/cpp_extension.py, `_find_cuda_home`, `_join_cuda_home`, `_check_cuda_version`
"""

from __future__ import annotations

from envdoctor.diagnosis.building import toolkit_fixes
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.loader_errors import Said, first_saying
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "toolkit-missing",
    layer=Layer.TOOLKIT,
    severity=Severity.WARNING,
    messages=MESSAGES,
    remedy=lambda machine, _: toolkit_fixes(machine),
    # An nvcc alone, as conda's package of that name brings it, has neither the headers nor the libraries.
    fits=lambda machine, _: True if first_said(machine, MESSAGES.group("parts"), least=0.0) is not None else None,
)
def toolkit_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    toolkit, torch = machine.toolkit, machine.torch
    said = first_said(machine, MESSAGES) or _no_such_nvcc(machine)
    if said is not None:
        there = toolkit.nvcc if toolkit else None
        where = f" There is one at {there[0].path}, which was not looked at." if there else ""
        return Finding(
            summary=f"A build needed nvcc, the CUDA compiler, and did not find it.{where}",
            evidence=(said.evidence(), *((fact("toolkit.nvcc", None),) if there == () else ())),
            fixes=toolkit_fixes(machine),
        )
    # An empty list of nvcc is known absence; the variable shows that something is meant to find it.
    if toolkit is None or toolkit.nvcc != () or not toolkit.cuda_home or (torch and torch.build not in (None, "cuda")):
        return None
    gone = toolkit.cuda_home_exists is False
    return Finding(
        summary=f"CUDA_HOME is {toolkit.cuda_home}, {'which does not exist' if gone else 'where there is no nvcc'}: "
        "building extensions will fail. Running torch is not affected.",
        evidence=(fact("toolkit.cuda_home", toolkit.cuda_home), fact("toolkit.nvcc", None)),
        fixes=toolkit_fixes(machine),
        confidence=0.8,
    )


def _no_such_nvcc(machine: Snapshot) -> Said | None:
    """Python's own words: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'."""
    said = first_saying(machine, "no such file or directory: '")
    return said if said is not None and "nvcc'" in said.text else None
