"""The GPUs of a description: "RTX 5090", "8x H100", "sm_90", "none"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor.errors import InputError
from envdoctor.knowledge import Knowledge, KnowledgeError, UnknownGpu
from envdoctor.knowledge.gpus import GpuRecord
from envdoctor.knowledge.versions import capability_key
from envdoctor.planning.machine_gpus import MachineGpu
from envdoctor.planning.model import TargetGpu

NONE = ("none", "no", "cpu", "0", "-")
MOST = 64
"""GPUs in one machine; more is a typing error."""
_COUNT = re.compile(
    r"(?:(\d{1,4})\s*[x*]\s*(?=\S)|(\d{1,4})\s+(?=(?:nvidia|geforce|tesla|rtx|gtx|[abhlvp]\d{2,3})\b))(.+)", re.I
)
_COUNT_AFTER = re.compile(r"(.+?)(?:\s+x\s?|\s*\*\s*|\s*\(x?)(\d{1,4})x?\)?", re.I)
_CAPABILITY = re.compile(
    r"(?:sm_?|compute_?|cc\s*)(\d{2,3})[af]?|(?:cc\s*|compute capability\s*)?(\d{1,2})\.(\d)", re.I
)


def parse_gpus(texts: Iterable[str], world: Knowledge) -> tuple[tuple[TargetGpu, ...], tuple[GpuRecord, ...]]:
    """The GPUs that the texts name, in their order and as often as they are there, and their records where they have one.

    () for "none". Raises InputError, in one line with near names, for a GPU that is unknown or could be several.
    """
    gpus: list[TargetGpu] = []
    records: list[GpuRecord] = []
    wanted = [part.strip() for text in texts for part in re.split(r"[,;+]", text) if part.strip()]
    if not wanted:
        raise InputError("--gpu needs a name, such as 'RTX 5090', or 'none'")
    if any(text.lower() in NONE for text in wanted):
        if len(wanted) > 1:
            raise InputError("--gpu none stands alone: there are GPUs, or there are none")
        return (), ()
    for text in wanted:
        count, name = _counted(text)
        if (capability := _capability(name)) is not None:
            record = None
            gpu = _by_capability(capability, world)
        else:
            record = _record(name, world)
            gpu = target_gpu(record)
        gpus += [gpu] * count
        if record is not None:
            records.append(record)
    return tuple(gpus), tuple(records)


def target_gpu(record: GpuRecord, *, name: str | None = None, capability: str | None = None) -> TargetGpu:
    """The GPU of a record, under the name and with the capability that a machine reports, where it does."""
    return TargetGpu(
        name=name or record.name,
        capability=capability or record.capability,
        kind=record.kind,
        open_kernel_modules=record.open_kernel_modules,
        # Of a family ("V100") it is that of no member.
        first_driver=None if record.models else record.first_driver,
    )


def gpu_of(gpu: MachineGpu) -> TargetGpu | None:
    """The GPU to plan for of one that a machine shows; None where not even its capability is known."""
    if gpu.record is not None:
        return target_gpu(gpu.record, name=gpu.name, capability=gpu.capability)
    return None if gpu.capability is None else TargetGpu(name=gpu.name, capability=gpu.capability)


def gpu_of_pci(device_id: str, world: Knowledge) -> TargetGpu | None:
    """The GPU of a PCI device id, by its own record, else by the capability that all known GPUs of its block share."""
    record, capability = world.gpu_by_pci_id(device_id), world.capability_of_pci_id(device_id)
    if record is not None:
        return target_gpu(record)
    architecture = world.architecture(capability) if capability else None
    if capability is None:
        return None
    kind = architecture.name if architecture else "NVIDIA"
    return TargetGpu(name=f"{kind} GPU 10de:{device_id}", capability=capability)


def gpu_of_capability(capability: str, world: Knowledge) -> TargetGpu:
    """A GPU of which nothing but the capability is known."""
    architecture = world.architecture(capability)
    return TargetGpu(
        name=f"a {architecture.name} GPU" if architecture else f"a GPU of compute capability {capability}",
        capability=capability,
        kind="jetson" if architecture is not None and architecture.jetson else None,
    )


def _counted(text: str) -> tuple[int, str]:
    if match := _COUNT.fullmatch(text):
        count, name = int(match[1] or match[2]), match[3].strip()
    elif match := _COUNT_AFTER.fullmatch(text):
        count, name = int(match[2]), match[1].strip()
    else:
        return 1, text
    if not 1 <= count <= MOST:
        raise InputError(f"--gpu {text}: {count} is no number of GPUs in one machine (1 to {MOST})")
    return count, name


def _capability(name: str) -> str | None:
    match = _CAPABILITY.fullmatch(name)
    if match is None:
        return None
    return f"{match[2]}.{match[3]}" if match[2] else f"{match[1][:-1]}.{match[1][-1]}"


def _by_capability(capability: str, world: Knowledge) -> TargetGpu:
    architecture = world.architecture(capability)
    if architecture is None:
        known = sorted({record.capability for record in world.architectures()}, key=capability_key)
        raise InputError(f"--gpu: no GPU has compute capability {capability}; known are {', '.join(known)}")
    return gpu_of_capability(capability, world)


def _record(name: str, world: Knowledge) -> GpuRecord:
    try:
        return world.gpu(name)
    except UnknownGpu as error:
        if error.other_maker:
            raise InputError(f"--gpu: {error} Builds for the CPU run beside any: --gpu none") from None
        raise InputError(f"--gpu: {error} Its compute capability will do too: --gpu sm_90") from None
    except KnowledgeError as error:
        raise InputError(f"--gpu: {error}") from None
