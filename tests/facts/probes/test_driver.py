"""The driver as the file system and the kernel show it: healthy machines, and every way in which one half is missing."""

from __future__ import annotations

import gzip
import lzma
import os
import sys
import time
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import device_nodes, driver
from envdoctor.facts.sections.driver import DeviceNode, DkmsState, KernelModule, Package
from tests import simulated
from tests.sysroot import Sysroot, elf, kernel_module

KERNEL = "6.8.0-87-generic"


def module_of(s: Sysroot) -> KernelModule:
    module = driver.probe(s.machine()).module
    assert module is not None
    return module


def test_a_healthy_workstation(tmp_path: Path) -> None:
    found = driver.probe(simulated.ubuntu_2404(tmp_path).machine())
    module = found.module
    assert module is not None
    assert (module.loaded, module.version, module.flavour) == (True, "580.159.04", "open")
    assert (module.uvm_loaded, module.modeset_loaded, module.peermem_loaded) == (True, True, False)
    assert (module.nouveau_loaded, module.nouveau_blacklisted, module.blacklisted) == (False, True, False)
    (file,) = found.module_files or ()
    assert (file.kernel, file.version, file.flavour) == (KERNEL, "580.159.04", "open")
    assert file.signer == "box Secure Boot Module Signature key"
    assert found.dkms == (DkmsState(version="580.159.04", kernel=KERNEL, state="installed"),)
    assert found.library_versions("libcuda.so.1") == ("580.159.04",)
    assert (found.secure_boot, found.kernel_headers) == (True, True)
    assert found.packages is not None
    assert [package.name for package in found.packages] == [
        "libnvidia-compute-580",
        "nvidia-dkms-580-open",
        "nvidia-driver-580-open",
    ]


def test_the_proprietary_module_says_so_itself(tmp_path: Path) -> None:
    module = module_of(simulated.ubuntu_2204_hgx(tmp_path))
    assert (module.version, module.flavour, module.peermem_loaded) == ("535.183.01", "proprietary", True)


def test_a_machine_without_a_driver_is_known_to_have_none(tmp_path: Path) -> None:
    found = driver.probe(simulated.debian_12_without_driver(tmp_path).machine())
    assert found.module is not None
    assert (found.module.loaded, found.module.version, found.module.nouveau_loaded) == (False, None, True)
    assert (found.packages, found.libraries, found.module_files, found.dkms) == ((), (), (), ())
    assert [(node.path, node.exists) for node in found.device_nodes or ()] == [
        ("/dev/nvidia-uvm", False),
        ("/dev/nvidiactl", False),
    ]


def test_nothing_is_known_of_an_empty_folder(tmp_path: Path) -> None:
    found = driver.probe(simulated.nothing(tmp_path).machine())
    assert found.module == KernelModule()
    unknown = (found.packages, found.libraries, found.module_files, found.dkms, found.device_nodes, found.secure_boot)
    assert unknown == (None,) * 6


def test_a_kernel_without_modules_has_none_loaded(tmp_path: Path) -> None:
    assert module_of(Sysroot(tmp_path).folder("/sys/module/printk")).loaded is False


def test_a_folder_with_a_card_and_without_modules_or_nodes_has_none_loaded(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .file("/proc/version", "Linux version 6.8.0-45-generic (b@h)")
        .pci("0000:01:00.0", "10de:2684", "030000")
    )
    assert module_of(s).loaded is False
    s.file("/dev/nvidia0")  # somebody made the node: then a module may well be there
    assert module_of(s).loaded is None


def test_a_card_that_nvidia_drives_needs_no_list_of_modules(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).pci("0000:01:00.0", "10de:2684", "030000", "nvidia")
    assert module_of(s).loaded is True


def test_a_root_file_system_without_a_driver_is_known_to_have_none(tmp_path: Path) -> None:
    found = driver.probe(Sysroot(tmp_path).os_release(id="ubuntu").machine())
    assert (found.libraries, found.module_files, found.dkms, found.own_installer) == ((), (), (), False)


def test_the_own_installer_leaves_its_uninstaller(tmp_path: Path) -> None:
    assert driver.probe(Sysroot(tmp_path).command("/usr/bin/nvidia-uninstall", "").machine()).own_installer is True


# --- module files and DKMS ---------------------------------------------------------------------------------------------


def test_a_module_built_for_another_kernel_only(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).kernel("6.11.0-19-generic").folder("/lib/modules/6.11.0-19-generic/kernel")
    s.file(f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko", kernel_module("570.133.07", "NVIDIA"))
    found = driver.probe(s.machine())
    (file,) = found.module_files or ()
    assert (file.kernel, file.version, file.flavour, file.signer) == (KERNEL, "570.133.07", "proprietary", "")
    assert found.kernel_headers is False


@pytest.mark.parametrize(
    ("name", "pack"), [("nvidia.ko.xz", lzma.compress), ("nvidia.ko.gz", gzip.compress), ("nvidia-current.ko", bytes)]
)
def test_a_packed_module_is_read_too(tmp_path: Path, name: str, pack: object) -> None:
    assert callable(pack)
    s = Sysroot(tmp_path).kernel(KERNEL)
    s.file(f"/lib/modules/{KERNEL}/extra/{name}", pack(kernel_module("550.90.07", "Dual MIT/GPL", signer="DKMS key")))
    (file,) = driver.probe(s.machine()).module_files or ()
    assert (file.version, file.flavour, file.signer) == ("550.90.07", "open", "DKMS key")


@pytest.mark.parametrize(
    "path",
    [
        "extra/drivers/video/nvidia/nvidia.ko",
        "weak-updates/updates/nvidia.ko",
        "updates/dkms/nvidia-tesla-470.ko",
        "updates/dkms/nvidia-legacy-390xx.ko",
        "kernel/drivers/video/nvidia.ko",
        "kernel/nvidia-580-open/nvidia.ko",
        "misc/nvidia.ko",
    ],
)
def test_every_place_that_installers_use(tmp_path: Path, path: str) -> None:
    module = kernel_module("550.90.07", "NVIDIA")
    s = Sysroot(tmp_path).kernel(KERNEL).file(f"/lib/modules/{KERNEL}/{path}", module)
    folder = path.rpartition("/")[0]
    for other in (
        "nvidia-uvm.ko",
        "nvidia-drm.ko",
        "nvidia-fs.ko",
        "i2c-nvidia-gpu.ko",
        "nvidiafb.ko",
        "nvidia-peermem.ko",
    ):
        s.file(f"/lib/modules/{KERNEL}/{folder}/{other}", module)
    assert [file.path for file in driver.probe(s.machine()).module_files or ()] == [f"/lib/modules/{KERNEL}/{path}"]


def test_a_module_that_cannot_be_unpacked_is_there_all_the_same(tmp_path: Path) -> None:
    (file,) = driver.probe(simulated.arch(tmp_path).machine()).module_files or ()
    assert (file.path, file.version, file.flavour, file.signer) == (
        "/lib/modules/6.17.9-arch1-1/extramodules/nvidia.ko.zst",
        None,
        None,
        None,
    )


def test_dkms_tells_the_version_of_the_packed_module_that_it_installed(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).kernel(KERNEL).file(f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko.zst", b"\x28\xb5\x2f\xfd")
    s.file(f"/var/lib/dkms/nvidia/580.95.05/{KERNEL}/x86_64/module/nvidia.ko.zst")
    s.link(f"/var/lib/dkms/nvidia/kernel-{KERNEL}-x86_64", f"580.95.05/{KERNEL}/x86_64")
    (file,) = driver.probe(s.machine()).module_files or ()
    assert file.version == "580.95.05"


def test_ubuntus_prebuilt_modules_tell_their_flavour_by_their_folder(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).kernel(KERNEL)
    s.file(f"/lib/modules/{KERNEL}/kernel/nvidia-580-open/nvidia.ko.zst", b"\x28\xb5\x2f\xfd")
    (file,) = driver.probe(s.machine()).module_files or ()
    assert file.flavour == "open"


@pytest.mark.parametrize("cut", [0, 20, 64, 100])
def test_a_truncated_module_is_there_with_an_unknown_version(tmp_path: Path, cut: int) -> None:
    s = Sysroot(tmp_path).kernel(KERNEL)
    s.file(f"/lib/modules/{KERNEL}/updates/nvidia.ko", kernel_module("550.90.07", "NVIDIA")[:cut])
    (file,) = driver.probe(s.machine()).module_files or ()
    assert (file.version, file.flavour) == (None, None)


def test_dkms_states(tmp_path: Path) -> None:
    s, tree = Sysroot(tmp_path), "/var/lib/dkms/nvidia"
    s.file(f"{tree}/535.216.01/6.1.0-1-amd64/x86_64/module/nvidia-current.ko")
    s.link(f"{tree}/kernel-6.1.0-1-amd64-x86_64", "535.216.01/6.1.0-1-amd64/x86_64")
    s.file(f"{tree}/535.216.01/6.1.0-2-amd64/x86_64/module/nvidia-current.ko")
    s.file(f"{tree}/535.216.01/6.1.0-3-amd64/x86_64/log/make.log", "error\n").link(
        f"{tree}/535.216.01/source", "/usr/src/x"
    )
    log = "DKMS make.log for nvidia-535.216.01 for kernel 6.12.0-4-amd64 (x86_64)\nerror: too few arguments\n"
    s.file(f"{tree}/535.216.01/build/make.log", log)
    s.link("/var/lib/dkms/nvidia-open/580.65.06/source", "/usr/src/y").file("/var/lib/dkms/virtualbox/7.0/source")
    assert driver.probe(s.machine()).dkms == (
        DkmsState(version="535.216.01", kernel="6.1.0-1-amd64", state="installed"),
        DkmsState(version="535.216.01", kernel="6.1.0-2-amd64", state="built"),
        DkmsState(version="535.216.01", kernel="6.1.0-3-amd64", state="failed"),
        DkmsState(version="535.216.01", kernel="6.12.0-4-amd64", state="failed"),
        DkmsState(version="580.65.06", kernel=None, state="added"),
    )


@pytest.mark.parametrize(
    ("file", "text", "nvidia", "nouveau"),
    [
        ("/etc/modprobe.d/a.conf", "blacklist nvidia\n", True, False),
        ("/etc/modprobe.d/a.conf", "#blacklist nvidia\nblacklist nvidia_drm\n", False, False),
        ("/usr/lib/modprobe.d/nouveau.conf", "install nouveau /bin/false\n", False, True),
        ("/etc/modprobe.d/a.conf", "alias nouveau off\n", False, True),
        ("/etc/modprobe.d/a.conf.disabled", "blacklist nvidia\n", False, False),
        ("/etc/hosts", "", None, None),
        ("/proc/cmdline", "quiet modprobe.blacklist=nouveau,nvidia\n", True, True),
        ("/proc/cmdline", "quiet nouveau.modeset=0\n", False, True),
    ],
)
def test_what_keeps_a_module_out(
    tmp_path: Path, file: str, text: str, nvidia: bool | None, nouveau: bool | None
) -> None:
    module = module_of(Sysroot(tmp_path).file(file, text))
    assert (module.blacklisted, module.nouveau_blacklisted) == (nvidia, nouveau)


# --- packages ----------------------------------------------------------------------------------------------------------


def test_packages_of_rpm_are_read_from_its_database(tmp_path: Path) -> None:
    assert driver.probe(simulated.rocky_9(tmp_path).machine()).packages == (
        Package(name="kmod-nvidia-open-dkms", version="570.133.20-1.el9"),
        Package(name="nvidia-driver-cuda", version="570.133.20-1.el9"),
    )


def test_packages_of_an_unreadable_rpm_database_are_unknown(tmp_path: Path) -> None:
    assert driver.probe(simulated.opensuse(tmp_path / "ndb").machine()).packages is None
    broken = Sysroot(tmp_path / "broken").file("/var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0" + b"\xff" * 200)
    assert driver.probe(broken.machine()).packages is None


def test_rpm_is_asked_where_only_it_can_read_its_database(tmp_path: Path) -> None:
    s = simulated.opensuse(tmp_path)
    s.command("/usr/bin/rpm", "printf 'nvidia-open-driver-G06-signed-kmp-default 550.100_k6.4-1\\nbash 5.2-1\\n'")
    assert driver.probe(s.machine()).packages == (
        Package(name="nvidia-open-driver-G06-signed-kmp-default", version="550.100_k6.4-1"),
    )


def test_packages_of_pacman(tmp_path: Path) -> None:
    assert driver.probe(simulated.arch(tmp_path).machine()).packages == (
        Package(name="nvidia-open", version="580.105.08-3"),
        Package(name="nvidia-utils", version="580.105.08-1"),
    )


def test_a_package_that_is_not_wholly_installed_says_so(tmp_path: Path) -> None:
    names = {
        "nvidia-dkms-580": "580.1-1",
        "nvidia-driver-535": "535.1-1",
        "nvidia-driver-470": "470.1-1",
        "libnvidia-compute-580": "580.1-1",
    }
    states = {
        "nvidia-dkms-580": "install ok half-configured",
        "nvidia-driver-535": "deinstall ok config-files",
        "nvidia-driver-470": "purge ok not-installed",
        "libnvidia-compute-580": "hold ok installed",
    }  # fmt: skip
    assert driver.probe(Sysroot(tmp_path).dpkg(names, states).machine()).packages == (
        Package(name="libnvidia-compute-580", version="580.1-1"),
        Package(name="nvidia-dkms-580", version="580.1-1", state="install ok half-configured"),
        Package(name="nvidia-driver-535", version="535.1-1", state="deinstall ok config-files"),
    )


# --- libraries ---------------------------------------------------------------------------------------------------------


def test_two_installs_of_the_libraries_are_seen_in_the_loaders_order(tmp_path: Path) -> None:
    s = Sysroot(tmp_path)
    s.library("/usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06", "libcuda.so.1")
    s.library("/usr/lib64/libcuda.so.535.183.01", "libcuda.so.1").cache([("libcuda.so.1", "/usr/lib64/libcuda.so.1")])
    assert driver.probe(s.machine()).library_versions("libcuda.so.1") == ("535.183.01", "580.65.06")


def test_wsls_libraries_have_no_version(tmp_path: Path) -> None:
    found = driver.probe(simulated.wsl2(tmp_path).machine())
    assert [(library.name, library.version) for library in found.libraries or ()] == [
        ("libcuda.so.1", None),
        ("libnvidia-ml.so.1", None),
    ]
    assert [(node.path, node.exists, node.writable) for node in found.device_nodes or ()] == [("/dev/dxg", True, True)]


# --- device nodes ------------------------------------------------------------------------------------------------------


def nodes_of(s: Sysroot) -> dict[str, DeviceNode]:
    return {node.path: node for node in driver.probe(s.machine()).device_nodes or ()}


def test_a_node_that_the_driver_has_a_gpu_for_and_dev_lacks(tmp_path: Path) -> None:
    s = simulated.ubuntu_2404(tmp_path)
    simulated.driver_gpu(s, "0000:81:00.0", 10)
    s.path("/dev/nvidia-uvm").unlink()
    nodes = nodes_of(s)
    assert (nodes["/dev/nvidia0"].exists, nodes["/dev/nvidia10"].exists, nodes["/dev/nvidia-uvm"].exists) == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("mode", "readable", "writable", "error"),
    [
        (0o666, True, True, None),
        (0o644, True, True, None),
        (0o660, False, False, "EACCES"),
        (0o000, False, False, "EACCES"),
    ],
)
def test_mode_bits_decide_in_a_folder(
    tmp_path: Path, mode: int, readable: bool, writable: bool, error: str | None
) -> None:
    s = Sysroot(tmp_path).file("/dev/nvidia0", mode=mode).file("/etc/group", f"video:x:{os.getgid() or 44}:\n")
    node = nodes_of(s)["/dev/nvidia0"]
    assert (node.readable, node.writable, node.error, node.mode) == (readable, writable, error, f"{mode:04o}")
    assert node.group == ("video" if os.getgid() else "root")


def test_nodes_of_mig_and_imex(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .file("/dev/nvidia-caps/nvidia-cap1")
        .file("/dev/nvidia-caps-imex-channels/channel0")
        .file("/dev/nvram")
    )
    assert [path for path, node in nodes_of(s).items() if node.exists] == [
        "/dev/nvidia-caps-imex-channels/channel0",
        "/dev/nvidia-caps/nvidia-cap1",
    ]


def test_nodes_sort_by_number(tmp_path: Path) -> None:
    s = Sysroot(tmp_path)
    simulated.device_files(s, 12)
    paths = [path for path in nodes_of(s) if path[-1].isdigit()]
    assert paths == [f"/dev/nvidia{number}" for number in range(12)]


def test_wsl_without_its_node(tmp_path: Path) -> None:
    s = simulated.wsl2(tmp_path).file("/dev/null")
    s.path("/dev/dxg").unlink()
    assert {path: node.exists for path, node in nodes_of(s).items()} == {"/dev/dxg": False}


def test_a_jetsons_gpu_has_nodes_of_its_own(tmp_path: Path) -> None:
    assert nodes_of(simulated.jetson(tmp_path)) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="nodes are Unix'")
def test_opening_tells_more_than_the_mode_bits(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    answers = device_nodes._open(Machine(), ["/dev/null", str(tmp_path / "gone"), str(closed)])
    assert answers == {"/dev/null": "OK", str(tmp_path / "gone"): "ENOENT", str(closed): "EISDIR"}


@pytest.mark.skipif(sys.platform == "win32", reason="nodes are Unix'")
def test_a_node_whose_opening_hangs_costs_its_own_answer_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_nodes, "_TIMEOUT", 1.5)
    # A child that opens blocks for ever on a lock: the nearest thing to a driver that does not return.
    slow = device_nodes._OPENER.replace(
        "    try:", "    while path == '/dev/hangs': threading.Event().wait(60)\n    try:", 1
    )
    monkeypatch.setattr(device_nodes, "_OPENER", slow)
    before = time.monotonic()
    answers = device_nodes._open(Machine(), ["/dev/hangs", "/dev/null"])
    assert answers == {"/dev/hangs": "ETIMEDOUT", "/dev/null": "OK"}
    assert time.monotonic() - before < 10


# --- services and firmware ---------------------------------------------------------------------------------------------


def test_fabric_manager_on_an_nvswitch_machine(tmp_path: Path) -> None:
    s = simulated.ubuntu_2204_hgx(tmp_path)
    manager = driver.probe(s.machine()).fabric_manager
    assert manager is not None
    assert (manager.needed, manager.installed, manager.version, manager.running) == (True, True, "535.183.01", True)
    s.path("/proc/812/comm").unlink()
    manager = driver.probe(s.machine()).fabric_manager
    assert manager is not None
    assert manager.running is False


def test_fabric_manager_is_not_needed_without_a_switch_and_open_for_several_gpus(tmp_path: Path) -> None:
    one = driver.probe(simulated.rocky_9(tmp_path / "one").machine()).fabric_manager
    assert one is not None
    assert (one.needed, one.installed, one.running) == (False, False, False)
    s = Sysroot(tmp_path / "two").pci("0000:01:00.0", "10de:2901", "030200").pci("0000:02:00.0", "10de:2901", "030200")
    two = driver.probe(s.machine()).fabric_manager
    assert two is not None
    assert two.needed is None


def test_a_container_does_not_see_the_daemons_of_its_host(tmp_path: Path) -> None:
    found = driver.probe(simulated.docker(tmp_path).machine())
    assert found.persistenced_running is None
    assert driver.probe(simulated.ubuntu_2404(tmp_path / "host").machine()).persistenced_running is False


def test_the_persistence_daemon_by_its_socket(tmp_path: Path) -> None:
    assert (
        driver.probe(Sysroot(tmp_path).file("/run/nvidia-persistenced/socket").machine()).persistenced_running is True
    )


def test_secure_boot(tmp_path: Path) -> None:
    variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    off = Sysroot(tmp_path / "off").file(variable, b"\x06\0\0\0\0")
    assert driver.probe(off.machine()).secure_boot is False
    bios = Sysroot(tmp_path / "bios").folder("/sys/firmware/acpi")
    assert driver.probe(bios.machine()).secure_boot is False
    unread = Sysroot(tmp_path / "unread").folder("/sys/firmware/efi")  # efivarfs is not mounted
    assert driver.probe(unread.machine()).secure_boot is None


def test_this_machine() -> None:
    found = driver.probe(Machine.here())
    assert found.module is not None
    if not Path("/dev/nvidiactl").exists():
        assert not any(node.exists for node in found.device_nodes or () if node.path == "/dev/nvidiactl")


def test_an_elf_without_the_section_has_no_version(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).kernel(KERNEL).file(f"/lib/modules/{KERNEL}/updates/nvidia.ko", elf())
    (file,) = driver.probe(s.machine()).module_files or ()
    assert (file.version, file.signer) == (None, None)
