"""Which causes a machine's facts rule out, and in which words. Unknown facts rule out nothing."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from envdoctor.diagnosis.reported_errors import cuda_starts
from envdoctor.diagnosis.snapshot_queries import bus_gpus, driver_platform, in_container
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import visible_gpus

# With any of these CUDA does not start. A GPU is lost while programs run, after the machine was looked at, or beside others.
_NO_CUDA = (
    "driver-missing", "driver-not-loaded", "driver-library-mismatch", "driver-flavour-mismatch", "driver-too-old",
    "driver-too-old-for-gpu", "gpu-legacy-driver-dropped", "forward-compat-broken", "fabric-manager-down", "uvm-broken",
    "container-no-gpu", "container-gpu-detached", "device-permission", "visible-devices-hidden", "wsl-driver-problem",
    "mig-misconfigured",
)  # fmt: skip
_IN_CONTAINERS = ("container-no-gpu", "container-gpu-detached")
_OF_A_KERNEL_MODULE = ("driver-not-loaded", "driver-flavour-mismatch", "uvm-broken")
_ENOUGH_SHM = 1 << 30


def ruled_out(code: str, machine: Snapshot, world: Knowledge) -> str | None:
    """Why this machine cannot have that cause; None where its facts leave it open."""
    if code in _NO_CUDA and cuda_starts(machine):
        return "CUDA starts on this machine"
    return _by_driver(code, machine, world) or _by_place(code, machine) or _by_torch(code, machine, world)


def _by_driver(code: str, machine: Snapshot, world: Knowledge) -> str | None:
    version, module = machine.driver_version, machine.driver.module if machine.driver else None
    torch = machine.torch
    if code == "driver-missing" and version is not None:
        return f"driver {version} is installed"
    if code == "driver-not-loaded" and machine.nvml is not None and machine.nvml.working and machine.gpus:
        return f"the driver's module is loaded ({(module.version if module else None) or version})"
    if code == "driver-too-old" and torch is not None and torch.cuda is not None and version is not None:
        needed = world.minimum_driver(torch.cuda, driver_platform(machine) or "linux_x86_64")
        try:
            if needed is not None and Version(version) >= Version(needed):
                return f"driver {version} is new enough for CUDA {torch.cuda} ({needed} or newer)"
        except InvalidVersion:
            return None
    return None


def _by_place(code: str, machine: Snapshot) -> str | None:
    host, container = machine.host, machine.container
    if code in _IN_CONTAINERS and container is not None and container.kind is not None and not in_container(machine):
        return "this is no container"
    if code in _OF_A_KERNEL_MODULE and host is not None and host.wsl:
        return "under WSL the kernel's part of the driver is Windows' own"
    if code == "driver-missing" and in_container(machine):
        return "in a container the driver is the host's"
    if code == "driver-missing" and machine.nvidia_devices and bus_gpus(machine) == 0:
        return "every GPU here is handed to a virtual machine"
    if code == "wsl-driver-problem" and host is not None and host.wsl == 0:
        return "this is not WSL"
    if code == "windows-dll-missing" and host is not None and host.system not in (None, "Windows"):
        return f"this is {host.system}, not Windows"
    if code == "shm-too-small" and host is not None and (host.shm_total or 0) >= _ENOUGH_SHM:
        return f"shared memory has {(host.shm_total or 0) >> 20:,} MiB"
    if code == "toolkit-missing" and machine.toolkit is not None and machine.toolkit.nvcc:
        return f"there is an nvcc at {machine.toolkit.nvcc[0].path}"
    return None


def _by_torch(code: str, machine: Snapshot, world: Knowledge) -> str | None:
    torch, interpreter = machine.torch, machine.interpreter
    run = torch.run if torch else None
    if code in ("torch-missing", "python-unsupported") and interpreter is not None and interpreter.torch_installed:
        return f"torch {torch.version if torch and torch.version else ''} is installed".replace("  ", " ")
    if torch is None:
        return None
    if code == "torch-cpu-only" and torch.build == "cuda":
        return f"torch {torch.version} is a CUDA build"
    if torch.build == "rocm" and code in (*_NO_CUDA, "torch-cpu-only") and not visible_gpus(machine, world):
        return f"torch {torch.version or ''} is a build for AMD's GPUs".replace("  ", " ")
    works = run is not None and run.computation == "ok"
    if code in ("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch") and (works or _has_code(machine, world)):
        return "torch computes on this GPU" if works else "torch has code for this machine's GPU"
    if run is None:
        return None
    if code.startswith("cudnn-") and run.cudnn_convolution == "ok":
        return "a convolution by cuDNN came out right"
    if code == "torchvision-mismatch" and run.torchvision == "ok":
        return "torchvision's operators load"
    if (
        code in ("torch-install-corrupt", "glibc-too-old", "nvidia-wheels-mismatch", "mkl-mismatch")
        and run.outcome == "ok"
    ):
        return "torch can be imported"
    return None


def _has_code(machine: Snapshot, world: Knowledge) -> bool:
    torch, gpus = machine.torch, visible_gpus(machine, world)
    if torch is None or not torch.arch_flags or not gpus:
        return False
    flags, cuda = torch.arch_flags, torch.cuda
    return all(gpu.capability is not None and world.runs_natively(flags, gpu.capability, cuda) for gpu in gpus)
