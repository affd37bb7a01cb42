"""Machines with nothing wrong that tempt a checker to say otherwise: no error and no warning may be found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests import simulated
from tests.fakes.driver import FakeDriver
from tests.machines.parts import ARM, LIBRARIES, bare, container, driver, gpu, toolkit, torch, ubuntu
from tests.machines.simulation import Case
from tests.sysroot import Sysroot
from tests.targets import Target

CARD = gpu()
AMPERE = gpu("NVIDIA GeForce RTX 3090")
SPARK = gpu("NVIDIA GB10")
SPARK_NVML = gpu(
    "NVIDIA GB10",
    pci_address="000f:01:00.0",
    memory_total=None,
    memory_used=None,
    bar1_total=None,
    errors={"nvmlDeviceGetMemoryInfo": "NOT_SUPPORTED", "nvmlDeviceGetBAR1MemoryInfo": "NOT_SUPPORTED"},
)


def version_file(version: str, **constants: str) -> Callable[[Target], object]:
    """The version.py of a torch for another vendor's devices."""
    values = {"__version__": version, "cuda": None, "hip": None, "debug": False, **constants}
    return lambda target: target.write("torch/version.py", "".join(f"{n} = {v!r}\n" for n, v in values.items()))


def old_toolkit(s: Sysroot) -> None:
    """CUDA 11.8 with cuDNN 8 in the system, and the loader's cache knows them."""
    toolkit("11.8.89", current=True)(s)
    s.library(f"{LIBRARIES}/libcudnn.so.8.9.7", "libcudnn.so.8")
    driver_libraries = [(f"{name}.so.1", f"{LIBRARIES}/{name}.so.1") for name in ("libcuda", "libnvidia-ml")]
    s.cache([*driver_libraries, ("libcudnn.so.8", f"{LIBRARIES}/libcudnn.so.8"),
             ("libcudart.so.11.0", "/usr/local/cuda-11.8/lib64/libcudart.so.11")])  # fmt: skip


def radeon(s: Sysroot) -> None:
    s.pci("0000:03:00.0", "1002:744c", "030000", "amdgpu").file("/proc/modules", "amdgpu 1 0 - Live 0x0\n")


def arc(s: Sysroot) -> None:
    s.pci("0000:03:00.0", "8086:e20b", "030000", "xe").file("/proc/modules", "xe 1 0 - Live 0x0\n")


def spark(root: Path) -> Sysroot:
    """A DGX Spark: GB10 on Arm, its memory is the machine's own."""
    s = Sysroot(root).link("/lib", "usr/lib").kernel("6.11.0-1016-nvidia", architecture="aarch64")
    s.os_release(id="ubuntu", id_like="debian", version_id="24.04", pretty_name="Ubuntu 24.04.3 LTS")
    s.files({"/sys/class/dmi/id/sys_vendor": "NVIDIA\n", "/sys/class/dmi/id/product_name": "NVIDIA_DGX_Spark\n"})
    s.files({"/proc/1/comm": "systemd\n", "/proc/2/comm": "kthreadd\n"})
    s.pci("000f:01:00.0", "10de:2e12", "030200", "nvidia").nvidia_module("580.126.09", is_open=True)
    simulated.c_library(s, "/usr/lib/aarch64-linux-gnu", "2.39", "3.4.33", "aarch64")
    s.dpkg({"nvidia-driver-580-open": "580.126.09-0ubuntu1"})
    simulated.device_files(s, 1)
    return s.cache(simulated.driver_libraries(s, "/usr/lib/aarch64-linux-gnu", "580.126.09"))


def jetson(root: Path) -> Sysroot:
    s = simulated.jetson(root)
    simulated.c_library(s, "/usr/lib/aarch64-linux-gnu", "2.35", "3.4.30", "aarch64")
    return s.link("/lib", "usr/lib")


ORIN = {"name": "Orin", "capability": "8.7", "memory": 61 << 30}


def conda(*packages: str) -> Callable[[Target], object]:
    """Makes the environment one of conda's, with these packages (name-version-build)."""

    def furnish(target: Target) -> None:
        for package in packages:
            target.prefix.joinpath("conda-meta").mkdir(exist_ok=True)
            target.prefix.joinpath("conda-meta", f"{package}.json").write_text('{"channel": "conda-forge"}')
        for installer in target.site.glob("*.dist-info/INSTALLER"):
            installer.write_text("conda\n")

    return furnish


def laptop(s: Sysroot) -> None:
    """An AMD graphics unit beside the card, and the sound device of the card."""
    s.pci("0000:65:00.0", "1002:15bf", "030000", "amdgpu").pci("0000:17:00.1", "10de:22ba", "040300", "snd_hda_intel")


WORKS = torch("2.15.0+cu132", CARD)

CASES = [
    Case(
        "a workstation",
        simulated.ubuntu_2404,
        driver=driver(gpu(pci_address="0000:01:00.0")),
        torch=WORKS,
        near=("torch-failure-unexplained", "toolkit-mismatch", "toolkit-multiple"),
    ),
    Case("a server without a GPU", bare(), torch=torch("2.14.1+cpu"), near=("torch-cpu-only", "driver-missing")),
    Case("a CUDA build without a GPU", bare(), torch=torch("2.15.0+cu132"), near=("driver-missing", "driver-too-old")),
    Case(
        "sm_86 code on an 8.9 card",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch("2.7.1+cu126", CARD),
        near=("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch"),
    ),
    Case(
        "a DGX Spark, sm_120 code on 12.1 and no answer on memory",
        spark,
        driver=FakeDriver("580.126.09", "13.0", [SPARK_NVML]),
        torch=torch("2.15.0+cu132", SPARK, arch_flags=ARM),
        near=("gpu-arch-too-new-for-torch", "out-of-memory", "gpu-degraded"),
    ),
    Case(
        "a Jetson",
        jetson,
        driver=FakeDriver("540.4.0", "12.6", [gpu("Orin", capability=(8, 7))], libraries=["cuda"]),
        torch=torch("2.8.0", cuda="12.6", arch_flags="sm_87", gpus=[ORIN]),
        near=("driver-missing", "driver-too-old", "gpu-arch-too-old-for-torch", "uvm-broken", "driver-not-loaded"),
    ),
    Case(
        "ROCm",
        bare(change=radeon),
        torch=torch("2.15.0+rocm7.14"),
        furnish=version_file("2.15.0+rocm7.14", hip="7.14.60850"),
        unknown=True,
        near=("torch-cpu-only", "driver-missing"),
    ),
    Case(
        "XPU",
        bare(change=arc),
        torch=torch("2.15.0+xpu"),
        furnish=version_file("2.15.0+xpu", xpu="20250302"),
        unknown=True,
        near=("torch-cpu-only",),
    ),
    Case(
        "an old CUDA and an old cuDNN in the system",
        ubuntu(CARD, change=old_toolkit),
        driver=driver(CARD),
        torch=WORKS,
        near=("toolkit-mismatch", "cudnn-shadowed", "library-path-conflict", "cudnn-version-mismatch"),
    ),
    Case(
        "a driver newer than any table",
        ubuntu(CARD, version="640.31.02"),
        driver=driver(CARD, version="640.31.02", cuda="14.1"),
        torch=WORKS,
        near=("driver-too-old", "gpu-legacy-driver-dropped"),
    ),
    Case(
        "a torch newer than any table",
        ubuntu(CARD, version="640.31.02"),
        driver=driver(CARD, version="640.31.02", cuda="14.1"),
        torch=torch(
            "2.17.0+cu140", CARD, cuda="14.0", arch_flags="sm_80 sm_90 sm_100 sm_120 sm_130", cudnn_version=101200
        ),
        near=("driver-too-old", "cudnn-version-mismatch"),
    ),
    Case(
        "an NVIDIA container image",
        ubuntu(gpu("NVIDIA H100 80GB HBM3"), change=[container(), toolkit("12.9.41", current=True)]),
        driver=driver(gpu("NVIDIA H100 80GB HBM3")),
        torch=torch(
            "2.8.0a0+5228986c39.nv25.6",
            gpu("NVIDIA H100 80GB HBM3"),
            cuda="12.9",
            arch_flags="sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120",
            cudnn_version=91002,
        ),
        packages=(("torchvision", "0.22.0a0+95f10a4e", "torch"), ("pytorch-triton", "3.3.0+git96316ce5.nvinternal")),
        environment={"CUDA_HOME": "/usr/local/cuda", "TORCH_CUDA_ARCH_LIST": "7.5 8.0 8.6 9.0 10.0 12.0+PTX"},
        near=("torchvision-mismatch",),
        never=("toolkit-missing",),
    ),
    Case(
        "a nightly build",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch("2.16.0.dev20261120+cu132", CARD, cuda="13.2", arch_flags="sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"),
        packages=(("torchvision", "0.31.0.dev20261120+cu132", "torch==2.16.0.dev20261120"),),
        near=("torchvision-mismatch",),
    ),
    Case(
        "a conda environment",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch(
            "2.9.1", CARD, cuda="12.9", arch_flags="sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_89 sm_90 sm_100 sm_120"
        ),
        furnish=conda(
            "pytorch-2.9.1-cuda129_mkl_py312_h1",
            "libtorch-2.9.1-cuda129_mkl_h1",
            "mkl-2025.3.0-h0",
            "cudnn-9.13.0.50-h0",
            "cuda-version-12.9-h0",
            "llvm-openmp-21.1.0-h0",
            "libgcc-15.2.0-h0",
            "numpy-2.3.4-py312_0",
        ),
        near=("mkl-mismatch", "torch-duplicate-install", "openmp-duplicate"),
    ),
    Case(
        "two cards of different generations",
        ubuntu(AMPERE, gpu("NVIDIA GeForce RTX 5090")),
        driver=driver(AMPERE, gpu("NVIDIA GeForce RTX 5090")),
        torch=torch("2.15.0+cu132", AMPERE, gpu("NVIDIA GeForce RTX 5090")),
        near=("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch", "driver-flavour-mismatch"),
    ),
    Case(
        "a Volta card on the last build for it",
        ubuntu(gpu("Tesla V100-SXM2-16GB"), is_open=False),
        driver=driver(gpu("Tesla V100-SXM2-16GB")),
        torch=torch("2.9.1+cu128", gpu("Tesla V100-SXM2-16GB")),
        near=("gpu-arch-too-old-for-torch", "cudnn-version-mismatch", "gpu-legacy-driver-dropped"),
    ),
    Case(
        "a card in a virtual machine",
        ubuntu(CARD, change=lambda s: s.file("/sys/class/dmi/id/product_name", "KVM\n")),
        driver=driver(gpu(pcie_width=1, pcie_generation=1)),
        torch=WORKS,
        near=("gpu-degraded",),
    ),
    Case(
        "a laptop with a second graphics unit",
        ubuntu(CARD, change=laptop),
        driver=driver(CARD),
        torch=WORKS,
        near=("gpu-lost", "driver-too-old-for-gpu"),
    ),
    Case(
        "Rocky Linux with a data-centre driver",
        simulated.rocky_9,
        driver=FakeDriver("570.133.20", "12.8", [gpu("NVIDIA H100 80GB HBM3", pci_address="0000:17:00.0")]),
        torch=torch("2.9.1+cu128", gpu("NVIDIA H100 80GB HBM3")),
        near=("driver-library-mismatch", "driver-too-old", "fabric-manager-down"),
    ),
    Case(
        "Arch Linux with the newest compiler and CUDA",
        simulated.arch,
        driver=FakeDriver("580.105.08", "13.0", [gpu(pci_address="0000:0a:00.0")]),
        torch=WORKS,
        near=("host-compiler-unsupported", "toolkit-mismatch"),
    ),
    Case(
        "torch that warns of nothing that matters",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch(
            "2.15.0+cu132",
            CARD,
            is_available="warn The pynvml package is deprecated. Please install nvidia-ml-py instead.",
        ),
        near=("torch-failure-unexplained",),
    ),
    Case(
        "the library paths of a cluster's modules",
        ubuntu(CARD, change=toolkit("12.6.77")),
        driver=driver(CARD),
        torch=torch("2.7.1+cu126", CARD),
        environment={
            "CUDA_HOME": "/usr/local/cuda-12.6",
            "LD_LIBRARY_PATH": "/usr/local/cuda-12.6/lib64",
            "PATH": "/usr/local/cuda-12.6/bin:/usr/bin:/bin",
        },
        near=(
            "library-path-conflict",
            "toolkit-mismatch",
            "toolkit-multiple",
            "toolkit-missing",
            "host-compiler-unsupported",
        ),
    ),
]
