"""The NVIDIA kernel modules are of the wrong flavour for this GPU.

What it is
    The driver comes with two sets of kernel modules, open and proprietary. Blackwell and later GPUs are driven by the
    open ones only; Maxwell, Pascal and Volta, which lack the GSP processor, by the proprietary ones only. Turing to
    Hopper work with either. With the wrong set the module loads, and nvidia-smi says 'No devices were found'.

Told apart by
    The flavour of the loaded module (/proc/driver/nvidia/version) or of the one on disk, against the GPU's compute
    capability, where NVML does not list that GPU; or the module's own words in the kernel log. A GPU that NVML lists is
    driven, whatever the table says. An outdated branch is `driver-too-old-for-gpu` or `gpu-legacy-driver-dropped`.

Repair
    The packages of the other flavour, same branch; then reboot. No flavour drives a pre-Turing and a Blackwell GPU
    together.

Sources
    NVIDIA driver installation guide, 'Kernel Modules'; open-gpu-kernel-modules, kernel-open/nvidia/nv-pci.c
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.reported_errors import cuda_starts, driver_on_disk, kernel_text, undriven
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl, plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.driver_limits import branch_number
from envdoctor.planning.gpu_list import gpu_of_pci
from envdoctor.planning.kernel_modules import refuses
from envdoctor.planning.target import from_snapshot
from envdoctor.reading.messages.message_files import beside

NEEDS_OPEN = "requires use of the NVIDIA open kernel modules"
NEEDS_PROPRIETARY = "does not include the required GPU System Processor"
OTHER = {"open": "proprietary", "proprietary": "open"}


MESSAGES = beside(__file__)


@diagnosis(
    "driver-flavour-mismatch",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    follows_from=("gpu-legacy-driver-dropped", "driver-too-old-for-gpu"),
    messages=MESSAGES,
    remedy=lambda machine, world: (_by_words_alone(machine, world),),
)
def driver_flavour_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    if is_wsl(machine) or in_container(machine):
        return None
    flavour, where = _flavour(machine)
    said = _said(machine)
    refused = [] if flavour is None else _refused(machine, world, flavour)
    if said is not None and not refused:
        if machine.gpus and cuda_starts(machine) is not False and not undriven(machine):
            return None  # the log's line is about an earlier module
        flavour = OTHER[said[0]]
    elif not refused:
        return None
    assert flavour is not None
    needed = OTHER[flavour]
    evidence: list[Evidence] = [fact(where, flavour)] if where else []
    evidence += [fact("pci", name) for name in refused]
    evidence += [fact("logs", said[1])] if said else []
    names = plain_list(refused) if refused else "this GPU"
    branch = _branch(machine, world)
    return Finding(
        summary=f"{names} needs the {needed} kernel modules, and the {flavour} ones are installed"
        + (" (they drive the other GPUs here; no flavour may drive them all)." if machine.gpus else "."),
        severity=Severity.WARNING if machine.gpus else None,
        evidence=tuple(evidence),
        fixes=(install_driver(machine, world, update=True, flavour=needed, branch=branch),),
        confidence=1.0 if said else 0.8,
    )


def _by_words_alone(machine: Snapshot, world: Knowledge) -> Fix:
    """The modules that the module's own words ask for, else those of the GPUs here; of a GPU that is not known the open ones,
    which every newer one takes."""
    said = _said(machine)
    if said is None and from_snapshot(machine, world).gpus:
        return install_driver(machine, world, update=True)
    return install_driver(machine, world, update=True, flavour=said[0] if said else "open")


def _flavour(machine: Snapshot) -> tuple[str | None, str]:
    """The flavour of the loaded module, else of the only one that the running kernel has."""
    driver = machine.driver
    if driver is None:
        return None, ""
    if driver.module is not None and driver.module.flavour in OTHER:
        return driver.module.flavour, "driver.module.flavour"
    if driver.module is not None and driver.module.loaded:
        return None, ""
    kernel = machine.host.kernel if machine.host else None
    found = {f.flavour for f in driver.module_files or () if f.kernel == kernel and f.flavour in OTHER}
    return (found.pop(), "driver.module_files.flavour") if len(found) == 1 else (None, "")


def _said(machine: Snapshot) -> tuple[str, str] | None:
    """The flavour that the kernel module itself asks for, with its words."""
    text = kernel_text(machine)
    if NEEDS_OPEN in text:
        return "open", NEEDS_OPEN
    return ("proprietary", NEEDS_PROPRIETARY) if NEEDS_PROPRIETARY in text else None


def _refused(machine: Snapshot, world: Knowledge, flavour: str) -> list[str]:
    """The undriven GPUs on the bus that this flavour does not drive."""
    names = []
    for device in undriven(machine):
        if machine.gpus and device.driver == "nouveau":
            continue  # beside a card that works, somebody left this one to nouveau
        gpu = gpu_of_pci(device.device, world)
        if gpu is not None and refuses(gpu, flavour, world):
            names.append(gpu.name)
    return names


def _branch(machine: Snapshot, world: Knowledge) -> str | None:
    """The installed branch: where it drives every GPU, only the flavour changes."""
    version = driver_on_disk(machine)
    return None if version is None else str(branch_number(version, world))
