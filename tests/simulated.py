"""Whole simulated machines, one function each: what a person would find on such a machine, in the files' real formats.

Each takes a folder and returns the Sysroot, to which a test adds the fault that it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.sysroot import Sysroot, elf, kernel_module

H100 = "10de:2330:10de:16c1"
RTX_4090 = "10de:2684:1043:889f"
NVSWITCH = "10de:22a3:10de:1796"
BANNER = b"\0GNU C Library (%s) stable release version %s.\nCopyright (C) 2024 Free Software Foundation, Inc.\n\0"


def c_library(sysroot: Sysroot, folder: str, version: str, glibcxx: str, architecture: str = "x86_64") -> None:
    banner = BANNER % (b"GLIBC", version.encode())
    sysroot.library(f"{folder}/libc.so.6", content=elf(architecture, {".rodata": banner}))
    names = b"".join(b"\0GLIBCXX_%s" % v for v in (b"3.4", glibcxx.encode(), b"3.4.9", b"DEBUG_MESSAGE_LENGTH")) + b"\0"
    sysroot.library(
        f"{folder}/libstdc++.so.6.0.{glibcxx.rsplit('.', maxsplit=1)[-1]}",
        "libstdc++.so.6",
        content=elf(architecture, {".dynstr": names}),
    )


def driver_libraries(sysroot: Sysroot, folder: str, version: str) -> list[tuple[str, str]]:
    """The driver's user-space libraries; returns what ldconfig would put into its cache."""
    for stem in ("libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler"):
        sysroot.library(f"{folder}/{stem}.so.{version}", f"{stem}.so.1")
    return [
        (f"{stem}.so.1", f"{folder}/{stem}.so.1") for stem in ("libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler")
    ]


def device_files(sysroot: Sysroot, gpus: int, mode: int = 0o666) -> None:
    for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", *(f"nvidia{n}" for n in range(gpus))):
        sysroot.file(f"/dev/{name}", mode=mode)


def driver_gpu(sysroot: Sysroot, address: str, minor: int) -> None:
    text = f"Model: \t\t NVIDIA\nIRQ:   \t\t 120\nBus Location: \t {address}\nDevice Minor: \t {minor}\n"
    sysroot.file(f"/proc/driver/nvidia/gpus/{address}/information", text)


def ubuntu_2404(root: Path) -> Sysroot:
    """A healthy workstation: one RTX 4090, the open module 580.159.04 of Ubuntu's DKMS package, CUDA 12.8."""
    s, kernel = Sysroot(root), "6.8.0-87-generic"
    s.link("/lib/x86_64-linux-gnu", "../usr/lib/x86_64-linux-gnu")
    s.kernel(kernel).processors(32, "AMD Ryzen 9 7950X 16-Core Processor").memory(64 << 30, 48 << 30)
    s.os_release(
        id="ubuntu", id_like="debian", version_id="24.04", version_codename="noble", pretty_name="Ubuntu 24.04.3 LTS"
    )
    s.files({"/sys/class/dmi/id/sys_vendor": "ASUS\n", "/sys/class/dmi/id/product_name": "ProArt X670E\n"})
    s.files({"/proc/1/comm": "systemd\n", "/proc/2/comm": "kthreadd\n", "/proc/1/cgroup": "0::/init.scope\n"})
    s.file("/proc/self/cgroup", "0::/user.slice/user-1000.slice/session-1.scope\n").folder("/run/systemd/system")
    s.file("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=UUID=x ro quiet\n")
    s.file("/proc/mounts", "tmpfs /dev/shm tmpfs rw,nosuid,nodev,size=32768000k,inode64 0 0\n")
    s.pci("0000:00:00.0", "1022:14d8", "060000")
    s.pci(
        "0000:01:00.0",
        RTX_4090,
        "030000",
        "nvidia",
        current_link_speed="2.5 GT/s PCIe",
        max_link_speed="16.0 GT/s PCIe",
        current_link_width=16,
        max_link_width=16,
        numa_node=-1,
    )
    s.pci("0000:01:00.1", "10de:22ba:1043:889f", "040300", "snd_hda_intel")
    s.nvidia_module("580.159.04", is_open=True)
    driver_gpu(s, "0000:01:00.0", 0)
    device_files(s, 1)
    module = f"/lib/modules/{kernel}/updates/dkms/nvidia.ko"
    s.file(module, kernel_module("580.159.04", "Dual MIT/GPL", signer="box Secure Boot Module Signature key"))
    s.file(f"/lib/modules/{kernel}/build/Makefile")
    tree = "/var/lib/dkms/nvidia"
    s.file(f"{tree}/580.159.04/{kernel}/x86_64/module/nvidia.ko")
    s.link(f"{tree}/580.159.04/source", "/usr/src/nvidia-580.159.04")
    s.link(f"{tree}/kernel-{kernel}-x86_64", f"580.159.04/{kernel}/x86_64")
    s.file(
        "/etc/modprobe.d/blacklist-nouveau.conf",
        "# written by the driver\nblacklist nouveau\noptions nouveau modeset=0\n",
    )
    s.file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x06\0\0\0\x01")
    s.dpkg(
        {
            "nvidia-driver-580-open": "580.159.04-0ubuntu0.24.04.1",
            "nvidia-dkms-580-open": "580.159.04-0ubuntu0.24.04.1",
            "libnvidia-compute-580": "580.159.04-0ubuntu0.24.04.1",
            "nvidia-cuda-toolkit": "12.0.140~12.0.1-4build4",
            "nvidia-container-toolkit": "1.17.8-1",
            "nvidia-settings": "510.47.03-0ubuntu4",
            "gcc-13": "13.3.0-6ubuntu2~24.04",
        }
    )
    folder = "/usr/lib/x86_64-linux-gnu"
    c_library(s, folder, "2.39", "3.4.33")
    cuda = "/usr/local/cuda-12.8"
    s.library(f"{cuda}/targets/x86_64-linux/lib/libcudart.so.12.8.90", "libcudart.so.12", "libcudart.so")
    s.file(
        f"{cuda}/version.json",
        '{"cuda": {"version": "12.8.1"}, "cuda_nvcc": {"name": "CUDA NVCC", "version": "12.8.93"}}',
    )
    s.command(f"{cuda}/bin/nvcc", "exit 1").link("/usr/local/cuda", cuda).link(
        f"{cuda}/lib64", "targets/x86_64-linux/lib"
    )
    s.cache(
        [
            ("libstdc++.so.6", "/lib/x86_64-linux-gnu/libstdc++.so.6"),
            *driver_libraries(s, folder, "580.159.04"),
            ("libcudart.so.12", f"{cuda}/targets/x86_64-linux/lib/libcudart.so.12"),
        ]
    )
    s.file("/usr/bin/x86_64-linux-gnu-gcc-13", elf(), mode=0o755).link("/usr/bin/gcc-13", "x86_64-linux-gnu-gcc-13")
    s.link("/usr/bin/gcc", "gcc-13").file("/usr/bin/ninja", elf(), mode=0o755)
    return s


def ubuntu_2204_hgx(root: Path) -> Sysroot:
    """An HGX board: two H100 and an NVSwitch, proprietary module 535.183.01, Fabric Manager running."""
    s = Sysroot(root).kernel("5.15.0-118-generic")
    s.os_release(
        id="ubuntu", id_like="debian", version_id="22.04", version_codename="jammy", pretty_name="Ubuntu 22.04.4 LTS"
    )
    for n, address in enumerate(("0000:1b:00.0", "0000:43:00.0")):
        s.pci(
            address, H100, "030200", "nvidia", numa_node=n, current_link_speed="32.0 GT/s PCIe", current_link_width=16
        )
        driver_gpu(s, address, n)
    s.pci("0000:07:00.0", NVSWITCH, "068000", "nvidia-nvswitch")
    s.nvidia_module("535.183.01", is_open=False, also=("nvidia_uvm", "nvidia_peermem"))
    device_files(s, 2)
    s.dpkg({"nvidia-driver-535-server": "535.183.01-0ubuntu0.22.04.1", "nvidia-fabricmanager-535": "535.183.01-1"})
    s.file("/usr/bin/nv-fabricmanager", elf(), mode=0o755)
    s.files(
        {
            "/run/nvidia-fabricmanager/nv-fabricmanager.pid": "812\n",
            "/proc/812/comm": "nv-fabricmanage\n",
            "/proc/1/comm": "systemd\n",
            "/proc/2/comm": "kthreadd\n",
        }
    )
    s.cache(driver_libraries(s, "/usr/lib/x86_64-linux-gnu", "535.183.01"), with_old_format=True)
    return s


def debian_12_without_driver(root: Path) -> Sysroot:
    """A card that nouveau holds, and no driver of NVIDIA's."""
    s = Sysroot(root).kernel("6.1.0-28-amd64")
    s.os_release(
        id="debian", version_id="12", version_codename="bookworm", pretty_name="Debian GNU/Linux 12 (bookworm)"
    )
    s.pci("0000:01:00.0", RTX_4090, "030000", "nouveau")
    s.file("/proc/modules", "nouveau 2457600 1 - Live 0x0\n").folder("/dev/dri")
    s.dpkg({"base-files": "12.4+deb12u8"}).folder("/lib/modules/6.1.0-28-amd64/kernel")
    c_library(s, "/usr/lib/x86_64-linux-gnu", "2.36", "3.4.30")
    return s.link("/lib/x86_64-linux-gnu", "../usr/lib/x86_64-linux-gnu").cache([])


def rocky_9(root: Path) -> Sysroot:
    """NVIDIA's own repository on Rocky Linux 9: kmod packages, an rpm database, libraries in /usr/lib64."""
    s, kernel = Sysroot(root), "5.14.0-503.14.1.el9_5.x86_64"
    s.link("/lib64", "usr/lib64").link("/lib", "usr/lib").kernel(kernel)
    s.os_release(id="rocky", id_like="rhel centos fedora", version_id="9.5", pretty_name="Rocky Linux 9.5 (Blue Onyx)")
    s.pci("0000:17:00.0", H100, "030200", "nvidia")
    s.nvidia_module("570.133.20", is_open=True)
    s.file(f"/lib/modules/{kernel}/extra/drivers/video/nvidia/nvidia.ko", kernel_module("570.133.20", "Dual MIT/GPL"))
    s.rpm(
        {
            "kmod-nvidia-open-dkms": ("570.133.20", "1.el9"),
            "nvidia-driver-cuda": ("570.133.20", "1.el9"),
            "nvidia-container-toolkit": ("1.17.5", "1"),
            "bash": ("5.1.8", "9.el9"),
        }
    )
    c_library(s, "/usr/lib64", "2.34", "3.4.29")
    s.cache(driver_libraries(s, "/usr/lib64", "570.133.20"))
    device_files(s, 1)
    s.file("/usr/bin/gcc", elf(), mode=0o755).folder("/usr/lib/gcc/x86_64-redhat-linux/11")
    return s


def opensuse(root: Path) -> Sysroot:
    """openSUSE Leap with SUSE's signed G06 module; its rpm database is of the kind that only rpm reads."""
    s, kernel = Sysroot(root), "6.4.0-150600.23.25-default"
    s.kernel(kernel).os_release(
        id="opensuse-leap", id_like="suse opensuse", version_id="15.6", pretty_name="openSUSE Leap 15.6"
    )
    s.pci("0000:65:00.0", RTX_4090, "030000", "nvidia").nvidia_module("550.100", is_open=True)
    s.file(
        f"/lib/modules/{kernel}/updates/nvidia.ko",
        kernel_module("550.100", "Dual MIT/GPL", signer="SUSE Linux Enterprise"),
    )
    s.file("/usr/lib/sysimage/rpm/Packages.db", b"RpmP")
    c_library(s, "/lib64", "2.38", "3.4.33")
    return s.cache(driver_libraries(s, "/usr/lib64", "550.100"))


def arch(root: Path) -> Sysroot:
    """Arch Linux: everything in /usr/lib, pacman's folders, CUDA in /opt/cuda, modules compressed with zstd."""
    s, kernel = Sysroot(root), "6.17.9-arch1-1"
    s.link("/lib", "usr/lib").link("/lib64", "usr/lib").link("/bin", "usr/bin")
    s.kernel(kernel).os_release(id="arch", pretty_name="Arch Linux")
    s.pci("0000:0a:00.0", RTX_4090, "030000", "nvidia").nvidia_module("580.105.08", is_open=True)
    s.pacman({"nvidia-open": "580.105.08-3", "nvidia-utils": "580.105.08-1", "cuda": "13.0.2-1"})
    s.file(f"/usr/lib/modules/{kernel}/extramodules/nvidia.ko.zst", b"\x28\xb5\x2f\xfd")
    c_library(s, "/usr/lib", "2.42", "3.4.34")
    s.file("/usr/bin/gcc", elf(), mode=0o755).folder("/usr/lib/gcc/x86_64-pc-linux-gnu/15.2.1")
    s.file("/opt/cuda/bin/nvcc", elf(), mode=0o755).file(
        "/opt/cuda/version.json", '{"cuda_nvcc": {"version": "13.0.88"}}'
    )
    return s.cache(driver_libraries(s, "/usr/lib", "580.105.08"))


def wsl2(root: Path) -> Sysroot:
    """Ubuntu under WSL2: the GPU is /dev/dxg, and libcuda is the Windows driver's, in /usr/lib/wsl/lib."""
    s = Sysroot(root).kernel("5.15.167.4-microsoft-standard-WSL2")
    s.os_release(
        id="ubuntu", id_like="debian", version_id="22.04", version_codename="jammy", pretty_name="Ubuntu 22.04.5 LTS"
    )
    s.files({"/proc/1/comm": "init(Ubuntu)\n", "/proc/modules": "", "/run/systemd/container": "wsl\n"})
    s.folder("/run/WSL").file("/dev/dxg", mode=0o666).folder("/sys/bus/pci/devices")
    for library in ("libcuda.so.1.1", "libnvidia-ml.so.1"):
        s.library(f"/usr/lib/wsl/lib/{library}")
    s.link("/usr/lib/wsl/lib/libcuda.so.1", "libcuda.so.1.1")
    return s.cache([(name, f"/usr/lib/wsl/lib/{name}") for name in ("libcuda.so.1", "libnvidia-ml.so.1")])


def docker(root: Path) -> Sysroot:
    """A container of the NVIDIA Container Toolkit: the host's kernel, the host's libraries mounted in."""
    s = Sysroot(root).kernel("5.15.0-118-generic").file("/.dockerenv")
    s.os_release(id="ubuntu", version_id="24.04", version_codename="noble", pretty_name="Ubuntu 24.04.3 LTS")
    s.files({"/proc/1/cgroup": "0::/\n", "/proc/self/cgroup": "0::/\n", "/proc/1/comm": "bash\n"})
    s.files({"/sys/fs/cgroup/memory.max": "17179869184\n", "/sys/fs/cgroup/cpu.max": "350000 100000\n"})
    s.file(
        "/proc/self/mountinfo",
        "612 540 0:58 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/X\n"
        "640 612 259:2 /var/lib/docker/containers/4f1c/hostname /etc/hostname rw,relatime - ext4 /dev/nvme0n1p2 rw\n",
    )
    s.file("/proc/mounts", "shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k 0 0\n")
    s.processors(64, "Intel(R) Xeon(R) Platinum 8480+").pci("0000:1b:00.0", H100, "030200", "nvidia")
    s.nvidia_module("580.65.06", is_open=True)
    device_files(s, 1)
    return s.cache(driver_libraries(s, "/usr/lib/x86_64-linux-gnu", "580.65.06"))


def jetson(root: Path) -> Sysroot:
    """Jetson AGX Orin: the GPU is part of the processor and on no PCI bus."""
    s = Sysroot(root).kernel("5.15.148-tegra", architecture="aarch64")
    s.os_release(
        id="ubuntu", id_like="debian", version_id="22.04", version_codename="jammy", pretty_name="Ubuntu 22.04.5 LTS"
    )
    s.files(
        {
            "/proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
            "/proc/cpuinfo": "processor\t: 0\nprocessor\t: 1\n",
        }
    )
    s.file("/proc/device-tree/compatible", "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0")
    s.files({"/proc/modules": "nvgpu 2654208 18 - Live 0x0\n", "/dev/nvmap": "", "/dev/nvhost-gpu": ""})
    s.folder("/sys/bus/pci/devices").dpkg(
        {"nvidia-l4t-core": "36.4.3-20250107174145", "nvidia-l4t-cuda": "36.4.3-20250107174145"}
    )
    s.library("/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1.1", "libcuda.so.1", content=elf("aarch64"))
    return s.cache([("libcuda.so.1", "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1")], flags=0x0A03)


def nothing(root: Path) -> Sysroot:
    """An empty folder: every fact is unknown or known to be absent, and nothing fails."""
    return Sysroot(root)


ALL: dict[str, Callable[[Path], Sysroot]] = {
    function.__name__: function
    for function in (
        ubuntu_2404,
        ubuntu_2204_hgx,
        debian_12_without_driver,
        rocky_9,
        opensuse,
        arch,
        wsl2,
        docker,
        jetson,
        nothing,
    )
}
