"""How a recipe gets the Python that the plan names: what it is called, and where each system has it from."""

from __future__ import annotations

import msgspec

from envdoctor.planning.model import Stack


class PythonWanted(msgspec.Struct, frozen=True):
    """The interpreter of a plan. `command`: "python3.12", "python3.14t"; `test`: a Python program that exits with 0 in it.

    `ways`: how to get it, the one that needs no root first: a comment or a command each.
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
    release = stack.python
    ways = [f"uv python install {release}", f"conda create -y -n python{release} python={release.removesuffix('t')}"]
    if release.endswith("t"):
        ways = ways[:1]
    system = stack.os or ""
    if system.startswith("ubuntu"):
        ways.append(f"sudo apt-get install -y python{release} python{release}-venv")
    elif system.startswith(("rhel", "rocky", "alma", "centos", "ol", "fedora")):
        ways.append(f"sudo dnf install -y python{release}")
    elif system.startswith(("sles", "opensuse")):
        ways.append(f"sudo zypper install -y python{release.replace('.', '')}")
    elif system == "windows":
        ways = [ways[0], f"winget install Python.Python.{release}"]
    return tuple(ways)
