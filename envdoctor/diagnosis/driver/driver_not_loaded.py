"""The NVIDIA driver is installed, but its kernel module is not running.

What it is
    The files of the driver are there; the kernel has not loaded `nvidia.ko`. nvidia-smi then says that it 'couldn't
    communicate with the NVIDIA driver', NVML answers DRIVER_NOT_LOADED, and cuInit finds no device.

Told apart by
    A module on disk, a driver package or the driver's libraries, while the kernel's list of modules has no `nvidia`. The
    reason comes from what surrounds it: nouveau holds the card; Secure Boot refuses an unsigned module; DKMS has built the
    module for other kernels only (a kernel update without its headers); a file in modprobe.d blacklists it. Nothing
    installed at all is `driver-missing`.

Repair
    By reason: rebuild for the running kernel, enrol the signing key, take nouveau or the blacklist away; then load the module.

Sources
    dkms(8), mokutil(1), modprobe.d(5); NVIDIA driver README, chapters 'Common Problems' and 'Installing the NVIDIA Driver'
"""

from __future__ import annotations

from envdoctor.diagnosis.driver.driver_missing import is_driver_package
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import install_driver, on_the_host
from envdoctor.diagnosis.reported_errors import kernel_text
from envdoctor.diagnosis.snapshot_queries import bus_gpus, in_container, is_wsl
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import Driver
from envdoctor.knowledge import Knowledge
from envdoctor.planning.distributions import family
from envdoctor.planning.driver_packages import headers, machine_key
from envdoctor.reading.messages.conditions import near, nvidia_near, value, without
from envdoctor.reading.messages.message import Message

VERIFY = "nvidia-smi -L"


SEE_WHY = Fix(
    title="Load the module by hand, and read why it is refused",
    commands=(
        "sudo modprobe nvidia",
        "sudo dmesg | grep -iE 'nvidia|nvrm|nouveau' | tail -20",
        "mokutil --sb-state; dkms status; ls /lib/modules/$(uname -r)",
    ),
    note="'Key was rejected': Secure Boot. 'not found': not built for this kernel. 'probe routine was not called': nouveau.",
    needs_root=True,
    verify="nvidia-smi -L",
)
MESSAGES = (
    Message(
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver", "nvidia-smi, every driver", 0.9
    ),
    Message("Make sure that the latest NVIDIA driver is installed and running", "nvidia-smi, every driver", 0.85),
    Message("Failed to initialize NVML: Driver Not Loaded", "nvml.h: NVML_ERROR_DRIVER_NOT_LOADED", 0.95),
    Message("NVML: Driver Not Loaded", "nvml.h: NVML_ERROR_DRIVER_NOT_LOADED", 0.9),
    Message("NVMLError_DriverNotLoaded", "pynvml", 0.95),
    Message("nvml error: driver not loaded", "libnvidia-container, src/nvc.c", 0.9),
    Message("nvidia-container-cli: initialization error: cuda error: unknown error", "libnvidia-container", 0.5),
    Message("modprobe: ERROR: could not insert 'nvidia': No such device", "kmod: ENODEV", 0.85),
    Message("modprobe: ERROR: could not insert 'nvidia': Required key not available", "kmod: ENOKEY under Secure Boot"),
    Message(
        "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
        "kmod: EKEYREJECTED under Secure Boot",
    ),
    Message("modprobe: ERROR: could not insert 'nvidia{module}': {why}", "kmod", 0.85),
    Message("could not insert module {path}nvidia{name}: Key was rejected by service", "kmod: EKEYREJECTED"),
    Message("could not insert module {path}nvidia{name}: Required key not available", "kmod: ENOKEY"),
    Message("Loading of unsigned module is rejected", "Linux, kernel/module/signing.c", 0.7),
    Message("Lockdown: modprobe: unsigned module loading is restricted", "Linux, security/lockdown", 0.8),
    Message(
        "modprobe: FATAL: Module nvidia not found in directory /lib/modules/{kernel}",
        "kmod: no module built for the running kernel",
        0.85,
    ),
    Message("modprobe: FATAL: Module nvidia{variant} not found", "kmod", 0.75, when=without(value("variant", "uvm"))),
    Message(
        "NVRM: The NVIDIA probe routine was not called for {count} device(s)",
        "NVRM, nv.c: another driver holds the card",
    ),
    Message(
        "This can occur when a driver such as: nouveau, rivafb, nvidiafb or rivatv was loaded and obtained ownership",
        "NVRM, nv.c",
    ),
    Message("NVRM: The NVIDIA probe routine failed for {count} device(s)", "NVRM, nv.c", 0.5),
    Message("NVRM: None of the NVIDIA graphics adapters were initialized", "NVRM, nv.c", 0.6),
    Message("NVRM: None of the NVIDIA devices were initialized", "NVRM, nv.c", 0.7),
    Message("The Nouveau kernel driver is currently in use by your system", "nvidia-installer", 0.95),
    Message("Unable to load the kernel module 'nvidia.ko'", "nvidia-installer", 0.9),
    Message("Unable to load the 'nvidia-drm' kernel module", "nvidia-installer", 0.8),
    Message("ERROR: Unable to find the kernel source tree for the currently running kernel", "nvidia-installer", 0.9),
    Message('ERROR: An error occurred while performing the step: "Building kernel modules"', "nvidia-installer", 0.9),
    Message("Bad return status for module build on kernel: {kernel}", "dkms", 0.7, when=near("nvidia")),
    Message("Error! Your kernel headers for kernel {kernel} cannot be found", "dkms", 0.8),
    Message("dkms.conf for module nvidia{rest} does not exist", "dkms", 0.8),
    Message("Error! Bad return status for module build", "dkms", 0.6, when=near("nvidia")),
    Message("nvidia: version magic '{a}' should be '{b}'", "Linux, kernel/module/main.c", 0.95),
    Message("nvidia: disagrees about version of symbol {symbol}", "Linux, kernel/module/main.c", 0.9),
    Message("nvidia: Unknown symbol {symbol}", "Linux, kernel/module/main.c", 0.9),
    Message("CUDA driver initialization failed, you might not have a CUDA gpu", "c10/cuda/CUDAFunctions.cpp", 0.45),
    Message("NVRM: No NVIDIA GPU found", "NVRM, nv.c", 0.4),
    Message('Kernel module "nvidia" is not loaded', "nvidia-persistenced, nvidia-modprobe", 0.9),
    Message("nvidia-modprobe: ERROR: could not insert", "nvidia-modprobe", 0.8),
    Message('ERROR: Unable to load the "nvidia" kernel module', "nvidia-settings, nvidia-persistenced", 0.9),
    Message("Failed to query NVIDIA devices. Please ensure that the NVIDIA device files", "nvidia-persistenced", 0.7),
    Message("(EE) NVIDIA: Failed to initialize the NVIDIA kernel module", "Xorg's nvidia driver", 0.8),
    Message("Found no NVIDIA driver on your system", "torch: libcuda is there and cuInit finds no device file", 0.4),
    Message("ERROR: The NVIDIA kernel module appears to already be loaded", "nvidia-installer", 0.4),
    Message("FATAL: modpost: GPL-incompatible module nvidia.ko uses GPL-only symbol", "Linux kbuild, modpost", 0.9),
    Message("Can't initialize NVML", "torch/cuda/__init__.py", 0.4),
    Message(
        "nvidia-container-cli: initialization error: driver error: failed to process request",
        "libnvidia-container",
        0.55,
    ),
    Message("nvidia{pci} probe with driver nvidia failed with error", "Linux, drivers/base/dd.c", 0.6),
    Message("nvidia: probe of {pci} failed with error -1", "Linux before 6.7, drivers/base/dd.c", 0.6),
    Message(
        "This can occur when another driver was loaded and obtained ownership of the NVIDIA device(s)",
        "NVRM, nv-pci.c, drivers of 2023 and later",
    ),
    Message("NVRM: No NVIDIA devices probed", "NVRM, nv-pci.c", 0.6),
    Message("obtained ownership of the NVIDIA device(s)", "NVRM, nv-pci.c", 0.95),
    Message("Try unloading the conflicting kernel module", "NVRM, nv-pci.c", 0.95),
    Message(
        "could occur when a driver such as rivatv is loaded and claims ownership of the device's registers",
        "NVRM, nv-pci.c",
        0.9,
    ),
    Message("NVIDIA-SMI has failed", "nvidia-smi, quoted in part", 0.85),
    Message("cudaGetDeviceCount returned 3 -> initialization error", "CUDA samples, deviceQuery", 0.5),
    Message("cuInit(0) returned 100", "ctypes, the driver's API", 0.4),
    Message("DKMS module 'nvidia-{version}' failed to build", "Void Linux, xbps: dkms"),
    Message("Building DKMS module 'nvidia-{version}' for kernel-{kernel} FAILED", "Void Linux, xbps: dkms"),
    Message("/var/lib/dkms/nvidia{path}/build]", "make in dkms, in every language", 0.85),
    Message("appears to already be loaded in your kernel", "nvidia-installer", 0.6, when=nvidia_near),
    Message("kernel driver does not appear to be running on this host", "tensorflow, cuda_diagnostics.cc", 0.7),
    Message("ERROR: module not found: 'nvidia", "mkinitcpio: the kernel has no such module", 0.85),
    Message("dpkg: error processing package nvidia-dkms-{name} (--configure)", "dpkg: the module was not built", 0.85),
    Message("dpkg: error processing package nvidia-{name} (--configure)", "dpkg", 0.6),
    Message("modinfo: ERROR: Module nvidia not found", "kmod, tools/modinfo.c", 0.65),
    Message("dkms autoinstall on {kernel} failed for nvidia", "dkms 3", 0.95),
)


@diagnosis(
    "driver-not-loaded",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    # A module that finds no GPU which it drives refuses to load.
    follows_from=("gpu-legacy-driver-dropped", "driver-too-old-for-gpu", "driver-flavour-mismatch"),
    messages=MESSAGES,
    remedy=lambda machine, world: (*on_the_host(machine, SEE_WHY), install_driver(machine, world)),
)
def driver_not_loaded(machine: Snapshot, world: Knowledge) -> Finding | None:
    driver = machine.driver
    if bus_gpus(machine) == 0 or in_container(machine) or is_wsl(machine):
        return None
    if driver is None:
        return _by_nvmls_word(machine)
    if (
        not bus_gpus(machine)
        or driver.module is None
        or driver.module.loaded is not False
        or (machine.nvml and machine.nvml.working)
    ):
        return None
    installed = _installed(driver)
    if not installed:
        return None
    kernel = machine.host.kernel if machine.host else None
    reason, evidence, fixes = _reason(machine, driver, kernel)
    return Finding(
        summary=f"The NVIDIA driver is installed ({installed}), but its kernel module is not loaded{reason}",
        evidence=(fact("driver.module.loaded", False), *evidence),
        fixes=fixes,
    )


def _by_nvmls_word(machine: Snapshot) -> Finding | None:
    """nvidia-smi is a part of the driver, so that one is installed; and it finds no module."""
    if machine.nvml is None or machine.nvml.status != "DRIVER_NOT_LOADED":
        return None
    nouveau = "probe routine was not called" in kernel_text(machine)
    return Finding(
        summary="The NVIDIA driver is installed (nvidia-smi is), but its kernel module is not loaded"
        + (": nouveau or another driver holds the card." if nouveau else "."),
        evidence=(fact("nvml.status", "DRIVER_NOT_LOADED"),),
        fixes=(
            *((_without_nouveau(machine),) if nouveau else ()),
            *((_rebuild(machine, Driver(), _kernel(machine)),) if _not_built(machine) else ()),
            SEE_WHY,
        ),
        confidence=0.8,
    )


def _not_built(machine: Snapshot) -> bool:
    """Whether modprobe finds no module for the running kernel, in a text."""
    return any("Module nvidia not found" in line for line in machine.messages)


def _kernel(machine: Snapshot) -> str:
    return (machine.host.kernel if machine.host else None) or "$(uname -r)"


def _installed(driver: Driver) -> str:
    """What shows that a driver is there, for a person; '' when nothing does."""
    for package in driver.packages or ():
        if is_driver_package(package.name):
            return f"{package.name} {package.version}"
    for file in driver.module_files or ():
        return f"module {file.version or ''} for kernel {file.kernel}".replace("  ", " ")
    for state in driver.dkms or ():
        return f"DKMS source {state.version}"
    for library in driver.libraries or ():
        if library.name == "libcuda.so.1":
            return f"libcuda {library.version}" if library.version else "libcuda"
    return ""


def _reason(machine: Snapshot, driver: Driver, kernel: str | None) -> tuple[str, list[Evidence], tuple[Fix, ...]]:
    module = driver.module
    load = Fix(title="Load the module", commands=("sudo modprobe nvidia",), needs_root=True, verify=VERIFY)
    if driver.module_files is not None and kernel is not None and all(f.kernel != kernel for f in driver.module_files):
        kernels = sorted({f.kernel for f in driver.module_files})
        return (
            f": there is no module for the running kernel {kernel}.",
            [fact("host.kernel", kernel), fact("driver.module_files", kernels or None)],
            (_rebuild(machine, driver, kernel),),
        )
    if module is not None and module.nouveau_loaded:
        return (
            ": nouveau holds the card.",
            [fact("driver.module.nouveau_loaded", True)],
            (_without_nouveau(machine),),
        )
    if module is not None and module.blacklisted:
        return (
            ": a file in modprobe.d blacklists it.",
            [fact("driver.module.blacklisted", True)],
            (
                Fix(
                    title="Take the blacklist entry out, then load the module",
                    commands=(
                        "grep -rnE '^\\s*(blacklist|install)\\s+nvidia' /etc/modprobe.d /usr/lib/modprobe.d /lib/modprobe.d",
                        "# remove or comment out the lines it shows, then:",
                        "sudo modprobe nvidia",
                    ),
                    needs_root=True,
                    verify=VERIFY,
                ),
            ),
        )
    here = [f for f in driver.module_files or () if f.kernel == kernel]
    if driver.secure_boot and (not here or any(f.signer == "" for f in here) or _key_refused(machine)):
        return (
            ": Secure Boot is on and refuses a module without a trusted signature.",
            [fact("driver.secure_boot", True), *(fact("driver.module_files.signer", f.signer) for f in here[:1])],
            _secure_boot(machine),
        )
    return (".", [fact("host.kernel", kernel)] if kernel else [], (load,))


def _key_refused(machine: Snapshot) -> bool:
    """The kernel's own words (kernel/module/signing.c) when a module's key is not enrolled."""
    lines = machine.logs.lines if machine.logs else ()
    return any(
        "Key was rejected by service" in line.text or "Loading of unsigned module" in line.text for line in lines
    )


def _rebuild(machine: Snapshot, driver: Driver, kernel: str) -> Fix:
    kind = family(machine) or ""
    install = {
        "ubuntu": "apt-get install -y",
        "debian": "apt-get install -y",
        "suse": "zypper install -y",
        "arch": "pacman -S",
    }
    package = headers(kind, kernel)
    needed = (f"sudo {install.get(kind, 'dnf install -y')} {package}",) if package else ()
    if driver.dkms or any("dkms" in line.lower() for line in machine.messages):
        build = (f"sudo dkms autoinstall -k {kernel}",)
    elif family(machine) == "ubuntu":
        build = ("sudo ubuntu-drivers install",)
    else:
        build = ("# reinstall the driver package, so that it builds its module for this kernel",)
    return Fix(
        title=f"Build the module for kernel {kernel}",
        commands=(*needed, *build, "sudo modprobe nvidia"),
        needs_root=True,
        verify=VERIFY,
    )


def _without_nouveau(machine: Snapshot) -> Fix:
    initramfs = {
        "ubuntu": "sudo update-initramfs -u",
        "debian": "sudo update-initramfs -u",
        "arch": "sudo mkinitcpio -P",
    }.get(family(machine) or "", "sudo dracut --force")
    return Fix(
        title="Keep nouveau from loading, then reboot",
        commands=(
            "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf",
            initramfs,
            "sudo reboot",
        ),
        needs_root=True,
        needs_reboot=True,
        verify=VERIFY,
    )


def _secure_boot(machine: Snapshot) -> tuple[Fix, ...]:
    key = machine_key(family(machine))
    return (
        Fix(
            title="Enrol the key that signed the module",
            commands=(f"sudo mokutil --import {key}   # asks for a one-time password", "sudo reboot"),
            needs_root=True,
            needs_reboot=True,
            note="At the blue MOK screen of the next start: Enroll MOK, Continue, the password, Reboot.",
            verify=VERIFY,
        ),
        Fix(
            title="Switch Secure Boot off in the machine's firmware set-up",
            needs_root=True,
            needs_reboot=True,
            verify=VERIFY,
        ),
    )
