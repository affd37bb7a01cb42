"""The NVIDIA driver: its kernel module, its user-space libraries, its device nodes, its services."""

from __future__ import annotations

from envdoctor.facts.sections.base import Exact, Facts, Group, Signer, User


class KernelModule(Facts, frozen=True, kw_only=True):
    """The nvidia kernel module."""

    loaded: bool | None = None
    version: Exact | None = None
    """Of the loaded module (/sys/module/nvidia/version, /proc/driver/nvidia/version)."""
    flavour: Exact | None = None
    """'open' or 'proprietary', of the loaded module."""
    uvm_loaded: bool | None = None
    modeset_loaded: bool | None = None
    peermem_loaded: bool | None = None
    nouveau_loaded: bool | None = None
    blacklisted: bool | None = None
    """A modprobe.d file blacklists nvidia itself."""
    nouveau_blacklisted: bool | None = None


class ModuleFile(Facts, frozen=True, kw_only=True):
    """An nvidia.ko on disk."""

    path: str
    kernel: Exact
    """The kernel release it was built for."""
    version: Exact | None = None
    flavour: Exact | None = None
    signer: Signer | None = None
    """'' when known to be unsigned."""


class DkmsState(Facts, frozen=True, kw_only=True):
    """One entry of the DKMS tree for the module `nvidia`."""

    version: Exact
    kernel: Exact | None = None
    """None for 'added', which is for no kernel yet."""
    state: Exact
    """added, built, installed or failed (a build log without a module)."""


class Package(Facts, frozen=True, kw_only=True):
    """An installed driver package of the distribution."""

    name: Exact
    version: Exact
    state: Exact | None = None
    """dpkg's state where it is not 'install ok installed' (half-configured, config-files, ...)."""


class DriverLibrary(Facts, frozen=True, kw_only=True):
    """One file of the driver's user-space libraries that the loader could find."""

    name: Exact
    """The soname: libcuda.so.1, libnvidia-ml.so.1, libnvidia-ptxjitcompiler.so.1."""
    path: str
    version: Exact | None = None
    """From the file that the link ends at: libcuda.so.580.159.04 -> '580.159.04'."""


class DeviceNode(Facts, frozen=True, kw_only=True):
    """A node under /dev that CUDA needs: nvidiactl, nvidia0.., nvidia-uvm, nvidia-caps/*, dxg."""

    path: str
    exists: bool | None = None
    readable: bool | None = None
    writable: bool | None = None
    mode: Exact | None = None
    """Octal permission bits: '0666'."""
    owner: User | None = None
    group: Group | None = None
    error: str | None = None
    """errno's name when opening it for reading and writing fails: EACCES, EPERM (a cgroup), ENODEV, EIO, ENXIO."""


class FabricManager(Facts, frozen=True, kw_only=True):
    """NVIDIA Fabric Manager, which NVSwitch machines need."""

    needed: bool | None = None
    """An NVSwitch is on the bus, or NVML says that the GPU's fabric must be initialised."""
    installed: bool | None = None
    version: Exact | None = None
    running: bool | None = None


class Driver(Facts, frozen=True, kw_only=True):
    """The driver as the file system and the kernel show it (what NVML says is in `nvml`)."""

    module: KernelModule | None = None
    module_files: tuple[ModuleFile, ...] | None = None
    kernel_headers: bool | None = None
    """Whether the build folder of the running kernel is there, without which DKMS cannot build the module."""
    dkms: tuple[DkmsState, ...] | None = None
    packages: tuple[Package, ...] | None = None
    libraries: tuple[DriverLibrary, ...] | None = None
    device_nodes: tuple[DeviceNode, ...] | None = None
    secure_boot: bool | None = None
    fabric_manager: FabricManager | None = None
    persistenced_running: bool | None = None
    own_installer: bool | None = None
    """Whether NVIDIA's own installer (the .run file) put a driver here, beside or instead of the distribution's packages."""
    reported_version: Exact | None = None
    """What another tool reported as the driver's version (a collect_env dump, nvidia-smi), where nothing was read here."""

    def library_versions(self, name: str) -> tuple[str, ...]:
        """The distinct known versions of the library of this soname, in the loader's order."""
        found = (lib.version for lib in self.libraries or () if lib.name == name)
        return tuple(dict.fromkeys(version for version in found if version))
