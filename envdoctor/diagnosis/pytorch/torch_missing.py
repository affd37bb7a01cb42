"""There is no torch in this interpreter.

What it is
    `import torch` fails with ModuleNotFoundError: this Python environment does not hold it. Often torch is installed, but in
    another environment than the one that runs.

Told apart by
    No distribution named torch on the interpreter's path, and none from conda. A torch that is there and fails to import is
    another diagnosis.

Repair
    Install the newest build that this machine's GPU, driver, Python and C library can run; or activate the right environment.

Sources
    pytorch.org/get-started/locally
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.failing_package import failing_package
from envdoctor.diagnosis.repairs.installation import installation
from envdoctor.diagnosis.repairs.python_environment import fitting_torch, installer, quoted, run_python
from envdoctor.diagnosis.repairs.torch_install import for_other_gpus, install_torch
from envdoctor.diagnosis.snapshot_queries import bus_gpus
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import machine_gpus
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "torch-missing",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("platform-unsupported", "python-unsupported"),
    messages=MESSAGES,
    remedy=lambda machine, world: _remedy(machine, world),  # noqa: PLW0108  it stands below
)
def torch_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter = machine.interpreter
    if interpreter is None or interpreter.torch_installed is not False:
        return None
    where = interpreter.executable or "this Python"
    return Finding(
        summary=f"{where} has no torch.",
        evidence=(
            fact("interpreter.executable", interpreter.executable),
            fact("interpreter.chosen_by", interpreter.chosen_by),
            fact("interpreter.torch", None),
        ),
        fixes=(
            *_remedy(machine, world),
            Fix(
                title="Name the environment that has it",
                commands=("envdoctor check --python PATH_OF_ENVIRONMENT_OR_PYTHON",),
            ),
        ),
    )


def _install(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """The build for this machine, where it is known which GPU it has, or that it has none."""
    has_gpu = bool(machine_gpus(machine, world)) or bus_gpus(machine)
    if has_gpu is None:
        return ()
    build = fitting_torch(machine, world, device="cuda" if has_gpu else "cpu")
    why = "the newest that runs on this machine's GPU and driver" if has_gpu else "no NVIDIA GPU here"
    return () if build is None else (install_torch(machine, world, build, why=why),)


_ISOLATED = re.compile(
    r"Getting requirements to build (?:wheel|editable)|get_requires_for_build_|pip-build-env-|/builds-v\d+/|"
    r"Build backend failed to"
)
"""What pip, uv and PEP 517's hooks print where a build fails in an environment of its own, which holds no torch."""
_BUILT = re.compile(
    r"^(?:Collecting|Building wheels? for(?: collected packages:)?|.{0,4}Failed to build:?) `?([A-Za-z][\w.-]{1,40})"
)


def _not_isolated(machine: Snapshot) -> Fix:
    """A package's build asks for torch and does not say so: it is given the environment's own."""
    named = [found[1] for line in machine.messages if (found := _BUILT.match(line.strip())) is not None]
    package = named[-1] if named else failing_package(machine)
    command = quoted([*installer(machine), "--no-build-isolation", package or "PACKAGE"])
    return Fix(
        title="Build it with the torch that is installed: its build asks for torch, and is run where there is none",
        commands=(
            run_python(machine, "import torch; print(torch.__version__)")
            + "   # where this fails, install torch first",
            quoted([*installer(machine), "setuptools", "wheel", "packaging", "ninja"]),
            command,
        ),
        note=None if package else "PACKAGE is what could not be built.",
    )


def _remedy(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """For this machine where enough of it is known, else into the Python that the program runs in."""
    here = installation(machine, world)
    if any(_ISOLATED.search(line) for line in machine.messages):
        return (_not_isolated(machine),)
    if here.of_other_gpus:
        return (for_other_gpus(machine, world, here),)
    if machine.torch is not None and machine.torch.version is not None:
        return (
            Fix(
                title=f"Run the program with the Python that has torch {machine.torch.version}, or install torch into its own",
                commands=('python -c "import sys; print(sys.executable)"   # which Python runs now',),
                note="Another Python than the one that was asked for torch runs the program.",
            ),
        )
    fixes = _install(machine, world)
    if fixes:
        return fixes
    note = "For an older driver or GPU: `envdoctor recipe venv --gpu NAME`."
    if here.windows:
        note = (
            "On Windows this is the CPU build: for an NVIDIA GPU `envdoctor recipe venv --gpu NAME` names the command."
        )
    if any("externally-managed-environment" in line for line in machine.messages):
        return (
            Fix(
                title="Install torch into an environment of its own: this Python belongs to the operating system",
                commands=(
                    "python3 -m venv ~/.venvs/torch",
                    "~/.venvs/torch/bin/python -m pip install torch torchvision",
                ),
                note=f"Run the program with ~/.venvs/torch/bin/python. {note}",
                verify='~/.venvs/torch/bin/python -c "import torch; print(torch.__version__)"',
            ),
        )
    return (
        Fix(
            title="Install torch into the Python that runs the program",
            commands=(
                quoted([*installer(machine), "torch", "torchvision"]),
                run_python(machine, "import sys; print(sys.executable)") + "   # which Python that is",
            ),
            note=f"Name the program's own Python in place of `python`. {note}",
            verify=run_python(machine, "import torch; print(torch.__version__, torch.cuda.is_available())"),
        ),
    )
