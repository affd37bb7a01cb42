"""NCCL, which joins several GPUs, fails: wrong network interface, broken peer access, or two ranks on one GPU.

What it is
    torch.distributed talks between GPUs through NCCL: over NVLink or PCIe inside a machine, over the network between
    machines. It chooses interfaces and paths by itself, and can choose one that leads nowhere: docker0, a VPN, PCIe
    behind an IOMMU. Then the start hangs or ends in 'unhandled system error'.

Told apart by
    NCCL's own words; or, on a machine with NVSwitch, a GPU whose NVLinks are all down while those of its equals are up.
    Too little shared memory is `shm-too-small`; a libnccl that does not go with torch, with 'undefined symbol:
    nccl...', is `nvidia-wheels-mismatch` or `library-path-conflict`; a missing Fabric Manager is `fabric-manager-down`.

Repair
    NCCL_DEBUG=INFO names the call that failed. Then: the right interface (NCCL_SOCKET_IFNAME), one GPU a rank, and to
    find out whether peer access is broken, NCCL_P2P_DISABLE=1.

Sources
    NCCL user guide, 'Environment Variables' and 'Troubleshooting'; nccl, src/bootstrap.cc, src/misc/socket.cc,
    src/init.cc
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.message_files import beside

TOLD = 0.6
"""Messages of less weight are hints."""

SEE = Fix(
    title="Let NCCL say which call fails",
    commands=(
        "export NCCL_DEBUG=INFO NCCL_DEBUG_SUBSYS=INIT,NET,P2P",
        "# run the program again and read the first 'NCCL WARN'",
    ),
)
INTERFACE = Fix(
    title="Name the network interface that reaches the other machines (or leave docker0 and lo out)",
    commands=(
        "ip -br address",
        "export NCCL_SOCKET_IFNAME=eth0   # its name in that list",
        "export NCCL_SOCKET_IFNAME=^docker0,lo",
    ),
    note="Ports between the machines must be open; MASTER_ADDR must be an address of that interface.",
)
ONE_EACH = Fix(
    title="Give each rank a GPU of its own",
    commands=("torchrun --nproc-per-node=$(nvidia-smi -L | wc -l) train.py   # sets LOCAL_RANK",),
    note="In the program: torch.cuda.set_device(int(os.environ['LOCAL_RANK'])) before init_process_group.",
)
WITHOUT_PEERS = Fix(
    title="Find out whether peer access is broken: run without it",
    commands=("export NCCL_P2P_DISABLE=1", "nvidia-smi topo -p2p r"),
    note="When that helps, switch PCIe ACS or the IOMMU off in the firmware, or update the driver.",
)
SHARED = Fix(
    title="In a container: give it shared memory", commands=("docker run --gpus all --ipc=host IMAGE   # on the host",)
)


MESSAGES = beside(__file__)


@diagnosis(
    "nccl-problem",
    layer=Layer.MULTI_GPU,
    severity=Severity.ERROR,
    follows_from=(
        "gpu-lost",
        "gpu-hw-fault",
        "fabric-manager-down",
        "shm-too-small",
        "out-of-memory",
        "nvidia-wheels-mismatch",
        "library-path-conflict",
    ),
    messages=MESSAGES,
    remedy=lambda _machine, _world: (SEE, INTERFACE, WITHOUT_PEERS),
)
def nccl_problem(machine: Snapshot, world: Knowledge) -> Finding | None:
    if any("nccl" in line.lower() for line in machine.messages):
        for messages, summary, fixes, confidence in (
            (MESSAGES.group("same_gpu"), "Two ranks use the same GPU, which NCCL refuses.", (ONE_EACH,), 1.0),
            (
                MESSAGES.group("network"),
                "NCCL finds no usable network interface, or cannot reach the other ranks over it.",
                (INTERFACE, SEE),
                1.0,
            ),
            (MESSAGES.group("system"), "A call of NCCL to the system failed (network, shared memory or peer access).",
             (SEE, INTERFACE, SHARED), 0.5),
            (MESSAGES.group("others"), "NCCL failed.", (SEE, WITHOUT_PEERS, INTERFACE), 0.5),
        ):  # fmt: skip
            said = first_said(machine, messages, least=TOLD)
            if said is not None:
                return Finding(summary=summary, evidence=(said.evidence(),), fixes=fixes, confidence=confidence)
    return _dark_links(machine)


def _dark_links(machine: Snapshot) -> Finding | None:
    """On NVSwitch machines every GPU has all its links; elsewhere a card without a bridge has none and is healthy."""
    manager = machine.driver.fabric_manager if machine.driver else None
    if manager is None or manager.needed is not True:
        return None
    states = {gpu.index: _links(gpu) for gpu in machine.gpus or ()}
    dark = [gpu for gpu in machine.gpus or () if states[gpu.index] is False]
    bright = [gpu for gpu in machine.gpus or () if states[gpu.index] is True]
    dark = [gpu for gpu in dark if any(other.name == gpu.name for other in bright)]
    if not dark or any(gpu.mig_enabled is not False for gpu in dark):
        return None
    indices = ", ".join(str(gpu.index) for gpu in dark)
    return Finding(
        summary=f"The NVLinks of GPU {indices} are down, and those of the others are up: NCCL goes over PCIe, or fails.",
        severity=Severity.WARNING,
        evidence=tuple(fact(f"gpu {gpu.index}.nvlinks", "none active") for gpu in dark[:8]),
        fixes=(
            Fix(
                title="Look at the links, then restart the fabric with every program on the GPUs stopped",
                commands=(
                    "nvidia-smi nvlink --status",
                    "sudo systemctl restart nvidia-fabricmanager",
                    "sudo nvidia-smi --gpu-reset",
                ),
                needs_root=True,
                verify="nvidia-smi nvlink --status",
            ),
        ),
        confidence=0.8,
    )


def _links(gpu: Gpu) -> bool | None:
    """True: all of its links are active, False: none is; None: unknown, mixed, or it has none."""
    states = {link.active for link in gpu.nvlinks or ()}
    return states.pop() if len(states) == 1 else None
