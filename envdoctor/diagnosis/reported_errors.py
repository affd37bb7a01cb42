"""What CUDA, torch and the kernel log said went wrong: for diagnoses whose evidence is somebody's error. None means unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from envdoctor.diagnosis.snapshot_queries import in_container
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.facts.sections.host import PciDevice
from envdoctor.planning.gpu_matching import pci_place
from envdoctor.planning.machine_gpus import own_devices
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.loader_errors import said
from envdoctor.reading.messages.message import Message

# CUresult's numbers (cuda.h); from CUDA 10.1 on the runtime's own are the same.
OUT_OF_MEMORY, NOT_INITIALIZED, UNAVAILABLE, NO_DEVICE = 2, 3, 46, 100
ECC_UNCORRECTABLE, SYSTEM_NOT_READY, DRIVER_MISMATCH, COMPAT_NOT_SUPPORTED, UNKNOWN = 214, 802, 803, 804, 999

# 'Error 802:', 'error=999 :', 'runtime error (999)'. Small numbers are left to their words: NCCL has errors 1 to 7 too.
_NUMBERS = re.compile(r"\berror ?[ =(](46|214|802|803|804|999)\b", re.IGNORECASE)
# 'NVRM: Xid (PCI:0000:65:00): 79, pid=...'; older drivers leave 'PCI:' out.
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-f:.]+)\): (\d+)", re.IGNORECASE)


def cuda_errors(snapshot: Snapshot, named: Mapping[int, Sequence[Message]]) -> dict[int, Evidence]:
    """CUDA's errors, each with where it was said: by cuInit's result, by its number in a text, or in the words that a
    diagnosis knows it by (`named`)."""
    found: dict[int, Evidence] = {}
    cuda = snapshot.cuda_driver
    if cuda is not None and cuda.init_code:
        name = f" ({cuda.init_name})" if cuda.init_name else ""
        found[cuda.init_code] = fact("cuda_driver.init_code", f"{cuda.init_code}{name}")
    for line in said(snapshot):
        for number in _NUMBERS.findall(line.text):
            found.setdefault(int(number), line.evidence())
    for number, messages in named.items():
        words = None if number in found else first_said(snapshot, messages, least=0.0)
        if words is not None:
            found[number] = words.evidence()
    return found


def cuda_starts(snapshot: Snapshot) -> bool | None:
    """Whether CUDA starts here and shows a device, by torch's or cuInit's own word."""
    run = snapshot.torch.run if snapshot.torch else None
    if run is not None and (run.computation == "ok" or run.cuda_available):
        return True
    cuda = snapshot.cuda_driver
    if cuda is not None:
        if cuda.init_code == 0 and cuda.device_count != 0:
            return True
        if cuda.init_code is not None or cuda.library_missing or cuda.outcome in ("crash", "timeout"):
            return False
    failed = run is not None and run.cuda_available is False
    return False if failed and snapshot.torch is not None and snapshot.torch.build == "cuda" else None


def kernel_text(snapshot: Snapshot) -> str:
    """What the kernel log and pasted lines say, in one line: NVRM breaks its sentences over several."""
    lines = [line.text for line in (snapshot.logs.lines if snapshot.logs else ())]
    return " ".join(" ".join(line.rpartition("NVRM:")[2].split()) for line in (*lines, *snapshot.messages))


class Xid(msgspec.Struct, frozen=True):
    """An NVIDIA Xid error of this boot."""

    number: int
    pci: str | None
    """'0000:65:00': domain, bus and device."""
    text: str


def xids(snapshot: Snapshot) -> tuple[Xid, ...]:
    """The Xid errors of this boot's kernel log, and of pasted lines."""
    lines = snapshot.logs.lines if snapshot.logs else ()
    found = [Xid(line.xid, pci_place(line.pci), line.text) for line in lines if line.xid is not None]
    for text in snapshot.messages:
        match = _XID.search(text)
        if match:
            found.append(Xid(int(match[2]), pci_place(match[1]), " ".join(text.split())[:300]))
    return tuple(found)


def gpu_at(snapshot: Snapshot, address: str | None) -> Gpu | None:
    """The GPU that NVML lists at this PCI address."""
    return next((g for g in snapshot.gpus or () if address and pci_place(g.pci_address) == pci_place(address)), None)


def undriven(snapshot: Snapshot) -> tuple[PciDevice, ...]:
    """GPUs on this system's bus that NVML is known not to list; () where that is not known.

    Not in a container, whose NVML lists only what it was given, nor under WSL, whose driver is Windows'.
    """
    own, nvml = own_devices(snapshot), snapshot.nvml
    if own is None or nvml is None or nvml.status is None or in_container(snapshot):
        return ()
    if snapshot.host is not None and snapshot.host.wsl:
        return ()
    if not nvml.working:
        return own
    if nvml.gpus is None or any(gpu.pci_address is None for gpu in nvml.gpus):
        return () if nvml.gpus is None or nvml.gpus else own
    listed = {pci_place(gpu.pci_address) for gpu in nvml.gpus}
    return tuple(device for device in own if pci_place(device.address) not in listed)


def out_of_reach(snapshot: Snapshot) -> tuple[PciDevice, ...]:
    """GPUs on this system's bus that nothing shows to be driven: those of `undriven`, and where nobody knows what NVML lists,
    those bound to NVIDIA's driver or to none, unless a GPU is listed or torch sees one."""
    known, run = undriven(snapshot), snapshot.torch.run if snapshot.torch else None
    if known or snapshot.nvml is not None or snapshot.gpus or (run is not None and run.cuda_available):
        return known
    if in_container(snapshot) or (snapshot.host is not None and snapshot.host.wsl):
        return ()
    return tuple(device for device in own_devices(snapshot) or () if device.driver in (None, "nvidia"))


def driver_on_disk(snapshot: Snapshot) -> str | None:
    """The version of the running driver, else of the one module that the running kernel would load; text that is no version
    (of somebody's dump) counts as unknown."""
    if snapshot.driver_version is not None:
        return snapshot.driver_version if re.fullmatch(r"\d+(\.\d+)+", snapshot.driver_version) else None
    kernel = snapshot.host.kernel if snapshot.host else None
    files = (snapshot.driver.module_files or ()) if snapshot.driver else ()
    versions = {file.version for file in files if file.kernel == kernel and file.version}
    return versions.pop() if len(versions) == 1 else None
