"""The NVIDIA driver predates the CUDA runtime inside the installed torch.

What it is
    Every torch wheel carries a CUDA runtime, and each CUDA major version needs a driver of a certain age. With an older one
    torch.cuda.is_available() is False and torch warns that 'the NVIDIA driver on your system is too old'.

Told apart by
    Minor-version compatibility decides: any CUDA 12.x runs from driver 525.60.13 on and any 13.x from 580 on (Linux), so
    driver 535 with a cu128 build is healthy, whatever version nvidia-smi's header names. A cuda-compat libcuda
    may lift the limit on data-centre GPUs: where cuInit answers with a new enough version, this stays silent. A driver that
    does not know the GPU at all is `driver-too-old-for-gpu`.

Repair
    Without root: a torch build for an older CUDA, if one still has code for the GPU. With root: a newer driver.

Sources
    docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html; torch/cuda/__init__.py, `_check_driver`
"""

from __future__ import annotations

from packaging.version import Version

from envdoctor.diagnosis.driver_repairs import install_driver
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis, fact
from envdoctor.diagnosis.reading import bus_gpus, driver_platform
from envdoctor.diagnosis.repairs import fitting_torch, install_torch
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge


@diagnosis(
    "driver-too-old",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    follows_from=("driver-not-loaded", "driver-library-mismatch"),
)
def driver_too_old(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch, version = machine.torch, machine.driver_version
    if torch is None or torch.cuda is None or version is None or bus_gpus(machine) == 0:
        return None
    platform = driver_platform(machine)
    if platform is None or (torch.run is not None and torch.run.cuda_available):
        return None
    needed = world.minimum_driver(torch.cuda, platform)
    if needed is None or Version(version) >= Version(needed) or _libcuda_suffices(machine, torch.cuda):
        return None
    fixes = [install_driver(machine, world, minimum=needed, update=True)]
    build = fitting_torch(machine, world)
    if build is not None:
        fixes.insert(0, install_torch(machine, build, why=f"the newest that runs on driver {version}, no root needed"))
    return Finding(
        summary=f"torch {torch.version} carries CUDA {torch.cuda}, which needs driver {needed} or newer; "
        f"this machine has {version}.",
        evidence=(
            fact("driver.version", version),
            fact("torch.cuda", torch.cuda),
            *(fact("torch.run.warnings", w) for w in (torch.run.warnings if torch.run else ()) if "too old" in w),
        ),
        fixes=tuple(fixes),
    )


def _libcuda_suffices(machine: Snapshot, cuda: str) -> bool:
    """Whether the libcuda that answered is new enough by itself: a working forward-compatibility package."""
    answer = machine.cuda_driver
    if answer is None or answer.init_code != 0 or answer.version is None:
        return False
    return Version(answer.version).major >= Version(cuda).major
