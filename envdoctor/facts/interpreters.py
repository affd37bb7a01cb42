"""Chooses the Python interpreter to look at: the one that was named, else the active environment's, else PATH's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envdoctor.errors import InputError
from envdoctor.facts.host import Machine
from envdoctor.facts.inspection import Answers, torch_timeout

# Where an environment keeps its interpreter: POSIX, a Windows venv, a Windows conda prefix; and a bin folder itself.
IN_AN_ENVIRONMENT = ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe")
IN_A_FOLDER = (*IN_AN_ENVIRONMENT, "python", "python3")
IDENTIFY_TIMEOUT = 20.0
"""Seconds for an interpreter to say that it is one: a cold start from a network disk takes several."""


@dataclass(frozen=True)
class ChosenInterpreter:
    """An interpreter, and how it came to be chosen."""

    executable: str | None
    """The command to run; None where nothing was named and none was found."""
    chosen_by: str
    """--python, VIRTUAL_ENV, CONDA_PREFIX or PATH."""


def choose(machine: Machine, python: str | None = None) -> ChosenInterpreter:
    """The interpreter that `python` names (a path, a command, an environment's folder), else the active one.

    Raises InputError, in one line, when `python` names something that is not a Python.
    """
    torch_timeout(machine)  # a wrong value is said before anything runs
    if python is not None:
        executable = _named(machine, python)
        answers = Answers.of(machine, executable, timeout=IDENTIFY_TIMEOUT)
        if answers.python is None:
            raise InputError(f"--python {python}: {executable} does not answer as a Python: {answers.ending}")
        return ChosenInterpreter(executable, "--python")
    return _active(machine) or _on_path(machine)


# --- what was named ----------------------------------------------------------------------------------------------------


def _named(machine: Machine, python: str) -> str:
    if not python.strip():
        raise InputError("--python is empty: name an interpreter, a command on PATH or an environment's folder")
    if not python.startswith("~") and os.sep not in python and (os.altsep or os.sep) not in python:
        version = re.fullmatch(r"\d+(\.\d+)?t?", python)
        found = shutil.which(f"python{python}" if version else python, path=machine.variable("PATH") or os.defpath)
        # `--python env` is the environment of that name, though there is a command env.
        if found is not None and not any(os.path.lexists(f"{python}/{name}") for name in IN_AN_ENVIRONMENT):
            return found
        if not os.path.lexists(python):
            raise InputError(f"--python {python}: no such command on PATH, and no such file or folder")
    path = Path(python).expanduser()
    try:
        if path.is_dir():
            return _inside(path, python)
        if path.is_symlink() and not path.exists():
            raise InputError(f"--python {python}: {_broken(path)}")
        if not path.exists():
            raise InputError(f"--python {python}: no such file or folder")
    except PermissionError as error:
        raise InputError(f"--python {python}: {error.strerror}") from None
    if not path.is_file() or not os.access(path, os.X_OK):
        raise InputError(f"--python {python}: not an executable file")
    return str(path.absolute())


def _inside(folder: Path, python: str) -> str:
    interpreters = [folder / name for name in IN_A_FOLDER if os.path.lexists(folder / name)]
    for interpreter in interpreters:
        if interpreter.is_file() and os.access(interpreter, os.X_OK):
            return str(interpreter.absolute())
    broken = next((i for i in interpreters if i.is_symlink() and not i.exists()), None)
    if broken is not None:
        raise InputError(f"--python {python}: {_broken(broken)}")
    nested = next((folder / name for name in (".venv", "venv") if (folder / name / "pyvenv.cfg").is_file()), None)
    hint = f"; did you mean {nested}?" if nested else " (no bin/python, no python.exe)"
    raise InputError(f"--python {python}: a folder without a Python{hint}")


def _broken(link: Path) -> str:
    return f"{link} is a broken link to {link.readlink()}: the Python that it was made from is gone"


# --- what is active ----------------------------------------------------------------------------------------------------


def _active(machine: Machine) -> ChosenInterpreter | None:
    """The activated environment; where a virtual and a conda one are active, the one whose commands PATH finds first."""
    found = []
    path = machine.search_path()
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        prefix = machine.variable(variable)
        name = _of_environment(machine, prefix) if prefix else None
        if name is not None:
            folder = name.rpartition("/")[0]
            rank = path.index(folder) if folder in path else len(path)
            found.append((rank, ChosenInterpreter(_command(machine, name), variable)))
    return min(found, key=lambda ranked: ranked[0])[1] if found else None


def _of_environment(machine: Machine, prefix: str) -> str | None:
    """The name of an environment's Python; None for an environment that is gone, as a terminal left open has it."""
    folder = machine.name(Path(prefix)).rstrip("/")
    names = (f"{folder}/{inside}" for inside in IN_AN_ENVIRONMENT)
    return next((name for name in names if _runnable(machine, name)), None)


def _runnable(machine: Machine, name: str) -> bool:
    real = machine.real(name)
    return os.path.isfile(real) and os.access(real, os.X_OK)  # noqa: PTH113 - Path.is_file raises for a closed folder


def _command(machine: Machine, name: str) -> str:
    """The file to run. By its own name wherever possible, for a venv's Python is a link that looks for what is beside it."""
    own = machine.path(name)
    if machine.simulated and not Path(os.path.realpath(own)).is_relative_to(os.path.realpath(machine.root)):
        return str(machine.real(name))
    return str(own)


def _on_path(machine: Machine) -> ChosenInterpreter:
    commands = list(_commands(machine))
    # uvx and pipx put envdoctor's private environment first on PATH: there is no torch of the user's in it.
    others = [command for command in commands if not _is_private(Path(command))]
    return ChosenInterpreter(next(iter(others or commands), None), "PATH")


def _commands(machine: Machine) -> Iterator[str]:
    for command in ("python3", "python"):
        for name in machine.which_all(command):
            found = _command(machine, name)
            # The Windows Store's stubs are empty files that open the Store.
            if not ("WindowsApps" in found and Path(found).stat().st_size == 0):
                yield found


def _is_private(executable: Path) -> bool:
    """Whether it is the Python of envdoctor's own environment, and torch is not installed there."""
    if sys.prefix == sys.base_prefix or executable.parent != Path(sys.prefix) / (
        "Scripts" if os.name == "nt" else "bin"
    ):
        return False
    return importlib.util.find_spec("torch") is None
