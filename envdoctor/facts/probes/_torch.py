"""Puts together what the files say of torch and what its import showed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import msgspec

from envdoctor.facts.cleaning import all_fitted, fitted
from envdoctor.facts.inspection import Answers
from envdoctor.facts.numbers import cuda_version
from envdoctor.facts.sections.interpreter import (
    Distribution,
    ExtensionBuild,
    MappedLibrary,
    Torch,
    TorchDevice,
    TorchRun,
)

MOST_STDERR = 2000
AFTER_TORCH = ("numpy", "torchvision")
"""The stages in which torch itself has already shown that it works."""
# What the version of a wheel says nothing about: torch brings its own copies of libgomp, libgfortran and others.
CARRIERS = ("torch", "torchvision", "torchaudio", "triton")


def torch_facts(
    *,
    distributions: Sequence[Distribution] | None,
    found: Mapping[str, Any] | None,
    libraries: Mapping[str, tuple[str, str | None]],
    run: Answers | None,
) -> tuple[Torch | None, bool | None]:
    """(torch, whether it is installed). `found`: its version.py and location; `run`: the import, None where not tried."""
    distribution = next((d for d in distributions or () if d.name == "torch"), None)
    location = found["location"] if found else None
    missing = run is not None and "torch" in run.all("missing")
    imported = run is not None and run.last("version") is not None
    failed = run is not None and run.last("error") is not None
    if not imported and location is None and distribution is None and (missing or not failed):
        known = found is not None and distributions is not None
        return None, False if missing or known else None
    # The import's own answers last: they win.
    values: dict[str, Any] = {
        key: value for key, value in (found or {}).items() if isinstance(value, (str, bool, NoneType))
    }
    for record in run.records if run else ():
        values |= {key: record[key] for key in ("cuda", "hip", "xpu", "debug", "git_version") if key in record}
    version = (run.last("version") if run else None) or values.get("__version__")
    build = _build(values, version)
    flags = run.last("arch_flags") if run else None
    file = run.last("file") if run else None
    facts: dict[str, Any] = {
        "version": version or (distribution.version if distribution else None),
        "location": file.replace("\\", "/").rpartition("/")[0] if file else location,
        "build": build,
        "cuda": values.get("cuda"),
        "hip": values.get("hip"),
        "debug": values.get("debug"),
        "git_version": values.get("git_version"),
        "arch_flags": tuple(flags) if flags is not None else () if imported and build == "cpu" else None,
        "cudnn_built": _pinned_cudnn(distribution) or (run.last("cudnn_built") if run else None),
        "cxx11_abi": run.last("cxx11_abi") if run else None,
    }
    return msgspec.structs.replace(fitted(Torch, facts), run=_run(run, libraries) if run else None), True


def _build(values: Mapping[str, Any], version: str | None) -> str | None:
    for variant in ("hip", "cuda", "xpu"):
        if values.get(variant):
            return {"hip": "rocm"}.get(variant, variant)
    if "cuda" not in values:
        return None
    return "xpu" if version and "+xpu" in version else "cpu"


def _pinned_cudnn(distribution: Distribution | None) -> str | None:
    pins = (
        re.fullmatch(r"nvidia-cudnn-cu\d+==([\d.]+)", line) for line in (distribution.requires if distribution else ())
    )
    return next((pin[1] for pin in pins if pin), None)


def _run(answers: Answers, libraries: Mapping[str, tuple[str, str | None]]) -> TorchRun:
    completed = answers.completed
    outcome, error = _outcome(answers)
    mapped, devices = answers.last("mapped"), answers.last("devices")
    ended_well = outcome == "ok"
    facts: dict[str, Any] = {
        "outcome": outcome,
        "error": error,
        "error_type": answers.last("error_type"),
        "signal": completed.signal if outcome == "crash" else None,
        "exit_code": completed.code if outcome == "crash" and completed.signal is None else None,
        "seconds": answers.last("seconds"),
        "stage": None if ended_well else answers.last("stage"),
        "cuda_available": answers.last("cuda_available"),
        "cuda_error": answers.last("cuda_error"),
        "warnings": tuple(dict.fromkeys(answers.all("warning"))),
        "device_count": answers.last("device_count"),
        "devices": None if devices is None else all_fitted(TorchDevice, devices),
        "computation": answers.last("computation"),
        "cudnn_version": answers.last("cudnn_version") or _wheel_cudnn(answers.last("cudnn_wheel")),
        "cudnn_error": answers.last("cudnn_error"),
        "cudnn_convolution": answers.last("cudnn_convolution"),
        "numpy": _afterwards(answers, "numpy"),
        "torchvision": _afterwards(answers, "torchvision"),
        "nccl_version": answers.last("nccl_version"),
        "mapped": None if mapped is None else tuple(_library(path, libraries) for path in mapped),
        "stderr": completed.stderr.strip()[-MOST_STDERR:] or None if ended_well else None,
        "mps_available": answers.last("mps_available"),
        "xpu_available": answers.last("xpu_available"),
    }
    return fitted(TorchRun, facts)


def _outcome(answers: Answers) -> tuple[str, str | None]:
    error = answers.last("error")
    if error is not None:
        return "import-error", str(error)
    if answers.finished or answers.last("stage") in AFTER_TORCH:
        return "ok", None
    if answers.python is None:
        return "garbage", answers.ending
    device = answers.last("device")
    where = f"while computing on cuda:{device}" if device is not None else None
    if answers.completed.timed_out:
        return "timeout", "\n".join(filter(None, (answers.completed.error, where, answers.last_words)))
    return "crash", "\n".join(filter(None, (where, answers.last_words))) or None


def _afterwards(answers: Answers, companion: str) -> str | None:
    """How the companion got on with torch: what was said, or how the process ended over it."""
    said = answers.last(companion)
    if said is not None or answers.finished or answers.last("stage") != companion:
        return None if said is None else str(said)
    return "\n".join(filter(None, (answers.completed.signal or answers.ending, answers.last_words)))


def torchvision_build(run: Answers | None) -> tuple[ExtensionBuild, ...]:
    """The CUDA version that torchvision's operators say they were built with."""
    number = run.last("torchvision_cuda") if run else None
    if number is None:
        return ()
    # As CUDART_VERSION counts: 13020 is 13.2; -1 is a build without CUDA.
    cuda = cuda_version(number) if number > 0 else ""
    return (ExtensionBuild(distribution="torchvision", cuda=cuda),)


def _library(path: str, libraries: Mapping[str, tuple[str, str | None]]) -> MappedLibrary:
    # An upgrade under a running process leaves the old file mapped, with this behind its name.
    file = path.removesuffix(" (deleted)").rpartition("/")[2]
    stem, _, numbers = file.partition(".so")
    distribution, version = libraries.get(path, (None, None))
    if distribution is None or distribution in CARRIERS:
        version = _version_in_name(stem, numbers)
    # Libraries that were copied into a wheel carry eight digits of a hash: libgomp-a34b3233, libcudart.3eda8113.
    return MappedLibrary(
        name=re.sub(r"[-.][0-9a-f]{8}$", "", stem), path=path, version=version, distribution=distribution
    )


def _version_in_name(stem: str, numbers: str) -> str | None:
    exact = re.fullmatch(r"\.(\d+(\.\d+){1,3})", numbers)
    if exact is None:
        return None
    # libcudart.so.12.4.127 says its version; libcudart.so.11.0 its ABI's only, which 11.8 has too. Drivers may be 535.54.
    is_driver = stem == "libcuda" or stem.startswith("libnvidia-")
    return exact[1] if is_driver or exact[1].count(".") > 1 else None


def _wheel_cudnn(metadata: str | None) -> int | None:
    """The number that cudnnGetVersion() has for the wheel with that metadata: 92600 for nvidia_cudnn_cu13-9.26.0.51."""
    found = re.fullmatch(r"nvidia_cudnn\w*-(\d+)\.(\d+)\.(\d+)[\d.]*\.dist-info", metadata or "")
    if found is None:
        return None
    major, minor, patch = map(int, found.groups())
    return major * (10000 if major >= 9 else 1000) + minor * 100 + patch
