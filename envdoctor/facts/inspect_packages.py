"""Which distributions are installed, from their metadata: nothing is imported, and nothing is judged.

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
LIBRARY_ENDINGS = {"win32": (".dll", ".pyd"), "darwin": (".so", ".dylib")}.get(sys.platform, (".so",))
MOST_FILES = 10
BIGGEST_METADATA, BIGGEST_RECORD = 1 << 20, 1 << 24


def inspect(say: Callable[..., None], seconds: float) -> None:
    answer(say, ("distributions", lambda: Site().distributions()))


def answer(say: Callable[..., None], *subjects: tuple[str, Callable[[], Any]]) -> None:
    """Says one answer a subject; a subject that fails says so and leaves the others alone."""
    for name, subject in subjects:
        try:
            say(**{name: subject()})
        except Exception as error:
            say(failed=name, error="%s: %s" % (type(error).__name__, error))


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


def search_path() -> list[str]:
    """The folders of sys.path, each once: lib64 is a link to lib in many environments."""
    folders: dict[str, str] = {}
    for folder in sys.path:
        folders.setdefault(os.path.realpath(folder), folder)
    return list(folders.values())


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
    """The extra that a requirement belongs to; '' for none: numpy; python_version > "3" and extra == 'test'."""
    value = requirement.partition(";")[2].partition("extra")[2].lstrip(" =")
    return normalised(value[1:].partition(value[0])[0]) if value[:1] in ("'", '"') and value else ""


def wanted_extras(requirement: str) -> set[str]:
    inside = requirement.partition(";")[0].partition("[")[2].partition("]")[0]
    return {normalised(extra.strip()) for extra in inside.split(",") if extra.strip()}


def named(name: str) -> bool:
    return name in BY_NAME or name.startswith(BY_PREFIX)


class FoundMetadata:
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

    def editable(self) -> bool:
        return '"editable": true' in (read(os.path.join(self.path, "direct_url.json")) or "")

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
                if sizes and size.isdecimal() and found != int(size):
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
        self.found: list[FoundMetadata] = []
        self.leftovers: list[str] = []
        for folder in search_path():
            self.search(folder)

    def search(self, folder: str) -> None:
        for entry in entries(folder):
            if entry.startswith("~"):
                self.leftovers.append(os.path.join(folder, entry))
            elif entry.endswith(".dist-info"):
                metadata = read(os.path.join(folder, entry, "METADATA"))
                if metadata is None and os.access(os.path.join(folder, entry), os.R_OK | os.X_OK):
                    self.leftovers.append(os.path.join(folder, entry))
                else:
                    self.found.append(FoundMetadata(folder, entry, metadata or ""))
            elif entry.endswith(".egg-info"):
                path = os.path.join(folder, entry)
                metadata = read(os.path.join(path, "PKG-INFO")) if os.path.isdir(path) else read(path)
                if metadata is not None:
                    self.found.append(FoundMetadata(folder, entry, metadata))
        if folder.endswith(".egg"):
            metadata = read(os.path.join(folder, "EGG-INFO", "PKG-INFO"))
            if metadata is not None:
                self.found.append(FoundMetadata(folder, "EGG-INFO", metadata))

    def distributions(self) -> dict[str, Any]:
        first: dict[str, FoundMetadata] = {}
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
            answers.append(facts)
        copies: dict[str, list[tuple[str | None, str]]] = {}
        editable = {found.name for found in kept if found.editable()}
        for found in self.found:
            # An editable install leaves a second set of metadata in its source folder.
            if found.name in names and not (found.name in editable and found.path.endswith(".egg-info")):
                copies.setdefault(found.name, []).append((found.version, found.folder))
        return {
            "kept": answers,
            "installed": {name: found.version for name, found in first.items()},
            "duplicates": {name: places for name, places in copies.items() if len(places) > 1},
            "leftovers": self.leftovers,
        }
