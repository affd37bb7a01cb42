"""The diagnoses of the GPU layer."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from envdoctor.diagnosis.model import Severity, Verdict
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import DeviceNode, Driver, KernelModule
from envdoctor.facts.sections.gpu import CudaDriver, Gpu, GpuProcess, MigInstance, NvLink, Nvml
from envdoctor.facts.sections.host import Container, Host, LogLine, Logs, PciDevice
from envdoctor.facts.sections.interpreter import TorchRun
from tests.diagnosis.snapshots import UBUNTU, commands, finding, found, gpu, interpreter, judge, machine, module, nvml
from tests.diagnosis.snapshots import torch as torch_of

GIB = 1 << 30
FAILS = interpreter(torch_of(run=TorchRun(outcome="ok", cuda_available=False)))
SLOT = "0000:01:00.0"


def cuda(code: int) -> CudaDriver:
    return CudaDriver(outcome="ok", init_code=code, device_count=0)


def xid(number: int, pci: str | None = "0000:01:00", words: str = "") -> Logs:
    text = f"NVRM: Xid (PCI:{pci}): {number}, {words}"
    return Logs(readable=True, lines=(LogLine(text=text, xid=number, pci=pci),))


def torch_says(computation: str) -> Any:
    return interpreter(torch_of(run=TorchRun(outcome="ok", cuda_available=True, computation=computation)))


def pasted(*lines: str, **sections: Any) -> Snapshot:
    return Snapshot(source="collect_env", messages=lines, **sections)


def primary(snapshot: Snapshot) -> str | None:
    first = judge(snapshot).primary
    return first.code if first else None


# --- gpu-lost ----------------------------------------------------------------------------------------------------------


def broken(**more: Any) -> Snapshot:
    return machine(**{"cuda_driver": cuda(100), "interpreter": FAILS, **more})


def test_a_gpu_that_nvml_calls_lost_is_reset_or_power_cycled() -> None:
    seen = broken(nvml=nvml(gpu(lost=True, pci_address=SLOT)), logs=xid(79))
    said = found("gpu-lost", seen)
    assert "poweroff" in commands(said) and "--gpu-reset -i 0" in commands(said)
    assert said.severity is not Severity.WARNING and primary(seen) == "gpu-lost"


def test_one_lost_gpu_of_two_is_an_error_while_cuda_works() -> None:
    both = nvml(gpu(pci_address=SLOT), gpu(index=1, lost=True, pci_address="0000:02:00.0"))
    judged = judge(machine(nvml=both))
    assert judged.primary is not None and judged.primary.code == "gpu-lost" and judged.verdict is Verdict.BROKEN


UNBOUND = PciDevice(address="0000:02:00.0", vendor="10de", device="2684", class_code="030000", driver="")
BESIDE = PciDevice(address=SLOT, vendor="10de", device="2684", class_code="030000", driver="nvidia")
NODES = Driver(module=KernelModule(loaded=True, version="580.159.04", flavour="open"), device_nodes=())


def test_a_card_without_a_driver_beside_one_that_works_did_not_start() -> None:
    seen = machine(pci=(BESIDE, UNBOUND), nvml=nvml(gpu(pci_address=SLOT)), driver=NODES)
    said = found("gpu-lost", seen)
    assert "does not start" in said.summary and said.severity is Severity.ERROR
    assert "no driver bound" in said.evidence[-1].value


def test_a_card_that_the_driver_does_not_know_has_a_cause_of_its_own() -> None:
    """A GTX 780 is driven up to branch 470 only; beside a card that works it is no GPU that was lost."""
    old = replace(UNBOUND, device="1004")
    proprietary = replace(NODES, module=KernelModule(loaded=True, version="580.159.04", flavour="proprietary"))
    judged = judge(machine(pci=(BESIDE, old), nvml=nvml(gpu(pci_address=SLOT)), driver=proprietary))
    assert [f.code for f in judged.findings] == ["gpu-legacy-driver-dropped"]


def test_a_card_without_a_driver_where_no_gpu_is_listed_is_not_called_lost() -> None:
    assert finding("gpu-lost", machine(pci=(UNBOUND,), nvml=Nvml(status="DRIVER_NOT_LOADED"))) is None


def test_a_gpu_that_requires_a_reset_is_told_so() -> None:
    waiting = gpu(unavailable={"memory_total": "RESET_REQUIRED"})
    assert "needs a reset" in found("gpu-lost", broken(nvml=nvml(waiting))).summary


def test_xid_79_of_a_gpu_that_nvml_no_longer_lists_is_enough() -> None:
    assert "0000:01:00" in found("gpu-lost", broken(nvml=nvml(gpu(pci_address="0000:02:00.0")), logs=xid(79))).summary


def test_nvmls_failure_to_start_for_a_lost_gpu_is_understood() -> None:
    assert found("gpu-lost", broken(nvml=Nvml(source="nvml", status="GPU_IS_LOST", status_code=15)))


def test_a_handle_that_cannot_be_had_is_a_lost_gpu_in_a_pasted_text() -> None:
    said = "Unable to determine the device handle for GPU 0000:0B:00.0: Unknown Error"
    dump = pasted(said, nvml=Nvml(source="nvidia-smi", status="UNKNOWN", status_code=999, message=said))
    assert found("gpu-lost", dump).confidence < 1
    assert finding("container-gpu-detached", dump) is None


def test_a_gpu_whose_start_fails_is_half_sure_and_shows_the_kernels_line() -> None:
    log = Logs(readable=True, lines=(LogLine(text="NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)"),))
    seen = broken(nvml=Nvml(source="nvml", status="SUCCESS", gpus=()), logs=log)
    said = found("gpu-lost", seen)
    assert said.confidence == 0.5 and primary(seen) == "gpu-lost"


def test_a_driver_that_finds_no_gpu_is_never_healthy() -> None:
    assert primary(broken(nvml=Nvml(source="nvml", status="SUCCESS", gpus=()))) == "gpu-lost"


OTHERS_GPU = PciDevice(address="0000:02:00.0", vendor="10de", device="2684", class_code="030000", driver="nvidia")
OWN_GPU = PciDevice(address=SLOT, vendor="10de", device="2684", class_code="030000", driver="nvidia")
JOB_NODES = (
    DeviceNode(path="/dev/nvidiactl", exists=True),
    DeviceNode(path="/dev/nvidia0", exists=True),
    DeviceNode(path="/dev/nvidia1", exists=True, error="EPERM"),
)


@pytest.mark.parametrize(
    "seen",
    [
        machine(nvml=nvml(gpu(pci_address=SLOT)), logs=xid(79)),
        machine(logs=xid(79, None)),
        machine(logs=xid(13)),
        machine(logs=xid(31)),
        broken(nvml=None),
        machine(
            pci=(OWN_GPU, OTHERS_GPU), nvml=nvml(gpu(pci_address=SLOT)), container=Container(kind="none", slurm=True)
        ),
        machine(
            pci=(OWN_GPU, OTHERS_GPU),
            nvml=nvml(gpu(pci_address=SLOT)),
            driver=Driver(module=KernelModule(loaded=True), device_nodes=JOB_NODES),
        ),
        machine(
            pci=(OWN_GPU, OTHERS_GPU), nvml=nvml(gpu(pci_address=SLOT)), container=Container(kind="docker")
        ),
    ],
    ids=["recovered", "works, no address", "Xid 13", "Xid 31", "NVML unknown", "Slurm", "cgroup", "container"],
)  # fmt: skip
def test_a_gpu_that_works_or_belongs_to_others_is_not_lost(seen: Snapshot) -> None:
    assert finding("gpu-lost", seen) is None


# --- gpu-hw-fault ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {"ecc_uncorrected_volatile": 2},
        {"row_remap_failed": True},
        {"row_remap_pending": True},
        {"page_retirement_pending": True},
        {"pages_retired": 61},
    ],
)
def test_memory_faults_are_named(facts: dict[str, Any]) -> None:
    seen = machine(nvml=nvml(gpu("NVIDIA A100-SXM4-80GB", "8.0", **facts)))
    said = found("gpu-hw-fault", seen)
    assert "GPU 0 (NVIDIA A100-SXM4-80GB)" in said.summary and primary(seen) == "gpu-hw-fault"


def test_failed_remapping_asks_for_another_card() -> None:
    assert "replaced" in found("gpu-hw-fault", machine(nvml=nvml(gpu(row_remap_failed=True)))).summary


@pytest.mark.parametrize("number", [48, 64, 94, 95, 140])
def test_memory_xids_count_where_the_counters_are_unknown(number: int) -> None:
    assert found("gpu-hw-fault", machine(logs=xid(number)))


def test_cudas_ecc_error_is_a_hardware_fault_and_explains_torchs_failure() -> None:
    seen = machine(interpreter=torch_says("CUDA error: uncorrectable ECC error encountered"))
    assert primary(seen) == "gpu-hw-fault"
    assert {f.code: f.consequence_of for f in judge(seen).findings}["torch-failure-unexplained"] == "gpu-hw-fault"


CLEAN: dict[str, Any] = {"ecc_uncorrected_volatile": 0, "row_remap_pending": False, "row_remap_failed": False}


@pytest.mark.parametrize(
    "seen",
    [
        machine(
            nvml=nvml(
                gpu(ecc_corrected_volatile=812, rows_remapped_correctable=3, rows_remapped_uncorrectable=1, **CLEAN)
            )
        ),
        machine(nvml=nvml(gpu(ecc_uncorrected_aggregate=4, **CLEAN))),
        machine(nvml=nvml(gpu(pages_retired=12, page_retirement_pending=False, ecc_uncorrected_volatile=0))),
        machine(nvml=nvml(gpu(pci_address=SLOT, **CLEAN)), logs=xid(94)),
        machine(nvml=nvml(gpu(pci_address=SLOT, row_remap_pending=False)), logs=xid(63)),
        *(machine(logs=xid(number)) for number in (13, 31, 43, 45)),
        machine(nvml=nvml(gpu(unavailable={"ecc_uncorrected_volatile": "NOT_SUPPORTED"}))),
    ],
    ids=["corrected", "past", "retired", "reset since", "remapped", "13", "31", "43", "45", "no ECC"],
)
def test_a_life_with_corrected_errors_is_healthy(seen: Snapshot) -> None:
    assert finding("gpu-hw-fault", seen) is None


# --- gpu-degraded ------------------------------------------------------------------------------------------------------

BUSY: dict[str, Any] = {"utilization": 98, "performance_state": 2}


def one(**facts: Any) -> Snapshot:
    name = facts.pop("name", "NVIDIA GeForce RTX 4090")
    return machine(host=facts.pop("host", UBUNTU), nvml=nvml(gpu(name, **facts)))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"pcie_width": 4, "pcie_width_max": 16}, "4 PCIe lanes of 16"),
        ({"pcie_generation": 1, "pcie_generation_max": 4, **BUSY}, "generation 1 of 4"),
        ({"throttle_reasons": ("hw_slowdown", "hw_thermal_slowdown"), **BUSY}, "heat"),
        ({"throttle_reasons": ("hw_power_brake_slowdown",), **BUSY}, "power brake"),
        ({"throttle_reasons": ("hw_slowdown",), **BUSY}, "slowed down by its hardware"),
        ({"power_limit": 150.0, "power_limit_default": 450.0}, "power limit 150 W"),
        ({"sm_clock": 600, "sm_clock_max": 2520, "throttle_reasons": (), **BUSY}, "600 MHz of 2520"),
    ],
)
def test_a_slow_gpu_is_a_warning_with_its_numbers(facts: dict[str, Any], words: str) -> None:
    said = found("gpu-degraded", one(**facts))
    assert words in said.summary and said.severity is Severity.WARNING


@pytest.mark.parametrize(
    "facts",
    [
        {"pcie_generation": 1, "pcie_generation_max": 4, "utilization": 0, "performance_state": 8},
        {"pcie_generation": 1, "pcie_generation_max": 4},
        {"pcie_width": 8, "pcie_width_max": 8},
        {"pcie_width": 8, "pcie_width_max": 16, "host": Host(system="Linux", architecture="x86_64", virtualization="kvm")},
        {"throttle_reasons": ("gpu_idle",), "sm_clock": 210, "sm_clock_max": 2520, "utilization": 0},
        {"throttle_reasons": ("sw_power_cap",), "sm_clock": 900, "sm_clock_max": 2520, **BUSY},
        {"throttle_reasons": ("sw_thermal_slowdown", "gpu_idle"), "utilization": 0},
        {"power_limit": 300.0, "power_limit_default": 450.0},
        {"power_limit": 35.0, "power_limit_default": 80.0, "name": "NVIDIA GeForce RTX 4060 Laptop GPU"},
        {"sm_clock": 585, "sm_clock_max": 1590, **BUSY},
    ],
    ids=["idle", "load unknown", "x8 card", "virtual", "idle clocks", "at its cap", "was hot", "eco", "laptop", "unknown"],
)  # fmt: skip
def test_saving_power_and_working_at_the_cap_are_no_degradation(facts: dict[str, Any]) -> None:
    assert finding("gpu-degraded", one(**facts)) is None


def node(*odd: dict[str, Any], count: int = 8, host: Host = UBUNTU, **common: Any) -> Snapshot:
    """Equal cards, of which the first ones differ by what is given."""
    cards = [
        gpu("NVIDIA H100 80GB HBM3", "9.0", index=i, **{**common, **(odd[i] if i < len(odd) else {})})
        for i in range(count)
    ]
    return machine(host=host, nvml=nvml(*cards))


SWITCHED: dict[str, Any] = {
    "fabric_state": "completed",
    "nvlinks": tuple(NvLink(link=i, active=True) for i in range(18)),
}


@pytest.mark.parametrize(
    ("odd", "common", "words"),
    [
        (
            {"power_limit": 500.0},
            {"power_limit": 700.0, "power_limit_default": 700.0},
            "power limit 500 W, of its like 700 W",
        ),
        ({"sm_clock": 915}, {"sm_clock": 1980, **BUSY}, "915 MHz under load, its like 1980 MHz"),
        ({"temperature": 91}, {"temperature": 34, "utilization": 0}, "91 C while idle, its like 34 C"),
        ({"nvlinks": SWITCHED["nvlinks"][:16]}, SWITCHED, "16 NVLinks up, of its like 18"),
    ],
)
def test_one_that_is_not_like_its_like_is_named(odd: dict[str, Any], common: dict[str, Any], words: str) -> None:
    said = found("gpu-degraded", node(odd, **common))
    assert said.summary.startswith("GPU 0") and words in said.summary and "GPU 1" not in said.summary


@pytest.mark.parametrize(
    "seen",
    [
        node(power_limit=500.0, power_limit_default=700.0),
        node({"power_limit": 690.0}, power_limit=700.0),
        node({"power_limit": 500.0}, count=2, power_limit=700.0),
        node({"sm_clock": 345, "utilization": 0, "performance_state": 8}, sm_clock=1980, **BUSY),
        node({"sm_clock": 1755}, sm_clock=1980, **BUSY),
        node({"temperature": 62}, temperature=34, utilization=0),
        node({"temperature": 88, **BUSY}, temperature=55, utilization=0),
        node({"nvlinks": ()}, nvlinks=SWITCHED["nvlinks"], fabric_state="not_supported"),
        node({"mig_enabled": True, "power_limit": 500.0}, power_limit=700.0),
        node({"power_limit": 500.0}, power_limit=700.0, host=Host(system="Linux", architecture="x86_64", virtualization="kvm")),
    ],
    ids=["all lowered", "nearly", "two cards", "one idle", "a few percent", "warm", "busy one", "bridges", "MIG", "virtual"],
)  # fmt: skip
def test_equal_cards_may_differ_by_what_they_do(seen: Snapshot) -> None:
    assert finding("gpu-degraded", seen) is None


# --- device-busy-or-exclusive ------------------------------------------------------------------------------------------

HOLDER = (GpuProcess(pid=4711, name="python", kind="compute", memory=GIB),)
UNTRIED = interpreter(torch_of(run=None))


def test_an_exclusive_gpu_with_a_program_on_it_names_the_program() -> None:
    held = gpu(compute_mode="exclusive_process", processes=HOLDER)
    said = found("device-busy-or-exclusive", machine(nvml=nvml(held), interpreter=UNTRIED))
    assert "4711" in said.summary and "-c DEFAULT" in commands(said)


def test_prohibited_mode_takes_no_program_at_all() -> None:
    assert "prohibited" in found("device-busy-or-exclusive", machine(nvml=nvml(gpu(compute_mode="prohibited")),
                                                                     interpreter=UNTRIED)).summary  # fmt: skip


def test_one_prohibited_gpu_of_two_is_a_warning() -> None:
    two = nvml(gpu(), gpu(index=1, compute_mode="prohibited"))
    assert found("device-busy-or-exclusive", machine(nvml=two)).severity is Severity.WARNING


def test_error_46_alone_is_half_sure() -> None:
    said = found("device-busy-or-exclusive", pasted("CUDA error: all CUDA-capable devices are busy or unavailable"))
    assert said.confidence == 0.5 and "nvidia-smi" in said.summary


def test_error_46_in_exclusive_mode_is_sure_even_without_a_listed_program() -> None:
    busy = torch_says("CUDA error: CUDA-capable device(s) is/are busy or unavailable")
    seen = machine(nvml=nvml(gpu(compute_mode="exclusive_process", processes=())), interpreter=busy)
    assert found("device-busy-or-exclusive", seen).confidence == 1.0 and primary(seen) == "device-busy-or-exclusive"


@pytest.mark.parametrize(
    "present",
    [
        nvml(gpu(compute_mode="exclusive_process", processes=())),
        nvml(gpu(compute_mode="default", processes=HOLDER)),
        nvml(gpu(compute_mode=None, processes=HOLDER)),
        nvml(gpu(compute_mode="exclusive_process"), gpu(index=1, compute_mode="exclusive_process", processes=HOLDER)),
        nvml(gpu(compute_mode="exclusive_process",
                 processes=(GpuProcess(pid=9, name="nvidia-cuda-mps-server", kind="compute"),))),
        nvml(gpu(compute_mode="exclusive_process", processes=(GpuProcess(pid=8, name="Xorg", kind="graphics"),))),
    ],
    ids=["exclusive and free", "shared", "mode unknown", "another is free", "MPS", "display"],
)  # fmt: skip
def test_a_gpu_that_takes_another_program_is_not_busy(present: Nvml) -> None:
    assert finding("device-busy-or-exclusive", machine(nvml=present, interpreter=UNTRIED)) is None


# --- device-permission -------------------------------------------------------------------------------------------------


def nodes(error: str | None, *paths: str, **more: Any) -> Driver:
    wanted = paths or ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm")
    return Driver(
        module=KernelModule(loaded=True),
        device_nodes=tuple(DeviceNode(path=path, exists=True, error=error, **more) for path in wanted),
    )


def test_nodes_of_the_video_group_ask_to_join_it() -> None:
    seen = broken(driver=nodes("EACCES", mode="0660", owner="root", group="video"))
    said = found("device-permission", seen)
    assert 'usermod -aG video "$USER"' in commands(said) and primary(seen) == "device-permission"


def test_nodes_of_root_alone_are_opened_again() -> None:
    said = found("device-permission", broken(driver=nodes("EACCES", mode="0600", owner="root", group="root")))
    assert "chmod 0666 /dev/nvidiactl" in commands(said) and "usermod" not in commands(said)


def test_a_slurm_job_without_a_gpu_is_told_to_ask_for_one() -> None:
    seen = broken(driver=nodes("EPERM", "/dev/nvidia0", "/dev/nvidia1"), container=Container(kind="none", slurm=True))
    assert "--gres=gpu:1" in commands(found("device-permission", seen))


def test_nvmls_word_alone_is_enough() -> None:
    assert found("device-permission", broken(nvml=Nvml(status="NO_PERMISSION", status_code=4))).confidence < 1


@pytest.mark.parametrize(
    "seen",
    [
        machine(driver=nodes("EPERM", "/dev/nvidia1", "/dev/nvidia2")),
        machine(driver=nodes("EACCES")),
        broken(driver=Driver(device_nodes=JOB_NODES)),
        broken(driver=nodes(None)),
        broken(driver=nodes("EACCES", "/dev/nvidia-caps/nvidia-cap1")),
        broken(driver=Driver(device_nodes=(DeviceNode(path="/dev/nvidiactl", exists=False),))),
        broken(driver=Driver(device_nodes=None)),
    ],
    ids=["others' GPUs", "CUDA works anyway", "own GPU open", "open", "MIG capabilities", "missing", "unknown"],
)
def test_closed_nodes_of_others_are_no_missing_permission(seen: Snapshot) -> None:
    assert finding("device-permission", seen) is None


# --- mig-misconfigured -------------------------------------------------------------------------------------------------

A100 = "NVIDIA A100-SXM4-80GB"
SLICE = MigInstance(uuid="MIG-8f2b7a10-1111-5e5e-9c9c-000000000001", name="1g.10gb")


def mig(*instances: MigInstance, enabled: bool = True) -> Gpu:
    return gpu(A100, "8.0", mig_enabled=enabled, mig_instances=instances)


def test_mig_without_instances_makes_one_or_switches_it_off() -> None:
    seen = broken(nvml=nvml(mig()))
    said = found("mig-misconfigured", seen)
    assert (
        "mig -i 0 -cgi 0 -C" in commands(said) and "-mig 0" in commands(said) and primary(seen) == "mig-misconfigured"
    )


def test_a_mig_device_that_is_not_there_is_named() -> None:
    wanted = {"CUDA_VISIBLE_DEVICES": "MIG-deadbeef-0000-0000-0000-000000000000"}
    said = found("mig-misconfigured", broken(nvml=nvml(mig(SLICE)), environment=wanted))
    assert "MIG-deadbeef" in said.summary and f"CUDA_VISIBLE_DEVICES={SLICE.uuid}" in commands(said)


def test_one_empty_mig_gpu_beside_a_usable_one_is_a_warning() -> None:
    two = nvml(gpu(A100, "8.0", mig_enabled=False), msgspec_index(mig(), 1))
    assert found("mig-misconfigured", machine(nvml=two)).severity is Severity.WARNING


def msgspec_index(one: Gpu, index: int) -> Gpu:
    import msgspec

    return msgspec.structs.replace(one, index=index)


@pytest.mark.parametrize(
    ("present", "environment"),
    [
        (nvml(mig(enabled=False)), {}),
        (nvml(mig(SLICE)), {}),
        (nvml(mig(SLICE)), {"CUDA_VISIBLE_DEVICES": str(SLICE.uuid)}),
        (nvml(mig(SLICE)), {"CUDA_VISIBLE_DEVICES": "MIG-8f2b7a10"}),
        (nvml(mig(SLICE)), {"CUDA_VISIBLE_DEVICES": "MIG-GPU-11111111-2222/1/0"}),
        (nvml(gpu(A100, "8.0", mig_enabled=True, mig_instances=None)), {}),
        (nvml(gpu(A100, "8.0", mig_enabled=None)), {"CUDA_VISIBLE_DEVICES": "MIG-1"}),
    ],
    ids=["off", "in use", "right name", "short name", "old form", "instances unknown", "all unknown"],
)
def test_mig_as_it_should_be_is_healthy(present: Nvml, environment: dict[str, str]) -> None:
    assert finding("mig-misconfigured", broken(nvml=present, environment=environment)) is None


# --- out-of-memory -----------------------------------------------------------------------------------------------------


def used(gib: float, **facts: Any) -> Gpu:
    return gpu(memory_total=24 * GIB, memory_used=int(gib * GIB), memory_free=int((24 - gib) * GIB), **facts)


def test_memory_that_idle_programs_hold_is_a_warning_with_their_names() -> None:
    full = used(23, utilization=0, processes=HOLDER)
    said = found("out-of-memory", machine(nvml=nvml(full), interpreter=UNTRIED))
    assert "4711" in said.summary and said.severity is Severity.WARNING and "query-compute-apps" in commands(said)


def test_a_computation_that_ran_out_of_memory_is_an_error_and_primary() -> None:
    seen = machine(nvml=nvml(used(23.8, utilization=3)), interpreter=torch_says("CUDA out of memory. Tried to ..."))
    assert primary(seen) == "out-of-memory" and "23.8 GiB" in found("out-of-memory", seen).summary


def test_a_pasted_error_alone_asks_for_less() -> None:
    said = found("out-of-memory", pasted("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert "batch size" in said.fixes[0].title


@pytest.mark.parametrize(
    "present",
    [
        nvml(used(23, utilization=97, processes=HOLDER)),
        nvml(used(4, utilization=0)),
        nvml(used(23, utilization=0), used(1, index=1, utilization=0)),
        nvml(gpu("NVIDIA GB10", "12.1", unavailable={"memory_total": "NOT_SUPPORTED"})),
        nvml(gpu(memory_total=0, memory_used=0, utilization=0)),
    ],
    ids=["at work", "free", "another is free", "GB10", "no memory of its own"],
)
def test_memory_in_use_is_not_out_of_memory(present: Nvml) -> None:
    assert finding("out-of-memory", machine(nvml=present, interpreter=UNTRIED)) is None


def test_an_unrelated_error_2_is_not_out_of_memory() -> None:
    assert finding("out-of-memory", pasted("RuntimeError: NCCL Error 2: unhandled system error")) is None


def test_a_busy_healthy_machine_has_no_finding_at_all() -> None:
    busy = used(
        22, utilization=99, processes=HOLDER, performance_state=0, throttle_reasons=("sw_power_cap",),
        pcie_generation=4, pcie_generation_max=4, pcie_width=16, pcie_width_max=16, compute_mode="default", mig_enabled=False,
        mig_instances=(), pci_address=SLOT, lost=False, **CLEAN,
    )  # fmt: skip
    assert judge(machine(nvml=nvml(busy), driver=module(flavour="open"))).findings == ()
