"""The installed driver branch has dropped this old GPU.

What it is
    NVIDIA ends the support of old GPUs branch by branch: 470 is the last for Kepler, 580 for Maxwell, Pascal and Volta.
    After an update beyond it the driver ignores the card, nvidia-smi fails or finds no device, and the kernel log says
    that the GPU 'is supported through the NVIDIA ... Legacy drivers'.

Told apart by
    The GPU stands on the PCI bus, NVML does not list it, and its architecture ended before the driver's branch; or
    those words in the kernel log. A GPU that NVML lists is driven. Torch's own end of support is
    `gpu-arch-too-old-for-torch`.

Repair
    The last branch that drives the GPU, with its proprietary modules, and no update beyond it; then a torch that still
    has code for the GPU.

Sources
    docs.nvidia.com/datacenter/tesla/drivers, CUDA toolkit, driver and architecture matrix; nvidia.com/object/unix.html
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.reported_errors import driver_on_disk, kernel_text, out_of_reach, undriven
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl, plain_list
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.driver_limits import branch_number
from envdoctor.reading.messages.message_files import beside

_LEGACY = re.compile(r"supported through the NVIDIA (\d{3})\.\w+ Legacy drivers")
_NAMED = re.compile(r"The NVIDIA (?:NVIDIA )?(.{3,60}?) GPU installed in this system")
_IGNORES = re.compile(r"The (\d{3}\.[\d.]+\d) NVIDIA driver will ignore")


MESSAGES = beside(__file__)


@diagnosis(
    "gpu-legacy-driver-dropped",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, world: (install_driver(machine, world),),
)
def gpu_legacy_driver_dropped(machine: Snapshot, world: Knowledge) -> Finding | None:
    if is_wsl(machine) or in_container(machine):
        return None
    text = kernel_text(machine)
    said, named, ignores = _LEGACY.search(text), _NAMED.search(text), _IGNORES.search(text)
    version = driver_on_disk(machine) or (ignores[1] if ignores else None)
    last: dict[str, str] = {}
    for device in out_of_reach(machine):
        if machine.gpus and device.driver == "nouveau":
            continue  # beside a card that works, somebody left this one to nouveau
        capability, record = world.capability_of_pci_id(device.device), world.gpu_by_pci_id(device.device)
        architecture = world.architecture(capability) if capability else None
        end = architecture.last_driver_branch if architecture else None
        if end is not None and version is not None and branch_number(version, world) > int(end):
            last[record.name if record else f"NVIDIA GPU 10de:{device.device}"] = end
    # A line of this boot, where every GPU works now, belongs to a driver that has gone since.
    if said and not last and (undriven(machine) or not machine.gpus):
        last[named[1] if named else "an NVIDIA GPU here"] = said[1]
    if not last:
        return None
    branch = min(last.values(), key=int)
    working = len(machine.gpus or ())
    fix = install_driver(machine, world, branch=branch, flavour="proprietary")
    return Finding(
        summary=f"{plain_list(list(last))} is driven up to branch {branch} only; this machine has "
        + (f"driver {version}." if version else "a later one."),
        severity=Severity.WARNING if working else None,
        evidence=(
            *((fact("driver.version", version),) if version else ()),
            *(fact("pci", f"{name}, last driver branch {end}") for name, end in last.items()),
            *((fact("logs", said[0]),) if said else ()),
        ),
        fixes=(
            fix,
            *(
                (Fix(title="Leave the old card undriven: no driver serves both it and a newer GPU for long"),)
                if working
                else ()
            ),
        ),
        confidence=1.0 if said else 0.8,
    )
