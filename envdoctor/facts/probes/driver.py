"""Probe: the NVIDIA driver as the file system and the kernel show it. What NVML says of it is another probe's."""

from __future__ import annotations

import re

from envdoctor.facts import loader, packages
from envdoctor.facts.host import Machine
from envdoctor.facts.probes import device_nodes, kernel_module, module_files, pci
from envdoctor.facts.probes.host import kernel_release
from envdoctor.facts.probes.services import fabric_manager, persistenced_running
from envdoctor.facts.sections.driver import Driver, DriverLibrary

SONAMES = ("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4")
# EFI_GLOBAL_VARIABLE of the UEFI specification.
_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def probe(machine: Machine) -> Driver:
    if machine.windows:
        return Driver()
    kernel = kernel_release(machine)
    devices = pci.probe(machine)
    installed = packages.driver_packages(machine)
    module = kernel_module.loaded(machine, devices)
    return Driver(
        module=module,
        module_files=module_files.files(machine, kernel, loaded=module.loaded is True),
        kernel_headers=module_files.headers(machine, kernel),
        dkms=module_files.dkms(machine),
        packages=installed,
        libraries=_libraries(machine),
        device_nodes=device_nodes.device_nodes(machine),
        secure_boot=_secure_boot(machine),
        fabric_manager=fabric_manager(machine, devices, installed),
        persistenced_running=persistenced_running(machine),
        own_installer=_own_installer(machine),
    )


def _own_installer(machine: Machine) -> bool | None:
    """By the uninstaller that it leaves."""
    if any(machine.exists(f"{folder}/nvidia-uninstall") for folder in ("/usr/bin", "/usr/local/bin", "/opt/bin")):
        return True
    return False if machine.installed else None


def _libraries(machine: Machine) -> tuple[DriverLibrary, ...] | None:
    if not loader.has_folders(machine):
        return None
    found = []
    for library in loader.search(machine, lambda name: name in SONAMES):
        # libcuda.so.580.159.04; WSL's libcuda.so.1.1 has no driver version in its name.
        version = re.search(rf"\.so\.{kernel_module.VERSION}$", library.resolved)
        found.append(DriverLibrary(name=library.soname, path=library.path, version=version[1] if version else None))
    return tuple(found)


def _secure_boot(machine: Machine) -> bool | None:
    """The firmware's variable: four bytes of attributes, then 1 or 0. A machine without UEFI has no Secure Boot."""
    data = machine.read_bytes(_SECURE_BOOT, 16)
    if data is not None and len(data) >= 5:
        return data[4] == 1
    if machine.exists("/sys/firmware") and machine.exists("/sys/firmware/efi") is False:
        return False
    return None
