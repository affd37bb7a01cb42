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

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.container import run_with_gpus
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.snapshot_queries import bus_gpus, in_container, is_wsl, plain_list
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import machine_gpus
from envdoctor.reading.messages.message_files import beside

# torch/csrc/cuda/Module.cpp and c10/cuda/CUDAFunctions.cpp, where libcuda is missing or has no driver under it.
NOT_FOUND = "Found no NVIDIA driver on your system"


_CONDAS_WORD = Fix(
    title="On a login node, or in an image's build: tell conda which CUDA the driver has where it will run",
    commands=("export CONDA_OVERRIDE_CUDA=VERSION   # then the same conda or mamba command again",),
    note="VERSION is the 'CUDA Version' that nvidia-smi shows there. No driver is needed where nothing runs on a GPU.",
    verify="conda info | grep __cuda",
)
LOOK = Fix(
    title="See first whether the driver answers: each of the causes has another repair",
    commands=("nvidia-smi", "lspci -nn | grep -i nvidia"),
    note="No GPU in the list: then torch computes on the CPU here, as it should.",
)
MESSAGES = beside(__file__)


@diagnosis(
    "driver-missing",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    messages=MESSAGES,
    fits=lambda machine, _: True if _silent(machine) and not in_container(machine) and not is_wsl(machine) else None,
    remedy=lambda machine, world: (
        *((LOOK,) if _silent(machine) else ()),
        *((_CONDAS_WORD,) if any("__cuda" in line for line in machine.messages) else ()),
        install_driver(machine, world),
        *((run_with_gpus(machine),) if in_container(machine) else ()),
    ),
)
def driver_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    driver = machine.driver
    if in_container(machine) or is_wsl(machine):
        return None
    if driver is None and machine.pci is None and machine.source != "live":
        return _by_torchs_word(machine, world) or _by_a_dump(machine, world)
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


def _silent(machine: Snapshot) -> bool:
    """A dump of a GPU build of torch that sees no GPU, in which nvidia-smi told nothing."""
    torch, nvml = machine.torch, machine.nvml
    if torch is None or torch.build != "cuda" or torch.run is None or torch.run.cuda_available is not False:
        return False
    return nvml is not None and nvml.status is None and not nvml.gpus and machine.driver_version is None


def _by_a_dump(machine: Snapshot, world: Knowledge) -> Finding | None:
    """A GPU build of torch and a CUDA toolkit, put there to use a GPU, and a dump that found nothing of a driver."""
    toolkit, nvml = machine.toolkit, machine.nvml
    if not _silent(machine) or nvml is None or toolkit is None or not toolkit.nvcc:
        return None
    return Finding(
        summary=f"A CUDA toolkit ({toolkit.nvcc[0].version}) and a GPU build of torch are here, and no driver was found: none is "
        "installed or running, or, in a container, none was passed in.",
        severity=Severity.WARNING,
        evidence=(
            fact("nvml.message", nvml.message),
            fact("toolkit.nvcc", toolkit.nvcc[0].version),
            fact("torch.run.cuda_available", False),
        ),
        fixes=(
            LOOK,
            install_driver(machine, world),
            run_with_gpus(machine),
        ),
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
