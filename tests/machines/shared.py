"""Machines that many use: pods, batch jobs, virtual machines, images; each user sees a part, and the part is healthy or not."""

from __future__ import annotations

import shutil

from tests import simulated
from tests.fakes.driver import FakeDriver, FakeProcess
from tests.machines.gpu import closed
from tests.machines.healthy import conda
from tests.machines.parts import LIBRARIES, container, driver, gpu, torch, ubuntu, without_driver_files
from tests.machines.simulation import Case
from tests.sysroot import Sysroot

CARD = gpu()
H100 = "NVIDIA H100 80GB HBM3"
ONE = gpu(H100)
EIGHT = tuple(gpu(H100) for _ in range(8))


def pod(s: Sysroot) -> None:
    """A pod of Kubernetes with one of the node's GPUs."""
    container()(s)
    s.path("/.dockerenv").unlink()
    s.folder("/run/secrets/kubernetes.io/serviceaccount")
    for number in range(1, 8):
        s.path(f"/dev/nvidia{number}").unlink()


def without_nvml(s: Sysroot) -> None:
    for library in s.path(LIBRARIES).glob("libnvidia-ml.so*"):
        library.unlink()


def apptainer(s: Sysroot) -> None:
    """`apptainer exec --nv`: the host's libraries are bound into a folder of their own."""
    without_driver_files(s)
    simulated.device_files(s, 1)
    s.folder("/.singularity.d/env")
    for name in ("libcuda", "libnvidia-ml"):
        s.library(f"/usr/lib/singularity/{name}.so.580.159.04", f"{name}.so.1")


def image_with_driver(s: Sysroot) -> None:
    """An image into which somebody installed libcuda of another driver than the host's, ahead of the one passed in."""
    container()(s)
    fake = FakeDriver("550.163.01", "12.4", errors={"cuInit": 803}, libraries=["cuda"])
    fake.install(s.path("/usr/local/lib/driver"))
    found = [("libcuda.so.1", "/usr/local/lib/driver/libcuda.so.1")]
    s.cache([*found, ("libnvidia-ml.so.1", f"{LIBRARIES}/libnvidia-ml.so.1")])


def virtual(s: Sysroot) -> None:
    s.file("/sys/class/dmi/id/product_name", "KVM\n")


def stubs(s: Sysroot) -> None:
    """The linker's stub of libcuda, which the driver's own error 34 answers for."""
    fake = FakeDriver("580.159.04", "13.0", errors={"cuInit": 34}, libraries=["cuda"])
    fake.install(s.path("/usr/local/cuda-12.8/lib64/stubs"))


def two_installs(s: Sysroot) -> None:
    """A .run installer's libraries over the distribution's packages."""
    shutil.rmtree(s.path(LIBRARIES), ignore_errors=True)
    simulated.c_library(s, LIBRARIES, "2.39", "3.4.33")
    s.cache(simulated.driver_libraries(s, LIBRARIES, "575.64.05"))


NO_GPU = {"is_available": "warn CUDA initialization: No CUDA GPUs are available"}
CASES = [
    Case(
        "a pod with one of eight GPUs",
        ubuntu(*EIGHT, change=pod),
        driver=driver(ONE),
        torch=torch("2.15.0+cu132", ONE),
        environment={"NVIDIA_VISIBLE_DEVICES": "GPU-5e7a2f7c-0000-5000-8000-123456789abc"},
        near=("gpu-lost", "container-no-gpu", "fabric-manager-down", "device-permission"),
    ),
    Case(
        "a pod without a GPU in its limits",
        ubuntu(*EIGHT, change=[pod, without_driver_files]),
        "container-no-gpu",
        torch=torch(**NO_GPU),
        near=("driver-missing", "gpu-lost"),
    ),
    Case(
        "a container with the capability compute alone",
        ubuntu(CARD, change=[container(), without_nvml]),
        driver=driver(CARD, libraries=("cuda",)),
        torch=torch("2.15.0+cu132", CARD),
        environment={"NVIDIA_DRIVER_CAPABILITIES": "compute"},
        near=("container-no-gpu", "driver-missing", "container-gpu-detached"),
    ),
    Case(
        "Apptainer with --nv",
        ubuntu(CARD, change=apptainer),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        environment={"LD_LIBRARY_PATH": "/usr/lib/singularity", "APPTAINER_CONTAINER": "/images/torch.sif"},
        near=("container-no-gpu", "library-path-conflict"),
    ),
    Case(
        "an image that brings libcuda of another driver",
        ubuntu(CARD, change=image_with_driver),
        "driver-library-mismatch",
        driver=driver(CARD, libraries=("nvml",)),
        torch=torch(
            is_available="warn CUDA initialization: Error 803: system has unsupported display driver / cuda driver combination"
        ),
        near=("container-no-gpu",),
    ),
    Case(
        "libraries of another installer over the packages",
        ubuntu(CARD, change=two_installs),
        "driver-library-mismatch",
        driver=FakeDriver("575.64.05", "12.9", errors={"nvmlInit": 18, "cuInit": 803}),
        torch=torch("2.9.1+cu128", **NO_GPU),
        near=("driver-not-loaded",),
    ),
    Case(
        "one H100 of a board in a virtual machine",
        ubuntu(ONE, change=virtual),
        driver=driver(gpu(H100, fabric_state="completed")),
        torch=torch("2.15.0+cu132", ONE),
        near=("fabric-manager-down", "nccl-problem"),
    ),
    Case(
        "an exclusive card behind NVIDIA MPS",
        ubuntu(ONE),
        driver=driver(
            gpu(H100, compute_mode="exclusive_process", processes=[FakeProcess(77, "nvidia-cuda-mps-server")])
        ),
        torch=torch("2.15.0+cu132", ONE),
        near=("device-busy-or-exclusive",),
    ),
    Case(
        "a stub of libcuda in LD_LIBRARY_PATH",
        ubuntu(CARD, change=stubs),
        "library-path-conflict",
        driver=driver(CARD),
        torch=torch(**NO_GPU),
        environment={"LD_LIBRARY_PATH": "/usr/local/cuda-12.8/lib64/stubs"},
        near=("driver-library-mismatch", "forward-compat-broken", "uvm-broken"),
    ),
    Case(
        "a batch job that asked for no GPU",
        ubuntu(CARD, change=closed),
        driver=FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 4, "cuInit": 100}),
        torch=torch("2.14.1+cpu"),
        environment={"SLURM_JOB_ID": "78"},
        never=("torch-cpu-only",),
        primary="device-permission",
    ),
    Case(
        "conda's torch with one OpenMP runtime under two names",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch("2.9.1", CARD, cuda="12.9", arch_flags="sm_80 sm_86 sm_89 sm_90"),
        furnish=conda("pytorch-2.9.1-cuda129_mkl_h1", "llvm-openmp-21.1.0-h0", "_openmp_mutex-4.5-2_kmp_llvm"),
        near=("openmp-duplicate", "mkl-mismatch"),
    ),
    Case(
        "a driver that is too old, seen without importing torch",
        ubuntu(CARD, version="550.163.01"),
        "driver-too-old",
        driver=driver(CARD, version="550.163.01", cuda="12.4"),
        torch=torch("2.15.0+cu132"),
        options=("--fast",),
    ),
    Case(
        "a workstation, seen without importing torch",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", importing="crash"),
        options=("--fast",),
        near=("torch-failure-unexplained", "torch-cpu-only"),
    ),
]
