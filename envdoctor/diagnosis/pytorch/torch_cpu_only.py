"""The installed torch is a CPU build, which no GPU can be used with.

What it is
    torch comes in builds with and without CUDA. The CPU build imports and computes, but torch.cuda.is_available() is False
    and `.cuda()` fails with 'Torch not compiled with CUDA enabled'. On Windows, PyPI has CPU builds only; on Linux they come
    from the `cpu` channel, from conda, or from a lock file made on another machine.

Told apart by
    torch/version.py names no CUDA, ROCm or XPU, while NVML lists a GPU that some published build can use. Without a
    GPU, without a driver, or with every GPU hidden on purpose, a CPU build is the right one.

Repair
    Replace it by the CUDA build of the same release where there is one that this machine can run, else by the newest.
    Remove the CPU build first: pip counts 2.14.1+cpu as torch==2.14.1 and would keep it.

Sources
    pytorch.org/get-started/locally; torch/cuda/__init__.py, `_lazy_init`
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.device_code import arch_fixes
from envdoctor.diagnosis.repairs.installation import installation, uses_conda
from envdoctor.diagnosis.repairs.python_environment import fitting_torch
from envdoctor.diagnosis.repairs.torch_install import for_other_gpus, install_torch, which_gpu
from envdoctor.diagnosis.snapshot_queries import is_tegra, plain_list
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Torch
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import machine_gpus
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "torch-cpu-only",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("driver-missing", "driver-not-loaded", "driver-library-mismatch", "container-no-gpu"),
    messages=MESSAGES,
    remedy=lambda machine, world: _with_cuda(machine, world),  # noqa: PLW0108  it stands below
    fits=lambda machine, world: _a_cpu_build(machine, world),  # noqa: PLW0108
)
def torch_cpu_only(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch, host = machine.torch, machine.host
    if torch is not None and torch.build is None and torch.run is not None and torch.run.cuda_available is False:
        return _of_pypi_on_a_jetson(machine, world, torch)
    if torch is None or torch.build != "cpu" or not (machine.gpus or _driver_alone(machine)):
        return _wanted(machine)
    if host is not None and host.system == "Darwin":
        return None
    visible = machine.variable("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return None
    same = fitting_torch(machine, world, torch=f"=={torch.release}") if torch.release else None
    newest = fitting_torch(machine, world)
    anyhow = newest or fitting_torch(machine, world, driver=False)
    known = host is not None and host.platform is not None
    present = machine_gpus(machine, world) or ()
    # A Jetson's builds come from NVIDIA, and are not in the table.
    jetson = any(gpu.record is not None and gpu.record.kind == "jetson" for gpu in present)
    if known and anyhow is None and not jetson and all(gpu.capability for gpu in present):
        return None  # no published build runs on this GPU, so it is not a usable one
    fixes = []
    if same is not None:
        fixes.append(install_torch(machine, world, same, why="the CUDA build of the release you have"))
    if newest is not None and (same is None or newest.torch != same.torch):
        fixes.append(install_torch(machine, world, newest, why="the newest that runs here"))
    names = plain_list([gpu.name for gpu in machine_gpus(machine, world) or ()])
    if not machine.gpus:
        names = "the GPU that its NVIDIA driver is for"
    return Finding(
        summary=f"torch {torch.version} was built without CUDA, so it cannot use {names}.",
        evidence=(
            fact("torch.version", torch.version),
            fact("torch.build", "cpu"),
            fact("nvml.gpus", names),
            *((fact("driver.version", machine.driver_version),) if machine.driver_version else ()),
        ),
        fixes=tuple(fixes),
    )


def _wanted(machine: Snapshot) -> Finding | None:
    """A text that tells of a CUDA toolkit beside a CPU build, and nothing of GPUs: somebody means to use one."""
    torch, toolkit = machine.torch, machine.toolkit
    looked = machine.pci is not None or machine.gpus is not None or machine.nvml is not None
    if torch is None or torch.build != "cpu" or looked or toolkit is None or not toolkit.nvcc:
        return None
    return Finding(
        summary=f"torch {torch.version} was built without CUDA, and a CUDA toolkit ({toolkit.nvcc[0].version}) is installed; "
        "torch brings its own CUDA and needs a GPU build.",
        severity=Severity.WARNING,
        evidence=(fact("torch.build", "cpu"), fact("toolkit.nvcc", toolkit.nvcc[0].version)),
        confidence=0.6,
    )


def _of_pypi_on_a_jetson(machine: Snapshot, world: Knowledge, torch: Torch) -> Finding | None:
    """A release as PyPI names its own, a CPU build for 64-bit Arm, on a Jetson where CUDA is not available."""
    jetson = is_tegra(machine) or any(
        gpu.record is not None and gpu.record.kind == "jetson" for gpu in machine_gpus(machine, world) or ()
    )
    release = torch.version if torch.version and torch.version.replace(".", "").isdigit() else None
    builds = [build for build in world.torch_builds(release) if build.platform == "linux_aarch64"] if release else []
    # PyPI's build has no address of its own in the table; a release whose only builds for Arm are without CUDA is surely one.
    if not jetson or not builds or any(build.cuda for build in builds):
        return None
    return Finding(
        summary=f"PyPI's torch {torch.version} for 64-bit Arm is built without CUDA; a Jetson's comes from NVIDIA.",
        evidence=(fact("torch.version", torch.version), fact("torch.run.cuda_available", False)),
        fixes=_with_cuda(machine, world),
        confidence=0.7,
    )


def _driver_alone(machine: Snapshot) -> bool:
    """An NVIDIA driver runs, and neither the bus nor NVML was asked which GPUs it is for (a dump, a note)."""
    return machine.driver_version is not None and machine.gpus is None and machine.pci is None


def _a_cpu_build(machine: Snapshot, world: Knowledge) -> bool | None:
    """What a complaint about CUDA means where the build is known."""
    torch = machine.torch
    if torch is None or (machine.host is not None and machine.host.system == "Darwin"):
        return None
    if torch.build is None:
        # PyPI's wheels for Windows are builds for the CPU, and the only ones without a tag.
        windows = machine.host is not None and machine.host.system == "Windows"
        return True if windows and torch.version and "+" not in torch.version and not uses_conda(machine) else None
    return torch.build == "cpu" or None


def _with_cuda(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """Where only the message is known: which CUDA build is right, the GPU and its driver decide."""
    here = installation(machine, world)
    if here.of_other_gpus or here.image is not None:
        return (for_other_gpus(machine, world, here),)
    if any(gpu.capability for gpu in machine_gpus(machine, world) or ()):
        return arch_fixes(machine, world)
    return (
        which_gpu(
            "Replace it by a build with CUDA: which one, the GPU and its driver decide",
            "For the newest GPUs and drivers it is PyPI's on Linux; on Windows PyPI has none. Where this shows no NVIDIA GPU, "
            "the CPU build is the right one.",
        ),
    )
