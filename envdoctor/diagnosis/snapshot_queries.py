"""Questions that several diagnoses ask of a Snapshot, answered from the best of its sections. None means unknown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge, KnowledgeError

# Hypervisors hand a card to a guest through these; the host's own programs are not meant to use it.
PASSED_THROUGH = ("vfio-pci", "pci-stub", "xen-pciback")


class GpuFacts(msgspec.Struct, frozen=True):
    """One NVIDIA GPU by its name and compute capability, whichever section knew them."""

    name: str
    capability: str | None
    fact: str
    """Where it is known from."""

    def __str__(self) -> str:
        return f"{self.name} ({self.capability})" if self.capability else self.name


def bus_gpus(snapshot: Snapshot) -> int | None:
    """How many NVIDIA GPUs the PCI bus shows that are this system's own; None where the bus was not read."""
    devices = snapshot.nvidia_devices
    return None if devices is None else sum(d.driver not in PASSED_THROUGH for d in devices)


def in_container(snapshot: Snapshot) -> bool:
    """Whether this is known to be a container, where the driver is the host's business."""
    return bool(snapshot.container and snapshot.container.inside)


def is_wsl(snapshot: Snapshot) -> bool:
    return bool(snapshot.host and snapshot.host.wsl)


def driver_platform(snapshot: Snapshot) -> str | None:
    """The platform whose driver numbers count: under WSL it is Windows' driver."""
    if is_wsl(snapshot):
        return "windows_amd64"
    return wheel_platform(snapshot)


def wheel_platform(snapshot: Snapshot) -> str | None:
    """The platform whose wheels run here. Dumps older than torch 1.8 name the system and not its architecture: x86-64 then."""
    host = snapshot.host
    if host is None:
        return None
    if host.platform is None and host.architecture is None and host.system in ("Linux", "Windows"):
        return "linux_x86_64" if host.system == "Linux" else "windows_amd64"
    return host.platform


def gpus(snapshot: Snapshot, world: Knowledge) -> tuple[GpuFacts, ...] | None:
    """The NVIDIA GPUs of the machine, from NVML, the CUDA driver, torch or the PCI bus, in that order."""
    if snapshot.gpus:
        return tuple(
            GpuFacts(gpu.name or f"GPU {gpu.index}", _capability(gpu, world), f"gpu {gpu.index}")
            for gpu in snapshot.gpus
        )
    cuda = snapshot.cuda_driver
    if cuda is not None and cuda.devices:
        return tuple(GpuFacts(d.name or f"GPU {d.index}", d.compute_capability, "cuda_driver") for d in cuda.devices)
    run = snapshot.torch.run if snapshot.torch else None
    if run is not None and run.devices:
        return tuple(
            GpuFacts(d.name or f"GPU {d.index}", d.compute_capability or _by_name(d.name, world), "torch")
            for d in run.devices
        )
    devices = snapshot.nvidia_devices
    if devices is None:
        return None
    found = []
    for device in devices:
        if device.driver in PASSED_THROUGH:
            continue
        record = world.gpu_by_pci_id(device.device)
        name = record.name if record else f"NVIDIA GPU {device.vendor}:{device.device}"
        found.append(GpuFacts(name, world.capability_of_pci_id(device.device), f"pci {device.address}"))
    return tuple(found)


def _capability(gpu: Gpu, world: Knowledge) -> str | None:
    if gpu.compute_capability is not None:
        return gpu.compute_capability
    if gpu.pci_device is not None and (known := world.capability_of_pci_id(gpu.pci_device)) is not None:
        return known
    return _by_name(gpu.name, world)


def _by_name(name: str | None, world: Knowledge) -> str | None:
    try:
        return world.gpu(name).capability if name else None
    except KnowledgeError:
        return None


def visible_gpus(snapshot: Snapshot, world: Knowledge) -> tuple[GpuFacts, ...] | None:
    """The GPUs that a CUDA program here may use: those that CUDA_VISIBLE_DEVICES leaves."""
    cuda = snapshot.cuda_driver
    if cuda is not None and cuda.devices:
        return tuple(GpuFacts(d.name or f"GPU {d.index}", d.compute_capability, "cuda_driver") for d in cuda.devices)
    machine = gpus(snapshot, world)
    selection = snapshot.variable("CUDA_VISIBLE_DEVICES")
    if machine is None or selection is None or snapshot.gpus is None:
        return machine
    chosen, _ = select_devices(selection, snapshot.gpus)
    return tuple(machine[index] for index in chosen)


def select_devices(selection: str, present: Sequence[Gpu]) -> tuple[tuple[int, ...], str | None]:
    """What CUDA_VISIBLE_DEVICES=`selection` leaves of the GPUs present: their positions, and the first entry that names none.

    CUDA reads the list up to the first invalid entry (CUDA programming guide, 'CUDA Environment Variables'); a UUID may be
    cut short as long as it names one GPU. MIG entries are not judged here: they select nothing and are never invalid.
    """
    chosen: list[int] = []
    entries = [entry.strip() for entry in selection.split(",")] if selection.strip() else []
    for entry in entries:
        if entry.upper().startswith("MIG"):
            continue
        if entry.upper().startswith("GPU-"):
            matches = [i for i, gpu in enumerate(present) if gpu.uuid and gpu.uuid.lower().startswith(entry.lower())]
            if len(matches) != 1:
                return tuple(chosen), None if any(gpu.uuid is None for gpu in present) else entry
            chosen.append(matches[0])
            continue
        # CUDA reads a number as C's strtol does: '0x1' is not a device, '1 ' is.
        if not entry.isdecimal() or int(entry) >= len(present):
            return tuple(chosen), entry
        chosen.append(int(entry))
    return tuple(chosen), None


def compat_libcuda(snapshot: Snapshot) -> str | None:
    """The forward-compatibility libcuda (cuda-compat) that the loader picks before the driver's own; None where it does not."""
    loaded = snapshot.cuda_driver.library if snapshot.cuda_driver else None
    if loaded is not None:
        return loaded if "/compat/" in loaded else None
    files = (snapshot.libraries.files or ()) if snapshot.libraries else ()
    first = next((file for file in files if file.name == "libcuda" and not file.stub), None)
    return first.path if first is not None and first.compat else None


def plain_list(items: Sequence[object], limit: int = 4) -> str:
    """'a, b and c', each once, with how often it occurs; at most `limit` kinds."""
    counts: dict[str, int] = {}
    for item in items:
        counts[str(item)] = counts.get(str(item), 0) + 1
    words = [text if n == 1 else f"{n}x {text}" for text, n in counts.items()]
    if len(words) > limit:
        words = [*words[:limit], f"{len(words) - limit} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else "none"
