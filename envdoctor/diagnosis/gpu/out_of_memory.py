"""The GPU's memory is taken: by other programs, or by a request that does not fit.

What it is
    Everything that uses a GPU shares its memory. A program that finds too little left fails with 'CUDA out of memory'.
    The rest may be held by another user, a notebook that still runs, workers left over from a run that was killed, or a
    server.

Told apart by
    CUDA says so (error 2); or nearly all memory of every visible GPU is in use. A GPU that computes at the moment is
    doing its work, which is no fault. GPUs that share the machine's memory (GB10, Jetson) tell no numbers. One full GPU
    among free ones is somebody's job.

Repair
    End what is left over, use a free GPU, or make the program need less: smaller batches, lower precision,
    checkpointing.

Sources
    cuda.h: CUDA_ERROR_OUT_OF_MEMORY (2); docs.pytorch.org, 'CUDA semantics', memory management
"""

from __future__ import annotations

from envdoctor.diagnosis.gpu.device_busy_or_exclusive import visible_on_nvml
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.reported_errors import OUT_OF_MEMORY, cuda_errors
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

# A CUDA context alone takes 0.3 to 0.5 GiB; with less than a tenth left, nothing of the GPU's own size can be trained.
FULL = 0.9
LOOK = "nvidia-smi --query-compute-apps=gpu_uuid,pid,name,used_memory --format=csv"


MESSAGES = beside(__file__)


@diagnosis(
    "out-of-memory",
    layer=Layer.GPU,
    severity=Severity.ERROR,
    follows_from=("gpu-hw-fault", "device-busy-or-exclusive"),
    messages=MESSAGES,
    remedy=lambda _machine, _world: _fixes(full=False),
)
def out_of_memory(machine: Snapshot, world: Knowledge) -> Finding | None:
    errors = cuda_errors(machine, {OUT_OF_MEMORY: MESSAGES.group("named")})
    gpus = visible_on_nvml(machine)
    full = [gpu for gpu in gpus if (share := _share(gpu)) is not None and share >= FULL]
    run = machine.torch.run if machine.torch else None
    computes = run is not None and run.computation == "ok"
    # Full and at work is a running job; full and idle is mostly left over.
    taken = bool(full) and len(full) == len(gpus) and all(gpu.utilization == 0 for gpu in full) and not computes
    if OUT_OF_MEMORY not in errors and not taken:
        return None
    evidence: list[Evidence] = [errors[OUT_OF_MEMORY]] if OUT_OF_MEMORY in errors else []
    evidence += [
        fact(f"gpu {gpu.index}.memory_used", f"{_gib(gpu.memory_used)} of {_gib(gpu.memory_total)}") for gpu in full[:4]
    ]
    holders = [(gpu, process) for gpu in full for process in gpu.processes or ()]
    evidence += [
        fact(f"gpu {gpu.index}.processes", f"{p.name or 'process'} (pid {p.pid}), {_gib(p.memory)}")
        for gpu, p in holders[:4]
    ]
    if full:
        first = full[0]
        summary = f"GPU {first.index} has {_gib(first.memory_used)} of {_gib(first.memory_total)} in use" + (
            f" by {holders[0][1].name or 'a process'} (pid {holders[0][1].pid})." if holders else "."
        )
    else:
        summary = "CUDA ran out of memory: the request did not fit into what was free."
    return Finding(
        summary=summary,
        severity=None if OUT_OF_MEMORY in errors else Severity.WARNING,
        evidence=tuple(evidence),
        fixes=_fixes(bool(full)),
        confidence=1.0 if OUT_OF_MEMORY in errors else 0.8,
    )


def _share(gpu: Gpu) -> float | None:
    if not gpu.memory_total or gpu.memory_used is None:
        return None
    return gpu.memory_used / gpu.memory_total


def _gib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / (1 << 30):.1f} GiB"


def _fixes(full: bool) -> tuple[Fix, ...]:
    free = Fix(
        title="See who holds the memory, and end what is left over of your own runs",
        commands=(LOOK, "ps -o pid,user,etime,cmd -p PID   # for each pid", "kill PID"),
        note="Programs that nvidia-smi does not list: `sudo fuser -v /dev/nvidia*`.",
        verify="nvidia-smi --query-gpu=index,memory.used,memory.total --format=csv",
    )
    other = Fix(
        title="Use a GPU with free memory",
        commands=("nvidia-smi --query-gpu=index,memory.free --format=csv", "export CUDA_VISIBLE_DEVICES=INDEX"),
    )
    less = Fix(
        title="Make the program need less: halve the batch size, train in bf16, use activation checkpointing",
        commands=("export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True   # when much is reserved and unallocated",),
    )
    return (free, other, less) if full else (less, free, other)
