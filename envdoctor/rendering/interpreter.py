"""How a recipe gets the Python that the plan names: what it is called, and where each system has it from."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec

from envdoctor import processes
from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.knowledge.errors import KnowledgeError
from envdoctor.planning.model import Stack

# Seconds: a cold start from a network disk takes several.
START_LIMIT = 20.0


class PythonWanted(msgspec.Struct, frozen=True):
    """The interpreter of a plan. `command`: "python3.12", "python3.14t"; `test`: a Python program that exits with 0 in it.

    `ways`: how to get it, a command each: the system's own Python first, then what needs no root.
    """

    release: str
    command: str
    test: str
    ways: tuple[str, ...]


def python_wanted(stack: Stack) -> PythonWanted:
    """From Stack.python, "3.12" or "3.14t" (free-threaded)."""
    free_threaded = stack.python.endswith("t")
    release = stack.python.removesuffix("t")
    numbers = tuple(int(part) for part in release.split(".")[:2])
    gil = 'bool(sysconfig.get_config_var("Py_GIL_DISABLED"))'
    test = f"sys.version_info[:2] == {numbers} and {gil if free_threaded else f'not {gil}'}"
    program = f"import sys, sysconfig; sys.exit(not ({test}))"
    return PythonWanted(stack.python, f"python{stack.python}", program, _ways(stack))


def _ways(stack: Stack) -> tuple[str, ...]:
    release, uv = stack.python, f"uv python install {stack.python}"
    if release.endswith("t"):
        return (uv,)
    if stack.os == "windows":
        return uv, f"winget install Python.Python.{release}"
    ways = (uv, f"conda create -y -n python{release} python={release}")
    try:
        system = load().system(stack.os) if stack.os else None
    except KnowledgeError:
        system = None
    if system is None:
        return ways
    install = f"sudo apt-get install -y python{release} python{release}-venv"
    if system.family == "debian" and system.python == release:
        return (install, *ways)
    # deadsnakes builds for the releases that Ubuntu still maintains (its own page lists them), and not the Ubuntu's own Python.
    if system.id in ("ubuntu22.04", "ubuntu24.04"):
        return (*ways, f"sudo add-apt-repository -y ppa:deadsnakes/ppa && {install}")
    if system.family == "rhel":
        return (*ways, f"sudo dnf install -y python{release}")
    if system.family == "suse":
        return (*ways, f"sudo zypper install -y python{release.replace('.', '')}")
    return ways


def find_python(wanted: PythonWanted, *, named: str | None = None) -> str:
    """The path of that Python here: the one that is named, else from PATH, else the one that runs us, else one that uv or pyenv
    has. Raises InputError with the ways to get it."""
    if named is not None:
        found = shutil.which(named)
        if found is None or not _is(found, wanted):
            raise InputError(f"{named} is not a Python {wanted.release}, which the plan is for")
        return found
    for candidate in (wanted.command, getattr(sys, "_base_executable", None), sys.executable, "python3", "python"):
        found = shutil.which(candidate) if candidate else None
        if found is not None and _is(found, wanted):
            return found
    from_uv = _ask_uv(wanted)
    if from_uv is not None:
        return from_uv
    pyenv = Path.home() / ".pyenv/versions"
    for path in sorted(pyenv.glob(f"{wanted.release.removesuffix('t')}.*/bin/python"), reverse=True):
        if _is(str(path), wanted):
            return str(path)
    raise InputError(f"there is no Python {wanted.release} here; get it by one of: {'; '.join(wanted.ways)}")


def _is(executable: str, wanted: PythonWanted) -> bool:
    return processes.run([executable, "-I", "-c", wanted.test], timeout=START_LIMIT).ok


def _ask_uv(wanted: PythonWanted) -> str | None:
    uv = shutil.which("uv")
    if uv is None:
        return None
    asked = [uv, "python", "find", "--no-project", "--no-python-downloads", wanted.release]
    done = processes.run(asked, timeout=START_LIMIT)
    found = done.stdout.strip()
    return found if done.ok and found and _is(found, wanted) else None
