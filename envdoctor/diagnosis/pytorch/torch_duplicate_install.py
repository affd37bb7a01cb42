"""Two torch installs lie in one environment.

What it is
    conda and pip, or the user's site folder and the environment, each hold a torch. Python imports the first; libraries,
    companions and uninstall commands may meet the other: undefined symbols, a CPU build that will not go away, a mixed folder.

Told apart by
    Two sets of metadata on sys.path in different folders, or a conda package `pytorch` of another release than the torch that
    pip lists. pip lists what conda installed as well, so equal releases are one install. While the first one is seen to work
    it is a warning.

Repair
    Keep one. In a conda environment the one that conda knows, or none of conda's.

Sources
    docs.conda.io, 'Using pip in a conda environment'; docs.python.org, site.USER_SITE
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import quoted, run_python, uninstall_from
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Interpreter
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "torch-duplicate-install",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine, machine.interpreter or Interpreter(), ()),
)
def torch_duplicate_install(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, torch = machine.interpreter, machine.torch
    if interpreter is None:
        return None
    two = _two_folders(interpreter) or _conda_and_pip(interpreter)
    if two is None:
        return None
    versions, places = two
    run = torch.run if torch else None
    # What the GPU says of a computation is not told by which torch asked.
    failed = run is not None and run.outcome in ("import-error", "crash")
    if not failed and len(set(versions)) == 1:
        return None  # the same twice: whichever is taken, it is right
    works = run is not None and run.outcome == "ok"
    return Finding(
        summary=f"This environment holds torch {' and torch '.join(versions)}"
        + (f" ({', '.join(places)})" if places else "")
        + ("; the first one works." if works else "."),
        severity=Severity.WARNING if works else None,
        evidence=(fact("interpreter.duplicates", [f"{v} {p}".strip() for v, p in _pairs(versions, places)]),),
        fixes=_fixes(machine, interpreter, places),
        confidence=0.8,
    )


def _pairs(versions: tuple[str, ...], places: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(zip(versions, places or ("",) * len(versions), strict=False))


def _two_folders(interpreter: Interpreter) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    for duplicate in interpreter.duplicates or ():
        if duplicate.name == "torch" and (not duplicate.locations or len(set(duplicate.locations)) > 1):
            return duplicate.versions, duplicate.locations
    return None


def _conda_and_pip(interpreter: Interpreter) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    conda = next((p for p in interpreter.conda_packages or () if p.name == "pytorch" and p.channel != "pypi"), None)
    own = interpreter.distribution("torch")
    # Only pip's own mark tells that it is not conda's metadata that is read here.
    if conda is None or own is None or own.version is None or own.installer in (None, "conda"):
        return None
    return (own.version, conda.version), (f"by {own.installer}", "by conda")


def _fixes(machine: Snapshot, interpreter: Interpreter, places: tuple[str, ...]) -> tuple[Fix, ...]:
    verify = run_python(machine, "import torch; print(torch.__version__, torch.__file__)")
    user = [place for place in places if interpreter.user_site and place.startswith(interpreter.user_site)]
    if user:
        return (
            Fix(
                title="Keep the environment's own: do not look into the user's site folder",
                commands=("export PYTHONNOUSERSITE=1",),
                verify=verify,
            ),
            Fix(title="Or remove the user's copy", commands=(uninstall_from(machine, ["torch"]),), verify=verify),
        )
    prefix = interpreter.prefix
    if interpreter.conda_packages:
        where = ["-p", prefix] if prefix else []
        return (
            Fix(
                title="Keep pip's: remove conda's torch, then let pip put its files back",
                commands=(
                    quoted(["conda", "remove", *where, "--force", "pytorch"]),
                    f"{uninstall_from(machine, ['torch'])}",
                    "# then install torch as the channel says (`envdoctor recipe venv`)",
                ),
                verify=verify,
            ),
            Fix(
                title="Or keep conda's",
                commands=(
                    uninstall_from(machine, ["torch"]),
                    quoted(["conda", "install", *where, "--force-reinstall", "pytorch"]),
                ),
                verify=verify,
            ),
        )
    return (
        Fix(
            title="Remove one after the other, and install torch once",
            commands=(
                uninstall_from(machine, ["torch"]),
                f"{uninstall_from(machine, ['torch'])}   # once more, for the second",
                "# then install torch as the channel says (`envdoctor recipe venv`)",
            ),
            verify=verify,
        ),
    )
