"""An MKL that this torch build cannot load or link with.

What it is
    conda's torch takes Intel's MKL from a package of its own, and other packages may move it to a version that the build does
    not know: MKL 2024.1 took the symbol iJIT_NotifyEvent away, on which older builds rely. Wheels from PyPI have MKL inside.

Told apart by
    The loader's or MKL's own words at the import.

Repair
    The last MKL before the change in that conda environment, or a newer torch.

Sources
    github.com/pytorch/pytorch/issues/123097
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.installation import uses_conda
from envdoctor.diagnosis.repairs.python_environment import conda_install, install_into, run_python
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.loader_errors import loader_errors
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "mkl-mismatch",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    follows_from=("torch-duplicate-install",),
    messages=MESSAGES,
    remedy=lambda machine, _: (_again(machine, removed=False),),
)
def mkl_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    said = first_said(machine, MESSAGES)
    if said is None:
        error = next((e for e in loader_errors(machine) if e.stem.startswith("libmkl_") and e.kind == "missing"), None)
        said = error.said if error else None
    if said is None:
        return None
    interpreter = machine.interpreter
    packages = [p for p in (interpreter.conda_packages or () if interpreter else ()) if p.name == "mkl"]
    version = packages[0].version if packages else None
    removed = "iJIT_NotifyEvent" in said.text
    return Finding(
        summary="torch cannot be loaded with the MKL that is installed"
        + (f" ({version})" if version else "")
        + (": it lacks a symbol that MKL 2024.1 removed." if removed else "."),
        evidence=(said.evidence(), *((fact("interpreter.conda_packages.mkl", version),) if version else ())),
        fixes=(_again(machine, removed=removed),),
        confidence=1.0 if removed else 0.8,
    )


def _again(machine: Snapshot, *, removed: bool) -> Fix:
    """MKL as torch needs it, from the package manager that brought it; `removed`: what is missing, MKL 2024.1 took out."""
    interpreter = machine.interpreter
    packaged = any(p.name == "mkl" for p in (interpreter.conda_packages or () if interpreter else ()))
    title = (
        "Install MKL 2024.0, the last that has this symbol" if removed else "Install MKL once more, from one channel"
    )
    verify = run_python(machine, "import torch")
    if packaged or uses_conda(machine) or removed:
        return conda_install(machine, ["mkl=2024.0" if removed else "mkl"], title=title, note=f"Check with: {verify}")
    return install_into(machine, ["--force-reinstall", "mkl", "intel-openmp"], title=title, verify=verify)
