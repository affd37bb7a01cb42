"""The GPU's memory or links have hardware errors.

What it is
    Data-centre and workstation GPUs check their memory (ECC). An uncorrectable error ends the program that met it; the
    driver takes the bad row or page out of use, which needs a GPU reset to become effective. When no spare is left, or
    errors go on, the card has to be replaced.

Told apart by
    NVML's counters since the driver was loaded, a failed or pending row remap or page retirement, CUDA's error 214, and
    the Xids of this boot for memory and NVLink errors (48, 64, 74, 94, 95, 140, ...). Corrected errors, finished remaps
    and counts of former boots (aggregate) are a normal life. Xid 13, 31, 43 and 45 are errors of a program. An Xid
    whose GPU has clean counters since is over. A GPU that no longer answers is `gpu-lost`.

Repair
    Reset the GPU or reboot, so that the remap takes effect; then test it. Failed remaps: have the card replaced.

Sources
    docs.nvidia.com/deploy/xid-errors; docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt and dynamic-page-retirement;
    nvml.h
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import on_the_host
from envdoctor.diagnosis.reported_errors import ECC_UNCORRECTABLE, cuda_errors, cuda_starts, gpu_at, xids
from envdoctor.diagnosis.snapshot_queries import is_wsl, plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

# From the catalogue: what is the GPU's own memory, links or power, and no program's error.
MEMORY_XIDS = {
    48: "double-bit ECC error",
    63: "row remap or page retirement recorded",
    64: "row remap or page retirement failed",
    94: "contained memory error",
    95: "uncontained memory error",
    140: "unrecovered ECC error",
    157: "resource retirement failed",
    171: "uncorrectable DRAM error",
    172: "uncorrectable SRAM error",
}
OTHER_XIDS = {54: "auxiliary power is not connected", 74: "NVLink error", 110: "security fault"}
# Page retirement: a card qualifies for replacement with 60 retired pages and more (RMA policy of the page-retirement guide).
MOST_PAGES = 60
VERIFY = "nvidia-smi -q -d ECC,ROW_REMAPPER,PAGE_RETIREMENT"


MESSAGES = beside(__file__)


@diagnosis(
    "gpu-hw-fault",
    layer=Layer.GPU,
    severity=Severity.ERROR,
    follows_from=("gpu-lost",),
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine, [], replace=False),
)
def gpu_hw_fault(machine: Snapshot, world: Knowledge) -> Finding | None:
    evidence: list[Evidence] = []
    troubles: list[str] = []
    faulty: set[int] = set()
    replace = False
    for gpu in machine.gpus or ():
        for words, field, value, final in _counted(gpu):
            evidence.append(fact(f"gpu {gpu.index}.{field}", value))
            troubles.append(words)
            faulty.add(gpu.index)
            replace = replace or final
    for number, text, index in _logged(machine):
        evidence.append(fact(f"logs (Xid {number})", text))
        troubles.append({**MEMORY_XIDS, **OTHER_XIDS}[number])
        faulty.update({index} if index is not None else ())
    errors = cuda_errors(machine, {ECC_UNCORRECTABLE: MESSAGES.group("named")})
    if ECC_UNCORRECTABLE in errors:
        evidence.append(errors[ECC_UNCORRECTABLE])
        troubles.append("uncorrectable ECC error")
    if not troubles:
        return None
    names = [f"GPU {g.index}{f' ({g.name})' if g.name else ''}" for g in machine.gpus or () if g.index in faulty] or [
        "A GPU"
    ]
    links_only = set(troubles) <= set(OTHER_XIDS.values())
    return Finding(
        severity=Severity.WARNING if links_only and cuda_starts(machine) else None,
        summary=f"{plain_list(names)} has hardware errors: {plain_list(troubles)}."
        + (" The card is to be replaced." if replace else ""),
        evidence=tuple(evidence[:12]),
        fixes=_fixes(machine, sorted(faulty), replace),
    )


def _counted(gpu: Gpu) -> list[tuple[str, str, object, bool]]:
    """Words, field, value, and whether only another card helps."""
    found: list[tuple[str, str, object, bool]] = []
    if gpu.row_remap_failed:
        found.append(("row remapping failed", "row_remap_failed", True, True))
    if gpu.ecc_uncorrected_volatile:
        words = "uncorrectable memory errors since the driver was loaded"
        found.append((words, "ecc_uncorrected_volatile", gpu.ecc_uncorrected_volatile, False))
    if gpu.row_remap_pending:
        found.append(("a row remap waits for a reset", "row_remap_pending", True, False))
    if gpu.page_retirement_pending:
        found.append(("a page retirement waits for a reset", "page_retirement_pending", True, False))
    if gpu.pages_retired is not None and gpu.pages_retired >= MOST_PAGES:
        found.append((f"{gpu.pages_retired} retired pages", "pages_retired", gpu.pages_retired, True))
    return found


def _logged(machine: Snapshot) -> list[tuple[int, str, int | None]]:
    """Each kind of Xid once a GPU, unless the GPU's counters are known to be clean since."""
    found: dict[tuple[int, str | None], tuple[int, str, int | None]] = {}
    for xid in xids(machine):
        gpu = gpu_at(machine, xid.pci)
        if xid.number in MEMORY_XIDS and gpu is not None and _clean(gpu):
            continue
        # 63 tells of a remap that was recorded, which is the cure: only its pending state is a fault.
        if (
            xid.number == 63
            and gpu is not None
            and (gpu.row_remap_pending, gpu.page_retirement_pending) != (None, None)
        ):
            continue
        if xid.number in MEMORY_XIDS or xid.number in OTHER_XIDS:
            found.setdefault((xid.number, xid.pci), (xid.number, xid.text, gpu.index if gpu else None))
    return list(found.values())


def _clean(gpu: Gpu) -> bool:
    pending = (gpu.row_remap_pending, gpu.page_retirement_pending)
    return (
        gpu.ecc_uncorrected_volatile == 0
        and True not in pending
        and pending != (None, None)
        and not gpu.row_remap_failed
    )


def _fixes(machine: Snapshot, faulty: list[int], replace: bool) -> tuple[Fix, ...]:
    which = f" -i {','.join(map(str, faulty))}" if faulty else ""
    reset = Fix(
        title="Stop the programs on it and reset the GPU, so that bad memory is taken out of use; or reboot",
        commands=(f"sudo nvidia-smi --gpu-reset{which}", "sudo reboot   # on the host, where the reset is refused"),
        needs_root=True,
        verify=VERIFY,
    )
    test = Fix(
        title="Test the GPU before it is used again (NVIDIA DCGM, package datacenter-gpu-manager)",
        commands=(f"dcgmi diag -r 3{which}",),
        needs_root=True,
        note="Errors that return after a reset call for another card.",
    )
    others = Fix(
        title="Until then, keep programs off it",
        commands=("nvidia-smi -L", "export CUDA_VISIBLE_DEVICES=...   # the indices of the healthy GPUs"),
    )
    change = Fix(
        title="Have the card replaced: it has no spare memory rows left",
        commands=("sudo nvidia-bug-report.sh   # the vendor asks for this file",),
        needs_root=True,
    )
    several = len(machine.gpus or ()) > len(faulty) > 0
    of_card = (*((change,) if replace else ()), reset, test)
    # Windows owns a card under WSL: it cannot be reset from there.
    repairs = (change, test) if is_wsl(machine) else on_the_host(machine, *of_card)
    return (*repairs, *((others,) if several else ()))
