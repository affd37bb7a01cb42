"""CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES hides GPUs that exist.

What it is
    CUDA shows a program only the GPUs that CUDA_VISIBLE_DEVICES names. An empty value, '-1', an index that does not exist or
    another machine's UUID leaves none; torch then says 'No CUDA GPUs are available'. The container runtime reads
    NVIDIA_VISIBLE_DEVICES in the same spirit: 'none' and 'void' pass no GPU in.

Told apart by
    NVML, which ignores CUDA_VISIBLE_DEVICES, lists the GPUs that CUDA does not see. A list that names some of the GPUs is
    somebody's choice and no finding; reading stops at the first invalid entry, which is worth a warning when GPUs behind
    it are lost. MIG entries are judged by `mig-misconfigured`.

Repair
    Unset the variable, or name GPUs that exist; look for where it is set when it comes back.

Sources
    CUDA C++ Programming Guide, 'CUDA Environment Variables'; NVIDIA Container Toolkit, 'Environment variables'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.snapshot_queries import bus_gpus, in_container
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.visible_devices import select_devices
from envdoctor.reading.messages.conditions import torch_near
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.shared import unavailable

FIND = "grep -n CUDA_VISIBLE_DEVICES ~/.bashrc ~/.profile ~/.zshrc /etc/environment /etc/profile.d/* 2>/dev/null"


LOOK = Fix(
    title="See which GPUs there are, and which this process may use",
    commands=(
        "nvidia-smi -L",
        "env | grep -i visible_devices",
        'python -c "import torch; print(torch.cuda.device_count())"',
    ),
    note="An index counts from 0, and after CUDA_VISIBLE_DEVICES from the first GPU that it names.",
)
UNSET = Fix(title="Show CUDA all GPUs", commands=("unset CUDA_VISIBLE_DEVICES",), verify="nvidia-smi -L")
NO_DEVICES = ("none", "void")
"""What the container runtime takes for: no GPU."""
MESSAGES = (
    *unavailable(0.25),
    Message("No CUDA GPUs are available", "torch/csrc/cuda/Module.cpp, c10: torch 1.8 and later", 0.6),
    Message("no CUDA-capable device is detected", "cuda_runtime_api.h: cudaErrorNoDevice (100)", 0.55),
    Message("cudaErrorNoDevice", "cuda_runtime_api.h: error 100", 0.5),
    Message("CUDA_ERROR_NO_DEVICE", "cuda.h: error 100", 0.5),
    Message("invalid device ordinal", "cuda_runtime_api.h: cudaErrorInvalidDevice (101)", 0.75),
    Message(
        "device >= 0 && device < num_gpus INTERNAL ASSERT FAILED",
        "aten/src/ATen/cuda/CUDAContext.cpp: the number of GPUs changed after the start",
        0.6,
    ),
    Message("CUDA_ERROR_INVALID_DEVICE", "cuda.h: error 101", 0.7),
    Message("cudaErrorInvalidDevice:", "cuda_runtime_api.h: error 101", 0.7),
    Message(
        "Attempting to deserialize object on CUDA device {index} but torch.cuda.device_count() is {count}",
        "torch/serialization.py",
        0.7,
    ),
    Message(
        "Invalid CUDA 'device={device}' requested. Use 'device=cpu' or pass valid CUDA device(s)",
        "ultralytics, select_device",
        0.6,
    ),
    Message("CUDA_VISIBLE_DEVICES=-1", "environment", 0.5),
    Message("You requested gpu: {gpus} But your machine only has: {have}", "lightning, device_parser", 0.8),
    Message("MisconfigurationException: You requested gpu", "lightning", 0.75),
    Message("CUDA_VISIBLE_DEVICES environment variable is set to empty string", "tensorflow, jax", 0.9),
    Message("cudaGetDeviceCount returned 100", "CUDA samples, deviceQuery", 0.55),
    Message("cudaGetDeviceCount returned 38", "CUDA samples, deviceQuery, before CUDA 10.1", 0.55),
    Message("ProcessGroupNCCL is only supported with GPUs, no GPUs found", "ProcessGroupNCCL.cpp", 0.5),
    Message("No supported gpu backend found", "lightning_fabric/accelerators", 0.35),
    Message("NoDevFiles", "Slurm: CUDA_VISIBLE_DEVICES of a job that asked for no GPU", 0.9),
    Message("Invalid device id", "torch/cuda/__init__.py: get_device_properties", 0.7, when=torch_near),
)


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Words that may mean this cause mean another where no variable chooses devices."""
    known = machine.environment is not None and machine.environment_complete and not machine.messages
    given = (machine.variable("NVIDIA_VISIBLE_DEVICES") or "all").strip().lower()
    chosen = machine.variable("CUDA_VISIBLE_DEVICES") is not None or given in NO_DEVICES
    return False if known and not chosen else None


@diagnosis(
    "visible-devices-hidden",
    layer=Layer.ENVIRONMENT,
    severity=Severity.ERROR,
    messages=MESSAGES,
    fits=_fits,
    remedy=lambda _machine, _world: (LOOK, UNSET),
)
def visible_devices_hidden(machine: Snapshot, world: Knowledge) -> Finding | None:
    return _by_cuda(machine) or _by_container(machine)


def _by_cuda(machine: Snapshot) -> Finding | None:
    value, present = machine.variable("CUDA_VISIBLE_DEVICES"), machine.gpus
    if value is None or not present or "MIG" in value.upper():
        return None
    chosen, invalid = select_devices(value, present)
    hidden_all = not chosen and (invalid is not None or not value.strip())
    lost = invalid is not None and len(chosen) < len([e for e in value.split(",") if e.strip()])
    if not hidden_all and not lost:
        return None
    seen = machine.cuda_driver.device_count if machine.cuda_driver else None
    # CUDA's own count is the judge where it answered: what it lists is not hidden.
    if hidden_all and seen:
        return None
    count = f"{len(present)} GPU{'s' if len(present) > 1 else ''}"
    what = f"CUDA_VISIBLE_DEVICES is {value!r}"
    if hidden_all:
        summary = f"{what}, which hides all {count} of this machine from CUDA programs."
    else:
        summary = f"{what}: '{invalid}' names no GPU here, so CUDA uses the {len(chosen)} before it and none after."
    every = ",".join(str(gpu.index) for gpu in present)
    return Finding(
        summary=summary,
        severity=None if hidden_all else Severity.WARNING,
        evidence=(
            fact("environment.CUDA_VISIBLE_DEVICES", repr(value)),
            fact("nvml.gpus", len(present)),
            *((fact("cuda_driver.device_count", seen),) if seen is not None else ()),
        ),
        fixes=(
            UNSET,
            Fix(title="Name those to use", commands=(f"export CUDA_VISIBLE_DEVICES={every}",)),
            Fix(title="When it comes back: find where it is set", commands=(FIND,)),
        ),
    )


def _by_container(machine: Snapshot) -> Finding | None:
    value = machine.variable("NVIDIA_VISIBLE_DEVICES")
    if value is None or value.strip().lower() not in NO_DEVICES or not in_container(machine):
        return None
    if not bus_gpus(machine) or machine.gpus:
        return None
    return Finding(
        summary=f"NVIDIA_VISIBLE_DEVICES is {value!r}, so the container runtime passed no GPU into this container.",
        evidence=(fact("environment.NVIDIA_VISIBLE_DEVICES", repr(value)), fact("pci", bus_gpus(machine))),
        fixes=(
            Fix(
                title="Start the container with its GPUs",
                commands=("docker run --rm --gpus all -e NVIDIA_VISIBLE_DEVICES=all IMAGE nvidia-smi -L",),
                note="In Kubernetes, request nvidia.com/gpu in the container's resource limits instead of setting the variable.",
            ),
        ),
    )
