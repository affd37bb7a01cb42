"""torch was built for another NumPy major version.

What it is
    NumPy 2 changed its binary interface: modules compiled against NumPy 1 cannot use it. torch before 2.3 was compiled
    against NumPy 1; with NumPy 2 its import prints a long warning, `.numpy()` and `torch.from_numpy` fail with 'Numpy is not
    available'. The other way round (NumPy 1 with a torch built for 2) works.

Told apart by
    The versions of torch and NumPy, where the wheel is one of PyTorch's own; or the warning itself, which also tells of other
    compiled modules.

Repair
    NumPy below 2, or a newer torch.

Sources
    github.com/pytorch/pytorch/issues/107302 and 132179 (2.3.0 is the first that supports NumPy 2); numpy.org, NumPy 2.0
    migration guide
"""

from __future__ import annotations

from envdoctor.diagnosis.companions import major_of, release_of
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.installation import uses_conda
from envdoctor.diagnosis.repairs.python_environment import conda_install, fitting_torch, install_into, run_python
from envdoctor.diagnosis.repairs.torch_install import install_torch
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.message_files import beside

FIRST_FOR_NUMPY_2 = (2, 3)


MESSAGES = beside(__file__)


@diagnosis(
    "numpy-abi-mismatch",
    layer=Layer.PYTHON,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, _: _below_2(machine),
)
def numpy_abi_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, torch = machine.interpreter, machine.torch
    numpy = interpreter.distribution("numpy") if interpreter else None
    said = first_said(machine, MESSAGES)
    version = numpy.version if numpy else None
    by_versions = _built_for_1(machine) and (major_of(version) or 0) >= 2
    if said is None and not by_versions:
        return None
    if version is not None and major_of(version) == 1 and said is not None:
        summary = f"A compiled module was built for a newer NumPy than the installed {version}."
        fixes: tuple[Fix, ...] = (
            install_into(
                machine, ["--upgrade", "numpy"], title="Update NumPy, when the rest allows it", verify=_verify(machine)
            ),
        )
    else:
        name = f"torch {torch.version}" if by_versions and torch else "A compiled module"
        summary = (
            f"{name} was compiled for NumPy 1"
            + (f", and NumPy {version} is installed" if version else "")
            + (": `.numpy()` and from_numpy fail.")
        )
        fixes = _below_2(machine)
        newer = fitting_torch(machine, world) if by_versions else None
        if newer is not None:
            fixes = (*fixes, install_torch(machine, world, newer, why="compiled for NumPy 2"))
    return Finding(
        summary=summary,
        evidence=(
            *((said.evidence(),) if said else ()),
            *((fact("numpy.version", version),) if version else ()),
            *((fact("torch.version", torch.version),) if torch and torch.version else ()),
        ),
        fixes=fixes,
        confidence=1.0 if said and by_versions else 0.8,
    )


def _built_for_1(machine: Snapshot) -> bool:
    """Whether the installed torch is one of PyTorch's own wheels from before NumPy 2. Own builds took what was there."""
    torch, interpreter = machine.torch, machine.interpreter
    release = release_of(torch) if torch else None
    own = interpreter.distribution("torch") if interpreter else None
    if torch is None or torch.version is None or release is None or release >= FIRST_FOR_NUMPY_2 or uses_conda(machine):
        return False
    local = torch.version.partition("+")[2]
    published = all(mark not in torch.version for mark in ("a0", "git", "dev", "post")) and (
        not local or local.startswith(("cu", "cpu", "rocm"))
    )
    return published and (own is None or not own.editable)


def _below_2(machine: Snapshot) -> tuple[Fix, ...]:
    if uses_conda(machine):
        return (conda_install(machine, ["numpy<2"], title="Install the last NumPy 1"),)
    return (install_into(machine, ["numpy<2"], title="Install the last NumPy 1", verify=_verify(machine)),)


def _verify(machine: Snapshot) -> str:
    return run_python(machine, "import torch; print(torch.ones(2).numpy())")
