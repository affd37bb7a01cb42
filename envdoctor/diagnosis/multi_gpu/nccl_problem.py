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
from envdoctor.reading.messages.conditions import near, not_after_a_fault
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.message import Message

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


SAME_GPU = (
    Message("Duplicate GPU detected : rank {a} and rank {b} both on CUDA device {device}", "NCCL, src/init.cc"),
    Message("Duplicate GPU detected", "NCCL, src/init.cc"),
)
NETWORK = (
    Message("NCCL WARN Bootstrap : no socket interface found", "NCCL, src/bootstrap.cc"),
    Message("no socket interface found", "NCCL, src/misc/socket.cc", 0.9),
    Message("NCCL WARN socketStartConnect: Connect to {address} failed : {why}", "NCCL, src/misc/socket.cc", 0.95),
    Message("socketStartConnect: Connect to {address} failed", "NCCL, src/misc/socket.cc", 0.95),
    Message("NCCL WARN NET/Socket : {why}", "NCCL, net_socket.cc", 0.85),
    Message("NCCL WARN NET/IB : {why}", "NCCL, net_ib.cc", 0.85),
    Message("NCCL WARN Call to connect returned {why}", "NCCL, src/misc/socket.cc", 0.95),
    Message("NCCL WARN Call to ibv_{call} failed", "NCCL, ibvwrap.cc", 0.95),
    Message("NCCL WARN Error: network {x} not found", "NCCL, net.cc", 0.95),
    Message("misc/ibvwrap.cc:{line} NCCL WARN", "NCCL", 0.85),
    Message("transport/net_socket.cc:{line} NCCL WARN", "NCCL", 0.85),
    Message(
        "socketPollConnect: Connect to {address} returned {code}", "NCCL, src/misc/socket.cc, 2.20 and later", 0.95
    ),
    Message("socketProgress: Connection closed by remote peer", "NCCL, src/misc/socket.cc", 0.8),
    Message("NCCL WARN {function}: connect to {address} failed", "NCCL, src/misc/socket.cc", 0.95),
    Message("exceeded error retry count", "NCCL, src/misc/socket.cc", 0.7, when=near("nccl")),
    Message("NET/IB : Attempted to connect incompatible devices", "NCCL, net_ib.cc", 0.95),
    Message("No usable network interface found", "NCCL, net_socket.cc", 0.9, when=near("nccl")),
    Message("no device found matching {name}, verify NCCL_", "NCCL, bootstrap.cc"),
    Message("ibv_poll_cq: got error", "NCCL, net_ib.cc", 0.8),
    Message("got completion from peer {address} with status={status}", "NCCL, net_ib.cc", 0.9),
    Message(
        "Message truncated : received {a} bytes instead of",
        "NCCL, src/misc/socket.cc: ranks of different versions or programs",
        0.7,
        when=near("nccl"),
    ),
)
SYSTEM = (
    Message("NCCL error in: {file}, unhandled system error", "torch/csrc/distributed/c10d: NCCL_ERROR_SYSTEM", 0.8),
    Message(
        "ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error",
        "torch: NCCLUtils",
        0.8,
    ),
    Message("ncclSystemError", "nccl.h", 0.6),
    Message("NCCL Error 2: unhandled system error", "torch/csrc/cuda/nccl.cpp", 0.75),
)
OTHERS = (
    Message("NCCL error in: {file}, unhandled cuda error", "torch/csrc/distributed/c10d", 0.8, when=not_after_a_fault),
    Message("NCCL error in: {file}, internal error", "torch/csrc/distributed/c10d", 0.8),
    Message("NCCL error in: {file}, invalid usage", "torch/csrc/distributed/c10d", 0.85),
    Message(
        "NCCL error in: {file}, remote process exited or there was a network error", "torch/csrc/distributed/c10d", 0.8
    ),
    Message("NCCL error in: {file}, NCCL version", "torch/csrc/distributed/c10d", 0.75, when=not_after_a_fault),
    Message("ncclUnhandledCudaError: Call to CUDA function failed", "torch: NCCLUtils", 0.75, when=not_after_a_fault),
    Message("ncclInternalError: Internal check failed", "torch: NCCLUtils", 0.8),
    Message("ncclInvalidUsage: This usually reflects invalid usage of NCCL library", "torch: NCCLUtils", 0.85),
    Message("ncclRemoteError: A call failed possibly due to a network error", "torch: NCCLUtils", 0.8),
    Message("ncclInvalidUsage", "nccl.h", 0.7),
    Message("ncclInternalError", "nccl.h", 0.7),
    Message("ncclRemoteError", "nccl.h", 0.7),
    Message("NCCL Error 1: unhandled cuda error", "torch/csrc/cuda/nccl.cpp", 0.75, when=not_after_a_fault),
    Message("NCCL Error 3: internal error", "torch/csrc/cuda/nccl.cpp", 0.8),
    Message("NCCL Error 5: invalid usage", "torch/csrc/cuda/nccl.cpp", 0.85),
    Message("NCCL Error {n}:", "torch/csrc/cuda/nccl.cpp", 0.6, when=not_after_a_fault),
    Message("NCCL failure {file}", "nccl-tests", 0.6),
    Message("NCCL WARN Cuda failure '{error}'", "NCCL, checks.h", 0.6, when=not_after_a_fault),
    Message("NCCL WARN Mismatched collective", "NCCL", 0.5),
    Message("NCCL WARN Missing kernel module", "NCCL", 0.6),
    Message("Caught collective operation timeout: WorkNCCL(", "ProcessGroupNCCL.cpp", 0.5),
    Message("Watchdog caught collective operation timeout: WorkNCCL(", "ProcessGroupNCCL.cpp", 0.5),
    Message("Some NCCL operations have failed or timed out", "ProcessGroupNCCL.cpp", 0.45, when=not_after_a_fault),
    Message("NCCL communicator was aborted on rank", "ProcessGroupNCCL.cpp", 0.5, when=not_after_a_fault),
    Message(
        "peer access is not supported between these two devices",
        "cuda_runtime_api.h: cudaErrorPeerAccessUnsupported (217)",
        0.85,
    ),
    Message("peer mapping resources exhausted", "cuda_runtime_api.h: cudaErrorTooManyPeers (711)", 0.8),
    Message("Distributed package doesn't have NCCL built in", "torch/distributed/distributed_c10d.py", 0.8),
    Message("transport/p2p.cc:{line} NCCL WARN", "NCCL", 0.85),
    Message("Failed to bind NVLink SHARP (NVLS) Multicast memory", "NCCL, transport/nvls.cc", 0.85),
    Message(
        "Using RTX 4000 series doesn't support faster communication broadband via P2P or IB",
        "accelerate, state.py",
        0.85,
    ),
    Message("torch.distributed.DistBackendError: NCCL", "torch/distributed", 0.75, when=not_after_a_fault),
    Message(
        "Guessing device ID based on global rank. This can cause a hang if rank to GPU mapping is heterogeneous",
        "torch/distributed",
        0.25,
    ),
    Message("ncclOsSocketPollConnect to {address} failed with error", "NCCL, src/os/linux.cc", 0.95),
    Message("failed to peer with device {device}", "NCCL, transport/p2p.cc", 0.85),
    Message("The application was compiled with too old version of NCCL", "NCCL, init.cc"),
    Message("NCCL version mismatch", "NCCL users' checks: torch with another libnccl", 0.7),
)
MESSAGES = (*SAME_GPU, *NETWORK, *SYSTEM, *OTHERS)


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
            (SAME_GPU, "Two ranks use the same GPU, which NCCL refuses.", (ONE_EACH,), 1.0),
            (NETWORK, "NCCL finds no usable network interface, or cannot reach the other ranks over it.", (INTERFACE, SEE), 1.0),
            (SYSTEM, "A call of NCCL to the system failed (network, shared memory or peer access).",
             (SEE, INTERFACE, SHARED), 0.5),
            (OTHERS, "NCCL failed.", (SEE, WITHOUT_PEERS, INTERFACE), 0.5),
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
