"""Probe: which CUDA libraries, and which C++ and OpenMP runtimes, the loader would find for any program."""

from __future__ import annotations

import re

from envdoctor.facts import loader
from envdoctor.facts.host import Machine
from envdoctor.facts.sections.software import Libraries, LibraryFile

_STEMS = (
    "libcuda",
    "libcudart",
    "libcudnn",
    "libnccl",
    "libcublas",
    "libcublasLt",
    "libcufft",
    "libcurand",
    "libcusolver",
    "libcusparse",
    "libcusparseLt",
    "libnvrtc",
    "libnvJitLink",
    "libstdc++",
    "libgomp",
    "libiomp5",
    "libmkl_rt",
)
_WANTED = re.compile(rf"({'|'.join(re.escape(stem) for stem in _STEMS)})\.so((?:\.\d+)*)")
# Wheels name their files by the major version alone; the distribution's metadata beside them has all of it.
_WHEELS = {
    "libcudart": "cuda_runtime",
    "libcudnn": "cudnn",
    "libnccl": "nccl",
    "libcublas": "cublas",
    "libcublasLt": "cublas",
    "libcufft": "cufft",
    "libcurand": "curand",
    "libcusolver": "cusolver",
    "libcusparse": "cusparse",
    "libcusparseLt": "cusparselt",
    "libnvrtc": "cuda_nvrtc",
    "libnvJitLink": "nvjitlink",
}


def probe(machine: Machine) -> Libraries:
    return Libraries(
        files=_files(machine),
        ld_library_path=loader.library_path(machine),
        ld_preload=loader.preloaded(machine),
    )


def _files(machine: Machine) -> tuple[LibraryFile, ...] | None:
    """One entry for each file, in the loader's order; several names of one file are one entry."""
    if not loader.has_folders(machine):
        return None
    found: dict[tuple[str, str], LibraryFile] = {}
    for library in loader.search(machine, lambda name: _WANTED.fullmatch(name) is not None):
        match = _WANTED.fullmatch(library.soname)
        if match is None or not _loadable(match[1], match[2]):
            continue
        folders = (library.path.rpartition("/")[0], library.resolved.rpartition("/")[0])
        file = LibraryFile(
            name=match[1],
            path=library.path,
            version=_version(machine, match[1], library),
            via=library.via,
            stub=any("stubs" in folder.split("/") for folder in folders),
            compat=match[1] == "libcuda" and any("compat" in folder.split("/") for folder in folders),
        )
        found.setdefault((match[1], library.resolved), file)
    return tuple(found.values())


def _loadable(stem: str, suffix: str) -> bool:
    """Whether programs ask for such a name: the bare .so is the linker's, but for libraries without another."""
    return suffix != "" or stem in ("libiomp5", "libmkl_rt", "libcuda")


def _version(machine: Machine, stem: str, library: loader.LibraryCandidate) -> str | None:
    match = _WANTED.fullmatch(library.resolved.rpartition("/")[2])
    version = match[2].lstrip(".") if match else ""
    if stem == "libcuda":
        # WSL's file is libcuda.so.1.1 and a stub's libcuda.so: only a branch of three digits begins a driver's version.
        return version if re.match(r"\d{3,}\.\d", version) else None
    if "." not in version:
        return _wheel_version(machine, stem, library.resolved) or version or None
    return version


def _wheel_version(machine: Machine, stem: str, resolved: str) -> str | None:
    before, marker, _ = resolved.partition("/site-packages/nvidia/")
    wheel = _WHEELS.get(stem)
    if not marker or wheel is None:
        return None
    site = machine.list(f"{before}/site-packages") or ()
    names = (re.fullmatch(rf"nvidia_{wheel}(?:_cu\d+)?-(\d+(?:\.\d+)+)\.dist-info", name) for name in site)
    return next((name[1] for name in names if name), None)
