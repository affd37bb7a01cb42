"""`envdoctor recipe venv --apply DIR`: carries the plan out, here and now.

It does what the `venv` script does, with the same arguments, and touches nothing but DIR: pip's downloads and temporary files
lie in it too while it works (unless PIP_CACHE_DIR names a cache that the user wants). What is not whole is removed, whatever
ended it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envdoctor.errors import EnvdoctorError, InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering import child
from envdoctor.rendering.folder import SCRATCH, Folder
from envdoctor.rendering.interpreter import find_python, python_wanted
from envdoctor.rendering.model import Options
from envdoctor.rendering.pip import building_environment, frozen_torch, pip_arguments
from envdoctor.rendering.pip_progress import PipProgress, why_it_failed
from envdoctor.rendering.requirements import checked
from envdoctor.rendering.safety import require_plain
from envdoctor.rendering.showing import Steps

if TYPE_CHECKING:
    from envdoctor.console import Console
    from envdoctor.diagnosis.model import Diagnosed
    from envdoctor.facts.model import Snapshot

# Seconds. Five gigabytes over a slow line take an hour; unpacking them on a network disk is silent for minutes.
MAKE_LIMIT, PIP_LIMIT, INSTALL_LIMIT, SILENCE_LIMIT, VERIFY_LIMIT = 300.0, 120.0, 3 * 3600.0, 1800.0, 600.0
_NOT_OURS = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
)


class ApplyError(EnvdoctorError):
    """The environment could not be made; nothing of it is left (exit code 1)."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Applied:
    """An environment that was made and proved to compute as the plan says.

    `proof`: what its own torch said ("torch 2.15.0+cu132 computes correctly on NVIDIA H100"). `on_gpu`: whether that was a GPU;
    a plan for GPUs that is carried out on a machine without one is proved on the CPU only. `snapshot`, `diagnosed`: what
    `envdoctor check` finds of this machine with the new environment.
    """

    directory: Path
    python: Path
    proof: str
    on_gpu: bool
    snapshot: Snapshot
    diagnosed: Diagnosed


def apply(stack: Stack, directory: Path, console: Console, *, python: str | None = None) -> Applied:
    """Makes the environment in `directory`, verifies it, and returns what was found. Progress goes to `console` (stderr).

    `python`: the interpreter to make it with; by default the plan's Python is looked for. Raises InputError where `directory`
    exists and is not empty or the Python is not to be found, ApplyError where it could not be made.
    """
    require_plain(stack)
    packages = checked(stack.packages)
    steps = Steps(console, 5 if packages else 4)
    with _terminated_as_interrupted(), Folder(directory) as folder, steps:
        steps.begin(f"Find Python {stack.python}")
        interpreter = find_python(python_wanted(stack), named=python)
        steps.done(interpreter)

        steps.begin(f"Make {folder.path}")
        folder.make()
        environment = _environment(folder)
        _make(interpreter, folder, environment)
        steps.done()

        inside = _python_of(folder.path)
        steps.begin(f"Install {' '.join(stack.requirements)}")
        _pip(inside, ["install", *pip_arguments(stack)], environment, steps)
        steps.done()
        if packages:
            steps.begin(f"Install {' '.join(packages)}")
            _install_packages(stack, packages, inside, folder, environment, steps)
            steps.done()

        steps.begin("Verify")
        _pip(inside, ["check"], environment, steps)
        proof = _verify(stack, inside, environment)
        steps.done(proof)
        folder.keep()

        steps.begin("Check this machine with it")
        applied = _applied(folder.path, proof)
        steps.done()
    return applied


def prove(stack: Stack, directory: Path, console: Console) -> Applied:
    """Holds an environment that is there already against its plan, as `apply` does at the end. Nothing in it is changed.

    Raises InputError where `directory` holds no whole environment, ApplyError where it does not do what the plan promises.
    """
    prefix = directory.expanduser().absolute()
    if (prefix / SCRATCH).is_dir() or not _python_of(prefix).exists():
        raise InputError(f"{prefix} holds no environment that was finished; remove it to have it made anew")
    with Steps(console, 2) as steps:
        steps.begin("Verify")
        proof = _verify(stack, _python_of(prefix), _inherited())
        steps.done(proof)
        steps.begin("Check this machine with it")
        applied = _applied(prefix, proof)
        steps.done()
    return applied


def _applied(prefix: Path, proof: str) -> Applied:
    snapshot, diagnosed = _check(prefix)
    return Applied(
        directory=prefix,
        python=_python_of(prefix),
        proof=proof,
        on_gpu=not proof.endswith("the CPU"),
        snapshot=snapshot,
        diagnosed=diagnosed,
    )


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _NOT_OURS}


def _environment(folder: Folder) -> dict[str, str]:
    variables = _inherited()
    # /tmp is often too small for torch's wheels, and is not ours to fill.
    variables.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder.scratch)))
    variables.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONUNBUFFERED="1")
    if "PIP_CACHE_DIR" not in os.environ:
        variables["PIP_CACHE_DIR"] = str(folder.scratch / "cache")
    # The driver's cache of compiled kernels lies in the home folder.
    variables.update(CUDA_CACHE_PATH=str(folder.scratch / "cuda"), PYTHONUTF8="1")
    return variables


def _python_of(prefix: Path) -> Path:
    return prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _make(interpreter: str, folder: Folder, environment: dict[str, str]) -> None:
    made = child.run([interpreter, "-m", "venv", folder.path], environment=environment, limit=MAKE_LIMIT)
    if not made.ok:
        why = made.reason or " ".join(made.tail[:4])
        raise ApplyError(f"{interpreter} cannot make a virtual environment in {folder.path}: {why}")
    # The tags of torch's wheels need pip 20.3, its progress in bytes 24.1. Where it fails, so does the next step, and tells why.
    child.run(
        [_python_of(folder.path), "-I", "-m", "pip", "install", "--quiet", "pip>=24.1"],
        environment=environment,
        limit=PIP_LIMIT,
    )


def _install_packages(
    stack: Stack, packages: tuple[str, ...], inside: Path, folder: Folder, environment: dict[str, str], steps: Steps
) -> None:
    frozen = _pip(inside, ["freeze", "--all"], environment, steps)
    constraints = folder.path / "torch-constraints.txt"
    constraints.write_text("".join(f"{line}\n" for line in frozen_torch(frozen.tail)), encoding="utf-8")
    held = ["--constraint", str(constraints)]
    if stack.purpose == "build-extensions":
        _pip(inside, ["install", *held, "setuptools", "wheel", "packaging", "ninja"], environment, steps)
        held.append("--no-build-isolation")
        environment = {**environment, **dict(building_environment(stack))}
    _pip(inside, ["install", *held, *packages], environment, steps)


def _pip(inside: Path, arguments: list[str], environment: dict[str, str], steps: Steps) -> child.Ended:
    if arguments[0] == "install":
        arguments = [
            "install",
            "--progress-bar",
            "raw" if _raw_progress(inside, environment) else "off",
            *arguments[1:],
        ]
    progress = PipProgress(steps.show)
    ended = child.run(
        [inside, "-I", "-m", "pip", *arguments],
        environment=environment,
        limit=INSTALL_LIMIT,
        silence=SILENCE_LIMIT,
        on_line=progress.line,
    )
    if not ended.ok:
        raise ApplyError(f"pip {arguments[0]} failed: {ended.reason or why_it_failed(ended.tail)}")
    return ended


def _raw_progress(inside: Path, environment: dict[str, str]) -> bool:
    said = child.run([inside, "-I", "-m", "pip", "--version"], environment=environment, limit=MAKE_LIMIT).last.split()
    numbers = said[1].split(".") if len(said) > 1 and said[0] == "pip" else []
    return [int(part) for part in numbers[:2] if part.isdecimal()] >= [24, 1]


def _verify(stack: Stack, inside: Path, environment: dict[str, str]) -> str:
    from envdoctor.rendering.templates import environment as templates

    program = templates().get_template("_shared/verify.py.j2").render(stack=stack, options=Options())
    # A GPU that is there is used; one that is missing is this machine's matter, which the check below judges.
    ended = child.run(
        [inside, "-I", "-"], environment={**environment, "EXPECT_GPU": "0"}, limit=VERIFY_LIMIT, stdin=program
    )
    if not ended.ok:
        raise ApplyError(f"the new environment does not do what the plan promises: {ended.reason or ended.last}")
    return ended.last


def _check(prefix: Path) -> tuple[Snapshot, Diagnosed]:
    from envdoctor.diagnosis.judging import judge_machine
    from envdoctor.facts.collect import collect
    from envdoctor.facts.host import Machine
    from envdoctor.knowledge import load

    snapshot = collect(Machine.here(), python=str(prefix))
    return snapshot, judge_machine(snapshot, load())


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """`kill PID` (a batch system's time is up) cleans up as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
