"""Which of the things that the PCI bus, NVML, the CUDA driver and torch list are the same GPU."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from envdoctor.facts.sections.gpu import CudaDevice, Gpu
from envdoctor.facts.sections.host import PciDevice
from envdoctor.facts.sections.interpreter import TorchDevice
from envdoctor.knowledge import KnowledgeError
from envdoctor.knowledge.versions import capability_key
from envdoctor.planning.visible_devices import select_devices

Device = CudaDevice | TorchDevice


class Entry:
    """What the sources say of one GPU, while they are being matched."""

    def __init__(
        self, *, pci: PciDevice | None = None, nvml: Gpu | None = None, cuda: CudaDevice | None = None
    ) -> None:
        self.pci, self.nvml, self.cuda = pci, nvml, cuda
        self.torch: TorchDevice | None = None

    @property
    def names(self) -> list[str]:
        return [said.name for said in (self.nvml, self.cuda, self.torch) if said is not None and said.name]

    @property
    def capabilities(self) -> list[str]:
        found = (said.compute_capability for said in (self.nvml, self.cuda, self.torch) if said is not None)
        return [capability for text in found if (capability := capability_text(text)) is not None]

    @property
    def uuid(self) -> str | None:
        said = next((said.uuid for said in (self.nvml, self.cuda) if said is not None and said.uuid), None)
        return bare_uuid(said)


def pci_place(address: str | None) -> str | None:
    """'0000:65:00' of a PCI address in any of its spellings: PCI:0000:65:00, 00000000:65:00.0, 65:00.0."""
    match = re.search(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})(?:\.[0-7])?$", (address or "").lower())
    return f"{(match[1] or '0000')[-4:]}:{match[2]}:{match[3]}" if match else None


def capability_text(text: str | None) -> str | None:
    """As "9.0"; None for text that is none (somebody's dump)."""
    try:
        return None if text is None else ".".join(map(str, capability_key(text)))
    except KnowledgeError:
        return None


def bare_uuid(uuid: str | None) -> str | None:
    """A GPU's UUID without NVML's prefix; None for a MIG instance's, which names no GPU."""
    if uuid is None or uuid.upper().startswith("MIG"):
        return None
    return uuid.lower().removeprefix("gpu-")


def add_nvml(entries: list[Entry], listed: Sequence[Gpu]) -> None:
    """NVML's GPUs onto the bus's devices: by address, then by device id, then, where NVML refused both, by what is left over."""
    waiting = []
    for gpu in listed:
        entry = next((e for e in entries if e.pci and pci_place(e.pci.address) == pci_place(gpu.pci_address)), None)
        if gpu.pci_address is not None:
            _join(entries, entry, gpu)
        else:
            waiting.append(gpu)
    for gpu in [gpu for gpu in waiting if gpu.pci_device is not None]:
        waiting.remove(gpu)
        _join(entries, next((e for e in _free(entries) if e.pci and e.pci.device == gpu.pci_device), None), gpu)
    free = _free(entries)
    driven = [entry for entry in free if entry.pci and entry.pci.driver == "nvidia"]
    left = next((some for some in (free, driven) if len(some) == len(waiting)), [])
    for place, gpu in enumerate(waiting):
        _join(entries, left[place] if left else None, gpu)


def _free(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.nvml is None]


def _join(entries: list[Entry], entry: Entry | None, gpu: Gpu) -> None:
    if entry is None or entry.nvml is not None:
        entries.append(Entry(nvml=gpu))
    else:
        entry.nvml = gpu


def matching(
    entries: list[Entry],
    device: Device,
    place: int,
    devices: Sequence[Device],
    selection: str | None,
    taken: Callable[[Entry], bool],
) -> Entry | None:
    """The entry of a device that CUDA or torch numbers: the first way that finds one decides."""
    free = [entry for entry in entries if not taken(entry)]
    uuid = _comparable_uuid(entries, device, devices)
    if uuid is not None and (same := [entry for entry in free if entry.uuid == uuid]):
        return same[0]
    # An entry whose UUID is another is another GPU.
    free = [entry for entry in free if uuid is None or entry.uuid is None]
    numbered = sorted((e for e in entries if e.nvml is not None), key=lambda e: e.nvml.index if e.nvml else 0)
    if selection is not None and numbered:
        chosen, wrong = select_devices(selection, [entry.nvml for entry in numbered if entry.nvml is not None])
        if wrong is None and len(chosen) == len(devices):
            entry = numbered[chosen[place]]
            if entry in free and _may_be(entry, device):
                return entry
    for known in (True, False):  # one of the same name before one whose name nobody has said
        alike = [entry for entry in free if _may_be(entry, device, known=known)]
        if alike:
            return alike[0]
    remaining = [entry for entry in free if not any(_may_be(entry, other, known=True) for other in devices)]
    return remaining[0] if len(free) == len(devices) - place and remaining else None


def _comparable_uuid(entries: list[Entry], device: Device, devices: Sequence[Device]) -> str | None:
    """The device's UUID where the UUIDs of its source are those of the others: redaction may have written them differently."""
    uuids = {bare_uuid(getattr(each, "uuid", None)) for each in devices}
    known = {entry.nvml.uuid and bare_uuid(entry.nvml.uuid) for entry in entries if entry.nvml is not None}
    return bare_uuid(getattr(device, "uuid", None)) if (uuids & known) - {None} else None


def _may_be(entry: Entry, device: Device, *, known: bool = False) -> bool:
    """Whether nothing that is known of both says otherwise; `known`: and their names are known to agree."""
    capability = capability_text(device.compute_capability)
    if capability is not None and entry.capabilities and capability not in entry.capabilities:
        return False
    if device.name and entry.names:
        # CUDA adds the profile of a MIG instance to the name.
        return any(device.name == name or device.name.startswith(f"{name} MIG") for name in entry.names)
    return not known
