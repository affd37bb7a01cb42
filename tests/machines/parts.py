"""What machines are put together from: a Linux with GPUs and a driver, and builds of torch with what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import simulated
from tests.fakes.driver import FakeDriver, FakeGpu
from tests.sysroot import Sysroot, elf, kernel_module

Change = Callable[[Sysroot], object]
KERNEL = "6.8.0-87-generic"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
# The GPU code in the wheels as measured, and the cuDNN that each pins as torch.backends.cudnn.version() gives it.
NEW = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"
CUDA_12_8 = "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"
OLD = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"
ARM = "sm_80 sm_90 sm_100 sm_110 sm_120"
BUILDS = {
    "2.15.0+cu132": ("13.2", NEW, 92600),
    "2.14.1+cu126": ("12.6", OLD, 91002),
    "2.9.1+cu130": ("13.0", f"{NEW} compute_120", 91300),
    "2.9.1+cu128": ("12.8", CUDA_12_8, 91002),
    "2.8.0+cu128": ("12.8", CUDA_12_8, 91002),
    "2.7.1+cu126": ("12.6", OLD, 90501),
    "2.6.0+cu124": ("12.4", OLD, 90100),
    "2.4.1+cu121": ("12.1", OLD, 90100),
    "2.2.2+cu121": ("12.1", OLD, 8902),
}
NO_KERNEL = "raise CUDA error: no kernel image is available for execution on the device"


def torch(version: str = "2.15.0+cu132", *gpus: FakeGpu, **more: Any) -> dict[str, Any]:
    """A build of torch that sees these GPUs; `more` as in install_stub_torch."""
    cuda, flags, cudnn = BUILDS.get(version, (None, "", None))
    seen = [
        {"name": gpu.name, "capability": "{}.{}".format(*gpu.capability), "memory": (gpu.board.memory or 1 << 17) << 20}
        for gpu in gpus
    ]
    return {"version": version, "cuda": cuda, "arch_flags": flags, "cudnn_version": cudnn, "gpus": seen, **more}


def gpu(name: str = "NVIDIA GeForce RTX 4090", **values: Any) -> FakeGpu:
    return FakeGpu(name, **values)


def driver(*gpus: FakeGpu, version: str = "580.159.04", cuda: str = "13.0", **more: Any) -> FakeDriver:
    return FakeDriver(version, cuda, gpus, **more)


def ubuntu(
    *cards: FakeGpu,
    version: str = "580.159.04",
    is_open: bool = True,
    change: Sequence[Change] | Change = (),
    kernel: str = KERNEL,
    glibc: str = "2.39",
    modules: Sequence[str] = ("nvidia_uvm", "nvidia_modeset"),
) -> Callable[[Path], Sysroot]:
    """Ubuntu 24.04 on bare metal with these cards and that driver, all of one version and loaded; no CUDA toolkit."""

    def files(root: Path) -> Sysroot:
        s = _linux(root, kernel, glibc)
        for minor, card in enumerate(cards):
            address = place(card, minor)
            s.pci(address, f"10de:{device(card, minor)}", "030200" if card.board.ecc else "030000", "nvidia")
            simulated.driver_gpu(s, address, minor)
        branch = version.partition(".")[0]
        name = f"nvidia-driver-{branch}-open" if is_open else f"nvidia-driver-{branch}"
        s.dpkg({name: f"{version}-0ubuntu1", f"libnvidia-compute-{branch}": f"{version}-0ubuntu1"})
        s.nvidia_module(version, is_open=is_open, also=modules)
        licence = "Dual MIT/GPL" if is_open else "NVIDIA"
        s.file(f"/lib/modules/{kernel}/updates/dkms/nvidia.ko", kernel_module(version, licence, signer="box"))
        simulated.device_files(s, len(cards))
        s.cache(simulated.driver_libraries(s, LIBRARIES, version))
        for each in (change,) if callable(change) else change:
            each(s)
        return s

    return files


def bare(
    *, change: Sequence[Change] | Change = (), kernel: str = KERNEL, glibc: str = "2.39"
) -> Callable[[Path], Sysroot]:
    """The same Ubuntu without any NVIDIA hardware or software."""

    def files(root: Path) -> Sysroot:
        s = (
            _linux(root, kernel, glibc)
            .file("/proc/modules", "ext4 1 0 - Live 0x0\n")
            .dpkg({"base-files": "13"})
            .cache([])
        )
        s.pci("0000:00:02.0", "1234:1111", "030000", "bochs-drm")
        for each in (change,) if callable(change) else change:
            each(s)
        return s

    return files


def _linux(root: Path, kernel: str, glibc: str) -> Sysroot:
    s = Sysroot(root).link("/lib", "usr/lib").kernel(kernel)
    s.processors(16, "AMD EPYC 9354 32-Core Processor").memory(128 << 30, 96 << 30)
    s.os_release(
        id="ubuntu", id_like="debian", version_id="24.04", version_codename="noble", pretty_name="Ubuntu 24.04.3 LTS"
    )
    s.files({"/sys/class/dmi/id/sys_vendor": "Supermicro\n", "/sys/class/dmi/id/product_name": "AS-2125GS\n"})
    s.files({"/proc/1/comm": "systemd\n", "/proc/2/comm": "kthreadd\n", "/proc/1/cgroup": "0::/init.scope\n"})
    s.file("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=UUID=x ro quiet\n").folder("/run/systemd/system")
    s.file("/proc/mounts", "tmpfs /dev/shm tmpfs rw,nosuid,nodev,size=65536000k,inode64 0 0\n")
    s.file("/usr/bin/gcc-13", elf(), mode=0o755).link("/usr/bin/gcc", "gcc-13").folder(f"/lib/modules/{kernel}/kernel")
    simulated.c_library(s, LIBRARIES, glibc, "3.4.33")
    return s


def place(card: FakeGpu, index: int) -> str:
    """The PCI address that the driver has for the card."""
    return str(card.scenario(index)["pci_address"])


def device(card: FakeGpu, index: int) -> str:
    """Its PCI device id, four lower-case digits."""
    return str(card.scenario(index)["pci_id"])[2:6].lower()


def log(*lines: str) -> Change:
    """The kernel's log of this boot."""
    return lambda s: s.file("/dev/kmsg", "".join(f"4,{n},{90 + n}000000,-;{line}\n" for n, line in enumerate(lines, 1)))


def toolkit(version: str, *, current: bool = False, nvcc: bool = True) -> Change:
    """A CUDA toolkit in /usr/local, which /usr/local/cuda names where it is the current one."""
    major, minor, _ = version.split(".")
    home = f"/usr/local/cuda-{major}.{minor}"

    def install(s: Sysroot) -> None:
        s.library(f"{home}/lib64/libcudart.so.{version}", f"libcudart.so.{major}")
        s.file(f"{home}/version.json", f'{{"cuda_nvcc": {{"name": "CUDA NVCC", "version": "{version}"}}}}')
        if nvcc:
            s.command(f"{home}/bin/nvcc", "exit 1")
        if current:
            s.link("/usr/local/cuda", home)

    return install


def container(*cards: FakeGpu, shm: str = "16g", given: bool = True) -> Change:
    """Makes the machine a Docker container, with its host's GPUs or without."""

    def change(s: Sysroot) -> None:
        s.file("/.dockerenv").files(
            {"/proc/1/comm": "bash\n", "/proc/1/cgroup": "0::/\n", "/proc/self/cgroup": "0::/\n"}
        )
        s.path("/proc/2/comm").unlink()
        s.path("/run/systemd/system").rmdir()
        s.file("/proc/self/mountinfo", "612 540 0:58 / / rw,relatime - overlay overlay rw,lowerdir=/x\n")
        s.file("/proc/mounts", f"shm /dev/shm tmpfs rw,nosuid,nodev,size={shm} 0 0\n")
        s.dpkg({"base-files": "13"})
        if not given:
            without_driver_files(s)

    return change


def without_driver_files(s: Sysroot) -> None:
    """Takes the device nodes and the driver's libraries away, as in a container that was given no GPU."""
    for node in s.path("/dev").glob("nvidia*"):
        node.unlink()
    for stem in ("libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler"):
        for library in s.path(LIBRARIES).glob(f"{stem}.so*"):
            library.unlink()
    s.cache([])
