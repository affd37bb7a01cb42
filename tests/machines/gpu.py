"""The GPU layer and what shares GPUs out: hardware, modes, rights, memory, selection."""

from __future__ import annotations

from tests.fakes.driver import FakeDriver, FakeMig, FakeNvLink, FakeProcess
from tests.machines.driver import hgx
from tests.machines.parts import driver, gpu, log, torch, ubuntu
from tests.machines.simulation import Case
from tests.sysroot import Sysroot

CARD = gpu()
A100 = "NVIDIA A100-SXM4-40GB"
XID_79 = "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
BUSY = "raise CUDA error: CUDA-capable device(s) is/are busy or unavailable"
FULL = "raise CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 23.99 GiB of which 9.00 MiB is free"
TRAINER = FakeProcess(4242, "python3", 23 << 30)


def closed(s: Sysroot) -> None:
    """Nodes that the driver was told to give to one user alone."""
    for node in s.path("/dev").glob("nvidia*"):
        node.chmod(0o600)


def closed_to_others(s: Sysroot) -> None:
    """The second GPU is another job's."""
    s.path("/dev/nvidia1").chmod(0o600)


def mig(*instances: FakeMig, enabled: int = 1) -> FakeDriver:
    card = gpu(A100, mig=instances, mig_enabled=enabled, mig_pending=enabled)
    return driver(card) if instances or not enabled else driver(card, errors={"cuInit": 100})


SLICE = FakeMig("3g.20gb", uuid="MIG-1f2e3d4c-0001-5aaa-8bbb-0123456789ab")
WORKS = torch("2.15.0+cu132", CARD)
TWO = (gpu(), gpu())

CASES = [
    # --- gpu-lost ------------------------------------------------------------------------------------------------------
    Case(
        "a card that has fallen off the bus",
        ubuntu(CARD, change=log(XID_79)),
        "gpu-lost",
        driver=driver(gpu(lost=1), errors={"cuInit": 999}),
        torch=torch(is_available="warn CUDA initialization: CUDA unknown error"),
        near=("gpu-hw-fault",),
    ),
    Case(
        "a card that was lost and reset since",
        ubuntu(CARD, change=log(XID_79, "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.159.04")),
        driver=driver(CARD),
        torch=WORKS,
        near=("gpu-lost",),
    ),
    # --- gpu-hw-fault --------------------------------------------------------------------------------------------------
    Case(
        "a row remap that waits for a reset",
        ubuntu(
            gpu(A100), change=log("NVRM: Xid (PCI:0000:17:00): 63, pid=1, Row Remapper: new row marked for remapping")
        ),
        "gpu-hw-fault",
        driver=driver(gpu(A100, row_remap_pending=1, rows_remapped_uncorrectable=1, ecc_uncorrected_volatile=2)),
        torch=torch("2.15.0+cu132", gpu(A100)),
        near=("gpu-lost", "gpu-degraded"),
    ),
    Case(
        "corrected memory errors and a finished row remap",
        ubuntu(gpu(A100)),
        driver=driver(
            gpu(
                A100,
                ecc_corrected_volatile=17,
                ecc_corrected_aggregate=240,
                ecc_uncorrected_aggregate=1,
                rows_remapped_correctable=2,
                rows_remapped_uncorrectable=1,
            )
        ),
        torch=torch("2.15.0+cu132", gpu(A100)),
        near=("gpu-hw-fault",),
    ),
    Case(
        "a program's own illegal access in the log",
        ubuntu(
            CARD,
            change=log(
                "NVRM: Xid (PCI:0000:17:00): 31, pid=77, name=python3, MMU Fault: ENGINE GRAPHICS",
                "NVRM: Xid (PCI:0000:17:00): 43, pid=77, name=python3, Ch 00000008",
            ),
        ),
        driver=driver(CARD),
        torch=WORKS,
        near=("gpu-hw-fault", "gpu-lost"),
    ),
    # --- gpu-degraded --------------------------------------------------------------------------------------------------
    Case(
        "a card in a slot with four lanes",
        ubuntu(CARD),
        "gpu-degraded",
        "warning",
        driver=driver(gpu(pcie_width=4)),
        torch=WORKS,
    ),
    Case(
        "a card that slows down by heat while it works",
        ubuntu(CARD),
        "gpu-degraded",
        "warning",
        driver=driver(
            gpu(
                utilization=98,
                performance_state=2,
                throttle_reasons=("hw_slowdown", "hw_thermal_slowdown"),
                temperature=91,
            )
        ),
        torch=WORKS,
    ),
    Case(
        "an idle card at PCIe generation 1 and low clocks",
        ubuntu(CARD),
        driver=driver(gpu(pcie_generation=1, sm_clock=210, memory_clock=405, performance_state=8)),
        torch=WORKS,
        near=("gpu-degraded",),
    ),
    Case(
        "a card that reaches its power cap at full load",
        ubuntu(CARD),
        driver=driver(gpu(utilization=100, performance_state=2, throttle_reasons=("sw_power_cap",), power_draw=449.0)),
        torch=WORKS,
        near=("gpu-degraded", "device-busy-or-exclusive"),
    ),
    # --- device-busy-or-exclusive --------------------------------------------------------------------------------------
    Case(
        "another program holds the card in exclusive mode",
        ubuntu(CARD),
        "device-busy-or-exclusive",
        driver=driver(gpu(compute_mode="exclusive_process", processes=[TRAINER])),
        torch=torch("2.15.0+cu132", CARD, properties=BUSY, mm=BUSY, conv2d=BUSY),
        near=("out-of-memory",),
    ),
    Case(
        "exclusive mode on a card that nobody uses",
        ubuntu(CARD),
        driver=driver(gpu(compute_mode="exclusive_process")),
        torch=WORKS,
        near=("device-busy-or-exclusive",),
    ),
    # --- device-permission ---------------------------------------------------------------------------------------------
    Case(
        "device nodes that this user may not open",
        ubuntu(CARD, change=closed),
        "device-permission",
        driver=FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 4, "cuInit": 100}),
        torch=torch(is_available="warn CUDA initialization: No CUDA GPUs are available"),
        near=("uvm-broken", "driver-not-loaded", "gpu-lost"),
    ),
    Case(
        "a batch job with one of two cards",
        ubuntu(*TWO, change=closed_to_others),
        driver=driver(TWO[0]),
        torch=WORKS,
        environment={"SLURM_JOB_ID": "77", "CUDA_VISIBLE_DEVICES": "0"},
        near=("device-permission", "gpu-lost", "visible-devices-hidden"),
    ),
    # --- mig-misconfigured ---------------------------------------------------------------------------------------------
    Case(
        "MIG is on and nothing was made of it",
        ubuntu(gpu(A100)),
        "mig-misconfigured",
        driver=mig(),
        torch=torch(is_available="warn CUDA initialization: No CUDA GPUs are available"),
        near=("visible-devices-hidden", "uvm-broken", "gpu-lost"),
    ),
    Case(
        "a MIG instance by its name",
        ubuntu(gpu(A100)),
        driver=mig(SLICE),
        torch=torch("2.15.0+cu132", gpu(A100)),
        environment={"CUDA_VISIBLE_DEVICES": str(SLICE.uuid)},
        near=("mig-misconfigured", "visible-devices-hidden"),
    ),
    Case(
        "a MIG instance of before the last reboot",
        ubuntu(gpu(A100)),
        "mig-misconfigured",
        driver=FakeDriver(gpus=mig(SLICE).gpus, errors={"cuInit": 100}),
        torch=torch(is_available="warn CUDA initialization: No CUDA GPUs are available"),
        environment={"CUDA_VISIBLE_DEVICES": "MIG-99999999-aaaa-5bbb-8ccc-ba9876543210"},
        near=("visible-devices-hidden",),
    ),
    # --- out-of-memory -------------------------------------------------------------------------------------------------
    Case(
        "a program left over holds all memory",
        ubuntu(CARD),
        "out-of-memory",
        driver=driver(gpu(memory_used=24100 << 20, processes=[TRAINER])),
        torch=torch("2.15.0+cu132", CARD, mm=FULL, conv2d=FULL),
        near=("device-busy-or-exclusive",),
    ),
    Case(
        "a card at work with full memory",
        ubuntu(CARD),
        driver=driver(
            gpu(
                memory_used=23400 << 20,
                processes=[TRAINER],
                utilization=99,
                performance_state=2,
                throttle_reasons=("sw_power_cap",),
            )
        ),
        torch=WORKS,
        near=("out-of-memory", "device-busy-or-exclusive"),
    ),
    Case(
        "one full card beside a free one",
        ubuntu(*TWO),
        driver=driver(gpu(memory_used=22600 << 20, processes=[TRAINER]), TWO[1]),
        torch=torch("2.15.0+cu132", *TWO),
        near=("out-of-memory",),
    ),
    # --- visible-devices-hidden ----------------------------------------------------------------------------------------
    Case(
        "every GPU hidden",
        ubuntu(CARD),
        "visible-devices-hidden",
        driver=driver(CARD),
        torch=torch(is_available="warn CUDA initialization: No CUDA GPUs are available"),
        environment={"CUDA_VISIBLE_DEVICES": ""},
        near=("torch-cpu-only", "driver-missing"),
    ),
    Case(
        "the second of two cards chosen",
        ubuntu(*TWO),
        driver=driver(*TWO),
        torch=torch("2.15.0+cu132", TWO[1]),
        environment={"CUDA_VISIBLE_DEVICES": "1"},
        near=("visible-devices-hidden",),
    ),
    # --- nccl-problem --------------------------------------------------------------------------------------------------
    Case(
        "an HGX board with one GPU's links down",
        hgx,
        "nccl-problem",
        "warning",
        driver=driver(
            gpu("NVIDIA H100 80GB HBM3", pci_address="0000:1b:00.0"),
            gpu("NVIDIA H100 80GB HBM3", pci_address="0000:43:00.0", nvlinks=[FakeNvLink(active=False)] * 18),
            version="535.183.01",
            cuda="12.2",
        ),
        torch=torch("2.9.1+cu128", *[gpu("NVIDIA H100 80GB HBM3")] * 2),
        near=("fabric-manager-down",),
    ),
    Case(
        "two cards without a bridge between them",
        ubuntu(gpu("NVIDIA GeForce RTX 3090"), gpu("NVIDIA GeForce RTX 3090")),
        driver=driver(*(gpu("NVIDIA GeForce RTX 3090", nvlinks=[FakeNvLink(active=False)] * 4) for _ in range(2))),
        torch=torch("2.15.0+cu132", *[gpu("NVIDIA GeForce RTX 3090")] * 2),
        near=("nccl-problem",),
    ),
]
