"""What kind of interpreter and environment it is, and which modules its programs would get: read from files, never imported.

Runs inside the target through inspect_target.py, after inspect_packages.py and in its namespace; standard library only,
Python 3.8 and later.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from envdoctor.facts.inspect_packages import LIBRARY_ENDINGS, answer, entries, normalised, read, search_path

CONDA = (
    "pytorch libtorch torch triton cudatoolkit cuda cudnn libcud libcu libnv nccl mkl numpy blas libblas liblapack openblas "
    "libopenblas intel-openmp llvm-openmp _openmp_mutex libgomp libgcc libstdcxx magma ld_impl gxx gcc sysroot nvidia"
).split()
THIRD_PARTY = frozenset(
    "torch torchvision torchaudio torchgen functorch triton numpy typing_extensions sympy mpmath networkx jinja2 "
    "markupsafe fsspec filelock cuda".split()
)
# Top-level modules of the standard library that `import torch` imports: measured with 2.13 and 2.15 on Python 3.11. A test
# folder or a code.py beside the user's program hides a real module as well, and hurts nobody.
STANDARD = frozenset(
    """argparse array ast asyncio base64 bisect bz2 calendar cmath collections concurrent configparser contextlib contextvars
    copy copyreg csv ctypes dataclasses datetime decimal difflib dis email enum fnmatch fractions functools gettext glob
    graphlib gzip hashlib heapq hmac html http importlib inspect ipaddress json keyword linecache locale logging lzma math
    mmap multiprocessing numbers opcode operator optparse pathlib pickle pickletools pkgutil platform pprint queue quopri
    random re reprlib runpy secrets select selectors shlex shutil signal socket ssl statistics string struct subprocess
    sysconfig tarfile tempfile textwrap threading timeit token tokenize traceback types typing unittest urllib uuid warnings
    weakref xml zipfile zlib""".split()
)
LOADED_AT_START = frozenset(sys.modules)


def inspect(say: Callable[..., None], seconds: float) -> None:
    modules = Modules()
    answer(
        say,
        ("interpreter", interpreter),
        ("environment", environment),
        ("markers", markers),
        ("modules", modules.versions),
        ("shadowed", modules.shadowed),
        ("conda", conda_packages),
    )


def interpreter() -> dict[str, Any]:
    return {
        "executable": sys.executable,
        "version": ".".join(map(str, sys.version_info[:3])) + release_level(),
        "implementation": sys.implementation.name,
        "machine": os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE"),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "free_threaded": "free-threading" in sys.version or "t" in getattr(sys, "abiflags", ""),
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "sys_path": sys.path,
    }


def release_level() -> str:
    level, serial = sys.version_info[3:]
    return "" if level == "final" else "%s%d" % ({"alpha": "a", "beta": "b", "candidate": "rc"}[level], serial)


def environment() -> dict[str, Any]:
    in_venv = sys.prefix != sys.base_prefix
    if in_venv:
        kind = "venv"
    elif os.path.isdir(os.path.join(sys.prefix, "conda-meta")):
        kind = "conda"
    else:
        kind = "system" if os.name == "nt" or sys.prefix in ("/usr", "/usr/local") else "other"
    site = sys.modules.get("site")
    user_site = getattr(site, "USER_SITE", None)
    return {
        "environment": kind,
        "externally_managed": not in_venv and os.path.exists(os.path.join(standard_folder(), "EXTERNALLY-MANAGED")),
        "pip": any(os.path.isfile(os.path.join(folder, "pip", "__init__.py")) for folder in sys.path),
        "user_site": user_site if user_site in sys.path else "",
    }


def standard_folder() -> str:
    return os.path.dirname(os.__file__)


def markers() -> dict[str, str]:
    """The variables of environment markers (PEP 508)."""
    if hasattr(os, "uname"):
        system, _, release, version, machine = os.uname()
    else:
        import platform

        system, _, release, version, machine, _ = platform.uname()
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": ".".join(map(str, sys.implementation.version[:3])),
        "os_name": os.name,
        "platform_machine": machine,
        "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, ""),
        "platform_release": release,
        "platform_system": system,
        "platform_version": version,
        "python_full_version": ".".join(map(str, sys.version_info[:3])) + release_level(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    }


class Modules:
    """What `import` would find."""

    def __init__(self) -> None:
        self.folders = search_path()
        self.listing = {folder: entries(folder) for folder in self.folders}

    def locate(self, module: str, folders: list[str] | None = None) -> str | None:
        """The file or folder that `import module` takes; None where there is none."""
        for folder in self.folders if folders is None else folders:
            listing = self.listing[folder] if folder in self.listing else entries(folder)
            if module in listing and any(
                os.path.isfile(os.path.join(folder, module, "__init__" + ending)) for ending in (".py", ".pyc")
            ):
                return os.path.join(folder, module)
            for entry in listing:
                if entry == module + ".py" or (entry.startswith(module + ".") and entry.endswith(LIBRARY_ENDINGS)):
                    return os.path.join(folder, entry)
        return None

    def versions(self) -> dict[str, dict[str, Any]]:
        """Where torch and its siblings lie, and what their version.py says; it is read, never run."""
        places = {name: self.locate(name) for name in ("torch", "torchvision", "torchaudio")}
        return {name: dict(self.assigned(place), location=place) for name, place in places.items()}

    def assigned(self, package: str | None) -> dict[str, Any]:
        """The constants of a package's version.py."""
        values = {}
        text = read(os.path.join(package, "version.py")) if package else None
        for line in (text or "").splitlines():
            name, found, value = line.partition("=")
            name, value = name.partition(":")[0].strip(), value.strip()
            if found and name in ("__version__", "debug", "cuda", "git_version", "hip", "xpu"):
                values[name] = value[1:-1] if value[:1] in ("'", '"') else {"True": True, "False": False}.get(value)
        return values

    def shadowed(self) -> list[tuple[str, str]]:
        """Modules that the current folder hides from programs started in it, or that PYTHONPATH hides from all."""
        standard = os.path.realpath(standard_folder())
        try:
            ahead = [os.getcwd()]
        except OSError:  # the folder is gone
            ahead = []
        for folder in self.folders:
            if os.path.realpath(folder) == standard:
                break
            ahead.append(folder)
        answers, seen = [], set()
        for folder in ahead:
            real = os.path.realpath(folder)
            if real == standard or real in seen:
                continue
            seen.add(real)
            bases = {entry.partition(".")[0] for entry in entries(folder)}
            for module in sorted(bases & (STANDARD | THIRD_PARTY) - LOADED_AT_START):
                path = self.locate(module, [folder])
                if path is not None and self.hides(module, path):
                    answers.append((module, path))
        return answers

    def hides(self, module: str, path: str) -> bool:
        folder = os.path.dirname(path)
        if module in STANDARD:
            return True
        metadata = (normalised(entry.partition("-")[0]) for entry in entries(folder) if entry.endswith("-info"))
        if folder in self.folders and normalised(module) in metadata:
            return False  # installed there
        others = [other for other in self.folders if os.path.realpath(other) != os.path.realpath(folder)]
        return module == "torch" or self.locate(module, others) is not None


def conda_packages() -> list[tuple[str, str, str, str | None]] | None:
    """Packages of a conda environment: (name, version, build, channel); None where it is none."""
    folder = os.path.join(sys.prefix, "conda-meta")
    if not os.path.isdir(folder):
        return None
    answers = []
    for entry in entries(folder):
        parts = entry[: -len(".json")].rsplit("-", 2) if entry.endswith(".json") else ()
        if len(parts) == 3 and (parts[0] == "python" or parts[0].startswith(tuple(CONDA))):
            # The whole file lists every file of the package; the channel comes before them.
            head = read(os.path.join(folder, entry), 1 << 14) or ""
            channel = head.partition('"channel":')[2].partition('"')[2].partition('"')[0]
            answers.append((parts[0], parts[1], parts[2], channel or None))
    return answers
