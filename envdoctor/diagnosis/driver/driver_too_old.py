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

import re

from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.repairs.python_environment import fitting_torch
from envdoctor.diagnosis.repairs.torch_install import install_torch
from envdoctor.diagnosis.reported_errors import driver_on_disk
from envdoctor.diagnosis.snapshot_queries import bus_gpus, driver_platform
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.numbers import cuda_version
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.loader_errors import Said, said
from envdoctor.reading.messages.message_files import beside

# torch/csrc/cuda/Module.cpp and c10/cuda/CUDAFunctions.cpp; the number is cudaDriverGetVersion's.
_TOO_OLD = re.compile(r"NVIDIA driver on your system is too old \(found version (\d{4,5})\)")


MESSAGES = beside(__file__)


@diagnosis(
    "driver-too-old",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    follows_from=(
        "gpu-legacy-driver-dropped",
        "driver-too-old-for-gpu",
        "driver-not-loaded",
        "driver-library-mismatch",
        "forward-compat-broken",
    ),
    messages=MESSAGES,
    fits=lambda machine, _: True if _newer_than_driver(machine) is not None or _torch_says_so(machine) else None,
    remedy=lambda machine, world: (install_driver(machine, world, update=True),),
)
def driver_too_old(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch, version = machine.torch, driver_on_disk(machine)
    if (newer := _newer_than_driver(machine)) is not None:
        return _by_newer_code(newer, machine, world)
    if bus_gpus(machine) == 0 or (torch is not None and torch.run is not None and torch.run.cuda_available):
        return None
    platform = driver_platform(machine)
    if torch is None or torch.cuda is None or version is None or platform is None:
        return _by_torchs_word(machine, world)
    needed = world.minimum_driver(torch.cuda, platform)
    if needed is None or Version(version) >= Version(needed) or _libcuda_suffices(machine, torch.cuda):
        return None
    fixes = [install_driver(machine, world, minimum=needed, update=True)]
    build = fitting_torch(machine, world, device="cuda")
    if build is not None:
        fixes.insert(
            0, install_torch(machine, world, build, why=f"the newest that runs on driver {version}, no root needed")
        )
    name = f"torch {torch.version}" if torch.version else "torch"
    return Finding(
        summary=f"{name} carries CUDA {torch.cuda}, which needs driver {needed} or newer; this machine has {version}.",
        evidence=(
            fact("driver.version", version),
            fact("torch.cuda", torch.cuda),
            *(fact("torch.run.warnings", w) for w in (torch.run.warnings if torch.run else ()) if "too old" in w),
        ),
        fixes=tuple(fixes),
    )


def _torch_says_so(machine: Snapshot) -> bool:
    """torch asked CUDA, which refused the driver: whatever a version that stands in the text would do."""
    run = machine.torch.run if machine.torch else None
    return any(_TOO_OLD.search(text) for text in (*(run.warnings if run else ()), *machine.messages))


def _newer_than_driver(machine: Snapshot) -> Said | None:
    """What comes while CUDA runs: error 222, since the driver's own compiler is older than the PTX that it was given; and a
    function that libcuda does not have yet."""
    if next(said(machine), None) is None:
        return None
    return first_said(machine, MESSAGES.group("ptx")) or first_said(machine, MESSAGES.group("lacks"), least=0.8)


def _by_newer_code(words: Said, machine: Snapshot, world: Knowledge) -> Finding:
    """Minor version compatibility does not cover PTX: that needs the driver of the toolkit that made it, or a newer one."""
    torch, version = machine.torch, driver_on_disk(machine)
    cuda = torch.cuda if torch else None
    needed = world.toolkit_driver(cuda, driver_platform(machine) or "linux_x86_64") if cuda else None
    older = needed is not None and version is not None and Version(version) < Version(needed)
    has = f"driver {version}" if version else "the driver"
    return Finding(
        summary=f"Code that was made for a newer CUDA than {has} knows asks it for what it does not have"
        + (f"; CUDA {cuda} came with driver {needed}." if older else "."),
        evidence=(
            words.evidence(),
            *((fact("driver.version", version),) if version else ()),
            *((fact("torch.cuda", cuda),) if cuda else ()),
        ),
        fixes=(install_driver(machine, world, minimum=needed if older else None, update=True),),
        confidence=0.9,
    )


def _by_torchs_word(machine: Snapshot, world: Knowledge) -> Finding | None:
    """torch has compared the two itself, and says which CUDA the driver knows: 12080 is 12.8."""
    run = machine.torch.run if machine.torch else None
    texts = (*(run.warnings if run else ()), (run.cuda_error or "") if run else "", *machine.messages)
    said = next((match for text in texts if (match := _TOO_OLD.search(text))), None)
    if said is None:
        return None
    known = cuda_version(int(said[1]))
    cuda = machine.torch.cuda if machine.torch else None
    needed = world.minimum_driver(cuda, driver_platform(machine) or "linux_x86_64") if cuda else None
    # Which build runs on a driver, its version tells.
    build = fitting_torch(machine, world, device="cuda") if machine.driver_version else None
    return Finding(
        summary=f"torch says that the NVIDIA driver is too old for it: the driver knows CUDA {known}"
        + (f", and torch was built for {cuda}." if cuda else "."),
        evidence=(fact("torch", said[0]), *((fact("torch.cuda", cuda),) if cuda else ())),
        fixes=(
            *((install_torch(machine, world, build, why="the newest that runs on this driver"),) if build else ()),
            install_driver(machine, world, minimum=needed, update=True),
        ),
    )


def _libcuda_suffices(machine: Snapshot, cuda: str) -> bool:
    """Whether the libcuda that answered is new enough by itself: a working forward-compatibility package."""
    answer = machine.cuda_driver
    if answer is None or answer.init_code != 0 or answer.version is None:
        return False
    return Version(answer.version).major >= Version(cuda).major
