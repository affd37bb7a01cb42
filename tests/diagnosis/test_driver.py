"""The diagnoses of the driver layer."""

from __future__ import annotations

import msgspec
import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import (
    DkmsState,
    Driver,
    DriverLibrary,
    KernelModule,
    ModuleFile,
    Package,
)
from envdoctor.facts.sections.gpu import CudaDriver, Nvml
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution, LogLine, Logs, PciDevice
from envdoctor.planning.model import Wishes
from envdoctor.planning.planner import plan
from envdoctor.planning.target import from_snapshot
from tests.as_of import then
from tests.diagnosis.snapshots import (
    KERNEL,
    RTX_4090,
    commands,
    finding,
    found,
    gpu,
    interpreter,
    judge,
    machine,
    module,
    nvml,
    torch,
)

NO_DRIVER = Driver(
    module=KernelModule(loaded=False), module_files=(), dkms=(), packages=(), libraries=(), device_nodes=()
)
NO_NVML = Nvml(source="nvml", status="LIBRARY_NOT_FOUND")


def planned_branch(snapshot: Snapshot) -> str | None:
    """The branch that a plan for this machine installs."""
    stack = plan(from_snapshot(snapshot, then()), Wishes(), then()).stack
    return stack.driver_branch if stack else None


def without_driver(**sections: object) -> Snapshot:
    return machine(
        **{"driver": NO_DRIVER, "nvml": NO_NVML, "cuda_driver": CudaDriver(library_missing=True), **sections}
    )


# --- driver-missing ---------------------------------------------------------------------------------------------------


def test_a_gpu_on_the_bus_without_any_driver_is_named_by_its_pci_id() -> None:
    said = found("driver-missing", without_driver())
    assert "RTX 4090" in said.summary
    assert f"nvidia-driver-{planned_branch(without_driver())}-open" in commands(said)
    assert said.fixes[0].needs_root and said.fixes[0].needs_reboot


def test_a_missing_driver_is_the_primary_finding_and_torch_is_not_accused() -> None:
    diagnosed = judge(without_driver())
    assert diagnosed.primary is not None and diagnosed.primary.code == "driver-missing"
    assert [f.code for f in diagnosed.findings] == ["driver-missing"]


def test_a_volta_card_gets_the_last_branch_and_the_proprietary_module() -> None:
    v100 = PciDevice(address="0000:3b:00.0", vendor="10de", device="1db6", class_code="030200", driver="")
    said = found("driver-missing", without_driver(pci=(v100,)))
    assert "nvidia-driver-580\n" in commands(said) + "\n" and "580-open" not in commands(said)


@pytest.mark.parametrize(
    "sections",
    [
        {"pci": ()},
        {"pci": None},
        {
            "pci": (
                PciDevice(address="0000:01:00.0", vendor="10de", device="2684", class_code="030000", driver="vfio-pci"),
            )
        },
        {"pci": (PciDevice(address="0000:01:00.1", vendor="10de", device="22ba", class_code="040300"),)},
        {"pci": (PciDevice(address="0000:03:00.0", vendor="1002", device="73bf", class_code="030000"),)},
        {"container": Container(kind="docker")},
        {"host": Host(system="Linux", architecture="x86_64", wsl=2)},
        {"driver": Driver(module=KernelModule(loaded=False), libraries=(), module_files=None)},
        {"driver": Driver(module=KernelModule(loaded=None), libraries=(), module_files=())},
        {"driver": None},
    ],
    ids=[
        "no GPU",
        "bus unknown",
        "passed through",
        "audio only",
        "AMD",
        "container",
        "WSL",
        "disk unknown",
        "module unknown",
        "nothing known",
    ],
)
def test_a_driver_is_not_missing_where_none_is_needed_or_nothing_is_known(sections: dict[str, object]) -> None:
    assert finding("driver-missing", without_driver(**sections)) is None


def test_a_card_too_old_for_every_torch_misses_no_driver_unless_a_cuda_build_is_there_for_it() -> None:
    kepler = PciDevice(address="0000:01:00.0", vendor="10de", device="1180", class_code="030000", driver="nouveau")
    cpu_build = torch("2.14.1+cpu", None)
    assert finding("driver-missing", without_driver(pci=(kepler,), interpreter=interpreter(cpu_build))) is None
    assert finding("driver-missing", without_driver(pci=(kepler,))) is not None
    unknown = PciDevice(address="0000:01:00.0", vendor="10de", device="fffe", class_code="030000")
    assert finding("driver-missing", without_driver(pci=(unknown,), interpreter=interpreter(cpu_build))) is not None


@pytest.mark.parametrize("code", ["gpu-legacy-driver-dropped", "driver-flavour-mismatch"])
def test_an_old_card_for_the_screen_on_nouveau_is_left_alone_beside_one_that_works(code: str) -> None:
    old = PciDevice(address="0000:02:00.0", vendor="10de", device="1180", class_code="030000", driver="nouveau")
    works = nvml(gpu(pci_address="0000:01:00.0"))
    assert finding(code, machine(pci=(RTX_4090, old), nvml=works)) is None
    dropped = msgspec.structs.replace(old, driver="")
    assert finding(code, machine(pci=(RTX_4090, dropped), nvml=works)) is not None


# --- driver-not-loaded ------------------------------------------------------------------------------------------------


def not_loaded(**facts: object) -> Snapshot:
    module_facts = facts.pop("module", KernelModule(loaded=False))
    files = facts.pop(
        "module_files", (ModuleFile(path="/lib/modules/x/nvidia.ko", kernel=KERNEL, version="580.159.04"),)
    )
    logs = facts.pop("logs", None)
    return machine(
        driver=Driver(module=module_facts, module_files=files, **facts),  # type: ignore[arg-type]
        nvml=Nvml(source="nvml", status="DRIVER_NOT_LOADED", status_code=9),
        logs=logs,
    )


def test_a_kernel_update_without_a_module_asks_for_headers_and_dkms() -> None:
    said = found(
        "driver-not-loaded",
        not_loaded(
            module_files=(ModuleFile(path="/lib/modules/6.5.0/nvidia.ko", kernel="6.5.0-44-generic"),),
            dkms=(DkmsState(version="580.159.04", kernel="6.5.0-44-generic", state="installed"),),
        ),
    )
    assert KERNEL in said.summary
    assert f"linux-headers-{KERNEL}" in commands(said) and f"dkms autoinstall -k {KERNEL}" in commands(said)


def test_nouveau_in_the_way_is_blacklisted_and_the_initramfs_rebuilt() -> None:
    said = found("driver-not-loaded", not_loaded(module=KernelModule(loaded=False, nouveau_loaded=True)))
    assert "nouveau" in said.summary and "update-initramfs" in commands(said) and said.fixes[0].needs_reboot


def test_secure_boot_with_an_unsigned_module_asks_to_enrol_the_key() -> None:
    unsigned = (ModuleFile(path="/lib/modules/x/nvidia.ko", kernel=KERNEL, version="580.159.04", signer=""),)
    said = found("driver-not-loaded", not_loaded(module_files=unsigned, secure_boot=True))
    assert "Secure Boot" in said.summary and "mokutil --import" in commands(said)


def test_secure_boot_with_a_rejected_key_is_known_from_the_kernel_log() -> None:
    log = Logs(
        readable=True,
        lines=(
            LogLine(text="nvidia: Loading of module with unavailable key is rejected; Key was rejected by service"),
        ),
    )
    assert "Secure Boot" in found("driver-not-loaded", not_loaded(secure_boot=True, logs=log)).summary


def test_secure_boot_with_a_signed_module_is_not_blamed() -> None:
    signed = (ModuleFile(path="/lib/modules/x/nvidia.ko", kernel=KERNEL, version="580.159.04", signer="Canonical"),)
    assert "Secure Boot" not in found("driver-not-loaded", not_loaded(module_files=signed, secure_boot=True)).summary


def test_a_blacklisted_module_is_shown_where_to_look() -> None:
    said = found("driver-not-loaded", not_loaded(module=KernelModule(loaded=False, blacklisted=True)))
    assert "blacklist" in said.summary and "/etc/modprobe.d" in commands(said)


def test_an_installed_package_is_enough_to_know_that_the_driver_is_there() -> None:
    said = found(
        "driver-not-loaded",
        not_loaded(
            module_files=None, packages=(Package(name="nvidia-driver-580-open", version="580.159.04-0ubuntu1"),)
        ),
    )
    assert "nvidia-driver-580-open" in said.summary and "sudo modprobe nvidia" in commands(said)


@pytest.mark.parametrize("loaded", [True, None])
def test_a_loaded_or_unknown_module_is_not_said_to_be_missing(loaded: bool | None) -> None:
    assert finding("driver-not-loaded", not_loaded(module=KernelModule(loaded=loaded))) is None


def test_driver_packages_on_a_machine_without_a_gpu_are_nobodys_problem() -> None:
    assert (
        finding("driver-not-loaded", not_loaded(module=KernelModule(loaded=False)).__class__(driver=NO_DRIVER, pci=()))
        is None
    )


# --- driver-library-mismatch ------------------------------------------------------------------------------------------


def mismatched(
    library: str | None, on_disk: str | None, status: str | None = "LIB_RM_VERSION_MISMATCH", **more: object
) -> Snapshot:
    return machine(
        driver=Driver(
            module=KernelModule(loaded=True, version="580.95.05"),
            libraries=(DriverLibrary(name="libnvidia-ml.so.1", path="/usr/lib/libnvidia-ml.so.1", version=library),)
            if library
            else None,
            module_files=(ModuleFile(path="/lib/modules/x/nvidia.ko", kernel=KERNEL, version=on_disk),)
            if on_disk
            else None,
        ),
        nvml=Nvml(source="nvml", status=status, status_code=18) if status else None,
        **more,
    )


def test_an_update_without_a_reboot_is_told_by_the_module_on_disk() -> None:
    said = found("driver-library-mismatch", mismatched("580.159.04", "580.159.04"))
    assert "580.95.05" in said.summary and "580.159.04" in said.summary
    assert said.fixes[0].needs_reboot and said.confidence == 1.0


def test_two_installs_are_told_apart_from_a_pending_reboot() -> None:
    said = found("driver-library-mismatch", mismatched("570.86.15", "580.95.05"))
    assert "Two driver installs" in said.summary and "sudo reboot" not in commands(said)


def test_versions_alone_suffice_where_nvml_did_not_answer() -> None:
    assert found("driver-library-mismatch", mismatched("580.159.04", None, status=None)).confidence < 1


def test_nvmls_word_alone_suffices_where_versions_are_unknown() -> None:
    assert "NVML refuses" in found("driver-library-mismatch", mismatched(None, None)).summary


def test_in_a_container_the_container_is_restarted_and_not_the_machine() -> None:
    said = found("driver-library-mismatch", mismatched("580.159.04", None, container=Container(kind="docker")))
    assert "sudo reboot" not in commands(said)


def test_a_working_nvml_is_never_mismatched_whatever_files_lie_around() -> None:
    stray = Driver(
        module=KernelModule(loaded=True, version="580.95.05"),
        libraries=(DriverLibrary(name="libnvidia-ml.so.1", path="/opt/x", version="535.1"),),
    )
    assert finding("driver-library-mismatch", machine(driver=stray)) is None


# --- driver-too-old ---------------------------------------------------------------------------------------------------


def with_driver(version: str, torch_version: str, cuda: str, **more: object) -> Snapshot:
    return machine(
        driver=module(version),
        nvml=nvml(driver=version),
        cuda_driver=more.pop("cuda_driver", CudaDriver(outcome="ok", init_code=0, version="12.2")),
        interpreter=more.pop("interpreter", interpreter(torch(torch_version, cuda))),
        **more,
    )


def test_cuda_13_on_driver_535_offers_an_older_torch_first_and_a_driver_second() -> None:
    said = found("driver-too-old", with_driver("535.183.01", "2.15.0+cu132", "13.2"))
    assert "580" in said.summary and "535.183.01" in said.summary
    assert not said.fixes[0].needs_root and "torch==" in commands(said)
    assert said.fixes[1].needs_root and "driver" in said.fixes[1].title


@pytest.mark.parametrize(
    ("version", "torch_version", "cuda"),
    [
        ("535.183.01", "2.8.0+cu128", "12.8"),
        ("525.60.13", "2.6.0+cu126", "12.6"),
        ("470.256.02", "2.0.1+cu118", "11.8"),
        ("580.65.06", "2.15.0+cu132", "13.2"),
        ("640.10", "2.15.0+cu132", "13.2"),
        ("535.183.01", "9.0.0+cu152", "15.2"),
    ],
)
def test_minor_version_compatibility_and_unknown_futures_are_healthy(
    version: str, torch_version: str, cuda: str
) -> None:
    assert finding("driver-too-old", with_driver(version, torch_version, cuda)) is None


def test_a_working_forward_compatibility_package_is_believed() -> None:
    lifted = CudaDriver(outcome="ok", init_code=0, version="13.2", library="/usr/local/cuda-13.2/compat/libcuda.so.1")
    assert finding("driver-too-old", with_driver("535.183.01", "2.15.0+cu132", "13.2", cuda_driver=lifted)) is None


def test_windows_counts_by_its_own_driver_numbers() -> None:
    windows = Host(system="Windows", architecture="AMD64")
    for version, fires in (("528.02", True), ("528.33", False)):
        seen = with_driver(version, "2.6.0+cu126", "12.6", host=windows, cuda_driver=None)
        assert (finding("driver-too-old", seen) is not None) is fires


def test_a_machine_without_a_gpu_has_no_driver_that_is_too_old() -> None:
    assert finding("driver-too-old", with_driver("470.256.02", "2.15.0+cu132", "13.2", pci=())) is None


# --- the whole ---------------------------------------------------------------------------------------------------------


def test_the_healthy_workstation_has_no_finding_at_all() -> None:
    assert judge(machine()).findings == ()


def test_an_empty_snapshot_has_no_finding_at_all() -> None:
    assert judge(Snapshot()).findings == ()


def test_every_error_comes_with_a_repair() -> None:
    for said in (*judge(without_driver()).findings, *judge(with_driver("470.82", "2.15.0+cu132", "13.2")).findings):
        assert said.severity is not Severity.ERROR or said.fixes


def test_ubuntu_is_not_told_to_use_another_distributions_commands() -> None:
    rocky = Host(
        system="Linux",
        architecture="x86_64",
        kernel=KERNEL,
        distribution=LinuxDistribution(id="rocky", like=("rhel", "fedora")),
    )
    assert "dnf install" in commands(found("driver-missing", without_driver(host=rocky)))
    assert "dnf" not in commands(found("driver-missing", without_driver()))
    assert RTX_4090.is_nvidia_gpu and gpu().name
