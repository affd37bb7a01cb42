"""What the operating system says of the machine: host, PCI bus, container, kernel log, environment variables."""

from __future__ import annotations

from envdoctor.facts.sections.base import Exact, Facts, Group


class LinuxDistribution(Facts, frozen=True, kw_only=True):
    """The Linux distribution, from os-release(5)."""

    id: Exact | None = None
    version_id: Exact | None = None
    codename: Exact | None = None
    name: Exact | None = None
    like: tuple[Exact, ...] = ()


class Host(Facts, frozen=True, kw_only=True):
    """The machine and its operating system. Sizes in bytes."""

    system: Exact | None = None
    """`Linux`, `Windows` or `Darwin`."""
    architecture: Exact | None = None
    """As uname prints it, with AMD64 and arm64 kept: x86_64, aarch64, AMD64, arm64."""
    kernel: Exact | None = None
    distribution: LinuxDistribution | None = None
    os_name: Exact | None = None
    """For a person: 'Ubuntu 24.04.3 LTS', 'Windows 11 24H2'."""
    glibc: Exact | None = None
    libstdcxx: Exact | None = None
    """The highest GLIBCXX symbol version of the system's libstdc++.so.6, such as '3.4.30'."""
    wsl: int | None = None
    """0 outside the Windows Subsystem for Linux, else its version."""
    virtualization: Exact | None = None
    """'none' on bare metal, else the hypervisor (kvm, firecracker, microsoft, vmware, xen, gvisor, ...)."""
    cpu_model: Exact | None = None
    cpu_count: int | None = None
    """Logical processors of the machine."""
    cpu_usable: int | None = None
    """Logical processors that this process may use (affinity and cgroup quota, rounded up)."""
    memory_total: int | None = None
    memory_available: int | None = None
    shm_total: int | None = None
    shm_free: int | None = None
    disk_free: int | None = None
    """Free space where the target interpreter's environment lies, else of the home folder."""
    root: bool | None = None
    """Whether envdoctor ran with root's rights, so that denied access is telling."""
    groups: tuple[Group, ...] | None = None
    """The names of the groups of the user who ran envdoctor."""

    @property
    def platform(self) -> str | None:
        """`linux_x86_64`, `linux_aarch64`, `windows_amd64`, `windows_arm64`, `macos_arm64` or `macos_x86_64`."""
        if self.system is None or self.architecture is None:
            return None
        machine = self.architecture.lower()
        arm = machine in ("aarch64", "arm64")
        names = {
            "Linux": "linux_aarch64" if arm else f"linux_{machine}",
            "Windows": "windows_arm64" if arm else "windows_amd64",
            "Darwin": "macos_arm64" if arm else "macos_x86_64",
        }
        return names.get(self.system)


class PciDevice(Facts, frozen=True, kw_only=True):
    """One display, accelerator or bridge device on the PCI bus. Ids are four lower-case hexadecimal digits."""

    address: Exact
    """Domain, bus, device and function: '0000:65:00.0'."""
    vendor: Exact
    device: Exact
    subsystem_vendor: Exact | None = None
    subsystem_device: Exact | None = None
    class_code: Exact | None = None
    """Six hexadecimal digits; 0300xx VGA, 0302xx 3D controller, 0380xx display, 0680xx bridge (NVSwitch), 1200xx accelerator."""
    driver: Exact | None = None
    """The kernel driver bound to it (nvidia, nouveau, vfio-pci); '' when none is."""
    link_speed_gts: float | None = None
    link_speed_max_gts: float | None = None
    link_width: int | None = None
    link_width_max: int | None = None
    numa_node: int | None = None

    @property
    def is_nvidia_gpu(self) -> bool:
        """An NVIDIA display or 3D controller (not the card's audio or USB function)."""
        return self.vendor == "10de" and self.is_gpu

    @property
    def is_gpu(self) -> bool:
        return (self.class_code or "")[:2] in ("03", "12")

    @property
    def is_nvswitch(self) -> bool:
        return self.vendor == "10de" and (self.class_code or "").startswith("0680")


class Container(Facts, frozen=True, kw_only=True):
    """The container, orchestrator or batch system that envdoctor runs in, and the container toolkit of a host."""

    kind: Exact | None = None
    """'none' outside one, else docker, podman, containerd, kubernetes, lxc, apptainer, systemd-nspawn, other."""
    kubernetes: bool | None = None
    slurm: bool | None = None
    toolkit_version: Exact | None = None
    """Version of the NVIDIA Container Toolkit (nvidia-ctk) found here; '' when known to be absent."""
    docker_runtimes: tuple[Exact, ...] | None = None
    """Runtimes named in /etc/docker/daemon.json."""
    cdi_specs: tuple[str, ...] | None = None
    """Container Device Interface files for NVIDIA (nvidia.yaml, ...) in /etc/cdi and /var/run/cdi."""
    memory_limit: int | None = None
    """The cgroup's memory limit in bytes, where there is one."""

    @property
    def inside(self) -> bool | None:
        """Whether this is inside a container; None when that is not known."""
        return None if self.kind is None else self.kind != "none"


class LogLine(Facts, frozen=True, kw_only=True):
    """One kernel log line that speaks of the NVIDIA driver."""

    text: str
    source: Exact | None = None
    """The file or command it was read from."""
    xid: int | None = None
    """NVIDIA's Xid error number, where the line has one."""
    pci: Exact | None = None


class Logs(Facts, frozen=True, kw_only=True):
    """Kernel log lines of this boot about NVIDIA (NVRM, Xid, nvidia module loading, nouveau), oldest first, bounded."""

    readable: bool | None = None
    """False where every source refused (not root, dmesg_restrict): then no line means nothing."""
    lines: tuple[LogLine, ...] = ()
