"""Part of the host probe: the hypervisor under the machine, and WSL. Names follow systemd-detect-virt(1)."""

from __future__ import annotations

import re

from envdoctor.facts.host import Machine

# DMI texts of hypervisors: systemd's src/basic/virt.c, in its order, and the clouds whose texts name the cloud alone.
_DMI = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
    ("Alibaba Cloud ECS", "kvm"),
    ("Tencent Cloud", "kvm"),
    ("CVM", "kvm"),
)
_DMI_FILES = ("product_name", "sys_vendor", "board_vendor", "bios_vendor")


def wsl_version(machine: Machine, kernel: str | None) -> int | None:
    """0 outside the Windows Subsystem for Linux, else its version; None where the kernel is not known."""
    if kernel is None:
        return 2 if machine.exists("/run/WSL") else None
    if "microsoft" not in kernel.lower():
        # WSL2 with a kernel of the user's own has no "microsoft" in its name, but its interop folder.
        return 2 if machine.exists("/run/WSL") and machine.exists("/dev/dxg") else 0
    if "WSL2" in kernel or machine.exists("/run/WSL") or machine.exists("/dev/dxg"):
        return 2
    # WSL1 has no Linux kernel: it answers as 4.4.0-NNNNN-Microsoft, with a capital letter.
    return 1 if re.match(r"4\.4\.0-\d+-Microsoft", kernel) else 2


def virtualization(machine: Machine, kernel: str | None) -> str | None:
    """'none' only where it is known: a bare-metal DMI vendor without a hypervisor's flag, or a Jetson board."""
    if wsl_version(machine, kernel):
        return "wsl"
    if _is_gvisor(machine, kernel):
        return "gvisor"
    hypervisor = machine.read("/sys/hypervisor/type")
    if hypervisor == "xen":
        features = machine.read("/sys/hypervisor/properties/features") or "0"
        # Bit 11 is XENFEAT_dom0: the machine that runs the hypervisor, whose hardware is its own.
        dom0 = re.fullmatch(r"[0-9a-f]+", features) is not None and bool(int(features, 16) & (1 << 11))
        return "none" if dom0 else "xen"
    if "firecracker" in (machine.read("/proc/cmdline") or "").lower():
        return "firecracker"
    tables = [machine.read(f"/sys/class/dmi/id/{file}") for file in _DMI_FILES]
    product = tables[0] or ""
    flag = _hypervisor_flag(machine)
    if flag is not True and re.search(r"\.metal\b", product):  # EC2 names its bare machines so: p5.48xlarge, m5.metal
        return "none"
    for text in tables:
        for mark, name in _DMI:
            if text and mark in text:
                return name
    vendor, board = (tables[1] or ""), product
    if vendor == "Microsoft Corporation" and board == "Virtual Machine":
        return "microsoft"
    if flag:
        return _by_clock(machine)
    compatible = machine.read("/proc/device-tree/compatible") or ""
    if "nvidia,tegra" in compatible:
        return "none"
    if machine.exists("/proc/device-tree/hypervisor"):
        return "kvm"
    return "none" if flag is False and any(tables) else None


def _is_gvisor(machine: Machine, kernel: str | None) -> bool:
    if kernel is not None and kernel.endswith("gvisor"):
        return True
    # Older releases answer with one fixed kernel: pkg/sentry/syscalls/linux/sys_utsname.go.
    return "4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016" in (machine.read("/proc/version") or "")


def _hypervisor_flag(machine: Machine) -> bool | None:
    """CPUID's hypervisor bit, which x86 processors show; None on others."""
    flags = re.search(r"^flags\s*:(.*)$", machine.read("/proc/cpuinfo", 1 << 16) or "", re.MULTILINE)
    return None if flags is None else "hypervisor" in flags[1].split()


def _by_clock(machine: Machine) -> str:
    """A hypervisor without DMI is known by the clock that it offers its guests."""
    clocks = machine.read("/sys/devices/system/clocksource/clocksource0/available_clocksource") or ""
    for mark, name in (("kvm-clock", "kvm"), ("hyperv", "microsoft"), ("xen", "xen"), ("vmware", "vmware")):
        if mark in clocks:
            return name
    return "other"
