"""Part of the toolkit probe: the host compilers."""

from __future__ import annotations

import re
import shlex

from envdoctor.facts.host import Machine
from envdoctor.facts.sections.software import Compiler

_COMMANDS = ("gcc", "g++", "cc", "c++", "clang", "clang++")
_VARIABLES = ("CC", "CXX", "CUDAHOSTCXX", "NVCC_CCBIN")
_TIMEOUT = 5.0


def compilers(machine: Machine) -> tuple[Compiler, ...]:
    """Those on PATH and those that variables name; a variable's own compiler has the variable's value as its name."""
    commands = (*_COMMANDS, "cl") if machine.windows else _COMMANDS
    named = [_command_of(machine.variable(variable)) for variable in _VARIABLES]
    found, versions = [], dict[str, str | None]()
    for command in dict.fromkeys((*commands, *(name for name in named if name))):
        path = _find(machine, command)
        if path is None:
            if command in named:  # the variable leads nowhere, which is a fact of its own
                found.append(Compiler(name=command))
            continue
        resolved = machine.resolve(path)
        if resolved not in versions:
            versions[resolved] = _version(machine, path, resolved)
        found.append(Compiler(name=command, path=path, version=versions[resolved]))
    return tuple(found)


def _command_of(value: str | None) -> str | None:
    """The compiler in a variable such as CC='ccache gcc-12 -m64'."""
    try:
        words = shlex.split(value or "")
    except ValueError:
        return None
    while words and words[0].rpartition("/")[2] in ("ccache", "sccache", "distcc", "env"):
        words.pop(0)
    return words[0] if words else None


def _find(machine: Machine, command: str) -> str | None:
    if "/" in command or "\\" in command:
        name = machine.name_of(command)
        return name if machine.exists(name) else None
    found = machine.which_all(command)
    return found[0] if found else None


def _version(machine: Machine, path: str, resolved: str) -> str | None:
    is_script = (machine.read_bytes(resolved, 2) or b"") == b"#!"
    if machine.simulated and not is_script:
        return _version_by_files(machine, resolved)
    if path.endswith(("cl", "cl.exe")):
        done = machine.run([machine.real(path)], timeout=_TIMEOUT)  # prints its banner on stderr and has no --version
        banner = re.search(r"Version (\d+\.\d+\.\d+)", done.stderr)
        return banner[1] if banner else None
    done = machine.run([machine.real(path), "--version"], timeout=_TIMEOUT)
    first = done.stdout.partition("\n")[0]
    # 'gcc (Debian 12.2.0-14) 12.2.0', 'Ubuntu clang version 14.0.0-1ubuntu1.1', 'g++ (GCC) 11.5.0 20240719 (Red Hat 11.5.0-2)'
    match = re.search(r"clang version (\d+(?:\.\d+)+)", first) or re.search(r"\) (\d+(?:\.\d+)+)", first)
    match = match or re.search(r"\b(\d+\.\d+(?:\.\d+)*)\b", first)
    return match[1] if match else None


def _version_by_files(machine: Machine, resolved: str) -> str | None:
    """Of a machine that is not running: gcc-13, clang-18 in the name, else the folders of GCC's own files."""
    by_name = re.search(r"-(\d+(?:\.\d+)*)$", resolved)
    major = by_name[1] if by_name else None
    if "clang" in resolved.rpartition("/")[2]:
        return major
    folders = [
        name.rpartition("/")[2]
        for base in ("/usr/lib/gcc", "/usr/lib64/gcc", "/usr/libexec/gcc")
        for name in machine.glob(base, "*/[0-9]*")
    ]
    known = {folder for folder in folders if re.fullmatch(r"\d+(?:\.\d+)*", folder)}
    if major is not None:
        # Debian's folder is the major version alone, Arch's and Fedora's the whole version.
        return next((folder for folder in sorted(known) if folder.split(".")[0] == major and "." in folder), major)
    return max(known, key=lambda version: [int(part) for part in version.split(".")], default=None)
