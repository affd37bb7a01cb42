"""The GPU has fallen off the bus, or hangs until it is reset.

What it is
    The driver talks to the card over PCI Express. When the card stops answering, NVML calls it lost, the kernel log has
    Xid 79, 'GPU has fallen off the bus', and programs on it hang or die. Power supply, heat, a bad riser or slot, a
    failing card and PCIe power saving are the usual reasons. A GPU that 'requires reset' still answers, but works only
    after a reset.

Told apart by
    NVML's own word for that GPU (GPU_IS_LOST, RESET_REQUIRED), 'Unable to determine the device handle', or an Xid of
    this boot that ends a GPU, for a GPU that NVML no longer lists; or a card on the bus that NVML does not list, though the
    running driver knows its kind. A GPU that works again since is not lost. One of several is an error too: the work that was
    given to it fails, and what else is wrong with it (power, heat) rarely stays with one.
    Application errors (Xid 13, 31, 43, 45) leave the GPU alone. Memory errors are `gpu-hw-fault`.

Repair
    Reset or power-cycle; if it comes back, look at power, heat and seat, then at PCIe power saving; then replace the
    card.

Sources
    docs.nvidia.com/deploy/xid-errors, Xid catalogue (46, 62, 79, 109, 119, 120, 143, 158); nvml.h: nvmlReturn_t
"""

from __future__ import annotations

from envdoctor.diagnosis.driver.driver_flavour_mismatch import driver_flavour_mismatch
from envdoctor.diagnosis.driver.driver_too_old_for_gpu import driver_too_old_for_gpu
from envdoctor.diagnosis.driver.gpu_legacy_driver_dropped import gpu_legacy_driver_dropped
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.reported_errors import cuda_starts, gpu_at, undriven, xids
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl, plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.facts.sections.host import PciDevice
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

# The catalogue's Xids after which a GPU is gone (79: restart the machine) or needs a reset before it works again.
ENDINGS = {
    46: "GPU stopped processing",
    62: "internal micro-controller halt",
    79: "GPU has fallen off the bus",
    109: "context switch timeout",
    119: "GSP RPC timeout",
    120: "GSP error",
    143: "GPU initialization error",
    158: "GPU fatal timeout",
}
UNDRIVEN = (driver_flavour_mismatch, driver_too_old_for_gpu, gpu_legacy_driver_dropped)
DEAD = ("GPU_IS_LOST", "RESET_REQUIRED")
VERIFY = "nvidia-smi -L && sudo dmesg | grep -i xid"


MESSAGES = beside(__file__)


@diagnosis(
    "gpu-lost",
    layer=Layer.GPU,
    severity=Severity.ERROR,
    follows_from=(
        "driver-flavour-mismatch",
        "driver-too-old-for-gpu",
        "gpu-legacy-driver-dropped",
        "device-permission",
    ),
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine, []),
)
def gpu_lost(machine: Snapshot, world: Knowledge) -> Finding | None:
    if is_wsl(machine):
        return None
    nvml = machine.nvml
    lost = [gpu for gpu in machine.gpus or () if _dead(gpu)]
    evidence: list[Evidence] = [fact(f"gpu {gpu.index}", _dead(gpu)) for gpu in lost]
    confidence = 1.0
    names = [f"GPU {gpu.index}{f' ({gpu.name})' if gpu.name else ''}" for gpu in lost]
    if nvml is not None and nvml.status in DEAD:
        evidence.append(fact("nvml.status", nvml.status))
        names = names or ["A GPU"]
    ended = _ended(machine)
    for place, (number, text) in ended.items():
        evidence.append(fact(f"logs (Xid {number})", text))
        names = names or [f"The GPU at {place}" if place else "A GPU"]
    if not names and _no_handle(machine):
        evidence.append(fact("nvml.message", nvml.message if nvml else None))
        names, confidence = ["A GPU"], 0.8
    if not names:
        failed = _failed_to_start(machine, world)
        if failed is None:
            return None
        evidence.append(failed)
        names, confidence = ["A GPU"], 0.5
    reset = lost and all(_dead(gpu) == "RESET_REQUIRED" for gpu in lost)
    working = [gpu for gpu in machine.gpus or () if not _dead(gpu)]
    what = (
        "needs a reset before it works again"
        if reset
        else "does not start: the driver could not initialise it (a bad state, power, seat, or firmware settings such as Above "
        "4G Decoding)"
        if confidence == 0.5
        else "no longer answers the driver"
    )
    return Finding(
        summary=f"{plain_list(names)} {what}." + (f" The other {len(working)} still work." if working else ""),
        evidence=tuple(evidence),
        fixes=_fixes(machine, lost),
        confidence=confidence,
    )


def _dead(gpu: Gpu) -> str | None:
    """NVML's word for a GPU that it lists and cannot use."""
    said = next((reason for reason in gpu.unavailable.values() if reason in DEAD), None)
    return "GPU_IS_LOST" if gpu.lost else said


def _ended(machine: Snapshot) -> dict[str | None, tuple[int, str]]:
    """The last ending Xid of each GPU that does not work now."""
    found: dict[str | None, tuple[int, str]] = {}
    for xid in xids(machine):
        if xid.number not in ENDINGS:
            continue
        gpu = gpu_at(machine, xid.pci)
        # NVML answers for it, so it was reset since; without NVML's list, CUDA's word counts.
        recovered = not _dead(gpu) if gpu is not None else cuda_starts(machine) is True and not undriven(machine)
        if not recovered:
            found[xid.pci] = (xid.number, xid.text)
    return found


def _no_handle(machine: Snapshot) -> bool:
    """nvidia-smi's 'Unable to determine the device handle for GPU': it was counted, and does not open."""
    nvml = machine.nvml
    return nvml is not None and "unable to determine the device handle" in (nvml.message or "").lower()


def _failed_to_start(machine: Snapshot, world: Knowledge) -> Evidence | None:
    """A GPU that the nvidia driver holds, or refused to hold, and NVML does not list, where nobody keeps it from us."""
    held = [device for device in undriven(machine) if device.driver == "nvidia" or _refused(machine, device)]
    if not held or machine.nvml is None or not machine.nvml.working or cuda_starts(machine) is None:
        return None
    for line in machine.logs.lines if machine.logs else ():
        if "RmInitAdapter failed" in line.text and gpu_at(machine, line.pci) is None:
            return fact("logs", line.text)
    nodes = machine.driver.device_nodes if machine.driver else None
    shared = machine.container is not None and machine.container.slurm
    # A batch system hides the GPUs of other jobs by control groups: some missing says nothing there.
    if machine.gpus and (nodes is None or shared or any(node.error in ("EPERM", "EACCES") for node in nodes)):
        return None
    # A card that this driver, or this flavour of it, does not drive has a cause of its own.
    if any(cause.check(machine, world) for cause in UNDRIVEN):
        return None
    return fact(
        "pci",
        ", ".join(
            f"{device.address} (not listed by NVML{'' if device.driver else ', no driver bound'})"
            for device in held[:4]
        ),
    )


def _refused(machine: Snapshot, device: PciDevice) -> bool:
    """Whether no driver is bound to the card beside others that NVML lists: the driver runs, and failed to start this one."""
    return device.driver == "" and bool(machine.gpus)


def _fixes(machine: Snapshot, lost: list[Gpu]) -> tuple[Fix, ...]:
    if in_container(machine):
        return (
            Fix(
                title="Reset the GPU or restart the machine on the host; a container cannot",
                commands=("sudo nvidia-smi --gpu-reset   # on the host", "sudo reboot   # on the host"),
                needs_root=True,
                needs_reboot=True,
                verify=VERIFY,
            ),
        )
    which = f" -i {lost[0].index}" if len(lost) == 1 else ""
    return (
        Fix(
            title="Reset the GPU, with every program on it stopped (not possible after Xid 79, nor with a display on it)",
            commands=(f"sudo nvidia-smi --gpu-reset{which}",),
            needs_root=True,
            verify=VERIFY,
        ),
        Fix(
            title="Power the machine off and on: a warm reboot may leave the card as it is",
            commands=("sudo poweroff",),
            needs_root=True,
            needs_reboot=True,
            verify=VERIFY,
        ),
        Fix(
            title="When it comes back: check power cables, seat, riser and heat, and switch PCIe power saving off",
            commands=(
                "sudo dmesg | grep -iE 'xid|aer|pcieport'",
                "nvidia-smi -q -d TEMPERATURE,POWER",
                "# in /etc/default/grub, add to GRUB_CMDLINE_LINUX: pcie_aspm=off",
            ),
            note="A card that is lost in another slot or machine too is faulty.",
            needs_root=True,
        ),
    )
