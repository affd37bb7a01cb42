"""A compiled extension has no code for this GPU, while torch has.

What it is
    A CUDA extension is compiled for a list of GPU architectures, by default those of the machine that built it. On another GPU:
    'no kernel image is available for execution on the device', although torch itself computes there.

Told apart by
    The architectures that the extension names against the visible GPUs; or that error, where torch is known to have code for
    every GPU. When torch lacks the code it is `gpu-arch-too-new-for-torch` or `-too-old-`.

Repair
    Compile the extension for the GPUs that are here (TORCH_CUDA_ARCH_LIST), or take a build that has them.

Sources
    torch/utils/cpp_extension.py, `_get_cuda_arch_flags`
"""

from __future__ import annotations

from envdoctor.diagnosis.architecture import CodeSource, device_code, has_code
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.extension import compile_for_gpus
from envdoctor.diagnosis.snapshot_queries import plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import MachineGpu, visible_gpus
from envdoctor.reading.messages.loader_errors import first_saying
from envdoctor.reading.messages.message_files import beside

NO_IMAGE = ("no kernel image is available", "invalid device function", "CUDA_ERROR_NO_BINARY_FOR_GPU")


def fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Whether torch itself has code for the GPUs, so that the missing code must be an add-on's."""
    code = device_code(machine, world)
    if code is None or code.too_new or code.too_old:
        return None if code is None else False
    return None if code.source is CodeSource.TOOLKIT else True


MESSAGES = beside(__file__)


@diagnosis(
    "extension-arch-missing",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch", "toolkit-mismatch"),
    messages=MESSAGES,
    remedy=lambda machine, _: (compile_for_gpus(machine, None, ()),),
    fits=fits,
)
def extension_arch_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    gpus = [gpu for gpu in visible_gpus(machine, world) or () if gpu.capability]
    said = first_saying(machine, *NO_IMAGE)
    for build in (machine.interpreter.extension_builds or ()) if machine.interpreter else ():
        flags = build.arch_flags
        if not flags or build.cuda == "":
            continue
        without = [g for g in gpus if g.capability and not world.runs_on(flags, g.capability, build.cuda or None)]
        if without:
            return Finding(
                summary=f"{build.distribution} was compiled for {' '.join(flags)}: it has no code for {plain_list(without)}.",
                severity=None if said or len(without) == len(gpus) else Severity.WARNING,
                evidence=(
                    fact("interpreter.extension_builds", f"{build.distribution}: {' '.join(flags)}"),
                    *(fact(f"{gpu.capability_from}.compute_capability", str(gpu)) for gpu in without),
                    *((said.evidence(),) if said else ()),
                ),
                fixes=(compile_for_gpus(machine, build.distribution, gpus),),
            )
    if said is None or not gpus or not _torch_has_code(machine, world, gpus):
        return None
    return Finding(
        summary=f"torch has code for {plain_list(gpus)}, and something else in the process has none: a compiled extension.",
        evidence=(said.evidence(), *_proof(machine)),
        fixes=(compile_for_gpus(machine, None, gpus),),
        confidence=0.8,
    )


def _torch_has_code(machine: Snapshot, world: Knowledge, gpus: list[MachineGpu]) -> bool:
    torch = machine.torch
    if torch is None or torch.build != "cuda":
        return False
    if torch.run is not None and torch.run.computation == "ok":
        return True
    # Words of torch itself about its own kernels would contradict its flags.
    flags = torch.arch_flags
    failed = torch.run is not None and torch.run.computation is not None
    if not flags or failed or not has_code(machine, world):
        return False
    return all(gpu.capability and world.runs_natively(flags, gpu.capability, torch.cuda) for gpu in gpus)


def _proof(machine: Snapshot) -> tuple[Evidence, ...]:
    torch = machine.torch
    if torch is not None and torch.run is not None and torch.run.computation == "ok":
        return (fact("torch.run.computation", "ok"),)
    return (fact("torch.arch_flags", " ".join(torch.arch_flags)),) if torch and torch.arch_flags else ()
