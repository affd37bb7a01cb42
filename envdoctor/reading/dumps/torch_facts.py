"""Sheets -> what is known of torch: its version, its build, and what it answered when a tool imported it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envdoctor.facts.sections.interpreter import Torch, TorchDevice, TorchRun
from envdoctor.reading.dumps import values
from envdoctor.reading.dumps.merging import Merged
from envdoctor.reading.dumps.raw_values import Sheet

_GPU_REPORT = re.compile(r"`?(\S+)\s*\(([^()]*)\)`?")
_ARCH = re.compile(r"\s*\(arch=(\d{1,2}\.\d)\)$")
_CARD = re.compile(r"nvidia|geforce|quadro|tesla|titan|rtx", re.IGNORECASE)
_CONDA_CUDA = re.compile(r"cuda_?(\d{1,2}\.\d|\d{2,3}(?!\d))")
_CONDA_CUDNN = re.compile(r"cudnn(\d+(?:\.\d+)*)")

# collect_env catches these errors of `import torch` and then prints N/A; which one it was it does not say.
NOT_IMPORTED = "collect_env could not import torch"


@dataclass(frozen=True)
class Build:
    """Kind of build, its CUDA and HIP versions."""

    build: str | None = None
    cuda: str | None = None
    hip: str | None = None


def torch(merged: Merged, conda: tuple[str, str | None] | None, listed: str | None) -> Torch | None:
    """The imported torch. `conda` is conda's version and build string of it, `listed` the version in pip's list."""
    sheet, version = _version(merged)
    run = _run(merged, sheet)
    known = (
        version or (listed if run is None or run.outcome != "ok" else None) or (conda[0] if conda else None) or listed
    )
    build = _build(merged, known, conda)
    config, warning = merged.get("torch config"), merged.get("torch warning")
    session = merged.get("python session")
    arches = next((s.lists["arches"] for s in (config, session, warning) if s and "arches" in s.lists), None)
    abi = merged.first("torch.abi", values.boolean)
    facts = Torch(
        version=known or merged.first("TORCH_VERSION", values.torch),
        location=_location(merged),
        build=build.build,
        cuda=build.cuda,
        hip=build.hip,
        debug=merged.first("torch.debug", values.boolean),
        git_version=merged.text("COMMIT_SHA"),
        arch_flags=tuple(dict.fromkeys(arches)) if arches else None,
        cudnn_built=merged.text("CUDNN_VERSION") or (_match(_CONDA_CUDNN, conda[1]) if conda else None),
        cxx11_abi=abi,
        run=run,
    )
    return None if facts == Torch() else facts


def not_imported(merged: Merged) -> bool:
    """Whether collect_env said that torch cannot be imported: version and availability are both N/A."""
    sheet = merged.get("collect_env")
    if sheet is None:
        return False
    answers = [sheet.values.get(key) for key in ("torch.version", "torch.cuda_available")]
    return answers[0] == "N/A" and answers[1] in ("N/A", None)


def said_missing(merged: Merged) -> bool:
    """`transformers env` without torch: 'not installed (NA)'."""
    sheet = merged.get("report")
    return sheet is not None and sheet.values.get("torch.version(gpu)", "").lower().startswith("not installed")


def _version(merged: Merged) -> tuple[Sheet | None, str | None]:
    for sheet in merged:
        if sheet.layout in ("pip list", "conda list", "torch config", "torch warning"):
            continue
        version = values.torch((sheet.get("torch.version") or "").split(" ", 1)[0])
        if version is None and "torch.version(gpu)" in sheet.values:
            found = _GPU_REPORT.match(sheet.values["torch.version(gpu)"])
            version = values.torch(found[1]) if found else None
        if version is None and sheet.layout in ("lightning", "banner"):
            version = values.torch(sheet.packages.get("torch") or sheet.packages.get("pytorch_version"))
        if version is not None:
            return sheet, version
    return None, None


def _run(merged: Merged, sheet: Sheet | None) -> TorchRun | None:
    """What importing it gave; the tools that print a version have imported it, notes by hand have not."""
    if not_imported(merged):
        return TorchRun(outcome="import-error", error=NOT_IMPORTED)
    available = values.boolean(sheet.get("torch.cuda_available")) if sheet else None
    if sheet is not None and available is None and "torch.version(gpu)" in sheet.values:
        found = _GPU_REPORT.match(sheet.values["torch.version(gpu)"])
        word = found[2] if found else None
        # Other accelerators are named there ('XPU', 'NPU'): then CUDA was asked first and said no.
        available = False if word in ("XPU", "NPU", "HPU", "MLU", "MPS") else values.boolean(word)
    if available is None:
        available = merged.first("torch.cuda_available", values.boolean)
    if available is None:
        available = merged.first("torch.rocm_available", values.boolean)
    devices, whole = _devices(merged)
    config = merged.get("torch config")
    runtime = values.cudnn_number(config.get("cudnn.runtime")) if config else None
    number = merged.first("cudnn.number", lambda v: int(v) if v.isdecimal() and 4 <= len(v) <= 6 else None)
    by_hand = (
        sheet is not None and sheet.layout == "collect_env" and "distinctive" not in sheet.values and not sheet.lists
    )
    imported = sheet is not None and sheet.layout not in ("notes", "prose", "lightning") and not by_hand
    if not imported and available is None and devices is None and runtime is None and config is None:
        return None
    return TorchRun(
        outcome="ok",
        cuda_available=available,
        device_count=merged.first("torch.device_count", int) or (len(devices) if devices and whole else None),
        devices=devices,
        cudnn_version=runtime or number,
        xpu_available=merged.first("torch.xpu_available", values.boolean),
        mps_available=merged.first("torch.mps_available", values.boolean),
    )


def _devices(merged: Merged) -> tuple[tuple[TorchDevice, ...] | None, bool]:
    """The devices that torch listed, and whether that was all of them."""
    found: dict[int, TorchDevice] = {}
    table = merged.get("table")
    capabilities: dict[int, str | None] = {}
    for row in table.lists.get("capabilities", []) if table else ():
        indexes, _, capability = row.partition("\t")
        capabilities.update(
            dict.fromkeys(_indexes(indexes), capability if re.fullmatch(r"\d{1,2}\.\d", capability) else None)
        )
    for row in table.lists.get("devices", []) if table else ():
        indexes, _, name = row.partition("\t")
        arch = _ARCH.search(name)
        for index in _indexes(indexes):
            of_device = arch[1] if arch else capabilities.get(index)
            found.setdefault(index, TorchDevice(index=index, name=_ARCH.sub("", name), compute_capability=of_device))
    whole = bool(found) and set(found) == set(range(len(found)))
    if found:
        return tuple(found[index] for index in sorted(found)), whole
    names = [
        name
        for layout in ("lightning", "python session", "banner")
        if (s := merged.get(layout))
        for name in s.lists.get("names", ())
    ]
    if names:
        whole = "lightning" in merged.sheets
        return tuple(TorchDevice(index=index, name=name) for index, name in enumerate(names[:64])), whole
    session = merged.get("python session")
    if session is not None and "gpu.capability" in session.values:
        return (TorchDevice(index=0, compute_capability=session.values["gpu.capability"]),), False
    kind = merged.text("gpu.type")
    if kind and not kind.endswith("available"):
        kind = re.sub(r",\s*\d+ MiB$", "", kind)
        one = merged.first("gpu.capability", lambda v: v if re.fullmatch(r"\d{1,2}\.\d", v) else None)
        return (TorchDevice(index=0, name=kind, compute_capability=one),), False
    collected = merged.get("collect_env")
    told = collected.get("gpus") if collected else None
    if (
        collected
        and told
        and not collected.lists.get("gpus")
        and "distinctive" in collected.values
        and _asked_torch(collected)
    ):
        return (TorchDevice(index=0, name=told.partition(" (gfx")[0]),), False
    return _warned(merged.get("torch warning")), False


def _asked_torch(sheet: Sheet) -> bool:
    """On ROCm and macOS collect_env asks torch for the first device's name, not nvidia-smi."""
    return (
        "(gfx" in sheet.values.get("gpus", "")
        or sheet.get("torch.hip") is not None
        or sheet.values.get("os", "").startswith("mac")
    )


def _warned(warning: Sheet | None) -> tuple[TorchDevice, ...] | None:
    if warning is None:
        return None
    found: dict[int, TorchDevice] = {}
    for row in warning.lists.get("found", ()):
        index, name, capability = row.split("\t")
        found.setdefault(int(index), TorchDevice(index=int(index), name=name, compute_capability=capability))
    if not found:
        # This warning does not number the device; it comes once for each.
        for number, row in enumerate(dict.fromkeys(warning.lists.get("capabilities", ()))):
            name, _, arch = row.partition("\t")
            found[number] = TorchDevice(index=number, name=name, compute_capability=values.capability(arch))
    return tuple(found.values())[:64] or None


def _indexes(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip().isdecimal()][:256]


def _build(merged: Merged, version: str | None, conda: tuple[str, str | None] | None) -> Build:
    """The kind of build, from torch's own words first, then its version's local part, then conda's build string."""
    hip = merged.first("torch.hip", values.two_numbers)
    cuda = merged.first("torch.cuda", values.two_numbers)
    xpu = merged.text("torch.xpu")
    if hip is not None:
        return Build("rocm", hip=merged.text("torch.hip"))
    if cuda is not None:
        return Build("cuda", cuda=cuda)
    local, local_cuda = values.local_build(version)
    said = [
        sheet.values.get("torch.cuda")
        for sheet in merged
        if sheet.layout in ("collect_env", "python session", "lightning")
    ]
    available = merged.first("torch.cuda_available", values.boolean)
    # torch.version.cuda is None. collect_env prints 'None' where it found nothing of CUDA at all, and 'Could not collect' where
    # nvcc, nvidia-smi or the driver did answer; where torch could not be imported it prints N/A.
    if any(word in ("None", "Could not collect") for word in said) and not not_imported(merged):
        if xpu or local == "xpu":
            return Build("xpu")
        if available:  # before 1.7 the ROCm builds had no line of their own
            return Build("rocm")
        return Build(local if local in ("cpu", "rocm") else "cpu")
    if local is not None:
        return Build(local, cuda=local_cuda)
    table = merged.get("table")
    if table and "torch.rocm_available" in table.values:
        return Build("rocm")
    if table and table.title == "sglang check_env" and "torch.cuda_available" in table.values:
        return Build("cuda")  # sglang has this line where torch.version.cuda is set, whatever the answer
    if available and table and _CARD.search(" ".join(table.lists.get("devices", ()))):
        return Build("cuda")  # these tools do not say for which CUDA
    config = merged.get("torch config")
    if config is not None:
        if config.get("CUDA_VERSION") and config.get("USE_CUDA") not in ("0", "OFF"):
            return Build("cuda", cuda=values.two_numbers(config.get("CUDA_VERSION")))
        if config.get("USE_CUDA") in ("0", "OFF") and config.get("USE_ROCM") in (None, "0", "OFF"):
            return Build("xpu" if config.get("USE_XPU") in ("1", "ON") else "cpu")
    if conda and conda[1]:
        return conda_build(conda[1])
    return Build("cpu") if merged.text("without cuda") else Build()


def conda_build(text: str) -> Build:
    """'py3.9_cuda11.7_cudnn8.5.0_0', 'cuda118py310h01_200', 'cpu_py39hab5cca8_0', 'py3.8_cpu_0'."""
    found = _CONDA_CUDA.search(text)
    if found:
        number = found[1] if "." in found[1] else f"{found[1][:-1]}.{found[1][-1]}"
        return Build("cuda", cuda=number)
    return Build("cpu") if re.search(r"(?:^|_)cpu(?:_|$)", text) else Build()


def _location(merged: Merged) -> str | None:
    for sheet in merged:
        value = sheet.get("torch.version") or ""
        path = value.partition(" @")[2].strip() or (sheet.get("torch.location") or "").strip("[]'\" ")
        if path.startswith("/") or path[1:3] == ":\\":
            return path
    return None


def _match(pattern: re.Pattern[str], text: str | None) -> str | None:
    found = pattern.search(text or "")
    return found[1] if found else None
