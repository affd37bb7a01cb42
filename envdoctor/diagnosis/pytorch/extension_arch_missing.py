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

from envdoctor.diagnosis.architecture import code_gap
from envdoctor.diagnosis.loader_errors import first_saying
from envdoctor.diagnosis.model import Evidence, Finding, Fix, Layer, Severity, diagnosis, fact
from envdoctor.diagnosis.reading import GpuFacts, plain_list, visible_gpus
from envdoctor.diagnosis.repairs import install_into
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge

NO_IMAGE = ("no kernel image is available", "invalid device function", "CUDA_ERROR_NO_BINARY_FOR_GPU")


@diagnosis(
    "extension-arch-missing",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch", "toolkit-mismatch"),
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
                    *(fact(f"{gpu.fact}.compute_capability", str(gpu)) for gpu in without),
                    *((said.evidence(),) if said else ()),
                ),
                fixes=(_rebuild(machine, build.distribution, gpus),),
            )
    if said is None or not gpus or not _torch_has_code(machine, world, gpus):
        return None
    return Finding(
        summary=f"torch has code for {plain_list(gpus)}, and something else in the process has none: a compiled extension.",
        evidence=(said.evidence(), *_proof(machine)),
        fixes=(_rebuild(machine, "NAME", gpus),),
        confidence=0.8,
    )


def _torch_has_code(machine: Snapshot, world: Knowledge, gpus: list[GpuFacts]) -> bool:
    torch = machine.torch
    if torch is None or torch.build != "cuda":
        return False
    if torch.run is not None and torch.run.computation == "ok":
        return True
    # Words of torch itself about its own kernels would contradict its flags.
    flags = torch.arch_flags
    failed = torch.run is not None and torch.run.computation is not None
    if not flags or failed or code_gap(machine, world) is not None:
        return False
    return all(gpu.capability and world.runs_natively(flags, gpu.capability, torch.cuda) for gpu in gpus)


def _proof(machine: Snapshot) -> tuple[Evidence, ...]:
    torch = machine.torch
    if torch is not None and torch.run is not None and torch.run.computation == "ok":
        return (fact("torch.run.computation", "ok"),)
    return (fact("torch.arch_flags", " ".join(torch.arch_flags)),) if torch and torch.arch_flags else ()


def _rebuild(machine: Snapshot, name: str, gpus: list[GpuFacts]) -> Fix:
    wanted = ";".join(sorted({gpu.capability for gpu in gpus if gpu.capability}))
    fix = install_into(
        machine,
        ["--no-cache-dir", "--force-reinstall", "--no-deps", "--no-build-isolation", f"--no-binary={name}", name],
        title="",
    )
    return Fix(
        title=f"Compile {'the extension' if name == 'NAME' else name} for the GPUs that are here",
        commands=(f'export TORCH_CUDA_ARCH_LIST="{wanted}"', fix.commands[0]),
        note="In a checkout: remove its build folder, then `pip install --no-build-isolation .` with the variable set. "
        "A newer release may have a wheel with this GPU.",
    )
