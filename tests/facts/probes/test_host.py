"""What the host probe tells of machines of every kind, and of the one under test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import host
from envdoctor.facts.sections.host import Host
from tests import simulated
from tests.sysroot import Sysroot, elf

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own files")
HYPERVISOR = "fpu vme hypervisor avx2"


def dmi(vendor: str, product: str = "") -> dict[str, str]:
    return {"/sys/class/dmi/id/sys_vendor": f"{vendor}\n", "/sys/class/dmi/id/product_name": f"{product}\n"}


def test_a_workstation_is_described_from_its_files_alone(tmp_path: Path) -> None:
    found = host.probe(simulated.ubuntu_2404(tmp_path).machine())
    assert found.distribution is not None
    assert (found.distribution.id, found.distribution.version_id, found.distribution.codename) == (
        "ubuntu",
        "24.04",
        "noble",
    )
    assert found.distribution.like == ("debian",)
    assert found.os_name == "Ubuntu 24.04.3 LTS"
    assert (found.architecture, found.kernel, found.platform) == ("x86_64", "6.8.0-87-generic", "linux_x86_64")
    assert (found.glibc, found.libstdcxx) == ("2.39", "3.4.33")
    assert (found.wsl, found.virtualization) == (0, "none")
    assert (found.cpu_model, found.cpu_count, found.cpu_usable) == ("AMD Ryzen 9 7950X 16-Core Processor", 32, 32)
    assert (found.memory_total, found.memory_available) == (64 << 30, 48 << 30)
    assert (found.shm_total, found.shm_free) == (32768000 << 10, None)
    # Who would use a machine that is a folder, and how full its disk is, nobody knows.
    assert (found.root, found.groups, found.disk_free) == (None, None, None)


@pytest.mark.parametrize(
    ("build", "distribution", "version", "glibc", "libstdcxx"),
    [
        (simulated.debian_12_without_driver, "debian", "12", "2.36", "3.4.30"),
        (simulated.rocky_9, "rocky", "9.5", "2.34", "3.4.29"),
        (simulated.opensuse, "opensuse-leap", "15.6", "2.38", "3.4.33"),
        (simulated.arch, "arch", None, "2.42", "3.4.34"),
    ],
)
def test_each_distribution_keeps_its_c_library_elsewhere(
    tmp_path: Path, build: Callable[[Path], Sysroot], distribution: str, version: str, glibc: str, libstdcxx: str
) -> None:
    found = host.probe(build(tmp_path).machine())
    assert found.distribution is not None
    assert (found.distribution.id, found.distribution.version_id) == (distribution, version)
    assert (found.glibc, found.libstdcxx) == (glibc, libstdcxx)


def test_an_old_glibc_names_its_version_in_its_file(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).library("/lib/x86_64-linux-gnu/libc-2.31.so", "libc.so.6")
    assert host.probe(s.machine()).glibc == "2.31"


def test_musl_is_no_glibc_which_is_not_the_same_as_unknown(tmp_path: Path) -> None:
    alpine = Sysroot(tmp_path / "alpine").file("/lib/ld-musl-x86_64.so.1", elf())
    assert host.probe(alpine.machine()).glibc == ""
    assert host.probe(Sysroot(tmp_path / "empty").machine()).glibc is None


def test_the_highest_symbol_version_is_compared_as_numbers(tmp_path: Path) -> None:
    names = b"\0GLIBCXX_3.4.9\0GLIBCXX_3.4\0GLIBCXX_3.4.30\0GLIBCXX_TUNABLES\0CXXABI_9.9\0_ZNGLIBCXX_9.9.9\0"
    s = Sysroot(tmp_path).library("/usr/lib64/libstdc++.so.6", content=elf(sections={".dynstr": names}))
    assert host.probe(s.machine()).libstdcxx == "3.4.30"


@pytest.mark.parametrize("content", [b"", b"\x7fELF", elf()[:80], b"\x7fELF\x02\x01" + b"\xff" * 200, b"not a library"])
def test_a_broken_library_is_an_unknown_version(tmp_path: Path, content: bytes) -> None:
    s = Sysroot(tmp_path).library("/usr/lib64/libstdc++.so.6", content=content)
    s.library("/usr/lib64/libc.so.6", content=content)
    found = host.probe(s.machine())
    assert (found.libstdcxx, found.glibc) == (None, None)


def test_quotes_comments_and_escapes_of_os_release(tmp_path: Path) -> None:
    text = '# a comment\n\nNAME=\'Some Linux\'\nID=some\nVERSION_ID=1\nPRETTY_NAME="Some \\"Linux\\" 1"\nnonsense\n'
    found = host.probe(Sysroot(tmp_path).file("/usr/lib/os-release", text).machine()).distribution
    assert found is not None
    assert (found.id, found.version_id, found.name) == ("some", "1", 'Some "Linux" 1')


def test_the_processor_is_that_of_the_machine_in_the_folder_not_ours(tmp_path: Path) -> None:
    found = host.probe(simulated.jetson(tmp_path).machine())
    assert (found.architecture, found.platform) == ("aarch64", "linux_aarch64")
    assert found.cpu_model == "NVIDIA Jetson AGX Orin Developer Kit"
    assert found.virtualization == "none"


def test_a_sysroot_without_binaries_is_known_by_its_kernel_module(tmp_path: Path) -> None:
    found = host.probe(Sysroot(tmp_path).nvidia_module("580.65.06", is_open=True).machine())
    assert found.architecture == "x86_64"


def test_a_container_has_the_processors_of_its_quota(tmp_path: Path) -> None:
    found = host.probe(simulated.docker(tmp_path).machine())
    assert (found.cpu_count, found.cpu_usable) == (64, 4)  # 3.5 processors' time keeps four threads busy
    assert found.shm_total == 64 << 20


def test_a_quota_of_cgroup_version_1(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .processors(8, "CPU")
        .file("/proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n")
    )
    s.file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n")
    assert host.probe(s.machine()).cpu_usable == 2
    s.file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    assert host.probe(s.machine()).cpu_usable == 8


def test_a_quota_of_a_group_further_up_counts(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).processors(16, "CPU").file("/proc/self/cgroup", "0::/kubepods.slice/pod1/box\n")
    s.file("/sys/fs/cgroup/kubepods.slice/pod1/box/cpu.max", "max 100000\n")
    s.file("/sys/fs/cgroup/kubepods.slice/pod1/cpu.max", "600000 100000\n")
    assert host.probe(s.machine()).cpu_usable == 6


def test_wsl(tmp_path: Path) -> None:
    found = host.probe(simulated.wsl2(tmp_path / "two").machine())
    assert (found.wsl, found.virtualization) == (2, "wsl")
    one = Sysroot(tmp_path / "one").file("/proc/sys/kernel/osrelease", "4.4.0-19041-Microsoft\n")
    assert host.probe(one.machine()).wsl == 1
    own = (
        Sysroot(tmp_path / "own")
        .file("/proc/sys/kernel/osrelease", "6.6.36-custom\n")
        .folder("/run/WSL")
        .file("/dev/dxg")
    )
    assert host.probe(own.machine()).wsl == 2
    azure = Sysroot(tmp_path / "azure").file("/proc/sys/kernel/osrelease", "6.8.0-1017-azure\n")
    assert host.probe(azure.machine()).wsl == 0


def test_the_kernel_of_proc_version_where_sysctl_is_not_there(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/proc/version", "Linux version 5.4.0-42-generic (buildd@x) (gcc 9) #46-Ubuntu SMP\n")
    assert host.probe(s.machine()).kernel == "5.4.0-42-generic"


@pytest.mark.parametrize(
    ("files", "flags", "expected"),
    [
        (dmi("QEMU"), HYPERVISOR, "qemu"),
        (dmi("Amazon EC2", "p5.48xlarge"), HYPERVISOR, "amazon"),
        (dmi("Amazon EC2", "m7i.metal-24xl"), "fpu", "none"),
        ({"/sys/class/dmi/id/product_name": "Google Compute Engine\n"}, HYPERVISOR, "google"),
        (dmi("Microsoft Corporation", "Virtual Machine"), HYPERVISOR, "microsoft"),
        (dmi("Microsoft Corporation", "Surface"), "fpu", "none"),
        (dmi("VMware, Inc."), HYPERVISOR, "vmware"),
        (dmi("Supermicro"), "fpu avx2", "none"),
        ({"/sys/hypervisor/type": "xen\n", "/sys/hypervisor/properties/features": "00000705"}, HYPERVISOR, "xen"),
        ({"/sys/hypervisor/type": "xen\n", "/sys/hypervisor/properties/features": "00002f05"}, HYPERVISOR, "none"),
        ({"/proc/version": "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n"}, HYPERVISOR, "gvisor"),
        ({"/proc/sys/kernel/osrelease": "4.19.0-gvisor\n"}, HYPERVISOR, "gvisor"),
        ({"/proc/cmdline": "console=ttyS0 init=/init --firecracker-init\n"}, HYPERVISOR, "firecracker"),
        ({"/sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc kvm-clock\n"}, HYPERVISOR, "kvm"),
        ({}, HYPERVISOR, "other"),
        ({}, "fpu avx2", None),  # nothing speaks of a hypervisor, and nothing of real hardware either
    ],
)  # fmt: skip
def test_the_hypervisor_is_known_by_its_traces(
    tmp_path: Path, files: dict[str, str], flags: str, expected: str | None
) -> None:
    s = Sysroot(tmp_path).processors(1, "CPU", flags=flags).files(files)
    assert host.probe(s.machine()).virtualization == expected


def test_an_empty_folder_is_a_machine_of_which_nothing_is_known(tmp_path: Path) -> None:
    assert host.probe(Sysroot(tmp_path).machine()) == Host(system="Linux")


@linux
def test_this_machine_agrees_with_its_own_tools() -> None:
    found = host.probe(Machine.here())
    assert found.system == "Linux"
    assert (found.architecture, found.kernel) == (os.uname().machine, os.uname().release)
    assert found.cpu_count is not None
    assert found.cpu_usable is not None
    assert 1 <= found.cpu_usable <= len(os.sched_getaffinity(0))
    assert found.memory_total is not None
    assert abs(found.memory_total - os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) < found.memory_total // 10
    assert found.root is (os.geteuid() == 0)
    assert found.groups
    assert found.disk_free
