"""The cuDNN that torch finds does not go with its build, or with the GPU.

What it is
    torch accepts a cuDNN of the major version it was built with and of the same or a newer minor. Newer cuDNN has dropped old
    GPUs: torch then says 'cuDNN version ... is not compatible with devices with SM < 7.5', or convolutions find no kernel.
    cuDNN's own parts must all be of one version.

Told apart by
    The version that torch reports against the one it was built with; the version against the GPU's compute capability; cuDNN's
    word SUBLIBRARY_VERSION_MISMATCH. A convolution that came out right overrules all of it. When the wrong one comes from the
    loader's path it is `cudnn-shadowed`, when it is a wheel that torch does not pin, `nvidia-wheels-mismatch`.

Repair
    The cuDNN that torch pins; for a GPU that cuDNN has dropped, the newest torch that still serves it.

Sources
    torch/backends/cudnn/__init__.py, `_init`; docs.nvidia.com/deeplearning/cudnn, support matrix; device code in the wheels
"""

from __future__ import annotations

from envdoctor.diagnosis import cudnn_facts
from envdoctor.diagnosis.architecture import device_code
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.device_code import arch_fixes
from envdoctor.diagnosis.repairs.installation import uses_conda
from envdoctor.diagnosis.repairs.python_environment import conda_install, pinned, reinstall
from envdoctor.diagnosis.repairs.torch_install import restore_torch
from envdoctor.diagnosis.snapshot_queries import plain_list
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import visible_gpus
from envdoctor.reading.messages.loader_errors import first_saying, loader_errors
from envdoctor.reading.messages.message_files import beside

SAID = (
    "cuDNN version incompatibility",
    "SUBLIBRARY_VERSION_MISMATCH",
    "CUDNN_STATUS_VERSION_MISMATCH",
    "cuDNN version mismatch: PyTorch was compiled",
    "is not compatible with devices with SM <",
)


MESSAGES = beside(__file__)


@diagnosis(
    "cudnn-version-mismatch",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    follows_from=("cudnn-shadowed", "nvidia-wheels-mismatch", "gpu-arch-too-old-for-torch", "torch-duplicate-install"),
    messages=MESSAGES,
    remedy=lambda machine, world: _fixes(machine, world, None),
    fits=lambda machine, world: False if _gpus_unknown_to_torch(machine, world) else None,
)
def cudnn_version_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch = machine.torch
    run = torch.run if torch else None
    if run is not None and run.cudnn_convolution == "ok":
        return None
    have, need = cudnn_facts.found(machine), cudnn_facts.built(machine)
    evidence = (
        *((fact("torch.run.cudnn_version", have),) if have else ()),
        *((fact("torch.cudnn_built", need),) if need else ()),
    )
    # Where torch's own kernels were seen to fail for want of code, cuDNN's are beside the point.
    code = device_code(machine, world) if run is not None and run.computation is not None else None
    dropped = [
        gpu
        for gpu in visible_gpus(machine, world) or ()
        if have
        and not (code and gpu in code.too_new + code.too_old)
        and torch
        and torch.cuda
        and gpu.capability
        and world.cudnn_supports(have, torch.cuda, gpu.capability) is False
    ]
    refused = (e.said for e in loader_errors(machine) if e.kind == "symbol" and e.wanted.startswith("cudnn"))
    said = first_saying(machine, *SAID) or next(refused, None)
    if dropped or (said is not None and "with SM <" in said.text):
        names = plain_list(dropped) if dropped else "this GPU"
        return Finding(
            summary=f"cuDNN {have or 'here'} has no kernels for {names}: convolutions will fail.",
            evidence=(
                *evidence,
                *((said.evidence(),) if said else ()),
                *(fact(g.capability_from, str(g)) for g in dropped),
            ),
            fixes=(*_pinned_again(machine, world, have, need), *arch_fixes(machine, world)),
            confidence=0.8,
        )
    if cudnn_facts.fits(have, need) is False:
        return Finding(
            summary=f"torch was built with cuDNN {need} and finds {have}, which it refuses.",
            evidence=evidence,
            fixes=_fixes(machine, world, need),
        )
    if said is None:
        return None
    return Finding(
        summary="cuDNN refuses to work: the version that is found is not the one that is needed"
        + (f" ({need})." if need else "."),
        evidence=(said.evidence(), *evidence),
        fixes=_fixes(machine, world, need),
        confidence=0.8,
    )


def _gpus_unknown_to_torch(machine: Snapshot, world: Knowledge) -> bool:
    """Whether every GPU is newer than all code of torch: its cuDNN, of the same time, has no kernels for them either."""
    code = device_code(machine, world)
    return code is not None and bool(code.too_new) and not code.running


def _pinned_again(machine: Snapshot, world: Knowledge, have: str | None, need: str | None) -> tuple[Fix, ...]:
    """Going back to the cuDNN of the build helps where somebody put a newer one in."""
    return _fixes(machine, world, need) if have and need and not need.startswith(have) else ()


def _fixes(machine: Snapshot, world: Knowledge, need: str | None) -> tuple[Fix, ...]:
    if uses_conda(machine) and need:
        version = ".".join(need.split(".")[:2])
        return (
            conda_install(machine, [f"cudnn={version}"], title=f"Install cuDNN {version}, which torch was built with"),
        )
    requirements = pinned(machine, world, [f"nvidia-cudnn-cu{major}" for major in (11, 12, 13, 14)])
    if requirements:
        return (reinstall(machine, requirements, None, title=f"Install {requirements[0]}, which torch pins"),)
    return (restore_torch(machine, world),)
