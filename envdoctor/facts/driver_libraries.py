"""Where the driver's own libraries (NVML, libcuda) and nvidia-smi are, found out without loading or running them.

Loading a library runs its code, so that happens in a child process only. This module spares the child on the many
machines where there is certainly nothing to load.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from envdoctor.facts import loader
from envdoctor.facts.host import Machine

NVML = "libnvidia-ml.so.1"
CUDA = "libcuda.so.1"
# WSL mounts the Windows driver's libraries here; its ld.so.conf entry may be missing from a custom distribution.
WSL_FOLDER = "/usr/lib/wsl/lib"
# Besides those that every loader knows: musl's, and where a container runtime mounts a driver that no cache knows of.
FOLDERS = (*loader.DEFAULT_FOLDERS, "/usr/local/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", WSL_FOLDER)


def load_names(machine: Machine, soname: str) -> tuple[str, ...]:
    """What to ask the loader for, in order: the first that loads is it. () where the library is certainly missing.

    On this machine that is the plain name, so that the loader decides. Under a sysroot they are paths.
    """
    if machine.simulated:
        return _paths_under_root(machine, soname)
    if sys.platform == "win32":
        return _windows_names(machine, soname)
    if not (_may_exist(machine, soname) or _loads(soname)):
        return ()
    in_wsl = f"{WSL_FOLDER}/{soname}"
    # libcuda is left to the loader alone: what torch would not find is not to be found here either.
    return (soname, in_wsl) if soname == NVML and machine.exists(in_wsl) else (soname,)


def find_nvidia_smi(machine: Machine) -> str | None:
    """The driver's own command line tool: on PATH, or where WSL keeps it."""
    found = machine.which("nvidia-smi")
    if found is None and machine.exists(f"{WSL_FOLDER}/nvidia-smi"):
        found = str(machine.real(f"{WSL_FOLDER}/nvidia-smi"))
    return found


def not_found_words(soname: str) -> str:
    """The loader's own words for a library that is nowhere."""
    return f"{soname}: cannot open shared object file: No such file or directory"


def is_not_found(name: str, error: str) -> bool:
    """Whether the loader's words say that `name` itself is nowhere, rather than unusable or lacking a dependency."""
    glibc = error.startswith(f"{name}: cannot open shared object file: No such file")
    musl = error.startswith(f"Error loading shared library {name}: No such file")
    apple = error.startswith(f"dlopen({name}") and "no such file" in error
    windows = error.startswith("Could not find module")
    return glibc or musl or apple or windows


def _paths_under_root(machine: Machine, soname: str) -> tuple[str, ...]:
    found = []
    for folder in loader.library_path(machine):
        inside = machine.real(f"{folder}/{soname}")
        # A folder named as this process sees it (a test's, a bind mount's) is as good as one named as the machine does.
        found += [str(path) for path in (inside, Path(folder, soname)) if path.is_file()][:1]
    cached = (file.resolved for file in loader.search(machine, soname.__eq__) if file.via == loader.CACHE)
    # The plain list last: it has what the loader passes over, so that its words about it are known.
    inside_root = [*map(machine.path, cached), *(machine.real(f"{folder}/{soname}") for folder in FOLDERS)]
    found += [str(path) for path in inside_root if path.is_file()]
    return tuple(dict.fromkeys(found))


def _windows_names(machine: Machine, soname: str) -> tuple[str, ...]:
    # The order of nvidia-ml-py: System32 has it for DCH drivers, older ones kept it beside nvidia-smi.
    system = f"{machine.variable('WINDIR') or 'C:/Windows'}/System32"
    if soname == CUDA:
        paths = [f"{system}/nvcuda.dll"]
    else:
        programs = machine.variable("ProgramFiles") or "C:/Program Files"
        paths = [f"{system}/nvml.dll", f"{programs}/NVIDIA Corporation/NVSMI/nvml.dll"]
    return tuple(path for path in paths if machine.exists(path))


def _may_exist(machine: Machine, soname: str) -> bool:
    """Whether any place that the loader knows could hold the library. It may say so in vain, but never the reverse
    for a place that it knows of."""
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH"):
        if "$" in (machine.variable(name) or ""):  # $ORIGIN, $LIB: the loader's to expand
            return True
    if soname.partition(".")[0] in (machine.variable("LD_PRELOAD") or ""):
        return True
    if soname.encode() in (machine.read_bytes("/etc/ld.so.cache", limit=16 << 20) or b""):
        return True
    own = [
        str(Path(prefix, "lib")) for prefix in {sys.prefix, sys.base_prefix}
    ]  # the interpreter's own RPATH, as conda's
    for folder in [*loader.library_path(machine), *own, *FOLDERS]:
        if os.path.lexists(f"{folder}/{soname}"):
            return True
        # glibc looks into glibc-hwcaps/x86-64-v3 and the like first; hardly any machine has such folders.
        if os.path.lexists(f"{folder}/glibc-hwcaps") and any(machine.glob(f"{folder}/glibc-hwcaps", f"*/{soname}")):
            return True
    return False


def _loads(soname: str) -> bool:
    """Asks the loader of this process: it knows of places that no list does, and answers 'nowhere' in microseconds."""
    import ctypes

    try:
        ctypes.CDLL(soname)
    except OSError as error:
        return not is_not_found(soname, str(error))
    return True
