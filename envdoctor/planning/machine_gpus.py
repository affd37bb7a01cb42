"""The NVIDIA GPUs of a machine: one view, merged from the PCI bus, NVML, the CUDA driver and torch.

Each of the four knows a part, and may refuse any of it. So entries that mean the same GPU are matched, by PCI address, UUID,
CUDA_VISIBLE_DEVICES, name or position, and every value is taken from whichever source has it. Where two sources give
different values, the view says so and the driver's management library (NVML) is believed first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.facts.sections.host import PciDevice
from envdoctor.knowledge import GpuRecord, Knowledge, KnowledgeError
from envdoctor.planning.gpu_matching import Entry, add_nvml, bare_uuid, capability_text, matching
from envdoctor.planning.visible_devices import select_devices

# Hypervisors hand a card to a guest through these; the host's own programs are not meant to use it.
PASSED_THROUGH = ("vfio-pci", "pci-stub", "xen-pciback")

NVML, CUDA, TORCH, PCI = "nvml", "cuda_driver", "torch", "pci"


class Disagreement(msgspec.Struct, frozen=True):
    """One value of a GPU on which its sources differ: `field`, and what each source says."""

    field: str
    said: tuple[tuple[str, str], ...]


class MachineGpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU. `capability`: "9.0"; `memory`: bytes; `index`: NVML's and nvidia-smi's number; `cuda_index`: that of CUDA and
    torch, after CUDA_VISIBLE_DEVICES; `sources`: who lists it. None is unknown to every source.

    `capability_from`: the fact that the capability is known from, as evidence names it; the GPU's own where it is not."""

    name: str
    capability: str | None = None
    memory: int | None = None
    index: int | None = None
    cuda_index: int | None = None
    uuid: str | None = None
    pci_address: str | None = None
    pci_device: str | None = None
    record: GpuRecord | None = None
    sources: tuple[str, ...] = ()
    capability_from: str = ""
    disagreements: tuple[Disagreement, ...] = ()
    nvml: Gpu | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.capability})" if self.capability else self.name


def own_devices(snapshot: Snapshot) -> tuple[PciDevice, ...] | None:
    """The NVIDIA GPUs on the PCI bus that are this system's own; None where the bus was not read."""
    devices = snapshot.nvidia_devices
    return None if devices is None else tuple(d for d in devices if d.driver not in PASSED_THROUGH)


def machine_gpus(snapshot: Snapshot, world: Knowledge) -> tuple[MachineGpu, ...] | None:
    """The GPUs of the machine, in NVML's order, then the bus's. () where it is known to have none, None where nothing is known.

    A device that only the bus shows counts where no driver lists any GPU, or where NVML did not answer or hides what it
    lists: beside GPUs that a driver lists, a card that it does not is not one that a program could use."""
    cuda = (snapshot.cuda_driver.devices or ()) if snapshot.cuda_driver else ()
    run = snapshot.torch.run if snapshot.torch else None
    seen = (run.devices or ()) if run else ()
    listed, bus = snapshot.gpus or (), own_devices(snapshot)
    if not (listed or cuda or seen) and bus is None:
        return None
    entries = [Entry(pci=device) for device in bus or ()]
    add_nvml(entries, listed)
    selection = snapshot.variable("CUDA_VISIBLE_DEVICES")
    for place, device in enumerate(cuda):
        entry = matching(entries, device, place, cuda, selection, lambda entry: entry.cuda is not None)
        if entry is None:
            entries.append(Entry(cuda=device))
        else:
            entry.cuda = device
    by_index = {entry.cuda.index: entry for entry in entries if entry.cuda is not None}
    for place, torch_device in enumerate(seen):
        entry = by_index.get(torch_device.index)
        if entry is None:
            entry = matching(entries, torch_device, place, seen, selection, lambda entry: entry.torch is not None)
        if entry is None:
            entry = Entry()
            entries.append(entry)
        entry.torch = torch_device
    gpus = [_merged(entry, world) for entry in entries if _counts(entry, entries, snapshot)]
    gpus.sort(key=lambda gpu: (gpu.index is None, gpu.index or 0))
    return tuple(gpus)


def visible_gpus(snapshot: Snapshot, world: Knowledge) -> tuple[MachineGpu, ...] | None:
    """Those that a CUDA program here may use, as CUDA or torch lists and orders them, else what CUDA_VISIBLE_DEVICES leaves."""
    machine = machine_gpus(snapshot, world)
    if machine is None:
        return None
    numbered = [gpu for gpu in machine if gpu.cuda_index is not None]
    if numbered:
        return tuple(sorted(numbered, key=lambda gpu: gpu.cuda_index or 0))
    selection = snapshot.variable("CUDA_VISIBLE_DEVICES")
    listed = [gpu for gpu in machine if gpu.nvml is not None]
    if selection is None or not listed:
        return machine
    chosen, _ = select_devices(selection, [gpu.nvml for gpu in listed if gpu.nvml is not None])
    return tuple(listed[place] for place in chosen)


def _counts(entry: Entry, entries: list[Entry], snapshot: Snapshot) -> bool:
    """Whether an entry is a GPU of this machine that a driver lists, or may yet."""
    if entry.nvml is not None or entry.cuda is not None or entry.torch is not None:
        # An entry that NVML refused to describe and that could be any of several on the bus stands for one of those.
        return entry.pci is not None or bool(entry.names or entry.capabilities) or not _hidden(entries)
    others = [e for e in entries if e.nvml is not None or e.cuda is not None or e.torch is not None]
    if not others:
        return True
    inside = bool(snapshot.container and snapshot.container.inside)
    driven = entry.pci is not None and entry.pci.driver == "nvidia"
    unheard = not snapshot.gpus or any(not (e.pci or e.names or e.capabilities) for e in others)
    return driven and unheard and not inside


def _hidden(entries: list[Entry]) -> bool:
    """Whether the bus shows a driven device that no other source has been matched to."""
    return any(e.pci is not None and e.pci.driver == "nvidia" and not (e.nvml or e.cuda or e.torch) for e in entries)


def _merged(entry: Entry, world: Knowledge) -> MachineGpu:
    pci, nvml, cuda, torch = entry.pci, entry.nvml, entry.cuda, entry.torch
    pci_device = next((d for d in (nvml.pci_device if nvml else None, pci.device if pci else None) if d), None)
    record = (world.gpu_by_pci_id(pci_device) if pci_device else None) or _by_name(entry.names, world)
    index = next((said.index for said in (cuda, torch) if said is not None), None)
    fact = f"gpu {nvml.index}" if nvml else CUDA if cuda else TORCH if torch else f"pci {pci.address if pci else ''}"
    said = {source: value for source, value, _ in _said(entry)}
    capability, found = next(((value, place) for _, value, place in _said(entry)), (None, fact))
    if capability is None and pci_device is not None:
        capability = world.capability_of_pci_id(pci_device)
    if capability is None and record is not None:
        capability = record.capability
    unnamed = f"GPU {index if nvml is None else nvml.index}"
    if nvml is None and index is None:
        unnamed = f"NVIDIA GPU 10de:{pci_device}"
    uuids = {NVML: bare_uuid(nvml.uuid) if nvml else None, CUDA: bare_uuid(cuda.uuid) if cuda else None}
    return MachineGpu(
        name=next(iter(entry.names), record.name if record else unnamed),
        capability=capability,
        memory=next((d.memory_total for d in (nvml, cuda, torch) if d is not None and d.memory_total), None),
        index=nvml.index if nvml else None,
        cuda_index=index,
        uuid=next((d.uuid for d in (nvml, cuda) if d is not None and d.uuid), None),
        pci_address=(nvml.pci_address if nvml else None) or (pci.address if pci else None),
        pci_device=pci_device,
        record=record,
        sources=tuple(
            source for source, part in ((PCI, pci), (NVML, nvml), (CUDA, cuda), (TORCH, torch)) if part is not None
        ),
        capability_from=found,
        disagreements=tuple(
            Disagreement(field, tuple(values.items()))
            for field, values in (
                ("capability", said | _of_bus(pci, world)),
                ("uuid", {source: uuid for source, uuid in uuids.items() if uuid}),
            )
            if len(set(values.values())) > 1
        ),
        nvml=nvml,
    )


def _said(entry: Entry) -> Iterator[tuple[str, str, str]]:
    """The capabilities that are given: by whom, which, and the fact's name."""
    index = f"gpu {entry.nvml.index}" if entry.nvml else ""
    for source, part, place in ((NVML, entry.nvml, index), (CUDA, entry.cuda, CUDA), (TORCH, entry.torch, TORCH)):
        if part is not None and (capability := capability_text(part.compute_capability)) is not None:
            yield source, capability, place


def _of_bus(pci: PciDevice | None, world: Knowledge) -> dict[str, str]:
    """What the exact PCI device id says. A block of ids is a guess, and contradicts nobody."""
    record = world.gpu_by_pci_id(pci.device) if pci is not None else None
    return {PCI: record.capability} if record is not None else {}


def _by_name(names: Sequence[str], world: Knowledge) -> GpuRecord | None:
    return next((record for name in names if (record := _named(name, world)) is not None), None)


def _named(name: str, world: Knowledge) -> GpuRecord | None:
    try:
        return world.gpu(name)
    except KnowledgeError:
        return None
