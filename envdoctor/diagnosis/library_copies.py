"""Which of several copies of a library this torch takes: its own, of its wheels or its conda environment, or somebody else's."""

from __future__ import annotations

import posixpath

from packaging.version import InvalidVersion, Version

from envdoctor.diagnosis.model import Fix
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import MappedLibrary
from envdoctor.facts.sections.software import LibraryFile
from envdoctor.reading.messages.loader_errors import stem

# The first part of the name of the wheel that holds each library, behind nvidia- and before -cu12.
WHEELS = {
    "libcudart": "cuda-runtime",
    "libcublas": "cublas",
    "libcublasLt": "cublas",
    "libcudnn": "cudnn",
    "libcufft": "cufft",
    "libcupti": "cuda-cupti",
    "libcurand": "curand",
    "libcusolver": "cusolver",
    "libcusparse": "cusparse",
    "libcusparseLt": "cusparselt",
    "libnccl": "nccl",
    "libnvrtc": "cuda-nvrtc",
    "libnvJitLink": "nvjitlink",
}


def site_packages(machine: Snapshot) -> str | None:
    """The folder that torch lies in."""
    place = (machine.torch.location if machine.torch else None) or ""
    if not place.startswith("/"):
        own = machine.interpreter.distribution("torch") if machine.interpreter else None
        return own.location if own else None
    return posixpath.dirname(place)


def foreign(machine: Snapshot, path: str) -> bool:
    """Whether a library is known to lie outside torch's folders and its interpreter's own prefix."""
    interpreter, site = machine.interpreter, site_packages(machine)
    if site is None or not path.startswith("/"):
        return False
    clean = posixpath.normpath(path)
    prefixes = [interpreter.prefix, interpreter.base_prefix] if interpreter else []
    # The system's prefix holds everything, /usr/local/cuda too. Its own torch takes its libraries by right.
    homes = [site, *(prefix for prefix in prefixes if prefix and prefix not in ("/usr", "/usr/local", "/"))]
    if len(homes) == 1 and own_wheel(machine, stem(clean)) is None:
        return False
    return not any(clean.startswith(home.rstrip("/") + "/") for home in homes)


def own_wheel(machine: Snapshot, name: str) -> str | None:
    """The version of the installed wheel for torch's CUDA that holds this library; None where there is none."""
    wheel, interpreter = WHEELS.get(name), machine.interpreter
    major = (machine.torch.cuda or "").partition(".")[0] if machine.torch else ""
    if wheel is None or interpreter is None:
        return None
    for suffix in (f"-cu{major}", ""):
        found = interpreter.distribution(f"nvidia-{wheel}{suffix}")
        if found is not None:
            return found.version
    return None


def mapped(machine: Snapshot, name: str) -> MappedLibrary | None:
    """The library of this stem that the import of torch mapped."""
    run = machine.torch.run if machine.torch else None
    return next((library for library in (run.mapped or () if run else ()) if library.name == name), None)


def forced(machine: Snapshot, *names: str) -> tuple[LibraryFile, ...]:
    """The libraries of these stems that LD_PRELOAD or LD_LIBRARY_PATH puts before others and that are not torch's own."""
    files = machine.libraries.files if machine.libraries else None
    return tuple(
        file
        for file in files or ()
        if file.name in names and file.via in ("LD_PRELOAD", "LD_LIBRARY_PATH") and foreign(machine, file.path)
    )


def path_evidence(machine: Snapshot) -> tuple[Evidence, ...]:
    """What steers the loader here."""
    libraries = machine.libraries
    found = []
    for name, value in (
        ("libraries.ld_preload", libraries.ld_preload if libraries else None),
        ("libraries.ld_library_path", libraries.ld_library_path if libraries else None),
    ):
        if value:
            found.append(fact(name, ":".join(value)))
    if not found and machine.variable("LD_LIBRARY_PATH"):
        found.append(fact("environment.LD_LIBRARY_PATH", machine.variable("LD_LIBRARY_PATH")))
    return tuple(found)


def steered(machine: Snapshot) -> bool:
    """Whether LD_LIBRARY_PATH or LD_PRELOAD is known to be set."""
    return bool(path_evidence(machine))


def without_path(machine: Snapshot, verify: str) -> Fix:
    """Runs torch with the loader's own order."""
    if machine.host is not None and machine.host.system == "Windows":
        return Fix(
            title="Take the foreign folder out of PATH: torch brings its own libraries",
            commands=("where cudart64_*.dll cublas64_*.dll cudnn64_*.dll",),
            note="Each folder that it shows outside the environment holds libraries that Windows may load in place of torch's.",
            verify=verify,
        )
    preload = " LD_PRELOAD" if machine.libraries and machine.libraries.ld_preload else ""
    return Fix(
        title="Take the foreign folder out of LD_LIBRARY_PATH: torch brings its own libraries",
        commands=(
            f"unset LD_LIBRARY_PATH{preload}",
            "grep -n LD_LIBRARY_PATH ~/.bashrc ~/.profile ~/.zshrc /etc/environment /etc/profile.d/*.sh 2>/dev/null",
            "# remove the lines it shows, then open a new shell",
        ),
        verify=verify,
    )


def older(have: str | None, need: str | None) -> bool | None:
    """Whether a version is older than another, as far as both are written; None where one is not known."""
    try:
        one, other = Version(have or ""), Version(need or "")
    except InvalidVersion:
        return None
    parts = min(len(one.release), len(other.release))
    return one.release[:parts] < other.release[:parts]
