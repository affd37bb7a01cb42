"""torchvision was built for another torch, or for another CUDA variant.

What it is
    Each torchvision release is compiled against exactly one torch release. With another one its operators do not load:
    'operator torchvision::nms does not exist', undefined symbols, or 'compiled with different CUDA major versions'.

Told apart by
    torchvision's own metadata pins the torch it was built for (`Requires-Dist: torch==2.15.0`); where there is none (a dump),
    the table of releases speaks. The local version tags (+cu126, +cpu) tell the variants apart: a different CUDA major version
    or a CPU torchvision beside a CUDA torch is a mismatch, different minors of one CUDA are not.

Repair
    The torchvision that goes with the torch that is there, from the same channel.

Sources
    torchvision/extension.py, `_check_cuda_version`; github.com/pytorch/vision#installation
"""

from __future__ import annotations

from packaging.requirements import Requirement

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis, fact
from envdoctor.diagnosis.repairs import reinstall
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Torch
from envdoctor.knowledge import Knowledge


@diagnosis("torchvision-mismatch", layer=Layer.PYTORCH, severity=Severity.ERROR)
def torchvision_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, torch = machine.interpreter, machine.torch
    vision = interpreter.distribution("torchvision") if interpreter else None
    if interpreter is None or torch is None or torch.version is None or vision is None or vision.version is None:
        return None
    built_for = _built_for(machine, world)
    if built_for is not None:
        return Finding(
            summary=f"torchvision {vision.version} was built for torch {built_for}; torch {torch.version} is installed.",
            evidence=(
                fact("torchvision.version", vision.version),
                fact("torchvision.requires", f"torch=={built_for}"),
                fact("torch.version", torch.version),
            ),
            fixes=_fixes(machine, torch, world),
        )
    ours, theirs = _variant(torch.version), _variant(vision.version)
    if ours is None or theirs is None or not _variants_clash(ours, theirs):
        return None
    return Finding(
        summary=f"torchvision {vision.version} and torch {torch.version} are builds for different devices "
        f"({theirs} and {ours}): torchvision's CUDA operators will fail.",
        evidence=(fact("torchvision.version", vision.version), fact("torch.version", torch.version)),
        fixes=_fixes(machine, torch, world),
    )


def _built_for(machine: Snapshot, world: Knowledge) -> str | None:
    """The torch release that the installed torchvision was built for, when it is not the one that is there."""
    interpreter, torch = machine.interpreter, machine.torch
    assert interpreter is not None and torch is not None
    vision = interpreter.distribution("torchvision")
    assert vision is not None and vision.version is not None
    if interpreter.broken_pins is not None:
        for pin in interpreter.broken_pins:
            requirement = Requirement(pin.requirement)
            if pin.distribution == "torchvision" and requirement.name == "torch":
                return str(requirement.specifier).removeprefix("==")
        return None
    release = torch.release or ""
    # Alpha versions are source builds (NGC images, conda), made together with the torch beside them.
    if any("a0" in version for version in (release, vision.version)):
        return None
    expected = world.torch_for_torchvision(vision.version.partition("+")[0])
    return expected if expected is not None and expected != release and world.torch_release(release) else None


def _variant(version: str) -> str | None:
    """'cpu', 'cu126' or 'rocm6.4' from the local version; None where there is none."""
    local = version.partition("+")[2]
    return local if local.startswith(("cpu", "cu", "rocm")) else None


def _variants_clash(torch: str, vision: str) -> bool:
    def family(variant: str) -> str:
        return variant[:4] if variant.startswith("cu1") else "rocm" if variant.startswith("rocm") else variant

    return family(torch) != family(vision)


def _fixes(machine: Snapshot, torch: Torch, world: Knowledge) -> tuple[Fix, ...]:
    release = torch.release or ""
    wanted = world.torchvision_for(release)
    if wanted is None:
        return ()
    platform = machine.host.platform if machine.host else None
    local = _variant(torch.version or "")
    for build in world.torch_builds(release):
        right = build.variant == local if local else build.cuda == torch.cuda
        if build.torch == release and build.platform == platform and right:
            return (
                reinstall(
                    machine,
                    [f"torchvision=={wanted}"],
                    build.index_url,
                    title=f"Install torchvision {wanted}, made for torch {release}",
                ),
            )
    return ()
