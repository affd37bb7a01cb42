"""Two OpenMP runtimes in one process that do not go together.

What it is
    Compiled packages bring OpenMP runtimes along. GNU's libgomp lives beside the others in peace, and copies of it do too.
    Intel's libiomp5 and LLVM's libomp are one code base: two copies, or one of each, abort with 'OMP: Error #15: Initializing
    libiomp5, but found libiomp5 already initialized', or hang.

Told apart by
    That message; or two different files of libiomp5 or libomp among the libraries that the import of torch mapped. conda's
    libiomp5.so and libgomp.so.1 are links to one libomp.so, so they count once; torch's libgomp beside MKL's libiomp5 is normal.

Repair
    Packages from one source (conda or pip), so that they share one runtime; KMP_DUPLICATE_LIB_OK only hides the message.

Sources
    github.com/joblib/threadpoolctl, multiple_openmp.md; openmp.llvm.org, KMP_DUPLICATE_LIB_OK
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import conda_install, reinstall, run_python
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "openmp-duplicate",
    layer=Layer.LIBRARIES,
    severity=Severity.WARNING,
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine),
)
def openmp_duplicate(machine: Snapshot, world: Knowledge) -> Finding | None:
    run = machine.torch.run if machine.torch else None
    paths = tuple(dict.fromkeys(m.path for m in (run.mapped or () if run else ()) if m.name in ("libiomp5", "libomp")))
    said = first_said(machine, MESSAGES)
    if said is None and len(paths) < 2:
        return None
    evidence = (*((said.evidence(),) if said else ()), *(fact("torch.run.mapped", path) for path in paths))
    named = " and ".join(paths[:2]) if len(paths) > 1 else "two copies"
    return Finding(
        summary=f"Two OpenMP runtimes of one family meet in the process ({named}): they may abort, hang or compute wrongly.",
        evidence=evidence,
        fixes=_fixes(machine),
        confidence=1.0 if said else 0.8,
    )


def _fixes(machine: Snapshot) -> tuple[Fix, ...]:
    interpreter = machine.interpreter
    verify = run_python(machine, "import numpy, torch; print(torch.ones(3).sum())")
    around = Fix(
        title="To get on for the moment, let the second one start; results may be wrong",
        commands=(
            "set KMP_DUPLICATE_LIB_OK=TRUE"
            if machine.host and machine.host.system == "Windows"
            else "export KMP_DUPLICATE_LIB_OK=TRUE",
        ),
        verify=verify,
    )
    if interpreter is not None and (interpreter.environment == "conda" or interpreter.conda_packages):
        one = conda_install(
            machine,
            ["-c", "conda-forge", "nomkl", "llvm-openmp"],
            title="Let numpy and its friends come without MKL, so that one runtime is left",
        )
        return (one, around)
    numpy = interpreter.distribution("numpy") if interpreter else None
    wanted = f"numpy=={numpy.version}" if numpy and numpy.version else "numpy"
    one = reinstall(machine, [wanted], None, title="Install numpy from PyPI, which needs no OpenMP runtime")
    return (one, around)
