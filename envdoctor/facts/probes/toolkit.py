"""Probe: CUDA toolkits, host compilers and ninja: what building an extension would use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from envdoctor.facts.host import Machine
from envdoctor.facts.numbers import cuda_version
from envdoctor.facts.probes.compilers import compilers
from envdoctor.facts.sections.software import Nvcc, Toolkit

_TIMEOUT = 5.0  # nvcc --version answers within 10 ms; a first run from a network file system takes seconds


def probe(machine: Machine) -> Toolkit:
    known = machine.installed or bool(machine.exists("/usr") or machine.exists("/opt"))
    home = machine.variable("CUDA_HOME") or machine.variable("CUDA_PATH") or ""
    return Toolkit(
        nvcc=_compilers_of_cuda(machine) if known else None,
        cuda_home=home,
        cuda_home_exists=machine.exists(machine.name_of(home)) if home else None,
        compilers=compilers(machine) if known else None,
        ninja=_ninja(machine) if known else None,
    )


def _compilers_of_cuda(machine: Machine) -> tuple[Nvcc, ...]:
    """Every nvcc, each file once with all the ways that lead to it, those on PATH first."""
    found: dict[str, Nvcc] = {}
    for path, way in _candidates(machine):
        if not machine.exists(path):
            continue
        resolved = _target(machine, path)
        known = found.get(resolved)
        if known is None:
            version = _version(machine, resolved) or _ask(machine, path)
            found[resolved] = Nvcc(path=path, resolved=resolved, version=version, found_by=(way,))
        elif way not in known.found_by:
            found[resolved] = Nvcc(
                path=known.path, resolved=resolved, version=known.version, found_by=(*known.found_by, way)
            )
    return tuple(found.values())


def _candidates(machine: Machine) -> Iterator[tuple[str, str]]:
    for path in machine.which_all("nvcc"):
        yield path, "PATH"
    suffix = ".exe" if machine.windows else ""
    # Windows' installer sets CUDA_PATH to the newest toolkit and CUDA_PATH_V12_8 to each.
    each = sorted(name for name in machine.environment if name.startswith("CUDA_PATH_V"))
    for variable in ("CUDA_HOME", "CUDA_PATH", *each):
        folder = machine.variable(variable)
        if folder:
            yield f"{machine.name_of(folder).rstrip('/')}/bin/nvcc{suffix}", variable.partition("_V")[0]
    for folder in machine.glob("/usr/local", "cuda*"):
        yield f"{folder}/bin/nvcc", "/usr/local"
    for folder in ("/opt/cuda", "/usr/lib/nvidia-cuda-toolkit", "/usr/lib/cuda", "/usr/lib64/cuda"):
        yield f"{folder}/bin/nvcc", "distribution"
    for variable in ("CONDA_PREFIX", "VIRTUAL_ENV"):
        folder = machine.variable(variable)
        if folder:
            prefix = machine.name_of(folder).rstrip("/")
            yield f"{prefix}/bin/nvcc{suffix}", "environment"
            for wheel in machine.glob(prefix, "lib/python3*/site-packages/nvidia/*/bin/nvcc"):
                yield wheel, "environment"


def _target(machine: Machine, path: str) -> str:
    """The compiler that a name leads to, through links and through the one-line scripts that distributions install."""
    resolved = machine.resolve(path)
    head = machine.read_bytes(resolved, 2048) or b""
    if head.startswith(b"#!"):
        called = re.search(r"^\s*exec\s+[\"']?(/\S*/nvcc)\b", head.decode("utf-8", "replace"), re.MULTILINE)
        if called and machine.exists(called[1]):
            return machine.resolve(called[1])
    return resolved


def _version(machine: Machine, resolved: str) -> str | None:
    """What the files of the toolkit around a compiler say; None where they say nothing."""
    folder = resolved.replace("\\", "/").rpartition("/")[0]
    if not folder.endswith("/bin"):
        return None
    root = folder.removesuffix("/bin")
    components = _json(machine.read(f"{root}/version.json"))
    for component in ("cuda_nvcc", "cuda"):
        entry = components.get(component)
        if isinstance(entry, dict) and isinstance(entry.get("version"), str):
            return str(entry["version"])
    text = re.search(r"CUDA Version (\d+\.\d+(?:\.\d+)?)", machine.read(f"{root}/version.txt") or "")
    if text:
        return text[1]
    # A wheel's and a conda package's own metadata: nvidia_cuda_nvcc_cu12-12.8.93.dist-info, cuda-nvcc-tools-12.8.93-0.json
    for pattern, names in (
        (
            r"nvidia_cuda_nvcc(?:_cu\d+)?-(\d+(?:\.\d+)+)\.dist-info",
            machine.list(f"{root}/../..") if "/nvidia/" in root else (),
        ),
        (r"cuda-nvcc[a-z0-9_-]*?-(\d+(?:\.\d+)+)-.*\.json", machine.list(f"{root}/conda-meta")),
    ):
        matches = (re.fullmatch(pattern, name) for name in names or ())
        version = next((match[1] for match in matches if match), None)
        if version:
            return version
    distribution = root in ("/usr/lib/nvidia-cuda-toolkit", "/usr/lib/cuda", "/usr")
    headers = [f"{root}/include/cuda.h", *machine.glob(root, "targets/*/include/cuda.h")]
    for header in [*headers, *(["/usr/include/cuda.h"] if distribution else [])]:
        number = re.search(r"^#define CUDA_VERSION (\d+)", machine.read(header, 1 << 16) or "", re.MULTILINE)
        if number:  # 12080 for 12.8
            return cuda_version(int(number[1]))
    return None


def _ask(machine: Machine, path: str) -> str | None:
    done = machine.run([machine.real(path), "--version"], timeout=_TIMEOUT)
    full = re.search(r"release \d+\.\d+, V(\d+\.\d+\.\d+)", done.stdout) or re.search(
        r"release (\d+\.\d+)", done.stdout
    )
    return full[1] if full else None


def _json(text: str | None) -> dict[str, object]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _ninja(machine: Machine) -> str:
    """The path of ninja, on PATH or in the environment that is active; '' when there is none."""
    for command in ("ninja", "ninja-build"):
        found = machine.which_all(command)
        if found:
            return found[0]
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        folder = machine.variable(variable)
        name = f"{machine.name_of(folder).rstrip('/')}/bin/ninja" if folder else ""
        if name and machine.exists(name):
            return name
    return ""
