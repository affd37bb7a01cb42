"""No NVIDIA driver is installed, though an NVIDIA GPU is on the bus.

What it is
    The driver is the kernel module and the libraries (libcuda, NVML, nvidia-smi) that every CUDA program talks to. Wheels of
    torch bring the CUDA runtime, cuDNN and NCCL along, but never the driver: it belongs to the operating system.

Told apart by
    The PCI bus shows an NVIDIA GPU, and there is neither a kernel module (loaded, on disk or in DKMS), nor a driver package,
    nor libcuda or NVML. With any of these it is `driver-not-loaded` or `driver-library-mismatch`. A card that a hypervisor
    hands to a guest (vfio-pci) is not missing its driver, and inside a container the driver is the host's: `container-no-gpu`.
    A card that is too old for every published torch needs no driver where nobody installed a CUDA build for it.

Repair
    Install the driver from the distribution or from NVIDIA's repository (root, reboot). The CUDA toolkit is not needed to
    run torch.

Sources
    NVIDIA driver installation guide, docs.nvidia.com/datacenter/tesla/driver-installation-guide
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.container import run_with_gpus
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.snapshot_queries import bus_gpus, in_container, is_wsl, plain_list
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import machine_gpus
from envdoctor.reading.messages.conditions import near
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.shared import no_device_type, unavailable

# torch/csrc/cuda/Module.cpp and c10/cuda/CUDAFunctions.cpp, where libcuda is missing or has no driver under it.
NOT_FOUND = "Found no NVIDIA driver on your system"


MESSAGES = (
    *unavailable(0.34),
    *no_device_type(0.5),
    Message(
        "Found no NVIDIA driver on your system",
        "torch/csrc/cuda/Module.cpp and c10/cuda/CUDAFunctions.cpp, torch 0.3 to 2.15",
        0.85,
    ),
    Message("Please check that you have an NVIDIA GPU and installed a driver from", "torch/cuda/__init__.py", 0.8),
    Message("nvidia-smi: command not found", "bash", 0.85),
    Message("nvidia-smi: not found", "dash, busybox", 0.8),
    Message("Command 'nvidia-smi' not found", "Ubuntu's command-not-found", 0.9),
    Message("'nvidia-smi' is not recognized as an internal or external command", "cmd.exe", 0.85),
    Message("The term 'nvidia-smi' is not recognized", "PowerShell", 0.85),
    Message("modprobe: FATAL: Module nvidia not found in directory", "kmod, tools/modprobe.c", 0.6),
    Message("libcuda.so.1: cannot open shared object file", "glibc, elf/dl-load.c", 0.7),
    Message("libcuda.so: cannot open shared object file", "glibc, elf/dl-load.c", 0.6),
    Message("libnvidia-ml.so.1: cannot open shared object file", "glibc, elf/dl-load.c", 0.65),
    Message("Failed to initialize NVML: Libnvidia-ml.so not found", "nvidia-smi, nvidia-ml-py", 0.7),
    Message("NVML Shared Library Not Found", "pynvml: NVMLError_LibraryNotFound", 0.75),
    Message("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system", "nvidia-smi", 0.75),
    Message(
        "nvcuda.dll",
        "Windows: the driver's CUDA library",
        0.5,
        when=near("could not find", "cannot find", "not found", "failed to load"),
    ),
    Message(
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1",
        "libnvidia-container, src/nvc.c",
        0.9,
    ),
    Message(
        "nvidia-container-cli: initialization error: driver error: failed to process request",
        "libnvidia-container: no driver answers",
        0.6,
    ),
    Message(
        "nvidia-container-cli: initialization error: nvml error: driver not loaded",
        "libnvidia-container, src/nvc.c",
        0.5,
    ),
    Message("Could not find the driver library libcuda.so", "tensorflow, tsl dso_loader", 0.6),
    Message("Could not load dynamic library 'libcuda.so.1'", "tensorflow, dso_loader.cc", 0.7),
    Message("failed call to cuInit: UNKNOWN ERROR (303)", "tensorflow, cuda_driver.cc: libcuda not loaded", 0.7),
    Message(
        "Could not find cuda drivers on your machine, GPU will not be used", "tsl/platform/default/cudart_stub.cc", 0.7
    ),
    Message("Can't initialize NVML", "torch/cuda/__init__.py: _raw_device_count_nvml", 0.45),
    Message(
        "nvidia-container-cli: initialization error: cannot open shared object file",
        "libnvidia-container, src/nvc.c",
        0.8,
    ),
    Message("cuda driver can't be loaded, is cuda enabled?", "torch/cuda/__init__.py: utilization and its kin", 0.5),
    Message("libcuda.so.1 => not found", "ldd: no driver", 0.6),
    Message("cannot access '/dev/nvidia*'", "ls: no device nodes", 0.5),
    Message("No supported gpu backend found", "lightning_fabric/accelerators", 0.3),
    Message(
        "nvidia-container-cli: initialization error: driver rpc error: failed to process request",
        "libnvidia-container 1.10 and later: no driver answers",
        0.6,
    ),
    Message("modinfo: ERROR: Module nvidia not found", "kmod, tools/modinfo.c", 0.6),
)


@diagnosis(
    "driver-missing",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, world: (
        install_driver(machine, world),
        *((run_with_gpus(machine),) if in_container(machine) else ()),
    ),
)
def driver_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    driver = machine.driver
    if in_container(machine) or is_wsl(machine):
        return None
    if driver is None and machine.pci is None and machine.source != "live":
        return _by_torchs_word(machine, world)
    if not bus_gpus(machine) or driver is None:
        return None
    if driver.module is None or driver.module.loaded is not False:
        return None
    # Each of these is unknown (None) or a sign of an installed driver unless it is known to be empty.
    if driver.libraries is None or driver.libraries or driver.module_files is None or driver.module_files:
        return None
    if driver.dkms or any(is_driver_package(package.name) for package in driver.packages or ()):
        return None
    if _beyond_torch(machine, world):
        return None
    nouveau = driver.module.nouveau_loaded
    names = plain_list(machine_gpus(machine, world) or ())
    return Finding(
        summary=f"This machine has {names} and no NVIDIA driver."
        + (" The open-source nouveau driver holds the card; it cannot run CUDA." if nouveau else ""),
        evidence=(
            fact("pci", names),
            fact("driver.module.loaded", False),
            fact("driver.module_files", None),
            fact("driver.libraries", None),
            *((fact("driver.module.nouveau_loaded", True),) if nouveau else ()),
        ),
        fixes=(install_driver(machine, world),),
    )


def _beyond_torch(machine: Snapshot, world: Knowledge) -> bool:
    """Whether every card is known, no published build has code for any of them, and no CUDA build is installed."""
    if machine.torch is not None and machine.torch.build in ("cuda", None):
        return False
    builds = [build for build in world.torch_builds() if build.arch_flags]
    return all(
        gpu.capability is not None
        and not any(world.runs_on(build.arch_flags, gpu.capability, build.cuda) for build in builds)
        for gpu in machine_gpus(machine, world) or ()
    )


def _by_torchs_word(machine: Snapshot, world: Knowledge) -> Finding | None:
    """A pasted error: somebody needs a GPU, and torch found no libcuda."""
    run = machine.torch.run if machine.torch else None
    texts = (*(run.warnings if run else ()), (run.cuda_error or "") if run else "", *machine.messages)
    said = next((text for text in texts if NOT_FOUND in text), None)
    nvml = machine.nvml
    if (
        said is None
        or machine.driver_version is not None
        or (nvml is not None and nvml.status not in (None, "LIBRARY_NOT_FOUND"))
    ):
        return None
    return Finding(
        summary="torch found no NVIDIA driver: none is installed, or, in a container, none was passed in (`--gpus all`). "
        "`nvidia-smi` on the machine itself decides.",
        evidence=(fact("messages", " ".join(said.split())[:300]),),
        fixes=(install_driver(machine, world), run_with_gpus(machine)),
        confidence=0.5,
    )


def is_driver_package(name: str) -> bool:
    """Whether a package of that name installs the driver itself (its module, or the meta-package that brings all of it)."""
    return name.startswith(
        (
            "nvidia-driver",
            "nvidia-dkms",
            "nvidia-kernel",
            "nvidia-open",
            "kmod-nvidia",
            "cuda-drivers",
            "akmod-nvidia",
            "nvidia-lts",
        )
    ) or name in ("nvidia", "nvidia-gfxG06-kmp-default")
