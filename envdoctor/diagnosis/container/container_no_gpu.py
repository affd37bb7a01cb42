"""This container was given no GPU, or only part of the driver.

What it is
    A container uses the host's kernel driver; the NVIDIA Container Toolkit passes in the device nodes and the driver's
    libraries, when it is asked to (`docker run --gpus all`, a pod that requests nvidia.com/gpu, `apptainer --nv`).
    Without it torch says 'Found no NVIDIA driver on your system'. With NVIDIA_DRIVER_CAPABILITIES that lack `compute`,
    nvidia-smi works and CUDA does not.

Told apart by
    Inside a container on a machine whose PCI bus shows an NVIDIA GPU (or whose kernel runs the NVIDIA module), the
    device nodes or libcuda are missing and CUDA does not start. A container without GPUs on a machine without GPUs is
    healthy, and so is one with a CPU build of torch. Nodes that are there and do not open are `container-gpu-detached`
    or `device-permission`.

Repair
    Start the container with its GPUs; install and configure the toolkit on the host where that fails ('could not select
    device driver'); never install a driver inside.

Sources
    docs.nvidia.com/datacenter/cloud-native/container-toolkit; docs.docker.com, 'Run containers with GPU access'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.container import all_capabilities, gpu_fixes, install_toolkit, run_with_gpus
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.reported_errors import cuda_starts
from envdoctor.diagnosis.snapshot_queries import bus_gpus, in_container
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

# Docker's own words (moby/daemon/devices.go) where no toolkit serves the request.
NO_TOOLKIT = "could not select device driver"


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Words of a missing GPU or driver, in a container that shows neither."""
    if machine.torch is not None and machine.torch.build == "cpu" and in_container(machine):
        return False  # somebody wants none here
    return True if in_container(machine) and not machine.gpus and cuda_starts(machine) is not True else None


MESSAGES = beside(__file__)


@diagnosis(
    "container-no-gpu",
    layer=Layer.CONTAINER,
    severity=Severity.ERROR,
    follows_from=("visible-devices-hidden",),
    messages=MESSAGES,
    remedy=lambda machine, _: gpu_fixes(machine),
    fits=_fits,
)
def container_no_gpu(machine: Snapshot, world: Knowledge) -> Finding | None:
    refused = next(
        (line for line in machine.messages if NO_TOOLKIT in line and "[[gpu]]" in line.replace(" ", "")), None
    )
    if refused is not None:
        return Finding(
            summary="Docker has nothing that passes GPUs in: the NVIDIA Container Toolkit is missing or not configured.",
            evidence=(fact("messages", refused),),
            fixes=(install_toolkit(machine),),
        )
    if not in_container(machine) or cuda_starts(machine) is not False or machine.gpus:
        return _part_of_the_driver(machine)
    module = machine.driver.module if machine.driver else None
    if _cuda_image_alone(machine):
        return _without_the_host(machine)
    if not bus_gpus(machine) and not (module is not None and module.loaded and machine.pci is None):
        return None
    if machine.torch is not None and machine.torch.build == "cpu":
        return None  # somebody wants none here
    missing = _missing(machine)
    if not missing:
        return None
    if module is not None and module.loaded is False:
        return Finding(
            summary="This container sees no GPU because the host's NVIDIA driver is not running.",
            evidence=(fact("driver.module.loaded", False), *missing),
            fixes=(install_driver(machine, world), run_with_gpus(machine)),
        )
    count = bus_gpus(machine)
    has = f"{count} NVIDIA GPU{'s' if count and count > 1 else ''}" if count else "a running NVIDIA driver"
    return Finding(
        summary=f"The machine has {has}, and this container was started without "
        + ("them." if count and count > 1 else "it."),
        evidence=(fact("container.kind", machine.container.kind if machine.container else None), *missing),
        fixes=(run_with_gpus(machine), install_toolkit(machine)),
    )


def _cuda_image_alone(machine: Snapshot) -> bool:
    """A CUDA image, with its toolkit and a GPU build of torch, in which nothing of a driver is to be seen, and whose host is not
    to be seen either (a dump)."""
    torch, toolkit, nvml = machine.torch, machine.toolkit, machine.nvml
    return (
        machine.pci is None
        and machine.driver is None
        and nvml is not None
        and nvml.message is not None
        and nvml.status is None
        and toolkit is not None
        and bool(toolkit.nvcc)
        and torch is not None
        and torch.build == "cuda"
    )


def _without_the_host(machine: Snapshot) -> Finding:
    torch = machine.torch
    return Finding(
        summary=f"This container has CUDA and a GPU build of torch ({torch.version if torch else None}), and no driver: it was "
        "started without GPUs.",
        evidence=(
            fact("container.kind", machine.container.kind if machine.container else None),
            fact("nvml.message", machine.nvml.message if machine.nvml else None),
        ),
        fixes=(run_with_gpus(machine), install_toolkit(machine)),
        confidence=0.8,
    )


def _missing(machine: Snapshot) -> list[Evidence]:
    """What of the driver is known not to have been passed in."""
    driver, cuda = machine.driver, machine.cuda_driver
    nodes = (driver.device_nodes or ()) if driver else ()
    found = [fact(n.path, "missing") for n in nodes if n.exists is False and n.path == "/dev/nvidiactl"]
    if cuda is not None and cuda.library_missing:
        found.append(fact("cuda_driver.library_missing", True))
    return found


def _part_of_the_driver(machine: Snapshot) -> Finding | None:
    """NVML lists GPUs in a container that has no libcuda."""
    missing = machine.cuda_driver is not None and machine.cuda_driver.library_missing
    if not in_container(machine) or not machine.gpus or not missing or cuda_starts(machine):
        return None
    capabilities = machine.variable("NVIDIA_DRIVER_CAPABILITIES")
    return Finding(
        summary="This container has its GPUs but not libcuda: the compute part of the driver was not passed in"
        + (f" (NVIDIA_DRIVER_CAPABILITIES is {capabilities!r})." if capabilities is not None else "."),
        evidence=(
            fact("nvml.gpus", len(machine.gpus)),
            fact("cuda_driver.library_missing", True),
            *((fact("environment.NVIDIA_DRIVER_CAPABILITIES", capabilities),) if capabilities is not None else ()),
        ),
        fixes=(
            all_capabilities(),
            Fix(
                title="Say it in the image",
                commands=("ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility   # a line for the Dockerfile",),
            ),
        ),
    )
