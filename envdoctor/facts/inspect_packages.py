"""What is installed in an interpreter's environment, read from files: nothing is imported, and nothing is judged.

Runs inside the target through inspect_target.py; standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing takes 10 ms to import
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator

# importlib.metadata takes 65 ms to import and to read 40 packages; reading the headers by hand takes 5 ms (measured).
BY_NAME = frozenset(
    # The last two lines: compiled extensions of torch whose metadata does not say that they need it.
    """numpy triton mkl intel-openmp llvm-openmp jaxlib tensorrt setuptools
    apex detectron2 pytorch3d tinycudann nvdiffrast kaolin natten dgl mmcv mmcv-full flash-attn xformers bitsandbytes
    deepspeed transformer-engine causal-conv1d mamba-ssm gsplat vllm""".split()
)
BY_PREFIX = (
    "torch",
    "pytorch-",
    "triton-",
    "nvidia-",
    "cuda-",
    "cupy",
    "jax-cuda",
    "mkl-",
    "intel-",
    "spconv",
    "tensorrt-",
)
# Who requires one of these is a companion.
REQUIRED = ("torch", "triton", "pytorch-triton")
# Those whose libraries torch loads: their RECORD is compared with what is there.
CHECKED = ("torch", "torchvision", "torchaudio", "triton")
CONDA = (
    "pytorch libtorch torch triton cudatoolkit cuda cudnn libcud libcu libnv nccl mkl numpy blas libblas liblapack openblas "
    "libopenblas intel-openmp llvm-openmp _openmp_mutex libgomp libgcc libstdcxx magma python ld_impl gxx gcc sysroot nvidia"
).split()
LIBRARY_ENDINGS = {"win32": (".dll", ".pyd"), "darwin": (".so", ".dylib")}.get(sys.platform, (".so",))
MOST_FILES = 10
BIGGEST_METADATA, BIGGEST_RECORD = 1 << 20, 1 << 24
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


def inspect(say: Callable[..., None], arguments: list[str]) -> None:
    """Says one answer a subject; a subject that fails says so and leaves the others alone."""
    site = Site()
    for name, subject in (
        ("interpreter", interpreter),
        ("environment", environment),
        ("distributions", site.distributions),
        ("torch", site.torch),
        ("shadowed", site.shadowed),
        ("conda", conda_packages),
        ("markers", markers),
    ):
        try:
            say(**{name: subject()})
        except Exception as error:
            say(failed=name, error="%s: %s" % (type(error).__name__, error))
    say(end=True)


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


def read(path: str, limit: int = BIGGEST_METADATA) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return None


def entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def normalised(name: str) -> str:
    """PEP 503, without the re module."""
    for separator in "_.":
        name = name.replace(separator, "-")
    while "--" in name:
        name = name.replace("--", "-")
    return name.lower()


def required_name(requirement: str) -> str:
    end = 0
    while end < len(requirement) and (requirement[end].isalnum() or requirement[end] in "-_."):
        end += 1
    return normalised(requirement[:end])


def of_extra(requirement: str) -> str:
    """The extra that a requirement belongs to; '' for none."""
    _, found, after = requirement.rpartition(";")[2].partition("extra")
    if not found:
        return ""
    for quote in "'\"":
        value = after.lstrip(" =").partition(quote)[2].partition(quote)[0]
        if value:
            return normalised(value)
    return ""


def wanted_extras(requirement: str) -> set[str]:
    inside = requirement.partition(";")[0].partition("[")[2].partition("]")[0]
    return {normalised(extra.strip()) for extra in inside.split(",") if extra.strip()}


def named(name: str) -> bool:
    return name in BY_NAME or name.startswith(BY_PREFIX)


class Found:
    """One set of metadata on sys.path."""

    def __init__(self, folder: str, entry: str, metadata: str) -> None:
        self.folder = folder  # the folder of sys.path that it is in
        self.path = os.path.join(folder, entry)
        name, _, rest = entry.rpartition(".")[0].partition("-")
        self.name, self.version = normalised(name), rest.partition("-")[0] or None
        self.requires = []
        for line in metadata.splitlines():
            if not line.strip():
                break
            key, _, value = line.partition(":")
            key, value = key.lower(), value.strip()
            if key == "name" and value:
                self.name = normalised(value)
            elif key == "version" and value:
                self.version = value
            elif key == "requires-dist":
                self.requires.append(value)
        if not self.requires:
            # setuptools' own format: sections such as [extra:marker] come after the plain requirements.
            for line in (read(os.path.join(self.path, "requires.txt")) or "").splitlines():
                if line.startswith("["):
                    break
                if line.strip():
                    self.requires.append(line.strip())

    def companion(self) -> bool:
        names = {required_name(line) for line in self.requires if not of_extra(line)}
        return any(name in REQUIRED or name.startswith("nvidia-") for name in names)

    def facts(self, extras: Iterable[str], names: set[str]) -> dict[str, Any]:
        # Of torch's own family every requirement counts: without typing-extensions it is not imported.
        applying = [line for line in self.requires if of_extra(line) in ("", *extras)]
        if self.name not in CHECKED:
            applying = [line for line in applying if named(required_name(line)) or required_name(line) in names]
        return {
            "name": self.name,
            "version": self.version,
            "location": self.folder,
            "metadata": self.path,
            "installer": (read(os.path.join(self.path, "INSTALLER")) or "").strip(),
            "requires": applying,
            "extras": sorted(extras),
            "direct_url": read(os.path.join(self.path, "direct_url.json")),
            "tag": self.tag(),
        }

    def tag(self) -> str | None:
        for line in (read(os.path.join(self.path, "WHEEL")) or "").splitlines():
            if line.startswith("Tag:"):
                return line[4:].strip()
        return None

    def files(self, sizes: bool) -> dict[str, list[str]]:
        """Of its RECORD: what is missing, what has another size, and which shared libraries are its own."""
        record = read(os.path.join(self.path, "RECORD"), BIGGEST_RECORD) or ""
        missing, damaged, libraries = [], [], []
        for name, size in recorded(record):
            path = os.path.normpath(os.path.join(self.folder, name))
            try:
                found = os.stat(path).st_size
            except OSError:
                missing.append(name)
                continue
            if not name.endswith(".py"):
                libraries.append(path)
                if sizes and size.isdigit() and found != int(size):
                    damaged.append("%s (%d bytes, %s by RECORD)" % (name, found, size))
        return {
            "missing_files": missing[:MOST_FILES],
            "damaged_files": damaged[:MOST_FILES],
            "libraries": libraries,
        }


def recorded(record: str) -> Iterator[tuple[str, str]]:
    """(name, size) of a RECORD's shared libraries and of the __init__.py of its packages, two levels deep.

    Searched, for it takes ten times as long to go through all lines: torch has 15,000 files.
    """
    for ending in (*LIBRARY_ENDINGS, "/__init__.py,"):
        found = record.find(ending)
        while found >= 0:
            start, end = record.rfind("\n", 0, found) + 1, record.find("\n", found)
            line = record[start : end if end >= 0 else len(record)].strip()
            name, size = line.rpartition(",")[0].rpartition(",")[0].strip('"'), line.rpartition(",")[2]
            base = name.rpartition("/")[2]
            if base == "__init__.py":
                if name.count("/") <= 2:
                    yield name, size
            elif base.endswith(ending) or ending + "." in base:
                yield name, size
            found = record.find(ending, start + len(line))


class Site:
    """What lies on sys.path."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.leftovers: list[str] = []
        self.folders: list[str] = []
        seen = set()
        for folder in sys.path:
            real = os.path.realpath(folder)  # lib64 is a link to lib in many environments
            if real not in seen:
                seen.add(real)
                self.folders.append(folder)
        self.listing = {folder: entries(folder) for folder in self.folders}
        for folder in self.folders:
            self.search(folder)

    def search(self, folder: str) -> None:
        for entry in self.listing[folder]:
            if entry.startswith("~"):
                self.leftovers.append(os.path.join(folder, entry))
            elif entry.endswith(".dist-info"):
                metadata = read(os.path.join(folder, entry, "METADATA"))
                if metadata is None:
                    self.leftovers.append(os.path.join(folder, entry))
                else:
                    self.found.append(Found(folder, entry, metadata))
            elif entry.endswith(".egg-info"):
                path = os.path.join(folder, entry)
                metadata = read(os.path.join(path, "PKG-INFO")) if os.path.isdir(path) else read(path)
                if metadata is not None:
                    self.found.append(Found(folder, entry, metadata))
        if folder.endswith(".egg"):
            metadata = read(os.path.join(folder, "EGG-INFO", "PKG-INFO"))
            if metadata is not None:
                self.found.append(Found(folder, "EGG-INFO", metadata))

    def distributions(self) -> dict[str, Any]:
        first: dict[str, Found] = {}
        for found in self.found:
            first.setdefault(found.name, found)
        kept = [found for found in first.values() if named(found.name) or found.companion()]
        extras: dict[str, set[str]] = {}
        for found in kept:
            for line in found.requires:
                if not of_extra(line):
                    extras.setdefault(required_name(line), set()).update(wanted_extras(line))
        names = {found.name for found in kept}
        answers = []
        for found in kept:
            facts = found.facts(extras.get(found.name, ()), names)
            if found.name in CHECKED or found.name.startswith("nvidia-"):
                # conda changes the paths inside libraries after their RECORD is written.
                facts.update(found.files(sizes=facts["installer"] != "conda"))
            if found.name in ("torchvision", "torchaudio"):
                facts["build"] = self.assigned(self.locate(found.name)).get("__version__")
            answers.append(facts)
        copies: dict[str, list[tuple[str | None, str]]] = {}
        for found in self.found:
            if found.name in names:
                copies.setdefault(found.name, []).append((found.version, found.folder))
        return {
            "kept": answers,
            "installed": {name: found.version for name, found in first.items()},
            "duplicates": {name: places for name, places in copies.items() if len(places) > 1},
            "leftovers": self.leftovers,
        }

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

    def torch(self) -> dict[str, Any]:
        """The torch that would be imported; its version.py is read, never run."""
        place = self.locate("torch")
        return dict(self.assigned(place), location=place)

    def assigned(self, package: str | None) -> dict[str, Any]:
        """The constants of a package's version.py."""
        values = {}
        for line in (read(os.path.join(package or "", "version.py")) or "").splitlines():
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
            if os.path.realpath(folder) == standard or folder.endswith(".zip"):
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
        if any(os.path.samefile(found.folder, folder) for found in self.found if found.name == normalised(module)):
            return False  # installed there, with its metadata
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
        if len(parts) == 3 and parts[0].startswith(tuple(CONDA)):
            # The whole file lists every file of the package; the channel comes before them.
            head = read(os.path.join(folder, entry), 1 << 14) or ""
            channel = head.partition('"channel":')[2].partition('"')[2].partition('"')[0]
            answers.append((parts[0], parts[1], parts[2], channel or None))
    return answers
