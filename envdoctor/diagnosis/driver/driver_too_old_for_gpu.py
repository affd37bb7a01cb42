"""The NVIDIA driver is older than this GPU and does not know it.

What it is
    A driver knows the GPUs that existed when it was made. It loads on a machine with a newer one and finds nothing: 'No
    devices were found'. The kernel log says that the GPU 'is not supported by the NVIDIA ... driver release'.

Told apart by
    The GPU stands on the PCI bus and NVML does not list it, and the driver's branch is below the first one for GPUs of
    that architecture (or for that very model). A GPU that NVML lists is known. A driver that knows the GPU and is too
    old for torch's CUDA is `driver-too-old`; one that has dropped the GPU is `gpu-legacy-driver-dropped`.

Repair
    A newer driver, from NVIDIA's repository where the distribution has none so new; then reboot.

Sources
    github.com/NVIDIA/open-gpu-kernel-modules, 'Compatible GPUs' of each release;
    docs.nvidia.com/datacenter/tesla/drivers, CUDA toolkit, driver and architecture matrix
"""

from __future__ import annotations

import re

from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.reported_errors import driver_on_disk, kernel_text, out_of_reach
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl, plain_list
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.driver_limits import branch_number
from envdoctor.reading.messages.message_files import beside

_UNKNOWN_GPU = re.compile(
    r"\(PCI ID: 10de:([0-9a-f]{4})\) installed in this system is not supported by the NVIDIA ([\d.]+) driver release",
    re.IGNORECASE,
)


MESSAGES = beside(__file__)


@diagnosis(
    "driver-too-old-for-gpu",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, world: (install_driver(machine, world, update=True),),
)
def driver_too_old_for_gpu(machine: Snapshot, world: Knowledge) -> Finding | None:
    if is_wsl(machine) or in_container(machine):
        return None
    said = _UNKNOWN_GPU.search(kernel_text(machine))
    version = driver_on_disk(machine) or (said[2].rstrip(".") if said else None)
    if version is None:
        return None
    first: dict[str, str] = {}
    devices = [device.device for device in out_of_reach(machine)]
    if said and machine.pci is None and not machine.gpus:
        devices.append(said[1].lower())
    for device in devices:
        capability, record = world.capability_of_pci_id(device), world.gpu_by_pci_id(device)
        architecture = world.architecture(capability) if capability else None
        name = record.name if record else f"NVIDIA GPU 10de:{device}"
        branch = architecture.first_driver_branch if architecture and not architecture.jetson else None
        model = record.first_driver if record else None
        if branch is not None and branch_number(version, world) < int(branch):
            first[name] = max((branch, model or branch), key=Version)
        # The first driver that lists a model is not the first that runs it: the kernel log has to say so too.
        elif said and model is not None and Version(version) < Version(model):
            first[name] = model
    if not first:
        return None
    needed = max(first.values(), key=Version)
    return Finding(
        summary=f"Driver {version} does not know {plain_list(list(first))}, which needs driver {needed} or newer.",
        severity=Severity.WARNING if machine.gpus else None,
        evidence=(
            fact("driver.version", version),
            *(fact("pci", f"{name}, known from driver {driver} on") for name, driver in first.items()),
            *((fact("logs", said[0]),) if said else ()),
        ),
        fixes=(install_driver(machine, world, minimum=needed, update=True),),
    )
