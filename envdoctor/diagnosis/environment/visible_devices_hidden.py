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
from envdoctor.reading.messages.message_files import beside

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
FROM_SLURM = Fix(
    title="Ask Slurm for a GPU: it gave this job none, and it is Slurm that sets the variable",
    commands=("srun --gres=gpu:1 nvidia-smi -L", "#SBATCH --gres=gpu:1   # a line of the batch script"),
    note="`sinfo -o '%P %G'` shows which partitions have GPUs. Do not set the variable by hand: those GPUs may be another job's.",
)
NO_DEVICES = ("none", "void")
"""What the container runtime takes for: no GPU."""


def _of_slurm(line: str) -> bool:
    return "NoDevFiles" in line or line.startswith(("#SBATCH", "srun: ", "slurmstepd: ", "sbatch: "))


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Words that may mean this cause mean another where no variable chooses devices."""
    known = machine.environment is not None and machine.environment_complete and not machine.messages
    given = (machine.variable("NVIDIA_VISIBLE_DEVICES") or "all").strip().lower()
    chosen = machine.variable("CUDA_VISIBLE_DEVICES") is not None or given in NO_DEVICES
    if any("CUDA_VISIBLE_DEVICES']: None" in line for line in machine.messages):
        return False  # ultralytics prints what os.environ has
    nvml = machine.nvml
    # No variable hides GPUs from nvidia-smi, which told of none.
    silent = nvml is not None and nvml.status is None and not nvml.gpus and machine.driver_version is None
    return False if (known or silent) and not chosen else None


MESSAGES = beside(__file__)


@diagnosis(
    "visible-devices-hidden",
    layer=Layer.ENVIRONMENT,
    severity=Severity.ERROR,
    messages=MESSAGES,
    fits=_fits,
    remedy=lambda machine, _: (FROM_SLURM,) if any(map(_of_slurm, machine.messages)) else (LOOK, UNSET),
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
