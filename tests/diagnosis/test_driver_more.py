"""The diagnoses of the driver layer that know GPUs, flavours, compatibility, NVSwitch and unified memory."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import (
    DeviceNode,
    Driver,
    DriverLibrary,
    FabricManager,
    KernelModule,
    ModuleFile,
    Package,
)
from envdoctor.facts.sections.gpu import CudaDriver, Gpu, Nvml
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution, LogLine, Logs, PciDevice
from envdoctor.facts.sections.interpreter import TorchRun
from envdoctor.facts.sections.software import Libraries, LibraryFile
from envdoctor.planning.driver_packages import repository_packages
from tests.diagnosis.snapshots import KERNEL, commands, finding, found, gpu, interpreter, judge, machine, module, nvml
from tests.diagnosis.snapshots import torch as torch_of

NOT_OUR_TORCH = interpreter(torch_of(run=TorchRun(outcome="ok", cuda_available=False)))


def card(device: str, address: str = "0000:01:00.0") -> PciDevice:
    return PciDevice(address=address, vendor="10de", device=device, class_code="030000", driver="nvidia")


V100, RTX_5090, RTX_4090 = card("1db6"), card("2b85"), card("2684")
GTX_1080_TI = card("1b06")


def cuda(code: int, **more: Any) -> CudaDriver:
    return CudaDriver(outcome="ok", init_code=code, device_count=0, **more)


def kernel_log(*lines: str) -> Logs:
    return Logs(readable=True, lines=tuple(LogLine(text=line) for line in lines))


def blind(device: PciDevice, driver: Driver, **more: Any) -> Snapshot:
    """A machine whose driver runs and finds no GPU."""
    empty = Nvml(source="nvml", status="SUCCESS", status_code=0, driver_version="x", gpus=())
    sections = {"pci": (device,), "driver": driver, "nvml": empty, "cuda_driver": cuda(100), "interpreter": None}
    return machine(**{**sections, **more})


def primary(snapshot: Snapshot) -> str | None:
    first = judge(snapshot).primary
    return first.code if first else None


# --- driver-flavour-mismatch -------------------------------------------------------------------------------------------


def test_blackwell_with_the_proprietary_modules_gets_the_open_ones_of_the_same_branch() -> None:
    seen = blind(RTX_5090, module("580.95.05", flavour="proprietary"))
    said = found("driver-flavour-mismatch", seen)
    assert "RTX 5090" in said.summary and "nvidia-driver-580-open" in commands(said)
    assert said.fixes[0].needs_root and said.fixes[0].needs_reboot
    assert primary(seen) == "driver-flavour-mismatch"


def test_a_grace_board_needs_the_open_modules_though_its_architecture_takes_either() -> None:
    gh200 = PciDevice(address="0009:01:00.0", vendor="10de", device="2342", class_code="030200", driver="")
    said = found("driver-flavour-mismatch", blind(gh200, module("580.95.05", flavour="proprietary")))
    assert "GH200" in said.summary
    assert "-open" in commands(said)
    h100 = msgspec.structs.replace(gh200, device="2330")
    assert finding("driver-flavour-mismatch", blind(h100, module("580.95.05", flavour="proprietary"))) is None


def test_volta_with_the_open_modules_gets_the_proprietary_ones() -> None:
    said = found("driver-flavour-mismatch", blind(V100, module("570.133.20", flavour="open")))
    assert "nvidia-driver-570\n" in commands(said) + "\n"


def test_a_module_that_refuses_to_load_is_judged_by_the_file_on_disk() -> None:
    on_disk = (ModuleFile(path="/lib/modules/x/nvidia.ko", kernel=KERNEL, version="580.95.05", flavour="open"),)
    driver = Driver(module=KernelModule(loaded=False), module_files=on_disk)
    seen = blind(V100, driver, nvml=Nvml(source="nvml", status="DRIVER_NOT_LOADED", status_code=9))
    assert primary(seen) == "driver-flavour-mismatch"
    folded = {f.code: f.consequence_of for f in judge(seen).findings}
    assert folded["driver-not-loaded"] == "driver-flavour-mismatch"


def test_the_kernels_own_words_are_enough_in_a_pasted_text() -> None:
    lines = ("NVRM: installed in this system requires use of the NVIDIA open kernel modules.",)
    assert found("driver-flavour-mismatch", Snapshot(source="collect_env", messages=lines)).confidence == 1.0


@pytest.mark.parametrize(
    "seen",
    [
        machine(pci=(RTX_4090,), driver=module(flavour="proprietary")),
        blind(RTX_4090, module(flavour="proprietary")),
        blind(RTX_5090, module(flavour=None)),
        blind(RTX_5090, module(flavour="proprietary"), nvml=None),
        blind(RTX_5090, module(flavour="proprietary"), container=Container(kind="docker")),
        machine(
            pci=(RTX_5090,),
            nvml=nvml(gpu("NVIDIA GeForce RTX 5090", "12.0", pci_address="0000:01:00.0")),
            driver=module(flavour="proprietary"),
            logs=kernel_log("NVRM: installed in this system requires use of the NVIDIA open kernel modules."),
        ),
    ],
    ids=["works", "either will do", "flavour unknown", "NVML unknown", "container", "old line, works now"],
)
def test_a_flavour_is_not_accused_where_it_fits_or_nothing_is_known(seen: Snapshot) -> None:
    assert finding("driver-flavour-mismatch", seen) is None


# --- driver-too-old-for-gpu --------------------------------------------------------------------------------------------


def test_blackwell_on_driver_535_needs_a_newer_branch() -> None:
    seen = blind(RTX_5090, module("535.183.01", flavour="proprietary"))
    said = found("driver-too-old-for-gpu", seen)
    assert "570" in said.summary and "nvidia-driver-580-open" in commands(said)
    assert primary(seen) == "driver-too-old-for-gpu"


def test_the_kernel_log_names_the_gpu_over_several_lines() -> None:
    lines = (
        "[1.2] NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:2b85)",
        "[1.2] NVRM: installed in this system is not supported by the",
        "[1.2] NVRM: NVIDIA 550.54.14 driver release.",
    )
    said = found("driver-too-old-for-gpu", Snapshot(source="collect_env", messages=lines))
    assert "550.54.14" in said.summary and "RTX 5090" in said.summary


def test_one_unknown_card_beside_a_working_one_is_a_warning() -> None:
    both = (RTX_4090, card("2b85", "0000:02:00.0"))
    seen = machine(pci=both, driver=module("550.54.14"), nvml=nvml(gpu(pci_address="0000:01:00.0"), driver="550.54.14"))
    assert found("driver-too-old-for-gpu", seen).severity is Severity.WARNING


@pytest.mark.parametrize(
    "seen",
    [
        blind(RTX_5090, module("580.95.05", flavour="open")),
        blind(card("ffff"), module("535.183.01")),
        blind(RTX_5090, module(None)),
        machine(pci=(RTX_5090,), driver=module("535.183.01"), nvml=None),
        machine(pci=(RTX_5090,), nvml=nvml(gpu(pci_address=None)), driver=module("535.183.01")),
    ],
    ids=["new enough", "GPU unknown", "driver unknown", "NVML unknown", "address unknown"],
)
def test_a_driver_is_not_too_old_for_a_gpu_that_it_knows_or_nobody_does(seen: Snapshot) -> None:
    assert finding("driver-too-old-for-gpu", seen) is None


# --- gpu-legacy-driver-dropped -----------------------------------------------------------------------------------------


def test_volta_on_branch_595_goes_back_to_580() -> None:
    seen = blind(V100, module("595.71.05", flavour="open"))
    said = found("gpu-legacy-driver-dropped", seen)
    assert "580" in said.summary and "nvidia-driver-580\n" in commands(said) + "\n"
    assert primary(seen) == "gpu-legacy-driver-dropped"


def test_the_kernels_legacy_message_suffices_for_a_card_that_no_table_knows() -> None:
    lines = (
        "NVRM: The NVIDIA GeForce GT 730 GPU installed in this system is",
        "NVRM:  supported through the NVIDIA 470.xx Legacy drivers. Please",
        "NVRM:  information.  The 550.54.14 NVIDIA driver will ignore",
    )
    said = found("gpu-legacy-driver-dropped", Snapshot(source="collect_env", messages=lines))
    assert "GT 730" in said.summary and "470" in said.summary and "550.54.14" in said.summary


@pytest.mark.parametrize(
    "seen",
    [
        blind(V100, module("580.95.05")),
        machine(
            pci=(V100,),
            nvml=nvml(gpu("Tesla V100-PCIE-32GB", "7.0", pci_address="0000:01:00.0"), driver="595.71.05"),
            driver=module("595.71.05"),
        ),
        machine(logs=kernel_log("NVRM: supported through the NVIDIA 470.xx Legacy drivers. Please")),
        blind(RTX_4090, module("620.10.01")),
    ],
    ids=["last branch", "NVML lists it", "old line, works now", "still supported"],
)
def test_a_gpu_is_not_dropped_by_a_driver_that_drives_it(seen: Snapshot) -> None:
    assert finding("gpu-legacy-driver-dropped", seen) is None


# --- forward-compat-broken and driver-library-mismatch -----------------------------------------------------------------

COMPAT = "/usr/local/cuda/compat/libcuda.so.1"


def test_error_804_takes_the_compat_folder_away() -> None:
    seen = machine(
        cuda_driver=cuda(804, library=COMPAT),
        interpreter=NOT_OUR_TORCH,
        environment={"LD_LIBRARY_PATH": "/usr/local/cuda/compat:/opt/lib"},
    )
    said = found("forward-compat-broken", seen)
    assert "data-centre" in said.summary and "grep -v /compat" in commands(said)
    assert primary(seen) == "forward-compat-broken"


def test_error_803_through_a_compat_libcuda_in_an_image_is_removed_from_the_image() -> None:
    seen = machine(cuda_driver=cuda(803, library=COMPAT), interpreter=NOT_OUR_TORCH, container=Container(kind="docker"))
    said = found("forward-compat-broken", seen)
    assert COMPAT in said.summary and "RUN rm -rf /usr/local/cuda/compat" in commands(said) and said.confidence == 1.0
    assert finding("driver-library-mismatch", seen) is None


def test_a_pasted_803_beside_a_working_nvidia_smi_says_both_causes() -> None:
    lines = ("Error 803: system has unsupported display driver / cuda driver combination",)
    said = found("forward-compat-broken", Snapshot(source="collect_env", nvml=nvml(), messages=lines))
    assert said.confidence == 0.5 and "cuda-compat" in said.summary and "ldconfig -p" in said.summary


def test_a_pasted_803_alone_is_an_update_without_a_reboot_or_compat() -> None:
    lines = ("RuntimeError: Error 803: system has unsupported display driver / cuda driver combination",)
    said = found("driver-library-mismatch", Snapshot(source="collect_env", messages=lines))
    assert said.confidence == 0.5 and "cuda-compat" in said.summary and "nvidia-smi" in commands(said)


def test_a_second_libcuda_of_another_driver_is_two_installs() -> None:
    libraries = (DriverLibrary(name="libcuda.so.1", path="/opt/libcuda.so.1", version="550.54.14"),)
    driver = Driver(module=KernelModule(loaded=True, version="580.95.05"), libraries=libraries)
    seen = machine(driver=driver, cuda_driver=cuda(803, library="/opt/libcuda.so.550.54.14"), interpreter=NOT_OUR_TORCH)
    said = found("driver-library-mismatch", seen)
    assert "550.54.14" in said.summary and finding("forward-compat-broken", seen) is None


@pytest.mark.parametrize(
    "sections",
    [
        {"cuda_driver": CudaDriver(outcome="ok", init_code=0, library=COMPAT, device_count=1)},
        {"libraries": Libraries(files=(LibraryFile(name="libcuda", path=COMPAT, via="LD_LIBRARY_PATH", compat=True),))},
        {"cuda_driver": cuda(100, library=COMPAT), "interpreter": NOT_OUR_TORCH},
        {"cuda_driver": None, "interpreter": None},
    ],
    ids=["compat that works", "compat on the path, CUDA works", "another error", "nothing known"],
)
def test_forward_compatibility_that_works_is_left_alone(sections: dict[str, Any]) -> None:
    assert finding("forward-compat-broken", machine(**sections)) is None


# --- fabric-manager-down -----------------------------------------------------------------------------------------------

NVSWITCH = PciDevice(address="0000:05:00.0", vendor="10de", device="22a3", class_code="068000")


def hgx(manager: FabricManager, code: int = 802, state: str | None = None, **more: Any) -> Snapshot:
    h100 = tuple(
        Gpu(index=i, name="NVIDIA H100 80GB HBM3", compute_capability="9.0", fabric_state=state) for i in range(8)
    )
    sections: dict[str, Any] = {
        "pci": (card("2330"), NVSWITCH),
        "nvml": nvml(*h100, driver="570.133.20"),
        "driver": Driver(
            module=KernelModule(loaded=True, version="570.133.20", uvm_loaded=True), fabric_manager=manager
        ),
        "cuda_driver": cuda(code),
        "interpreter": NOT_OUR_TORCH,
    }
    return machine(**{**sections, **more})


def test_an_hgx_without_fabric_manager_installs_the_drivers_branch_of_it() -> None:
    seen = hgx(FabricManager(needed=True, installed=False, running=False))
    said = found("fabric-manager-down", seen)
    assert "nvidia-fabricmanager-570" in commands(said) and "restart nvidia-fabricmanager" in commands(said)
    assert primary(seen) == "fabric-manager-down"


def test_a_stopped_fabric_manager_is_started_and_not_installed() -> None:
    said = found("fabric-manager-down", hgx(FabricManager(needed=True, installed=True, running=False)))
    assert "apt-get" not in commands(said) and "systemctl enable" in commands(said)


def test_a_fabric_manager_of_another_version_is_named() -> None:
    manager = FabricManager(needed=True, installed=True, running=False, version="570.86.15")
    assert "570.86.15" in found("fabric-manager-down", hgx(manager)).summary


def test_a_gpu_that_waits_for_the_fabric_tells_it_where_no_switch_is_on_the_bus() -> None:
    seen = hgx(FabricManager(needed=None), code=802, state="in_progress", pci=(card("2901"),))
    assert "NVSwitch fabric" in found("fabric-manager-down", seen).summary


def test_a_pasted_802_suffices() -> None:
    lines = ("Error 802: system not yet initialized (Triggered internally)",)
    assert found("fabric-manager-down", Snapshot(source="collect_env", messages=lines)).confidence < 1


def test_a_b200_board_gets_its_own_package_set() -> None:
    b200 = Gpu(index=0, name="NVIDIA B200", compute_capability="10.0", fabric_state="not_started")
    seen = hgx(FabricManager(installed=False), nvml=nvml(b200, driver="580.95.05"), driver=module("580.95.05"))
    assert "nvlink5-580" in commands(found("fabric-manager-down", seen))


@pytest.mark.parametrize(
    "seen",
    [
        hgx(FabricManager(needed=True, running=False), code=0, cuda_driver=CudaDriver(init_code=0, device_count=8)),
        hgx(FabricManager(needed=False, running=False), code=100, state="not_supported"),
        hgx(FabricManager(needed=None, running=False), code=100, state="completed", pci=(card("2330"),)),
        hgx(FabricManager(needed=True, running=None), code=100),
        machine(driver=Driver(fabric_manager=FabricManager(needed=True, installed=True, running=False))),
        hgx(FabricManager(needed=True, running=False), code=100, container=Container(kind="docker")),
    ],
    ids=["CUDA starts", "no NVSwitch", "one GPU of a board", "service unknown", "torch computes", "container"],
)
def test_fabric_manager_is_not_missed_where_it_is_not_needed(seen: Snapshot) -> None:
    assert finding("fabric-manager-down", seen) is None


# --- uvm-broken --------------------------------------------------------------------------------------------------------


def without_uvm(code: int = 999, node: DeviceNode | None = None, uvm: bool | None = None, **more: Any) -> Snapshot:
    nodes = (DeviceNode(path="/dev/nvidiactl", exists=True), node) if node else None
    driver = Driver(module=KernelModule(loaded=True, version="580.159.04", uvm_loaded=uvm), device_nodes=nodes)
    return machine(**{"driver": driver, "cuda_driver": cuda(code), "interpreter": NOT_OUR_TORCH, **more})


MISSING = DeviceNode(path="/dev/nvidia-uvm", exists=False)


def test_a_missing_uvm_node_is_made_with_nvidia_modprobe() -> None:
    seen = without_uvm(node=MISSING)
    said = found("uvm-broken", seen)
    assert "nvidia-modprobe -u -c=0" in commands(said) and said.confidence == 1.0
    assert primary(seen) == "uvm-broken"


def test_an_unloaded_module_is_enough_whatever_code_cuinit_returns() -> None:
    assert "not loaded" in found("uvm-broken", without_uvm(code=3, uvm=False)).summary


def test_error_999_alone_says_both_causes_and_the_command_that_decides() -> None:
    said = found("uvm-broken", without_uvm(uvm=True))
    assert said.confidence == 0.5 and "suspend" in said.summary and "dmesg" in said.summary
    assert "rmmod nvidia_uvm" in commands(said)


def test_a_pasted_cuda_unknown_error_is_understood() -> None:
    dump = Snapshot(
        source="collect_env",
        nvml=nvml(),
        interpreter=NOT_OUR_TORCH,
        messages=("CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up environment",),
    )
    assert found("uvm-broken", dump).confidence == 0.5


def test_hidden_gpus_leave_the_module_unloaded_and_are_the_cause() -> None:
    seen = without_uvm(code=100, uvm=False, environment={"CUDA_VISIBLE_DEVICES": ""})
    assert primary(seen) == "visible-devices-hidden"


def test_in_a_container_the_node_is_made_on_the_host() -> None:
    assert "on the host" in commands(found("uvm-broken", without_uvm(node=MISSING, container=Container(kind="docker"))))


@pytest.mark.parametrize(
    "seen",
    [
        machine(driver=Driver(module=KernelModule(loaded=True, uvm_loaded=False), device_nodes=(MISSING,))),
        without_uvm(code=100, uvm=True),
        without_uvm(uvm=False, host=Host(system="Linux", architecture="x86_64", wsl=2)),
        without_uvm(cuda_driver=None, interpreter=None, uvm=False),
        machine(driver=Driver(module=KernelModule(loaded=False)), cuda_driver=cuda(100), interpreter=NOT_OUR_TORCH),
    ],
    ids=["CUDA works without it", "another code", "WSL", "CUDA unknown", "driver not loaded"],
)
def test_uvm_is_not_blamed_where_cuda_works_or_something_else_is_wrong(seen: Snapshot) -> None:
    assert finding("uvm-broken", seen) is None


# --- the repairs -------------------------------------------------------------------------------------------------------


def on(identifier: str, version: str, like: tuple[str, ...] = ()) -> Host:
    return Host(
        system="Linux",
        architecture="x86_64",
        kernel=KERNEL,
        wsl=0,
        distribution=LinuxDistribution(id=identifier, version_id=version, like=like),
    )


@pytest.mark.parametrize(
    ("host", "device", "wanted"),
    [
        (on("ubuntu", "24.04", ("debian",)), RTX_5090, ["apt-get install -y nvidia-driver-580-open"]),
        (on("debian", "12"), RTX_5090, ["debian12/x86_64/cuda-keyring", "nvidia-driver-pinning-580", "--purge nvidia-open"]),
        (on("rocky", "9.4", ("rhel",)), RTX_5090, ["nvidia-driver:580-open", "dnf install -y --allowerasing nvidia-open"]),
        (on("rhel", "10.0"), RTX_5090, ["versionlock add '*nvidia*580*'", "cuda-rhel10.repo"]),
        (on("amzn", "2023"), RTX_5090, ["cuda-amzn2023.repo", "nvidia-driver:580-open"]),
        (on("opensuse-leap", "15.6", ("suse",)), RTX_5090, ["cuda-opensuse15.repo", "zypper install -y", " nvidia-open-580"]),
        (on("arch", ""), RTX_5090, ["pacman -Syu nvidia-open"]),
    ],
    ids=["ubuntu", "debian", "rocky 9", "rhel 10", "amazon", "leap", "arch"],
)  # fmt: skip
def test_an_update_names_a_long_term_branch_in_the_words_of_the_distribution(
    host: Host, device: PciDevice, wanted: list[str]
) -> None:
    said = found("driver-too-old-for-gpu", blind(device, module("535.183.01"), host=host))
    assert all(words in commands(said) for words in wanted), commands(said)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        (on("rocky", "9.4", ("rhel",)), ["nvidia-driver:580-dkms", "cuda-drivers"]),
        (on("arch", ""), ["aur.archlinux.org/nvidia-580xx-dkms"]),
        (on("debian", "12"), ["install -y nvidia-driver-pinning-580", "--purge cuda-drivers"]),
    ],
)
def test_an_old_gpu_gets_the_proprietary_modules_of_its_last_branch(host: Host, wanted: list[str]) -> None:
    said = found("gpu-legacy-driver-dropped", blind(GTX_1080_TI, module("595.71.05"), host=host))
    assert all(words in commands(said) for words in wanted), commands(said)


@pytest.mark.parametrize("secure_boot", [True, False])
def test_suse_s_signed_modules_are_for_secure_boot_in_the_repair_as_in_the_script(secure_boot: bool) -> None:
    """The same packages that the driver script installs there (tests/rendering/test_driver.py)."""
    driver = Driver(module=KernelModule(loaded=True, version="535.183.01"), secure_boot=secure_boot)
    said = commands(found("driver-too-old-for-gpu", blind(RTX_5090, driver, host=on("sles", "15.6", ("suse",)))))
    packages = repository_packages("suse", 15, branch="580", flavour="open")
    assert packages.signed_modules is not None
    assert packages.utilities is not None
    assert (packages.signed_modules in said) is secure_boot
    assert (packages.utilities in said) is secure_boot
    assert (packages.package in said.replace(packages.signed_modules, "")) is not secure_boot
    assert "mokutil --import" not in said


def test_a_module_that_is_built_here_needs_its_key_enrolled_where_secure_boot_is_on() -> None:
    driver = Driver(module=KernelModule(loaded=True, version="535.183.01"), secure_boot=True)
    said = commands(found("driver-too-old-for-gpu", blind(RTX_5090, driver, host=on("debian", "12"))))
    assert said.index("nvidia-open") < said.index("mokutil --import") < said.index("reboot")


def test_a_red_hat_whose_packages_have_ended_gets_no_commands() -> None:
    driver = Driver(module=KernelModule(loaded=True, version="535.183.01"))
    said = found("driver-too-old-for-gpu", blind(RTX_5090, driver, host=on("centos", "7", ("rhel",))))
    assert not said.fixes[0].commands


def test_ubuntus_server_packages_stay_server_packages() -> None:
    driver = Driver(
        module=KernelModule(loaded=True, version="535.183.01"),
        packages=(Package(name="nvidia-driver-535-server", version="535.183.01-0ubuntu1"),),
    )
    assert "nvidia-driver-580-server-open" in commands(found("driver-too-old-for-gpu", blind(RTX_5090, driver)))


def test_no_diagnosis_explains_itself_away_in_a_circle() -> None:
    known = {d.code: d for d in all_diagnoses()}

    def causes(code: str, path: tuple[str, ...]) -> None:
        assert code not in path, f"{code} follows from itself: {path}"
        for cause in known[code].follows_from if code in known else ():
            if cause != "*":
                causes(cause, (*path, code))

    for code in known:
        causes(code, ())
    assert all_diagnoses()[-1].code == "torch-failure-unexplained"


# --- pasted errors -----------------------------------------------------------------------------------------------------


def test_torchs_own_word_on_an_old_driver_is_believed() -> None:
    lines = ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update",)
    assert "CUDA 11.4" in found("driver-too-old", Snapshot(source="collect_env", messages=lines)).summary


def test_nvidia_smi_without_a_module_means_an_installed_driver_that_is_not_loaded() -> None:
    dump = Snapshot(
        source="collect_env",
        nvml=Nvml(source="nvidia-smi", status="DRIVER_NOT_LOADED", status_code=9),
        messages=("NVRM: The NVIDIA probe routine was not called for 1 device(s).",),
    )
    said = found("driver-not-loaded", dump)
    assert "nouveau" in said.summary and "sudo modprobe nvidia" in commands(said)


def test_a_pasted_no_driver_found_says_both_causes() -> None:
    lines = ("RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",)
    said = found("driver-missing", Snapshot(source="collect_env", messages=lines))
    assert said.confidence == 0.5 and "--gpus all" in said.summary


def test_no_driver_found_is_nothing_new_where_the_machine_itself_is_known() -> None:
    lines = ("Found no NVIDIA driver on your system.",)
    assert finding("driver-missing", machine(pci=(), driver=None, nvml=None, messages=lines)) is None


def test_a_version_that_is_none_is_unknown_and_no_crash() -> None:
    odd = machine(driver=None, nvml=None, interpreter=NOT_OUR_TORCH)
    import msgspec

    odd = msgspec.structs.replace(odd, driver=Driver(reported_version="Could not collect"))
    assert finding("driver-too-old", odd) is None
