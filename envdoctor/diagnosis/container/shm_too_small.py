"""Shared memory (/dev/shm) is too small for DataLoader workers or NCCL.

What it is
    DataLoader workers hand batches to the training process through shared memory, and NCCL uses it between GPUs.
    Container engines give /dev/shm 64 MiB, enough for a few small batches; beyond that a worker dies with 'Bus error',
    or NCCL fails with 'unhandled system error'.

Told apart by
    Inside a container with a GPU, /dev/shm is no larger than the engines' 64 MiB; or the error's own words. Outside
    containers it is half of the memory, and small only on small machines, where that is as it should be.

Repair
    More shared memory for the container (--ipc=host or --shm-size); without that, DataLoader(num_workers=0).

Sources
    docs.docker.com, `docker run --shm-size`; torch/utils/data/_utils/signal_handling.py; NCCL user guide, 'Shared
    memory'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.snapshot_queries import in_container
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.conditions import worker_died
from envdoctor.reading.messages.message import Message

DEFAULT = 64 << 20
WORDS = (
    "insufficient shared memory (shm)",
    "error while creating shared memory segment",
    "unable to write to file </torch_",
)
VERIFY = "df -h /dev/shm"


WITHOUT_WORKERS = Fix(
    title="Without changing the container: load data in the training process",
    commands=("# DataLoader(..., num_workers=0)",),
    note="torch.multiprocessing.set_sharing_strategy('file_system') does not help: it uses /dev/shm as well.",
)
MESSAGES = (
    Message(
        "Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm)",
        "torch/csrc/DataLoader.cpp",
    ),
    Message(
        "dataloader's workers are out of shared memory",
        "torch/utils/data/_utils/signal_handling.py",
    ),
    Message("DataLoader worker (pid {pid}) is killed by signal: Bus error", "torch/utils/data: SIGBUS"),
    Message("unable to write to file </torch_{name}>", "ATen/MapAllocator.cpp", 0.95),
    Message("unable to open shared memory object </torch_{name}> in read-write mode", "ATen/MapAllocator.cpp", 0.8),
    Message("unable to resize file </torch_{name}> to the right size", "ATen/MapAllocator.cpp", 0.9),
    Message("unable to mmap {size} bytes from file </torch_{name}>", "ATen/MapAllocator.cpp", 0.85),
    Message(
        "Error while creating shared memory segment /dev/shm/nccl-{name} (size {size})", "NCCL, src/misc/shmutils.cc"
    ),
    Message("Error while attaching to shared memory segment /dev/shm/nccl-{name}", "NCCL, src/misc/shmutils.cc", 0.9),
    Message("Call to posix_fallocate failed : No space left on device", "NCCL, src/misc/shmutils.cc", 0.95),
    Message("Error: failed to extend /dev/shm/nccl-{name} to {size} bytes", "NCCL, src/misc/shmutils.cc"),
    Message(
        "The SHMEM allocation limit for this container is set to the default of 64MB",
        "NVIDIA NGC images, entrypoint.d",
        0.9,
    ),
    Message(
        "This may be insufficient for PyTorch. NVIDIA recommends the use of the following flags",
        "NVIDIA NGC images, entrypoint.d",
        0.9,
    ),
    Message("The object store is using /tmp instead of /dev/shm because /dev/shm has only", "ray, services.py", 0.9),
    Message("OSError: [Errno 28] No space left on device: '/dev/shm", "CPython, shared_memory", 0.95),
    Message("OSError: [Errno 28] No space left on device: '/torch_", "torch shared memory", 0.95),
    Message("No space left on device{x}/dev/shm", "programs that name the folder after the reason", 0.85),
    Message("Failed to open shared memory /dev/shm/nccl-{name}", "NCCL, src/misc/shmutils.cc", 0.7),
    Message(
        "The SHMEM allocation limit is set to the default of 64MB",
        "NVIDIA's containers, entrypoint",
        0.9,
        when=worker_died,
    ),
)


@diagnosis(
    "shm-too-small",
    layer=Layer.CONTAINER,
    severity=Severity.WARNING,
    messages=MESSAGES,
    remedy=lambda machine, _: (_more(machine), WITHOUT_WORKERS),
)
def shm_too_small(machine: Snapshot, world: Knowledge) -> Finding | None:
    said = next((line for line in machine.messages if any(words in line.lower() for words in WORDS)), None)
    size = machine.host.shm_total if machine.host else None
    small = in_container(machine) and size is not None and size <= DEFAULT and bool(machine.gpus)
    if said is None and not small:
        return None
    evidence: list[Evidence] = [fact("messages", said[:300])] if said else []
    evidence += [fact("host.shm_total", f"{size >> 20} MiB")] if size is not None else []
    if small and size is not None:
        summary = (
            f"This container has {size >> 20} MiB of shared memory: DataLoader workers and NCCL will run out of it."
        )
    else:
        summary = "The shared memory in /dev/shm ran out: DataLoader workers hand their batches over through it."
    return Finding(
        summary=summary,
        severity=Severity.ERROR if said else None,
        evidence=tuple(evidence),
        fixes=(_more(machine), WITHOUT_WORKERS),
    )


def _more(machine: Snapshot) -> Fix:
    kind = machine.container.kind if machine.container else None
    if kind == "kubernetes" or (machine.container and machine.container.kubernetes):
        return Fix(
            title="Give the pod a larger /dev/shm",
            commands=(
                "# under volumes:       - {name: shm, emptyDir: {medium: Memory, sizeLimit: 8Gi}}",
                "# under volumeMounts:  - {name: shm, mountPath: /dev/shm}",
            ),
            verify=VERIFY,
        )
    engine = "podman" if kind == "podman" else "docker"
    gpus = "--device nvidia.com/gpu=all" if kind == "podman" else "--gpus all"
    return Fix(
        title="Start the container with more shared memory",
        commands=(
            f"{engine} run {gpus} --shm-size=8g IMAGE   # on the host",
            f"{engine} run {gpus} --ipc=host IMAGE   # or the host's own",
        ),
        note="Compose: `shm_size: 8gb` or `ipc: host` of the service.",
        verify=VERIFY,
    )
