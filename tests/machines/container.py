"""Containers, WSL, and the host under it all: what is passed in, and what the system is too old or too different for."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests import simulated
from tests.fakes.driver import FakeDriver
from tests.machines.parts import bare, container, driver, gpu, torch, ubuntu
from tests.machines.simulation import Case
from tests.sysroot import Sysroot, elf
from tests.targets import Target, install_stub_torch

CARD = gpu()
NO_GPU = {
    "is_available": "warn CUDA initialization: No CUDA GPUs are available",
    "init": "raise No CUDA GPUs are available",
}
NO_DRIVER = {"init": "raise Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"}


def without_compute(s: Sysroot) -> None:
    """NVIDIA_DRIVER_CAPABILITIES=utility: nvidia-smi and NVML without libcuda."""
    for library in s.path("/usr/lib/x86_64-linux-gnu").glob("libcuda.so*"):
        library.unlink()


def wsl(root: Path) -> Sysroot:
    s = simulated.wsl2(root)
    simulated.c_library(s, "/usr/lib/x86_64-linux-gnu", "2.35", "3.4.30")
    return s.link("/lib", "usr/lib").dpkg({"base-files": "12ubuntu4.7"})


def wsl_with_linux_driver(root: Path) -> Sysroot:
    s = wsl(root)
    own = simulated.driver_libraries(s, "/usr/lib/x86_64-linux-gnu", "580.159.04")
    s.dpkg({"nvidia-driver-580-open": "580.159.04-0ubuntu1", "libnvidia-compute-580": "580.159.04-0ubuntu1"})
    FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 9, "cuInit": 100}).install(s.path("/usr/lib/x86_64-linux-gnu"))
    return s.cache([*own, *((name, f"/usr/lib/wsl/lib/{name}") for name in ("libcuda.so.1", "libnvidia-ml.so.1"))])


def alpine(root: Path) -> Sysroot:
    """A musl system in a container."""
    s = bare(change=container())(root)
    shutil.rmtree(s.path("/usr/lib/x86_64-linux-gnu"))
    s.library("/usr/lib/ld-musl-x86_64.so.1").os_release(
        id="alpine", version_id="3.22.1", pretty_name="Alpine Linux v3.22"
    )
    return s


def riscv(root: Path) -> Sysroot:
    s = bare()(root)
    shutil.rmtree(s.path("/usr/lib/x86_64-linux-gnu"))
    # e_machine 0xF3 of the ELF header is RISC-V.
    binary = bytearray(elf())
    binary[18] = 0xF3
    return s.file("/usr/bin/sh", bytes(binary))


def tagged(tag: str) -> Callable[[Target], object]:
    """A torch whose wheel has this tag."""
    return lambda target: target.write("torch-2.15.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")


OLD_LIBC = (
    "raise /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.28' not found (required by /env/torch/lib/libtorch_cpu.so)"
)


def python_of_the_future(target: Target) -> None:
    """Python 3.16 as far as anybody can ask it: the version is what the interpreter says of itself."""
    target.at_start(
        "import collections, sys\n"
        "Version = collections.namedtuple('Version', 'major minor micro releaselevel serial')\n"
        "sys.version_info = Version(3, 16, 0, 'final', 0)\n",
    )


def from_sources(target: Target) -> None:
    """A torch without metadata, as a build folder on PYTHONPATH has it."""
    install_stub_torch(target, **torch("2.14.1+cpu"))
    for metadata in target.site.glob("torch-*.dist-info"):
        shutil.rmtree(metadata)


CASES = [
    # --- container-no-gpu ----------------------------------------------------------------------------------------------
    Case(
        "a container without --gpus",
        ubuntu(CARD, change=container(given=False)),
        "container-no-gpu",
        torch=torch(**NO_DRIVER),
        near=("driver-missing", "driver-not-loaded", "visible-devices-hidden"),
    ),
    Case(
        "a container that got nvidia-smi and no CUDA",
        ubuntu(CARD, change=[container(), without_compute]),
        "container-no-gpu",
        driver=driver(CARD, libraries=("nvml",)),
        torch=torch(**NO_DRIVER),
        environment={"NVIDIA_DRIVER_CAPABILITIES": "utility"},
        near=("driver-missing",),
    ),
    Case(
        "a container without GPUs for a CPU build",
        ubuntu(CARD, change=container(given=False)),
        torch=torch("2.14.1+cpu"),
        near=("container-no-gpu", "torch-cpu-only"),
    ),
    Case(
        "a container that was told to take no GPU",
        ubuntu(CARD, change=container(given=False)),
        "visible-devices-hidden",
        torch=torch(**NO_DRIVER),
        environment={"NVIDIA_VISIBLE_DEVICES": "void"},
        near=("driver-missing",),
    ),
    # --- container-gpu-detached ----------------------------------------------------------------------------------------
    Case(
        "a container after a daemon-reload on its host",
        ubuntu(CARD, change=container()),
        "container-gpu-detached",
        driver=FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 999, "cuInit": 999}),
        torch=torch(**NO_GPU),
        near=("container-no-gpu", "gpu-lost"),
    ),
    Case(
        "a container with its GPU",
        ubuntu(CARD, change=container()),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        near=("container-gpu-detached", "container-no-gpu", "shm-too-small"),
    ),
    # --- shm-too-small -------------------------------------------------------------------------------------------------
    Case(
        "a container with the engine's 64 MiB of shared memory",
        ubuntu(CARD, change=container(shm="65536k")),
        "shm-too-small",
        "warning",
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
    ),
    # --- wsl-driver-problem --------------------------------------------------------------------------------------------
    Case(
        "a Linux driver inside WSL2",
        wsl_with_linux_driver,
        "wsl-driver-problem",
        torch=torch(**NO_GPU),
        near=("driver-not-loaded", "driver-missing", "uvm-broken", "driver-library-mismatch"),
    ),
    Case(
        "WSL2 with Windows' own libcuda",
        wsl,
        driver=driver(gpu(pcie_width=8), version="581.57"),
        torch=torch("2.15.0+cu132", CARD),
        near=("wsl-driver-problem", "driver-missing", "gpu-degraded"),
    ),
    # --- glibc-too-old -------------------------------------------------------------------------------------------------
    Case(
        "a wheel for a newer C library",
        ubuntu(CARD, glibc="2.27"),
        "glibc-too-old",
        driver=driver(CARD),
        torch=torch("2.9.1+cu128", importing=OLD_LIBC),
        near=("library-path-conflict", "torch-install-corrupt"),
    ),
    Case(
        "a wheel for just this C library",
        ubuntu(CARD, glibc="2.28"),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        near=("glibc-too-old",),
        furnish=tagged("cp312-cp312-manylinux_2_28_x86_64"),
    ),
    # --- platform-unsupported ------------------------------------------------------------------------------------------
    Case(
        "Alpine without torch",
        alpine,
        "platform-unsupported",
        torch=None,
        near=("glibc-too-old", "python-unsupported"),
    ),
    Case(
        "Alpine with a torch that works",
        alpine,
        torch=torch("2.14.1+cpu"),
        near=("platform-unsupported", "glibc-too-old"),
    ),
    Case("a RISC-V board without torch", riscv, "platform-unsupported", torch=None, near=("python-unsupported",)),
    # --- python-unsupported, torch-missing -----------------------------------------------------------------------------
    Case(
        "a Python for which there are no wheels yet",
        bare(),
        "python-unsupported",
        torch=None,
        furnish=python_of_the_future,
        near=("platform-unsupported",),
    ),
    Case(
        "a torch that somebody built for that Python",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch("2.15.0+cu132", CARD),
        furnish=python_of_the_future,
        near=("python-unsupported", "torch-missing"),
    ),
    Case(
        "a GPU and no torch",
        ubuntu(CARD),
        "torch-missing",
        driver=driver(CARD),
        torch=None,
        near=("python-unsupported", "platform-unsupported", "torch-cpu-only"),
    ),
    Case(
        "a torch from a build folder, without metadata",
        bare(),
        torch=None,
        furnish=from_sources,
        near=("torch-missing", "torch-install-corrupt"),
    ),
]

assert sys.version_info < (3, 16), "the Python of the future has come: take a later one"
