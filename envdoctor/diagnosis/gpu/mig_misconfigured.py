"""MIG is on and leaves nothing to use, or CUDA_VISIBLE_DEVICES names a MIG device that does not exist.

What it is
    Multi-Instance GPU cuts a data-centre GPU into instances. With MIG switched on and no compute instance made, the GPU
    offers CUDA nothing: nvidia-smi shows it and torch says 'No CUDA GPUs are available'. Instances do not survive a
    reboot, and their UUIDs change when they are made anew.

Told apart by
    NVML says that MIG is on and lists no instance, or CUDA_VISIBLE_DEVICES has a 'MIG-...' entry that is none of the
    listed ones. MIG switched off, or on with instances, is healthy. Plain GPU numbers are `visible-devices-hidden`.

Repair
    Make instances, or switch MIG off (root, no program on the GPU); name an instance that `nvidia-smi -L` lists.

Sources
    NVIDIA Multi-Instance GPU user guide; CUDA programming guide, 'CUDA Environment Variables'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.reported_errors import cuda_starts
from envdoctor.diagnosis.snapshot_queries import in_container
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

LIST = "nvidia-smi -L"


MESSAGES = beside(__file__)


@diagnosis(
    "mig-misconfigured",
    layer=Layer.GPU,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, _: (_make(machine, []),),
    fits=lambda machine, _: _mig_known(machine),
)
def mig_misconfigured(machine: Snapshot, world: Knowledge) -> Finding | None:
    gpus = machine.gpus
    if not gpus:
        return None
    return _wrong_name(machine, gpus) or _without_instances(machine, gpus)


def _mig_known(machine: Snapshot) -> bool | None:
    """Whether MIG is on here; None where not every GPU says."""
    states = [True if gpu.mig_instances else gpu.mig_enabled for gpu in machine.gpus or ()]
    return True if True in states else False if states and None not in states else None


def _wrong_name(machine: Snapshot, gpus: tuple[Gpu, ...]) -> Finding | None:
    """CUDA reads its list up to the first entry that names nothing."""
    value = machine.variable("CUDA_VISIBLE_DEVICES") or ""
    asked = [entry.strip() for entry in value.split(",") if entry.strip().upper().startswith("MIG-")]
    # The older form, MIG-GPU-<uuid>/<gi>/<ci>, names an instance by numbers that are not in the facts.
    asked = [entry for entry in asked if "/" not in entry]
    if (
        not asked
        or cuda_starts(machine)
        or any(gpu.mig_instances is None and gpu.mig_enabled is not False for gpu in gpus)
    ):
        return None
    present = [instance.uuid for gpu in gpus for instance in gpu.mig_instances or ()]
    if None in present:
        return None
    wrong = [e for e in asked if not any(uuid and uuid.lower().startswith(e.lower()) for uuid in present)]
    if not wrong:
        return None
    have = f"{len(present)} other MIG instance{'s' if len(present) > 1 else ''}" if present else "no MIG instance"
    name = present[0] if present else "0"
    return Finding(
        summary=f"CUDA_VISIBLE_DEVICES asks for {wrong[0]}, and this machine has {have}.",
        evidence=(fact("environment.CUDA_VISIBLE_DEVICES", repr(value)), fact("gpu.mig_instances", present or None)),
        fixes=(
            Fix(
                title="Name a device that is there" if present else "Use the whole GPU",
                commands=(LIST, f"export CUDA_VISIBLE_DEVICES={name}"),
                verify=LIST,
            ),
            *((_make(machine, [g for g in gpus if g.mig_enabled]),) if not present else ()),
        ),
    )


def _without_instances(machine: Snapshot, gpus: tuple[Gpu, ...]) -> Finding | None:
    empty = [gpu for gpu in gpus if gpu.mig_enabled and gpu.mig_instances == ()]
    if not empty:
        return None
    # A job that was given another GPU by number sees that one.
    partly = len(empty) < len(gpus)
    if partly and cuda_starts(machine) is False and not machine.variable("CUDA_VISIBLE_DEVICES"):
        partly = False
    if cuda_starts(machine) and not partly:
        return None  # CUDA has found an instance that NVML did not show
    indices = ", ".join(str(gpu.index) for gpu in empty)
    return Finding(
        summary=f"MIG is on for GPU {indices} and no instance has been made, so CUDA cannot use "
        + ("it." if len(empty) == 1 else "them."),
        severity=Severity.WARNING if partly else None,
        evidence=tuple(
            evidence
            for gpu in empty[:4]
            for evidence in (fact(f"gpu {gpu.index}.mig_enabled", True), fact(f"gpu {gpu.index}.mig_instances", None))
        ),
        fixes=(
            _make(machine, empty),
            Fix(
                title="Switch MIG off and use the whole GPU",
                commands=(f"sudo nvidia-smi -i {indices.replace(' ', '')} -mig 0{_where(machine)}",),
                needs_root=True,
                note="Every program on the GPU must have ended; some systems apply it at the next reset or reboot.",
                verify="nvidia-smi --query-gpu=index,mig.mode.current --format=csv",
            ),
        ),
    )


def _make(machine: Snapshot, gpus: list[Gpu]) -> Fix:
    which = f" -i {','.join(str(gpu.index) for gpu in gpus)}" if gpus else ""
    return Fix(
        title="Make instances: here one as large as the GPU, others from the list",
        commands=(
            f"sudo nvidia-smi mig{which} -lgip   # the profiles there are",
            f"sudo nvidia-smi mig{which} -cgi 0 -C{_where(machine)}   # profile 0: the whole GPU",
        ),
        needs_root=True,
        verify=LIST,
    )


def _where(machine: Snapshot) -> str:
    return "   # on the host" if in_container(machine) else ""
