"""The driver layer: what is installed, what runs, and whether the two and the GPU go together."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests import simulated
from tests.fakes.driver import FakeDriver, FakeGpu
from tests.machines.parts import (
    Change,
    bare,
    driver,
    gpu,
    log,
    torch,
    ubuntu,
)
from tests.machines.simulation import Case
from tests.sysroot import Sysroot, kernel_module

CARD = gpu()
BLACKWELL = gpu("NVIDIA GeForce RTX 5090")
PASCAL = gpu("NVIDIA GeForce GTX 1080 Ti")
HOPPER = gpu("NVIDIA H100 80GB HBM3")
HGX = tuple(gpu("NVIDIA H100 80GB HBM3", pci_address=a) for a in ("0000:1b:00.0", "0000:43:00.0"))
NO_GPU = {"is_available": "warn CUDA initialization: CUDA unknown error", "init": "raise No CUDA GPUs are available"}


def no_device(version: str, cuda: str = "13.0") -> FakeDriver:
    """A driver that runs and finds no GPU that it drives."""
    return FakeDriver(version, cuda, (), errors={"cuInit": 100})


def stop_module(s: Sysroot) -> None:
    s.file("/proc/modules", "ext4 1 0 - Live 0x0\n")
    for gone in ("/sys/module/nvidia", "/proc/driver/nvidia"):
        shutil.rmtree(s.path(gone), ignore_errors=True)
    for device in s.path("/sys/bus/pci/devices").iterdir():
        (device / "driver").unlink(missing_ok=True)
    for node in s.path("/dev").glob("nvidia*"):
        node.unlink()


def newer_kernel(s: Sysroot) -> None:
    stop_module(s)
    newer = "6.8.0-90-generic"
    s.kernel(newer).folder(f"/lib/modules/{newer}/kernel")


def older_kernel_kept(s: Sysroot) -> None:
    s.file("/lib/modules/6.8.0-41-generic/updates/dkms/nvidia.ko", kernel_module("550.107.02", "NVIDIA", signer="box"))


def nouveau(s: Sysroot) -> None:
    stop_module(s)
    s.file("/proc/modules", "nouveau 2457600 1 - Live 0x0\n").file("/proc/cmdline", "ro quiet\n")


def module_on_disk(version: str, kernel: str = "6.8.0-87-generic") -> Change:
    def change(s: Sysroot) -> None:
        s.file(f"/lib/modules/{kernel}/updates/dkms/nvidia.ko", kernel_module(version, "Dual MIT/GPL", signer="box"))

    return change


def passed_through(s: Sysroot) -> None:
    s.pci("0000:17:00.0", "10de:2684", "030000", "vfio-pci")


def card_removed(s: Sysroot) -> None:
    """The driver of a card that is no longer in the machine."""
    s.dpkg({"nvidia-driver-580-open": "580.159.04-0ubuntu1", "libnvidia-compute-580": "580.159.04-0ubuntu1"})
    s.cache(simulated.driver_libraries(s, "/usr/lib/x86_64-linux-gnu", "580.159.04"))
    module_on_disk("580.159.04")(s)


def compat(version: str, cuda: str, code: int = 0, *cards: FakeGpu) -> Change:
    """A cuda-compat package in /usr/local/cuda/compat."""

    def change(s: Sysroot) -> None:
        fake = FakeDriver(version, cuda, cards, errors={"cuInit": code} if code else {}, libraries=["cuda"])
        fake.install(s.path("/usr/local/cuda-13.0/compat"))

    return change


COMPAT_PATH = {"LD_LIBRARY_PATH": "/usr/local/cuda-13.0/compat"}


def hgx(root: Path) -> Sysroot:
    s = simulated.ubuntu_2204_hgx(root)
    simulated.c_library(s, "/usr/lib/x86_64-linux-gnu", "2.35", "3.4.30")
    return s.file("/usr/bin/sh", (root / "usr/bin/sh").read_bytes())


def hgx_without_manager(root: Path) -> Sysroot:
    s = hgx(root)
    shutil.rmtree(s.path("/run/nvidia-fabricmanager"))
    shutil.rmtree(s.path("/proc/812"))
    return s


def uvm_node_missing(s: Sysroot) -> None:
    for name in ("nvidia-uvm", "nvidia-uvm-tools"):
        s.path(f"/dev/{name}").unlink()


CASES = [
    # --- driver-missing ------------------------------------------------------------------------------------------------
    Case(
        "no driver, nouveau holds the card",
        simulated.debian_12_without_driver,
        "driver-missing",
        torch=torch(),
        near=("driver-not-loaded", "torch-cpu-only"),
    ),
    Case(
        "no driver and no torch",
        simulated.debian_12_without_driver,
        "driver-missing",
        torch=None,
        also=("torch-missing",),
    ),
    Case(
        "a card that is handed to a virtual machine",
        bare(change=passed_through),
        torch=torch("2.14.1+cpu"),
        near=("driver-missing", "torch-cpu-only"),
    ),
    # --- driver-not-loaded ---------------------------------------------------------------------------------------------
    Case(
        "a kernel update without its module",
        ubuntu(CARD, change=newer_kernel),
        "driver-not-loaded",
        driver=FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 9, "cuInit": 100}),
        near=("driver-missing", "visible-devices-hidden", "driver-library-mismatch"),
    ),
    Case(
        "nouveau came back after an update",
        ubuntu(CARD, change=nouveau),
        "driver-not-loaded",
        driver=FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 9, "cuInit": 100}),
        torch=torch("2.9.1+cu128", **NO_GPU),
        near=("driver-missing",),
    ),
    Case(
        "a driver whose card was taken out",
        bare(change=card_removed),
        driver=FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 9, "cuInit": 100}),
        torch=torch("2.15.0+cu132", **NO_GPU),
        near=("driver-not-loaded", "driver-missing", "uvm-broken"),
    ),
    # --- driver-library-mismatch ---------------------------------------------------------------------------------------
    Case(
        "a driver update without a reboot",
        ubuntu(CARD, change=module_on_disk("580.173.02")),
        "driver-library-mismatch",
        driver=FakeDriver("580.173.02", "13.0", errors={"nvmlInit": 18, "cuInit": 803}),
        near=("forward-compat-broken", "driver-not-loaded", "uvm-broken"),
    ),
    Case(
        "an older kernel with an older driver is kept",
        ubuntu(CARD, change=older_kernel_kept),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        near=("driver-library-mismatch",),
    ),
    # --- driver-flavour-mismatch ---------------------------------------------------------------------------------------
    Case(
        "the proprietary module under a Blackwell card",
        ubuntu(
            BLACKWELL,
            is_open=False,
            change=log(
                "NVRM: The NVIDIA GPU 0000:17:00.0 (PCI ID: 10de:2b85)",
                "NVRM: installed in this system requires use of the NVIDIA open kernel modules.",
            ),
        ),
        "driver-flavour-mismatch",
        driver=no_device("580.159.04"),
        torch=torch("2.15.0+cu132", **NO_GPU),
        near=("driver-too-old-for-gpu", "uvm-broken"),
    ),
    Case(
        "the open module under a Blackwell card",
        ubuntu(BLACKWELL),
        driver=driver(BLACKWELL),
        torch=torch("2.15.0+cu132", BLACKWELL),
        near=("driver-flavour-mismatch", "driver-too-old-for-gpu"),
    ),
    Case(
        "the proprietary module under a card that both drive",
        ubuntu(CARD, is_open=False),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        near=("driver-flavour-mismatch",),
    ),
    # --- driver-too-old ------------------------------------------------------------------------------------------------
    Case(
        "CUDA 13 on driver 535",
        hgx,
        "driver-too-old",
        driver=driver(*HGX, version="535.183.01", cuda="12.2"),
        torch=torch(
            is_available="warn CUDA initialization: The NVIDIA driver on your system is too old (found version 12020)"
        ),
        near=("fabric-manager-down",),
    ),
    Case(
        "CUDA 12.8 on driver 535, by minor-version compatibility",
        ubuntu(HOPPER, version="535.309.01", is_open=False),
        driver=driver(HOPPER, version="535.309.01", cuda="12.2"),
        torch=torch("2.9.1+cu128", HOPPER),
        near=("driver-too-old",),
    ),
    # --- driver-too-old-for-gpu ----------------------------------------------------------------------------------------
    Case(
        "a Blackwell card on driver 550",
        ubuntu(BLACKWELL, version="550.163.01"),
        "driver-too-old-for-gpu",
        driver=no_device("550.163.01", "12.4"),
        torch=torch("2.9.1+cu128", **NO_GPU),
        near=("gpu-legacy-driver-dropped", "driver-flavour-mismatch"),
        never=("gpu-arch-too-new-for-torch",),
    ),
    # --- gpu-legacy-driver-dropped -------------------------------------------------------------------------------------
    Case(
        "a Pascal card on driver 595",
        ubuntu(PASCAL, version="595.91.07"),
        "gpu-legacy-driver-dropped",
        driver=no_device("595.91.07", "13.2"),
        torch=torch("2.7.1+cu126", **NO_GPU),
        near=("driver-too-old-for-gpu",),
    ),
    Case(
        "a Pascal card on the last driver for it",
        ubuntu(PASCAL, is_open=False),
        driver=driver(PASCAL),
        torch=torch("2.7.1+cu126", PASCAL),
        near=("gpu-legacy-driver-dropped", "gpu-arch-too-old-for-torch", "driver-flavour-mismatch"),
    ),
    # --- forward-compat-broken -----------------------------------------------------------------------------------------
    Case(
        "cuda-compat on a GeForce card",
        ubuntu(CARD, version="550.163.01", change=compat("580.65.06", "13.0", 804)),
        "forward-compat-broken",
        driver=driver(CARD, version="550.163.01", cuda="12.4"),
        torch=torch(
            is_available="warn CUDA initialization: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions "
            "before calling NumCudaDevices() that might have already set an error? Error 804: forward compatibility was "
            "attempted on non supported HW"
        ),
        environment=COMPAT_PATH,
        near=("driver-library-mismatch",),
    ),
    Case(
        "cuda-compat on an H100, where it works",
        ubuntu(HOPPER, version="535.309.01", change=compat("580.65.06", "13.0", 0, HOPPER)),
        driver=driver(HOPPER, version="535.309.01", cuda="12.2"),
        torch=torch("2.15.0+cu132", HOPPER),
        environment=COMPAT_PATH,
        near=("forward-compat-broken", "driver-too-old", "driver-library-mismatch"),
    ),
    # --- fabric-manager-down -------------------------------------------------------------------------------------------
    Case(
        "an HGX board whose Fabric Manager has not been started",
        hgx_without_manager,
        "fabric-manager-down",
        driver=FakeDriver(
            "535.183.01",
            "12.2",
            [
                gpu("NVIDIA H100 80GB HBM3", pci_address=a, fabric_state="in_progress")
                for a in ("0000:1b:00.0", "0000:43:00.0")
            ],
            errors={"cuInit": 802},
        ),
        torch=torch("2.9.1+cu128", is_available="warn CUDA initialization: Error 802: system not yet initialized"),
        near=("uvm-broken", "driver-too-old"),
    ),
    Case(
        "an HGX board with Fabric Manager",
        hgx,
        driver=driver(*HGX, version="535.183.01", cuda="12.2"),
        torch=torch("2.9.1+cu128", *HGX),
        near=("fabric-manager-down", "nccl-problem"),
    ),
    # --- uvm-broken ----------------------------------------------------------------------------------------------------
    Case(
        "nvidia-uvm was not loaded again after suspend",
        ubuntu(CARD, modules=("nvidia_modeset",), change=uvm_node_missing),
        "uvm-broken",
        driver=driver(CARD, errors={"cuInit": 999}),
        torch=torch(
            is_available="warn CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up"
        ),
        near=("driver-not-loaded", "gpu-lost"),
    ),
    Case(
        "a server that makes the node of nvidia-uvm on demand",
        ubuntu(CARD, change=uvm_node_missing),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        near=("uvm-broken", "device-permission"),
    ),
]
