from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import gpus
from envdoctor.facts.sections.gpu import Gpu, Nvml
from tests.fakes import (
    FakeDriver,
    FakeGpu,
    FakeMig,
    FakeNvLink,
    FakeProcess,
    build,
    machine_with,
    machine_without_driver,
)

H100 = "NVIDIA H100 80GB HBM3"
GIB = 1 << 30
ENOUGH = 4.0  # seconds for a child to get as far as its hang, on a busy machine


def probe(driver: FakeDriver, folder: Path, **environment: str) -> Nvml:
    return gpus.probe(machine_with(driver, folder, **environment))


def only_gpu(found: Nvml) -> Gpu:
    assert found.status == "SUCCESS", found.message
    assert found.gpus is not None
    (gpu,) = found.gpus
    return gpu


# --- a working driver ---------------------------------------------------------------------------------------------


def test_driver_and_library_versions_are_told(tmp_path: Path) -> None:
    found = probe(FakeDriver(driver="580.159.04", cuda="13.0", gpus=[FakeGpu(H100)]), tmp_path)
    assert (found.source, found.status, found.status_code) == ("nvml", "SUCCESS", 0)
    assert (found.driver_version, found.cuda_version, found.nvml_version) == ("580.159.04", "13.0", "13.580.159.04")
    assert found.library == str(tmp_path / "driver" / "libnvidia-ml.so.580.159.04")


def test_every_field_of_a_gpu_comes_through_in_its_unit(tmp_path: Path) -> None:
    fake = FakeGpu(
        H100,
        uuid="GPU-11111111-2222-3333-4444-555555555555",
        serial="1234",
        vbios="96.00.99",
        pci_address="0001:65:00.0",
        pci_device="2330",
        memory_total=80 * GIB,
        memory_used=20 * GIB,
        memory_reserved=GIB,
        bar1_total=128 * GIB,
        sm_clock=1200,
        sm_clock_max=1980,
        memory_clock=2600,
        memory_clock_max=2619,
        application_sm_clock=1830,
        performance_state=2,
        throttle_reasons=("sw_power_cap", "hw_thermal_slowdown"),
        utilization=97,
        power_draw=512.345,
        power_limit=500,
        power_limit_default=700,
        power_limit_min=200,
        power_limit_max=700,
        temperature=81,
        temperature_slowdown=87,
        temperature_shutdown=92,
        fan_percent=40,
        ecc_enabled=True,
        ecc_pending=False,
        ecc_uncorrected_volatile=1,
        ecc_uncorrected_aggregate=5,
        ecc_corrected_volatile=9,
        rows_remapped_correctable=2,
        rows_remapped_uncorrectable=3,
        row_remap_pending=True,
        row_remap_failed=False,
        pages_retired=4,
        pages_retired_single=2,
        page_retirement_pending=True,
        pcie_generation=4,
        pcie_generation_max=4,
        pcie_generation_gpu_max=5,
        pcie_width=8,
        pcie_width_max=16,
        compute_mode="exclusive_process",
        persistence_mode=False,
        processes=(FakeProcess(100, "/usr/bin/python3", 3 * GIB), FakeProcess(7, "Xorg", 1024, "graphics")),
        nvlinks=(FakeNvLink(errors=(1, 2, 3, 4)), FakeNvLink(active=False, version=5, errors=None)),
        fabric_state="in_progress",
    )
    gpu = only_gpu(probe(FakeDriver(gpus=[fake]), tmp_path))
    assert gpu.unavailable == {}
    assert (gpu.name, gpu.uuid, gpu.serial, gpu.vbios) == (H100, fake.values["uuid"], "1234", "96.00.99")
    assert (gpu.architecture, gpu.compute_capability, gpu.lost) == ("Hopper", "9.0", False)
    assert (gpu.pci_address, gpu.pci_device) == ("0001:65:00.0", "2330")
    assert (gpu.memory_total, gpu.memory_used, gpu.memory_free) == (80 * GIB, 20 * GIB, 59 * GIB)
    assert gpu.bar1_total == 128 * GIB
    assert (gpu.sm_clock, gpu.sm_clock_max, gpu.application_sm_clock) == (1200, 1980, 1830)
    assert (gpu.memory_clock, gpu.memory_clock_max) == (2600, 2619)
    assert (gpu.performance_state, gpu.utilization) == (2, 97)
    assert gpu.throttle_reasons == ("sw_power_cap", "hw_thermal_slowdown")
    assert gpu.power_draw == pytest.approx(512.345)
    assert (gpu.power_limit, gpu.power_limit_default) == (500, 700)
    assert (gpu.power_limit_min, gpu.power_limit_max) == (200, 700)
    assert (gpu.temperature, gpu.temperature_slowdown, gpu.temperature_shutdown) == (81, 87, 92)
    assert gpu.fan_percent == 40
    assert (gpu.ecc_enabled, gpu.ecc_pending) == (True, False)
    assert (gpu.ecc_uncorrected_volatile, gpu.ecc_uncorrected_aggregate, gpu.ecc_corrected_volatile) == (1, 5, 9)
    assert (gpu.rows_remapped_correctable, gpu.rows_remapped_uncorrectable) == (2, 3)
    assert (gpu.row_remap_pending, gpu.row_remap_failed) == (True, False)
    assert (gpu.pages_retired, gpu.page_retirement_pending) == (6, True)
    assert (gpu.pcie_generation, gpu.pcie_generation_max, gpu.pcie_generation_gpu_max) == (4, 4, 5)
    assert (gpu.pcie_width, gpu.pcie_width_max) == (8, 16)
    assert (gpu.compute_mode, gpu.persistence_mode) == ("exclusive_process", False)
    assert gpu.processes is not None
    assert [(p.pid, p.name, p.memory, p.kind) for p in gpu.processes] == [
        (100, "/usr/bin/python3", 3 * GIB, "compute"),
        (7, "Xorg", 1024, "graphics"),
    ]
    assert gpu.nvlinks is not None
    assert [(n.link, n.active, n.version, n.errors) for n in gpu.nvlinks] == [(0, True, 4, 10), (1, False, 3, None)]
    assert (gpu.fabric_state, gpu.fabric_status) == ("in_progress", None)
    assert (gpu.mig_enabled, gpu.mig_instances) == (False, ())


def test_no_field_of_the_section_is_forgotten(tmp_path: Path) -> None:
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu(H100)]), tmp_path))
    silent = {field for field in Gpu.__struct_fields__ if getattr(gpu, field) is None} - set(gpu.unavailable)
    assert silent == set()


def test_slow_start_is_waited_for(tmp_path: Path) -> None:
    found = probe(FakeDriver(gpus=[FakeGpu(H100)], errors={"nvmlInit": "sleep 1.5"}), tmp_path)
    assert only_gpu(found).name == H100


def test_gpus_of_a_mixed_machine_keep_their_order_and_their_own_facts(tmp_path: Path) -> None:
    names = [H100, "Tesla T4", "NVIDIA GeForce RTX 4090", H100]
    found = probe(FakeDriver(gpus=[FakeGpu(name) for name in names]), tmp_path)
    assert found.gpus is not None
    assert [(gpu.index, gpu.name) for gpu in found.gpus] == list(enumerate(names))
    assert [gpu.compute_capability for gpu in found.gpus] == ["9.0", "7.5", "8.9", "9.0"]
    assert len({gpu.uuid for gpu in found.gpus}) == 4


def test_driver_without_any_gpu_is_known_to_have_none(tmp_path: Path) -> None:
    found = probe(FakeDriver(), tmp_path)
    assert (found.status, found.gpus) == ("SUCCESS", ())


def test_mig_instances_are_listed_with_their_own_memory(tmp_path: Path) -> None:
    mig = (FakeMig("3g.40gb", 40 * GIB), FakeMig("1g.10gb", 10 * GIB))
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu(H100, mig=mig)]), tmp_path))
    assert (gpu.mig_enabled, gpu.mig_pending) == (True, True)
    assert gpu.mig_instances is not None
    assert [(m.name, m.memory_total) for m in gpu.mig_instances] == [
        (f"{H100} MIG 3g.40gb", 40 * GIB),
        (f"{H100} MIG 1g.10gb", 10 * GIB),
    ]
    assert all((m.uuid or "").startswith("MIG-") for m in gpu.mig_instances)


def test_fabric_that_failed_to_register_names_the_error(tmp_path: Path) -> None:
    fakes = [FakeGpu(H100), FakeGpu(H100, fabric_status=999), FakeGpu(H100, fabric_state="not_started")]
    found = probe(FakeDriver(gpus=fakes), tmp_path)
    assert found.gpus is not None
    assert [(gpu.fabric_state, gpu.fabric_status) for gpu in found.gpus] == [
        ("completed", "success"),
        ("completed", "UNKNOWN"),
        ("not_started", None),
    ]


def test_process_of_another_namespace_has_no_name_and_one_under_wddm_no_memory(tmp_path: Path) -> None:
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu(H100, processes=[FakeProcess(9, memory=None)])]), tmp_path))
    assert gpu.processes is not None
    assert [(p.pid, p.name, p.memory, p.kind) for p in gpu.processes] == [(9, None, None, "compute")]
    assert "processes" not in gpu.unavailable


def test_many_processes_are_all_listed(tmp_path: Path) -> None:
    gpu = only_gpu(
        probe(FakeDriver(gpus=[FakeGpu(H100, processes=[FakeProcess(n, "a") for n in range(1, 41)])]), tmp_path)
    )
    assert gpu.processes is not None
    assert [p.pid for p in gpu.processes] == list(range(1, 41))


def test_throttle_reason_without_a_name_yet_is_kept_as_a_number(tmp_path: Path) -> None:
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu(H100, throttle_reasons=0x401)]), tmp_path))
    assert gpu.throttle_reasons == ("gpu_idle", "0x400")


# --- what a GPU or a driver does not know --------------------------------------------------------------------------


def test_unsupported_field_is_unknown_with_nvmls_reason(tmp_path: Path) -> None:
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu("NVIDIA GB10")]), tmp_path))
    assert gpu.memory_total is None
    assert gpu.unavailable["memory_total"] == "NOT_SUPPORTED"
    assert (gpu.power_limit, gpu.unavailable["power_limit"]) == (None, "NOT_SUPPORTED")
    assert (gpu.name, gpu.compute_capability) == ("NVIDIA GB10", "12.1")
    # a GPU that knows neither MIG nor NVLink is known to have none
    assert (gpu.mig_enabled, gpu.mig_instances, gpu.nvlinks) == (None, (), ())


def test_error_in_one_query_of_one_gpu_costs_that_field_only(tmp_path: Path) -> None:
    broken = FakeGpu(H100, errors={"nvmlDeviceGetPowerUsage": "UNKNOWN", "nvmlDeviceGetSerial": "NO_PERMISSION"})
    found = probe(FakeDriver(gpus=[broken, FakeGpu(H100)]), tmp_path)
    assert found.gpus is not None
    first, second = found.gpus
    assert first.unavailable.items() >= {"power_draw": "UNKNOWN", "serial": "NO_PERMISSION"}.items()
    assert (first.power_draw, first.serial, first.temperature) == (None, None, 34)
    assert second.power_draw == 70


def test_error_number_that_nobody_knows_yet_is_kept(tmp_path: Path) -> None:
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu(H100, errors={"nvmlDeviceGetName": 77})]), tmp_path))
    assert gpu.unavailable["name"] == "ERROR_77"


def test_functions_that_an_old_driver_lacks_are_asked_by_their_older_names(tmp_path: Path) -> None:
    missing = (
        "nvmlInitWithFlags",
        "nvmlSystemGetCudaDriverVersion_v2",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetGpuFabricInfoV",
    )
    fake = FakeGpu(H100, memory_used=GIB, memory_reserved=GIB, processes=[FakeProcess(5, "python")])
    gpu = only_gpu(probe(FakeDriver("450.80.02", "11.0", [fake], missing=missing), tmp_path))
    assert gpu.memory_used == 2 * GIB  # the older function counts the reserved memory as used
    assert gpu.throttle_reasons == ("gpu_idle",)
    assert gpu.temperature == 34
    assert gpu.processes is not None and gpu.processes[0].pid == 5
    assert gpu.fabric_state == "completed"


def test_functions_that_the_driver_lacks_altogether_are_named_so(tmp_path: Path) -> None:
    missing = (
        "nvmlDeviceGetRemappedRows",
        "nvmlDeviceGetGpuMaxPcieLinkGeneration",
        "nvmlDeviceGetNvLinkState",
        "nvmlDeviceGetGpuFabricInfo",
        "nvmlDeviceGetGpuFabricInfoV",
    )
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu(H100)], missing=missing), tmp_path))
    lacking = {field for field, reason in gpu.unavailable.items() if reason == "FUNCTION_NOT_FOUND"}
    assert lacking == {
        "rows_remapped_correctable",
        "rows_remapped_uncorrectable",
        "row_remap_pending",
        "row_remap_failed",
        "pcie_generation_gpu_max",
        "nvlinks",
        "fabric_state",
        "fabric_status",
    }
    assert gpu.nvlinks is None


def test_lost_gpu_is_marked_and_the_others_are_unharmed(tmp_path: Path) -> None:
    found = probe(FakeDriver(gpus=[FakeGpu(H100), FakeGpu(H100, lost=1)]), tmp_path)
    assert found.status == "SUCCESS"
    assert found.gpus is not None
    assert [gpu.lost for gpu in found.gpus] == [False, True]
    assert found.gpus[1].unavailable["name"] == "GPU_IS_LOST"
    assert found.gpus[0].unavailable.get("name") is None


def test_gpu_whose_handle_fails_still_appears_with_the_error(tmp_path: Path) -> None:
    fakes = [
        FakeGpu(H100, errors={"nvmlDeviceGetHandleByIndex": "GPU_IS_LOST"}),
        FakeGpu(H100, errors={"nvmlDeviceGetHandleByIndex": "NO_PERMISSION"}),
        FakeGpu(H100),
    ]
    found = probe(FakeDriver(gpus=fakes), tmp_path)
    assert found.gpus is not None
    assert [(gpu.index, gpu.lost, gpu.unavailable.get("uuid")) for gpu in found.gpus] == [
        (0, True, "GPU_IS_LOST"),
        (1, False, "NO_PERMISSION"),
        (2, False, None),
    ]


# --- a driver that does not start -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        (18, "LIB_RM_VERSION_MISMATCH", "Driver/library version mismatch"),
        (9, "DRIVER_NOT_LOADED", "Driver Not Loaded"),
        (4, "NO_PERMISSION", "Insufficient Permissions"),
        (15, "GPU_IS_LOST", "GPU is lost"),
        (999, "UNKNOWN", "Unknown Error"),
        (4711, "ERROR_4711", "Unknown Error"),
    ],
)
def test_failed_start_keeps_nvmls_code_name_and_words(tmp_path: Path, code: int, name: str, words: str) -> None:
    found = probe(FakeDriver("575.57.08", "12.9", [FakeGpu(H100)], errors={"nvmlInit": code}), tmp_path)
    assert (found.status, found.status_code, found.message) == (name, code, words)
    assert found.gpus is None
    assert found.driver_version is None
    assert found.nvml_version == "12.575.57.08"  # the library's own version needs no driver


def test_count_that_fails_after_the_start_is_the_status(tmp_path: Path) -> None:
    found = probe(FakeDriver(gpus=[FakeGpu(H100)], errors={"nvmlDeviceGetCount": "UNKNOWN"}), tmp_path)
    assert (found.status, found.status_code, found.gpus) == ("UNKNOWN", 999, None)
    assert found.driver_version == "580.159.04"


def test_hang_at_the_start_is_a_timeout_that_names_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "TIMEOUT", ENOUGH)
    began = time.monotonic()
    found = probe(FakeDriver(gpus=[FakeGpu(H100)], errors={"nvmlInit": "hang"}), tmp_path)
    assert time.monotonic() - began < ENOUGH + 3
    assert (found.status, found.status_code) == ("TIMEOUT", None)
    assert found.message == f"nvmlInit did not answer within {ENOUGH:g} s"
    assert found.library is not None


def test_hang_midway_keeps_what_was_known_of_every_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "TIMEOUT", ENOUGH)
    fakes = [FakeGpu(H100), FakeGpu(H100, errors={"nvmlDeviceGetPowerUsage": "hang"}), FakeGpu(H100)]
    found = probe(FakeDriver(gpus=fakes), tmp_path)
    assert found.status == "TIMEOUT"
    assert found.message == f"nvmlDeviceGetPowerUsage of GPU 1 did not answer within {ENOUGH:g} s"
    assert found.driver_version == "580.159.04"
    assert found.gpus is not None
    assert [gpu.name for gpu in found.gpus] == [H100] * 3
    assert [gpu.power_draw for gpu in found.gpus] == [70, None, None]
    assert [gpu.sm_clock for gpu in found.gpus] == [330, 330, None]
    assert found.gpus[0].fabric_state == "completed"


def test_hang_that_outlives_being_killed_still_tells_what_was_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "TIMEOUT", ENOUGH)
    began = time.monotonic()
    found = probe(FakeDriver(gpus=[FakeGpu(H100, errors={"nvmlDeviceGetPowerUsage": "linger"})]), tmp_path)
    assert time.monotonic() - began < ENOUGH + 3
    assert found.message == f"nvmlDeviceGetPowerUsage of GPU 0 did not answer within {ENOUGH:g} s"
    assert found.gpus is not None
    assert found.gpus[0].name == H100


@pytest.mark.parametrize(
    ("errors", "where"),
    [
        ({"libnvidia-ml.load": "crash"}, "dlopen(libnvidia-ml.so.1)"),
        ({"nvmlInit": "crash"}, "nvmlInit"),
        ({"nvmlDeviceGetCount": "crash"}, "nvmlDeviceGetCount"),
    ],
)
def test_crash_inside_the_driver_is_a_fact(tmp_path: Path, errors: dict[str, str], where: str) -> None:
    found = probe(FakeDriver(gpus=[FakeGpu(H100)], errors=errors), tmp_path)
    assert found.status == "CRASH"
    assert found.message == f"{where} ended its process with SIGSEGV"
    assert found.gpus is None


# --- the library itself ---------------------------------------------------------------------------------------------


def test_machine_without_the_library_is_known_to_lack_it(tmp_path: Path) -> None:
    found = gpus.probe(machine_without_driver(tmp_path))
    assert (found.status, found.gpus, found.library) == ("LIBRARY_NOT_FOUND", None, None)


def test_link_that_leads_nowhere_is_a_missing_library(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.580.1")
    assert gpus.probe(machine_without_driver(tmp_path)).status == "LIBRARY_NOT_FOUND"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "file too short"),
        (b"# a text file where a library should be\n" * 100, "invalid ELF header"),
    ],
)
def test_file_that_is_no_library_gives_the_loaders_words(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_bytes(content)
    found = gpus.probe(Machine(environment={"PATH": "", "LD_LIBRARY_PATH": str(tmp_path)}))
    assert found.status == "LIBRARY_ERROR"
    assert words in (found.message or "")


@pytest.mark.parametrize(
    ("position", "value", "words"),
    [
        (4, 1, "wrong ELF class: ELFCLASS32"),  # EI_CLASS
        (18, 0xF3, "not for this processor"),  # e_machine: RISC-V
    ],
)
def test_library_for_another_architecture_gives_the_loaders_words(
    tmp_path: Path, position: int, value: int, words: str
) -> None:
    image = bytearray(build("nvml").read_bytes())
    image[position] = value
    file = tmp_path / "usr/lib/libnvidia-ml.so.1"
    file.parent.mkdir(parents=True)
    file.write_bytes(image)
    found = gpus.probe(machine_without_driver(tmp_path))
    assert found.status == "LIBRARY_ERROR"
    assert words in (found.message or "")


def test_driver_of_a_sysroot_is_found_in_its_own_folders_and_named_as_it_names_it(tmp_path: Path) -> None:
    FakeDriver(gpus=[FakeGpu("Tesla T4")]).install(tmp_path / "usr/lib/x86_64-linux-gnu")
    found = gpus.probe(machine_without_driver(tmp_path))
    assert only_gpu(found).name == "Tesla T4"
    assert found.library == "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.159.04"


def test_driver_of_wsl_is_found_where_the_loader_does_not_look(tmp_path: Path) -> None:
    FakeDriver(gpus=[FakeGpu("NVIDIA GeForce RTX 4090")]).install(tmp_path / "usr/lib/wsl/lib")
    found = gpus.probe(machine_without_driver(tmp_path))
    assert only_gpu(found).name == "NVIDIA GeForce RTX 4090"


def test_user_modules_named_like_the_standard_library_do_not_reach_the_child(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    driver = FakeDriver(gpus=[FakeGpu("Tesla T4")])
    assert only_gpu(probe(driver, tmp_path, PYTHONPATH=str(tmp_path))).name == "Tesla T4"


# --- nvidia-ml-py ----------------------------------------------------------------------------------------------------


def replace_binding(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
    """Puts another pynvml before nvidia-ml-py's; a package, as those that other projects published under the name."""
    package = folder / "other" / "pynvml"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)


def test_binding_that_does_not_import_leaves_the_status_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_binding(monkeypatch, tmp_path, "raise ImportError('damaged install')")
    found = probe(FakeDriver(gpus=[FakeGpu(H100)]), tmp_path)
    assert (found.status, found.gpus, found.working) == (None, None, None)
    assert found.message == "ImportError: damaged install"


def test_nvidia_smi_is_asked_where_the_binding_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_binding(monkeypatch, tmp_path, "raise ImportError('damaged install')")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'; exit 18\n")
    program.chmod(0o755)
    found = probe(FakeDriver(gpus=[FakeGpu(H100)]), tmp_path)
    assert (found.source, found.status) == ("nvidia-smi", "LIB_RM_VERSION_MISMATCH")


def test_older_binding_costs_only_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    source = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("pynvml", {pynvml.__file__!r})
module = sys.modules["pynvml"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for lacking in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetGpuFabricInfoV", "c_nvmlGpuFabricInfo_v2_t", "nvmlDeviceGetSerial"):
    delattr(module, lacking)
"""
    replace_binding(monkeypatch, tmp_path, source)
    gpu = only_gpu(probe(FakeDriver(gpus=[FakeGpu(H100)]), tmp_path))
    assert (gpu.temperature, gpu.fabric_state) == (34, "completed")
    assert (gpu.serial, gpu.unavailable["serial"]) == (None, "FUNCTION_NOT_FOUND")


# --- the fake itself -------------------------------------------------------------------------------------------------


def test_fake_structures_have_the_size_that_nvidia_ml_py_declares() -> None:
    import pynvml

    library = ctypes.CDLL(str(build("nvml")))
    declared = (
        pynvml.nvmlPciInfo_t,
        pynvml.c_nvmlMemory_t,
        pynvml.c_nvmlMemory_v2_t,
        pynvml.c_nvmlUtilization_t,
        pynvml.c_nvmlProcessInfo_v3_t,
        pynvml.c_nvmlTemperature_v1_t,
        pynvml.c_nvmlGpuFabricInfo_t,
        pynvml.c_nvmlGpuFabricInfo_v2_t,
        pynvml.c_nvmlEventData_t,
        pynvml.c_nvmlFieldValue_t,
    )
    sizes = (ctypes.c_uint * len(declared)).in_dll(library, "fake_sizes")
    assert list(sizes) == [ctypes.sizeof(structure) for structure in declared]


def test_misspelt_field_of_a_fake_gpu_is_refused() -> None:
    with pytest.raises(TypeError, match="memory_totl"):
        FakeGpu(H100, memory_totl=1)
