"""What a person pastes from a machine: the output of torch.utils.collect_env, and what else was printed there."""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.facts.model import Snapshot

NOT_COLLECTED = "Could not collect"
# The rows that collect_env takes from pip list (its DEFAULT_PIP_PATTERNS).
LISTED = ("torch", "numpy", "triton", "nvidia", "mypy", "flake8", "onnx", "optree")
# NVML's errors in the words of nvidia-smi.
SMI = {
    "LIB_RM_VERSION_MISMATCH": "Failed to initialize NVML: Driver/library version mismatch",
    "DRIVER_NOT_LOADED": "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the "
    "latest NVIDIA driver is installed and running.",
    "LIBRARY_NOT_FOUND": "bash: nvidia-smi: command not found",
    "NO_PERMISSION": "Failed to initialize NVML: Insufficient Permissions",
    "GPU_IS_LOST": "Unable to determine the device handle for GPU0000:17:00.0: GPU is lost.  Reboot the system to recover "
    "this GPU",
    "UNKNOWN": "Failed to initialize NVML: Unknown Error",
}


def paste(machine: Snapshot) -> str:
    """The dump and, behind it, what torch, nvidia-smi and the kernel said."""
    return "\n".join((*_dump(machine), "", *_commands(machine), *_errors(machine), ""))


def _dump(machine: Snapshot) -> Iterator[str]:
    torch, host, python = machine.torch, machine.host, machine.interpreter
    run = torch.run if torch else None
    imported = torch is not None and run is not None and run.outcome == "ok"
    yield "Collecting environment information..."
    yield f"PyTorch version: {torch.version if imported and torch else 'N/A'}"
    yield f"Is debug build: {'False' if imported else 'N/A'}"
    cuda = torch.cuda if imported and torch else None
    yield f"CUDA used to build PyTorch: {cuda or (NOT_COLLECTED if imported else 'N/A')}"
    yield f"ROCM used to build PyTorch: {(torch.hip if torch else None) or 'N/A'}"
    yield ""
    yield f"OS: {(host.os_name if host else None) or 'N/A'} ({host.architecture if host else 'x86_64'})"
    yield f"Libc version: {f'glibc-{host.glibc}' if host and host.glibc else 'N/A'}"
    yield ""
    yield f"Python version: {(python.version if python else None) or 'N/A'} (main) [GCC 11.4.0] (64-bit runtime)"
    kernel, machines = (host.kernel, host.architecture) if host else (None, None)
    yield f"Python platform: Linux-{kernel}-{machines}-with-glibc{(host.glibc if host else None) or '2.35'}"
    yield f"Is CUDA available: {str(bool(run and run.cuda_available)) if imported else 'N/A'}"
    nvcc = (machine.toolkit.nvcc or ()) if machine.toolkit else ()
    yield f"CUDA runtime version: {(nvcc[0].version if nvcc else None) or NOT_COLLECTED}"
    gpus = machine.gpus or ()
    names = [f"GPU {gpu.index}: {gpu.name}" for gpu in gpus if gpu.name]
    yield f"GPU models and configuration: {(names[0] if len(names) == 1 else '') if names else NOT_COLLECTED}"
    yield from names if len(names) > 1 else ()
    nvml = machine.nvml
    yield f"Nvidia driver version: {(nvml.driver_version if nvml and nvml.working else None) or NOT_COLLECTED}"
    yield f"cuDNN version: {NOT_COLLECTED}"
    yield "Is XNNPACK available: " + ("True" if imported else "N/A")
    yield ""
    yield "Versions of relevant libraries:"
    for distribution in sorted((python.distributions or ()) if python else (), key=lambda d: d.name):
        if any(word in distribution.name for word in LISTED):
            version = torch.version if distribution.name == "torch" and torch else distribution.version
            yield f"[pip3] {distribution.name}=={version}"
    conda = (python.conda_packages or ()) if python else ()
    for package in conda:
        yield f"[conda] {package.name:25} {package.version:20} {package.build or ''} {package.channel or ''}"
    if not conda:
        yield "[conda] Could not collect"


def _commands(machine: Snapshot) -> Iterator[str]:
    """What people look at besides: the variables, the bus, the driver, the packages. In a container the prompt is its own."""
    inside = machine.container is not None and machine.container.inside
    prompt = "root@3f9c2d1e7a4b:/workspace# " if inside else "$ "
    telling = {
        k: v
        for k, v in (machine.environment or {}).items()
        if k.startswith(("CUDA", "NVIDIA", "LD_", "PYTHON", "SLURM"))
    }
    if telling:
        yield f"{prompt}env | grep -E 'CUDA|NVIDIA|LD_|PYTHON|SLURM'"
        yield from (f"{name}={value}" for name, value in telling.items())
    cards = [device for device in machine.pci or () if device.is_nvidia_gpu]
    for card in cards:
        yield f"{prompt}lspci -nnk -s {card.address}" if card is cards[0] else ""
        yield f"{card.address[5:]} VGA compatible controller [0300]: NVIDIA Corporation Device [10de:{card.device}] (rev a1)"
        yield from (f"\tKernel driver in use: {card.driver}",) if card.driver else ()
    nvml = machine.nvml
    if nvml is not None and (cards or machine.gpus):
        lost = [gpu for gpu in machine.gpus or () if gpu.lost]
        said = SMI.get(nvml.status or "") or (
            f"Unable to determine the device handle for GPU{lost[0].pci_address}: GPU is lost.  Reboot the system to recover "
            "this GPU"
            if lost
            else ""
        )
        yield from (f"{prompt}nvidia-smi", said) if said else ()
    others = [
        f"{distribution.name:25} {distribution.version}"
        for distribution in (machine.interpreter.distributions or () if machine.interpreter else ())
        if not any(word in distribution.name for word in LISTED)
    ]
    if others:
        yield from (f"{prompt}pip list", f"{'Package':25} Version", f"{'-' * 25} -------", *others)
    run = machine.torch.run if machine.torch else None
    if run is not None and run.device_count is not None and run.cuda_available:
        yield from (">>> import torch", ">>> torch.cuda.device_count()", str(run.device_count))


def _errors(machine: Snapshot) -> Iterator[str]:
    torch = machine.torch
    run = torch.run if torch else None
    interpreter = machine.interpreter
    if torch is None and interpreter is not None and interpreter.torch_installed is False:
        yield "ModuleNotFoundError: No module named 'torch'"
    if run is not None:
        yield from (f"UserWarning: {warning}" for warning in run.warnings)
        if run.outcome == "crash":
            yield {"SIGSEGV": "Segmentation fault (core dumped)", "SIGILL": "Illegal instruction (core dumped)"}.get(
                run.signal or "", f"Aborted: {run.signal}"
            )
        raised = (
            run.error,
            run.cuda_error,
            run.computation,
            run.cudnn_error,
            run.cudnn_convolution,
            run.numpy,
            run.torchvision,
        )
        for text in dict.fromkeys(text for text in raised if text not in (None, "ok")):
            yield f"AssertionError: the result is {text}" if text == "wrong" else _as_printed(text or "")
    yield from (line.text for line in (machine.logs.lines if machine.logs else ()))


def _as_printed(text: str) -> str:
    """An error in the form of a traceback: its frames, then what it says."""
    lines = text.splitlines()
    frames = [f"  {line}" for line in lines if line.startswith("File ")]
    said = [line for line in lines if not line.startswith("File ")]
    return "\n".join((["Traceback (most recent call last):"] if frames or said else []) + frames + said)
