"""The words that all formats share: the headline, and the machine in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from envdoctor.credentials import without_credentials
from envdoctor.diagnosis.model import Diagnosed, Severity, Unknown, Verdict
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.facts.sections.interpreter import Torch

SEPARATOR = " · "


class Headline(msgspec.Struct, frozen=True):
    """The verdict in one line. `tone`: 'good', 'warning', 'unknown' or 'bad'."""

    tone: str
    text: str


LONGEST_QUOTE = 160
_MISSING = {
    Unknown.TORCH: "which torch is installed",
    Unknown.TORCH_RUN: "whether torch computes",
    Unknown.GPU: "which GPU there is",
    Unknown.DRIVER: "whether a driver runs",
    Unknown.DEVICE_CODE: "whether torch has code for the GPU",
    Unknown.PROBE: "something could not be looked at",
}
_TELLS = {
    Unknown.TORCH: "python -m torch.utils.collect_env",
    Unknown.TORCH_RUN: "python -c \"import torch; print(torch.ones(2, device='cuda').sum())\"",
    Unknown.GPU: "nvidia-smi",
    Unknown.DRIVER: "nvidia-smi",
    Unknown.DEVICE_CODE: 'python -c "import torch; print(torch.cuda.get_arch_list(), torch.cuda.get_device_capability())"',
    Unknown.PROBE: "envdoctor check",
}


def headline(snapshot: Snapshot, diagnosed: Diagnosed) -> Headline:
    """What a person wants to know first."""
    roots = diagnosed.roots
    errors = [f for f in roots if f.severity is Severity.ERROR]
    warnings = [f for f in roots if f.severity is Severity.WARNING]
    if diagnosed.files:
        where = diagnosed.files[0] if len(diagnosed.files) == 1 else f"{len(diagnosed.files)} files"
        count = len(diagnosed.findings)
        if count:
            tone = "bad" if errors else "warning" if warnings else "unknown"
            return Headline(tone, f"{_count(count, 'problem')} found in {where}")
        if diagnosed.verdict is not Verdict.HEALTHY:
            return Headline("unknown", f"Nothing wrong was seen in {where}, but not all of it could be judged")
        return Headline("good", f"No problems found in {where}")
    if errors:
        more = f" (and {_count(len(errors) - 1, 'more problem')})" if len(errors) > 1 else ""
        return Headline("bad", f"{errors[0].title}{more}")
    if warnings:
        more = f" (and {_count(len(warnings) - 1, 'more warning')})" if len(warnings) > 1 else ""
        return Headline("warning", f"{_works(snapshot, diagnosed)}{warnings[0].title}{more}")
    if diagnosed.verdict is Verdict.HEALTHY:
        own = "; the error in the text is the program's own" if diagnosed.own_errors else ""
        return Headline("good", _healthy(snapshot) + own)
    return Headline("unknown", _not_known(diagnosed))


def _works(snapshot: Snapshot, diagnosed: Diagnosed) -> str:
    """What a warning's headline begins with where it is known that torch works, and on what."""
    if diagnosed.verdict is not Verdict.HEALTHY:
        return ""
    torch = snapshot.torch
    without_gpu = torch is not None and torch.build == "cuda" and torch.run is not None and not torch.run.cuda_available
    return "It works on the CPU, but: " if without_gpu else "It works, but: "


def _not_known(diagnosed: Diagnosed) -> str:
    if diagnosed.not_understood:
        return f"Not understood: {shortened(diagnosed.not_understood[-1].text)}"
    if diagnosed.own_errors:
        return "The error is the program's own; the environment is not known well enough to call it healthy"
    missing = [_MISSING[part] for part in diagnosed.unknown]
    return f"Not enough is known: {', '.join(missing) or 'some facts make no sense'}"


def shortened(text: str) -> str:
    """A line of somebody's text, fit to be shown."""
    text = without_credentials(text)
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 4].rstrip()} ..."


def telling_command(diagnosed: Diagnosed) -> str | None:
    """The one command whose output, added to what is known, would decide."""
    return _TELLS[diagnosed.unknown[0]] if diagnosed.unknown else None


def _healthy(snapshot: Snapshot) -> str:
    torch = snapshot.torch
    run = torch.run if torch else None
    name = f"torch {torch.version}" if torch and torch.version else "torch"
    if run is None:
        return f"Nothing is wrong with what {name} needs; it was not imported"
    if run.computation == "ok" and run.devices:
        devices = sorted({device.name or "the GPU" for device in run.devices})
        return f"Healthy: {name} computes on {', '.join(devices)}"
    if torch is not None and torch.build == "rocm":
        return f"Healthy: {name} works with an AMD GPU (ROCm)"
    if run.cuda_available:
        return f"Healthy: {name} reaches the GPU"
    if run.mps_available:
        return f"Healthy: {name} works with Apple's GPU (MPS)"
    if run.xpu_available:
        return f"Healthy: {name} works with Intel's GPU (XPU)"
    if snapshot.nvidia_devices == ():
        return f"Healthy, CPU only: {name} works, and this machine has no NVIDIA GPU"
    return f"Healthy, CPU only: {name} is a build for the CPU, and works"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def machine_lines(snapshot: Snapshot) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(label, parts) a line: machine, GPU, driver, toolkit, Python, torch. Lines of which nothing is known are left out."""
    yield from _line("Machine", _host(snapshot))
    yield from _line("GPU", _gpus(snapshot))
    yield from _line("Driver", _driver(snapshot))
    yield from _line("Toolkit", _toolkit(snapshot))
    yield from _line("Python", _python(snapshot))
    yield from _line("torch", _torch(snapshot))


def _line(label: str, parts: Sequence[str | None]) -> Iterator[tuple[str, tuple[str, ...]]]:
    known = tuple(part for part in parts if part)
    if known:
        yield label, known


def gibibytes(size: int) -> str:
    """'79.6 GiB'; no decimals from 100 GiB on."""
    value = size / 2**30
    return f"{value:.0f} GiB" if value >= 100 else f"{value:.1f} GiB"


def _host(snapshot: Snapshot) -> list[str | None]:
    host, container = snapshot.host, snapshot.container
    if host is None:
        return []
    inside = container.kind if container and container.inside else None
    return [
        host.os_name or (host.distribution.name if host.distribution else None),
        host.architecture,
        f"WSL {host.wsl}" if host.wsl else None,
        f"in {inside}" if inside else None,
        host.virtualization if host.virtualization not in (None, "none") else None,
        f"{host.cpu_usable or host.cpu_count} CPUs" if host.cpu_count else None,
        gibibytes(host.memory_total) if host.memory_total else None,
    ]


def _gpus(snapshot: Snapshot) -> list[str | None]:
    if snapshot.gpus:
        kinds: dict[str, int] = {}
        for gpu in snapshot.gpus:
            text = _gpu(gpu)
            kinds[text] = kinds.get(text, 0) + 1
        return [text if number == 1 else f"{number}x {text}" for text, number in kinds.items()]
    devices = snapshot.nvidia_devices
    if devices is None:
        return []
    if not devices:
        return ["no NVIDIA GPU on the PCI bus"]
    return [
        f"{_count(len(devices), 'NVIDIA device')} on the PCI bus ({', '.join(sorted({d.device for d in devices}))})"
    ]


def _gpu(gpu: Gpu) -> str:
    details = [gpu.compute_capability, gibibytes(gpu.memory_total) if gpu.memory_total else None]
    known = ", ".join(detail for detail in details if detail)
    return f"{gpu.name or f'GPU {gpu.index}'}" + (f" ({known})" if known else "")


def _driver(snapshot: Snapshot) -> list[str | None]:
    driver, nvml = snapshot.driver, snapshot.nvml
    module = driver.module if driver else None
    version = snapshot.driver_version
    cuda = nvml.cuda_version if nvml and nvml.cuda_version else snapshot.cuda_driver and snapshot.cuda_driver.version
    if version is None and cuda is None:
        absent = module is not None and module.loaded is False
        return ["not running"] if absent and snapshot.nvidia_devices else ["none"] if absent else []
    return [
        version,
        f"{module.flavour} kernel module" if module and module.flavour else None,
        f"CUDA up to {cuda}" if cuda else None,
        None if nvml is None or nvml.working is not False else f"NVML: {nvml.status}",
    ]


def _toolkit(snapshot: Snapshot) -> list[str | None]:
    found = snapshot.toolkit.nvcc if snapshot.toolkit else None
    return [f"nvcc {nvcc.version or '?'} ({nvcc.path})" for nvcc in (found or ())[:2]]


def _python(snapshot: Snapshot) -> list[str | None]:
    interpreter = snapshot.interpreter
    if interpreter is None:
        return []
    chosen = f"chosen by {interpreter.chosen_by}" if interpreter.chosen_by else None
    return [interpreter.version, interpreter.executable, chosen, interpreter.error]


def _torch(snapshot: Snapshot) -> list[str | None]:
    torch, interpreter = snapshot.torch, snapshot.interpreter
    if torch is None:
        return ["not installed"] if interpreter and interpreter.torch_installed is False else []
    run = torch.run
    cudnn = run.cudnn_version if run else None
    return [
        torch.version,
        _build(torch),
        f"cuDNN {_cudnn(cudnn)}" if cudnn else None,
        f"NCCL {run.nccl_version}" if run and run.nccl_version else None,
        " ".join(torch.arch_flags) if torch.arch_flags else None,
    ]


def _build(torch: Torch) -> str | None:
    if torch.build == "cuda":
        return f"CUDA {torch.cuda}" if torch.cuda else "CUDA build"
    return {"cpu": "CPU build", "rocm": f"ROCm {torch.hip or ''}".strip(), "xpu": "XPU build"}.get(torch.build or "")


def _cudnn(number: int) -> str:
    """92600 -> 9.26.0 (cuDNN 9: major*10000), 8907 -> 8.9.7 (until 8: major*1000)."""
    major_unit = 10000 if number >= 90000 else 1000
    return f"{number // major_unit}.{number % major_unit // 100}.{number % 100}"
