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

from envdoctor.diagnosis.container_repairs import all_capabilities, install_toolkit, run_with_gpus
from envdoctor.diagnosis.driver_repairs import install_driver
from envdoctor.diagnosis.model import Evidence, Finding, Fix, Layer, Severity, diagnosis, fact
from envdoctor.diagnosis.reading import bus_gpus, in_container
from envdoctor.diagnosis.symptoms import cuda_starts
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge

# Docker's own words (moby/daemon/devices.go) where no toolkit serves the request.
NO_TOOLKIT = "could not select device driver"


@diagnosis(
    "container-no-gpu",
    layer=Layer.CONTAINER,
    severity=Severity.ERROR,
    follows_from=("visible-devices-hidden",),
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
