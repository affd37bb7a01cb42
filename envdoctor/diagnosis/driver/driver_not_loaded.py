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
from envdoctor.reading.messages.message_files import beside

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


MESSAGES = beside(__file__)


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
