"""Several cards, old cards, cards that are none of torch's business."""

from __future__ import annotations

from tests.fakes.driver import FakeDriver, FakeMig
from tests.machines.driver import stop_module
from tests.machines.parts import KERNEL, NO_KERNEL, Change, bare, driver, gpu, log, torch, ubuntu
from tests.machines.simulation import Case
from tests.sysroot import Sysroot, kernel_module

CARD = gpu()
BLACKWELL = gpu("NVIDIA GeForce RTX 5090")
PASCAL = gpu("NVIDIA GeForce GTX 1080 Ti")
A100 = "NVIDIA A100-SXM4-40GB"
NO_GPU = {"is_available": "warn CUDA initialization: No CUDA GPUs are available"}


def card(ids: str, driver: str, address: str = "0000:02:00.0", kind: str = "030000") -> Change:
    return lambda s: s.pci(address, ids, kind, driver)


def unsigned(s: Sysroot) -> None:
    """Secure Boot is on, and the module has no signature."""
    s.file(f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko", kernel_module("580.159.04", "Dual MIT/GPL"))
    s.file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x06\0\0\0\x01")


def blacklisted(s: Sysroot) -> None:
    s.file("/etc/modprobe.d/no-nvidia.conf", "blacklist nvidia\n")


STOPPED = FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 9, "cuInit": 100})

CASES = [
    Case(
        "a Pascal card beside a Blackwell one under the open module",
        ubuntu(BLACKWELL, PASCAL),
        "driver-flavour-mismatch",
        "warning",
        driver=driver(BLACKWELL),
        torch=torch("2.15.0+cu132", BLACKWELL),
        near=("driver-too-old-for-gpu", "gpu-legacy-driver-dropped"),
    ),
    Case(
        "a Pascal card under the open module",
        ubuntu(PASCAL),
        "driver-flavour-mismatch",
        driver=FakeDriver("580.159.04", "13.0", errors={"cuInit": 100}),
        torch=torch("2.7.1+cu126", **NO_GPU),
        near=("gpu-legacy-driver-dropped", "driver-too-old-for-gpu"),
    ),
    Case(
        "a Volta card beside one that torch serves",
        ubuntu(CARD, gpu("Tesla V100-SXM2-16GB"), is_open=False),
        "gpu-arch-too-old-for-torch",
        "warning",
        driver=driver(CARD, gpu("Tesla V100-SXM2-16GB")),
        torch=torch(
            "2.15.0+cu132",
            CARD,
            gpu("Tesla V100-SXM2-16GB"),
            to_cuda_1=NO_KERNEL,
        ),
        near=("gpu-arch-too-new-for-torch",),
        unknown=True,
    ),
    Case(
        "a Volta card that the program leaves alone",
        ubuntu(CARD, gpu("Tesla V100-SXM2-16GB"), is_open=False),
        driver=driver(CARD, gpu("Tesla V100-SXM2-16GB")),
        torch=torch("2.15.0+cu132", CARD),
        environment={"CUDA_VISIBLE_DEVICES": "0"},
        near=("gpu-arch-too-old-for-torch", "visible-devices-hidden"),
    ),
    Case(
        "one card for CUDA and one for a virtual machine",
        ubuntu(CARD, change=card("10de:2204", "vfio-pci")),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        near=("gpu-lost", "driver-missing"),
    ),
    Case(
        "an old card for the screen, on nouveau",
        ubuntu(CARD, change=card("10de:1180", "nouveau")),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        near=("gpu-lost", "driver-missing", "driver-not-loaded", "gpu-legacy-driver-dropped"),
    ),
    Case(
        "a card too old for any torch in a machine without a driver",
        bare(change=card("10de:1180", "nouveau")),
        torch=torch("2.14.1+cpu"),
        near=("driver-missing", "torch-cpu-only"),
    ),
    Case(
        "a card too old for any torch, with its driver",
        ubuntu(gpu("GeForce GTX 680", capability=(3, 0), pci_device="1180"), version="470.256.02", is_open=False),
        driver=driver(gpu("GeForce GTX 680", capability=(3, 0), pci_device="1180"), version="470.256.02", cuda="11.4"),
        torch=torch("2.14.1+cpu"),
        near=("torch-cpu-only", "driver-too-old", "gpu-arch-too-old-for-torch"),
    ),
    Case(
        "a network card and an NVIDIA chipset",
        bare(change=[card("15b3:1021", "mlx5_core", kind="020700"), card("10de:0ab0", "", "0000:00:03.0", "060100")]),
        torch=torch("2.15.0+cu132"),
        near=("driver-missing",),
    ),
    Case(
        "an unsigned module under Secure Boot",
        ubuntu(CARD, change=[unsigned, stop_module, log("Lockdown: modprobe: unsigned module loading is restricted")]),
        "driver-not-loaded",
        driver=STOPPED,
        torch=torch(**NO_GPU),
        near=("driver-missing", "driver-flavour-mismatch"),
    ),
    Case(
        "a module that a file blacklists",
        ubuntu(CARD, change=[blacklisted, stop_module]),
        "driver-not-loaded",
        driver=STOPPED,
        torch=torch(**NO_GPU),
        near=("driver-missing",),
    ),
    Case(
        "MIG on one card and not on the other",
        ubuntu(gpu(A100), gpu(A100)),
        driver=driver(gpu(A100, mig=[FakeMig("3g.20gb")]), gpu(A100)),
        torch=torch("2.15.0+cu132", gpu(A100)),
        near=("mig-misconfigured", "gpu-lost"),
    ),
    Case(
        "two cards by their names",
        ubuntu(CARD, gpu()),
        driver=driver(
            gpu(uuid="GPU-11111111-aaaa-5bbb-8ccc-000000000001"), gpu(uuid="GPU-22222222-aaaa-5bbb-8ccc-000000000002")
        ),
        torch=torch("2.15.0+cu132", CARD),
        environment={"CUDA_VISIBLE_DEVICES": "GPU-22222222"},
        near=("visible-devices-hidden",),
    ),
    Case(
        "a list of cards with one that is not there",
        ubuntu(CARD, gpu(), gpu()),
        "visible-devices-hidden",
        "warning",
        driver=driver(CARD, gpu(), gpu()),
        torch=torch("2.15.0+cu132", CARD),
        environment={"CUDA_VISIBLE_DEVICES": "0,7,2"},
    ),
    Case(
        "torch that does not see a working card",
        ubuntu(CARD),
        "torch-failure-unexplained",
        driver=driver(CARD),
        torch=torch("2.15.0+cu132"),
        near=("torch-cpu-only", "visible-devices-hidden", "uvm-broken"),
    ),
    Case(
        "torch that computes wrong numbers",
        ubuntu(CARD),
        "torch-failure-unexplained",
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD, mm="wrong"),
        near=("gpu-arch-too-new-for-torch",),
    ),
    Case(
        "torch that never comes back",
        ubuntu(CARD),
        "torch-failure-unexplained",
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD, importing="hang"),
        environment={"ENVDOCTOR_TORCH_TIMEOUT": "1"},
        near=("torch-install-corrupt",),
    ),
    Case(
        "a Blackwell card on a build without its code",
        ubuntu(BLACKWELL),
        "gpu-arch-too-new-for-torch",
        driver=driver(BLACKWELL),
        torch=torch(
            "2.7.1+cu126", BLACKWELL, properties="warn sm_120 is not compatible", mm="raise CUDA error: no kernel image"
        ),
        near=("driver-too-old", "gpu-arch-too-old-for-torch"),
    ),
]
