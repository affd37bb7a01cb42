"""The GPU takes no program, or another one holds it.

What it is
    A GPU has a compute mode: 'default' shares it, 'exclusive process' gives it to one program at a time, 'prohibited'
    to none. In the last two, a second program fails with 'all CUDA-capable devices are busy or unavailable' (error 46).

Told apart by
    The compute mode that NVML reports, with the programs that it lists on the GPU; or error 46. Exclusive mode with no
    program on it is usable, and what shares the GPU through NVIDIA MPS works as well. Full memory is `out-of-memory`.

Repair
    Wait for the other program or end it; use another GPU; or set the mode back to default (root).

Sources
    nvidia-smi(1), '--compute-mode'; cuda.h: CUDA_ERROR_DEVICE_UNAVAILABLE (46)
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.reported_errors import UNAVAILABLE, cuda_errors
from envdoctor.diagnosis.snapshot_queries import in_container
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge
from envdoctor.planning.visible_devices import select_devices
from envdoctor.reading.messages.message_files import beside

EXCLUSIVE = ("exclusive_process", "exclusive_thread")


MESSAGES = beside(__file__)


@diagnosis(
    "device-busy-or-exclusive",
    layer=Layer.GPU,
    severity=Severity.ERROR,
    follows_from=("gpu-lost", "driver-library-mismatch"),
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine, [], []),
)
def device_busy_or_exclusive(machine: Snapshot, world: Knowledge) -> Finding | None:
    errors = cuda_errors(machine, {UNAVAILABLE: MESSAGES.group("named")})
    run = machine.torch.run if machine.torch else None
    computes = run is not None and run.computation == "ok"
    visible = visible_on_nvml(machine)
    closed = [gpu for gpu in visible if gpu.compute_mode == "prohibited"]
    held = [gpu for gpu in visible if gpu.compute_mode in EXCLUSIVE and _compute(gpu)]
    # In exclusive mode without a listed program the holder lives where NVML does not look (another container).
    unseen = (
        [gpu for gpu in visible if gpu.compute_mode in EXCLUSIVE and gpu not in held] if UNAVAILABLE in errors else []
    )
    shut = [*closed, *held, *unseen]
    if not shut and UNAVAILABLE not in errors:
        return None
    # A computation that came out right has found a GPU; MPS lets several programs share an exclusive one.
    if computes and (not closed or len(closed) == len(visible)):
        return None
    partly = bool(visible) and len(shut) < len(visible) and UNAVAILABLE not in errors
    if partly and not closed:
        return None  # each job has its GPU, and one is free
    evidence = [fact(f"gpu {gpu.index}.compute_mode", gpu.compute_mode) for gpu in shut[:4]]
    evidence += [fact(f"gpu {gpu.index}.processes", _names(gpu)) for gpu in held[:4]]
    evidence += [errors[UNAVAILABLE]] if UNAVAILABLE in errors else []
    if closed:
        indices = ", ".join(str(gpu.index) for gpu in closed)
        summary = f"The compute mode of GPU {indices} is 'prohibited': no CUDA program may use it."
    elif held:
        summary = f"GPU {held[0].index} is in exclusive mode, and another program holds it ({_names(held[0])})."
    elif unseen:
        summary = (
            f"GPU {unseen[0].index} is in exclusive mode, and CUDA says that it is busy: another program holds it."
        )
    else:
        summary = (
            "CUDA says that the GPU is busy or unavailable (error 46): a program holds it in exclusive mode, or it hangs; "
            "`nvidia-smi` shows mode and programs."
        )
    return Finding(
        summary=summary,
        severity=Severity.WARNING if partly else None,
        evidence=tuple(evidence),
        fixes=_fixes(machine, shut, held),
        confidence=1.0 if shut else 0.5,
    )


def visible_on_nvml(machine: Snapshot) -> list[Gpu]:
    present, selection = machine.gpus or (), machine.variable("CUDA_VISIBLE_DEVICES")
    if selection is None or "MIG" in selection.upper():
        return list(present)
    return [present[position] for position in select_devices(selection, present)[0]]


def _compute(gpu: Gpu) -> bool:
    # The server of NVIDIA MPS holds an exclusive GPU for everybody.
    return any(p.kind == "compute" and "nvidia-cuda-mps" not in (p.name or "") for p in gpu.processes or ())


def _names(gpu: Gpu) -> str:
    found = [p for p in gpu.processes or () if p.kind == "compute"]
    return ", ".join(f"{p.name or 'process'} (pid {p.pid})" for p in found[:3])


def _fixes(machine: Snapshot, shut: list[Gpu], held: list[Gpu]) -> tuple[Fix, ...]:
    where = "   # on the host" if in_container(machine) else ""
    look = "nvidia-smi --query-compute-apps=gpu_uuid,pid,name,used_memory --format=csv"
    modes = tuple(f"sudo nvidia-smi -i {gpu.index} -c DEFAULT{where}" for gpu in shut[:8]) or (
        f"sudo nvidia-smi -c DEFAULT{where}",
    )
    share = Fix(
        title="Set the compute mode back to default, so that programs share the GPU",
        commands=modes,
        needs_root=True,
        note="On a shared cluster the mode is the administrator's choice: ask first.",
        verify="nvidia-smi --query-gpu=index,compute_mode --format=csv",
    )
    wait = Fix(
        title="Wait for the other program, or end it if it is yours",
        commands=(
            look,
            *(f"kill {p.pid}" for gpu in held[:1] for p in (gpu.processes or ())[:1] if p.kind == "compute"),
        ),
        verify=look,
    )
    return (wait, share) if held or not shut else (share, wait)
