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
from envdoctor.reading.messages.message_files import beside

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


MESSAGES = beside(__file__)


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
