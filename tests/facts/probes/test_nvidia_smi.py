from __future__ import annotations

import sys
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import gpus, nvidia_smi
from envdoctor.facts.sections.gpu import Gpu, Nvml

MIB = 1 << 20

# A table for the fields that the probe asks for, by nvidia-smi's names, as a healthy idle card answers with `nounits`.
ANSWERS = {
    "index": "0",
    "name": "NVIDIA A100-SXM4-80GB",
    "uuid": "GPU-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "pci.bus_id": "00000000:07:00.0",
    "memory.total": "81920",
    "driver_version": "550.163.01",
    "serial": "1563221",
    "vbios_version": "92.00.45.00.03",
    "pci.device_id": "0x20B210DE",
    "compute_cap": "8.0",
    "memory.used": "1024",
    "memory.free": "80300",
    "clocks.sm": "210",
    "clocks.max.sm": "1410",
    "clocks.mem": "1593",
    "clocks.max.mem": "1593",
    "pstate": "P0",
    "clocks_event_reasons.active": "0x0000000000000005",
    "utilization.gpu": "3",
    "power.draw": "61.23",
    "power.limit": "400.00",
    "power.default_limit": "400.00",
    "power.min_limit": "100.00",
    "power.max_limit": "400.00",
    "temperature.gpu": "31",
    "fan.speed": "[N/A]",
    "ecc.mode.current": "Enabled",
    "ecc.mode.pending": "Disabled",
    "ecc.errors.uncorrected.volatile.total": "0",
    "ecc.errors.uncorrected.aggregate.total": "2",
    "ecc.errors.corrected.volatile.total": "1",
    "retired_pages.pending": "No",
    "pcie.link.gen.gpucurrent": "4",
    "pcie.link.gen.max": "4",
    "pcie.link.gen.gpumax": "4",
    "pcie.link.width.current": "16",
    "pcie.link.width.max": "16",
    "mig.mode.current": "Disabled",
    "mig.mode.pending": "Disabled",
    "compute_mode": "Exclusive_Process",
    "persistence_mode": "Enabled",
}

# Answers as nvidia-smi does: rows for the fields that it knows, else a complaint about the first that it does not.
SCRIPT = """#!{python}
import sys
rows = {rows!r}
assert sys.argv[2] == "--format=csv,noheader,nounits", sys.argv
fields = sys.argv[1].removeprefix("--query-gpu=").split(",")
for field in fields:
    if field not in rows[0]:
        print(f'Field "{{field}}" is not a valid field to query.')
        sys.exit(2)
for row in rows:
    print(", ".join(row[field] for field in fields))
"""


def machine_that_prints(folder: Path, script: str) -> Machine:
    """A machine without NVML whose nvidia-smi is that script."""
    program = folder / "usr/bin/nvidia-smi"
    program.parent.mkdir(parents=True)
    program.write_text(script)
    program.chmod(0o755)
    return Machine(root=folder, environment={"PATH": str(program.parent)})


def machine_that_answers(folder: Path, *rows: dict[str, str]) -> Machine:
    return machine_that_prints(folder, SCRIPT.format(python=sys.executable, rows=rows))


def machine_that_fails(folder: Path, words: str, code: int) -> Machine:
    return machine_that_prints(folder, f"#!{sys.executable}\nprint({words!r})\nraise SystemExit({code})\n")


def query(machine: Machine) -> Nvml:
    found = nvidia_smi.query(machine)
    assert found is not None
    return found


def only_gpu(found: Nvml) -> Gpu:
    assert found.status == "SUCCESS", found.message
    assert found.gpus is not None
    (gpu,) = found.gpus
    return gpu


def test_probe_falls_back_on_nvidia_smi_where_nvml_is_missing(tmp_path: Path) -> None:
    found = gpus.probe(machine_that_answers(tmp_path, ANSWERS))
    assert (found.source, found.status, found.driver_version) == ("nvidia-smi", "SUCCESS", "550.163.01")
    assert only_gpu(found).name == "NVIDIA A100-SXM4-80GB"


def test_cells_become_facts_in_the_units_of_the_snapshot(tmp_path: Path) -> None:
    gpu = only_gpu(query(machine_that_answers(tmp_path, ANSWERS)))
    assert (gpu.index, gpu.compute_capability, gpu.lost) == (0, "8.0", False)
    assert (gpu.pci_address, gpu.pci_device) == ("0000:07:00.0", "20b2")
    assert (gpu.memory_total, gpu.memory_used, gpu.memory_free) == (81920 * MIB, 1024 * MIB, 80300 * MIB)
    assert (gpu.sm_clock, gpu.sm_clock_max, gpu.performance_state) == (210, 1410, 0)
    assert gpu.throttle_reasons == ("gpu_idle", "sw_power_cap")
    assert (gpu.power_draw, gpu.power_limit, gpu.power_limit_min) == (61.23, 400, 100)
    assert (gpu.ecc_enabled, gpu.ecc_pending, gpu.ecc_uncorrected_aggregate) == (True, False, 2)
    assert (gpu.pcie_generation, gpu.pcie_width_max, gpu.mig_enabled) == (4, 16, False)
    assert (gpu.compute_mode, gpu.persistence_mode) == ("exclusive_process", True)
    assert (gpu.page_retirement_pending, gpu.temperature) == (False, 31)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("[N/A]", "NOT_AVAILABLE"),
        ("N/A", "NOT_AVAILABLE"),
        ("[Not Supported]", "NOT_SUPPORTED"),
        ("[Unknown Error]", "UNKNOWN"),
        ("ERR!", "UNKNOWN"),
        ("[Insufficient Permissions]", "NO_PERMISSION"),
        ("sometimes", "nvidia-smi printed 'sometimes'"),
    ],
)
def test_cell_without_a_value_is_unknown_with_its_reason(tmp_path: Path, cell: str, reason: str) -> None:
    gpu = only_gpu(query(machine_that_answers(tmp_path, {**ANSWERS, "power.draw": cell, "ecc.mode.current": cell})))
    assert (gpu.power_draw, gpu.unavailable["power_draw"]) == (None, reason)
    assert (gpu.ecc_enabled, gpu.unavailable["ecc_enabled"]) == (None, reason)
    assert gpu.power_limit == 400


def test_lost_gpu_is_marked(tmp_path: Path) -> None:
    lost = {
        field: answer if field in ("index", "driver_version") else "[GPU is lost]" for field, answer in ANSWERS.items()
    }
    found = query(machine_that_answers(tmp_path, ANSWERS, {**lost, "index": "1"}))
    assert found.gpus is not None
    assert [(gpu.index, gpu.lost) for gpu in found.gpus] == [(0, False), (1, True)]


def test_fields_that_an_old_nvidia_smi_does_not_know_are_left_out(tmp_path: Path) -> None:
    newer = ("clocks_event_reasons.active", "pcie.link.gen.gpucurrent", "pcie.link.gen.gpumax")
    old = {field: answer for field, answer in ANSWERS.items() if field not in newer}
    old |= {"clocks_throttle_reasons.active": "0x8", "pcie.link.gen.current": "3"}
    gpu = only_gpu(query(machine_that_answers(tmp_path, old)))
    assert (gpu.throttle_reasons, gpu.pcie_generation) == (("hw_slowdown",), 3)
    assert gpu.pcie_generation_gpu_max is None
    assert gpu.power_draw == 61.23


def test_very_old_nvidia_smi_still_tells_the_least_there_is_to_know(tmp_path: Path) -> None:
    least = ("index", "name", "uuid", "pci.bus_id", "memory.total", "driver_version")
    found = query(machine_that_answers(tmp_path, {field: ANSWERS[field] for field in least}))
    assert found.driver_version == "550.163.01"
    assert only_gpu(found).memory_total == 81920 * MIB


@pytest.mark.parametrize(
    ("words", "exit_code", "status", "code"),
    [
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that it is loaded.",
            9,
            "DRIVER_NOT_LOADED",
            9,
        ),
        (
            "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 575.57",
            18,
            "LIB_RM_VERSION_MISMATCH",
            18,
        ),
        ("Failed to initialize NVML: Insufficient Permissions", 4, "NO_PERMISSION", 4),
        ("Failed to initialize NVML: Unknown Error", 255, "UNKNOWN", 999),
        (
            "Unable to determine the device handle for GPU 0000:65:00.0: GPU is lost.  Reboot the system to recover this GPU",
            15,
            "GPU_IS_LOST",
            15,
        ),
        ("Something that nobody has seen before", 1, "UNKNOWN", None),
    ],
)
def test_what_nvidia_smi_complains_of_becomes_nvmls_status(
    tmp_path: Path, words: str, exit_code: int, status: str, code: int | None
) -> None:
    found = gpus.probe(machine_that_fails(tmp_path, words, exit_code))
    assert (found.source, found.status, found.status_code) == ("nvidia-smi", status, code)
    assert found.message == words
    assert found.gpus is None


def test_nvidia_smi_that_finds_no_library_either_adds_nothing(tmp_path: Path) -> None:
    words = "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that it is installed."
    found = gpus.probe(machine_that_fails(tmp_path, words, 12))
    assert (found.source, found.status) == ("nvml", "LIBRARY_NOT_FOUND")


def test_no_devices_were_found_is_an_answer(tmp_path: Path) -> None:
    found = query(machine_that_fails(tmp_path, "No devices were found", 6))
    assert (found.status, found.gpus) == ("SUCCESS", ())


def test_nvidia_smi_that_hangs_is_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia_smi, "TIMEOUT", 1.0)
    found = query(machine_that_prints(tmp_path, f"#!{sys.executable}\nimport time\ntime.sleep(60)\n"))
    assert (found.status, found.message) == ("TIMEOUT", "nvidia-smi gave no answer within 1 s")


def test_nvidia_smi_that_crashes_is_a_fact(tmp_path: Path) -> None:
    script = f"#!{sys.executable}\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    found = query(machine_that_prints(tmp_path, script))
    assert (found.status, found.message) == ("CRASH", "nvidia-smi ended with SIGSEGV")


def test_machine_without_nvidia_smi_has_no_second_witness(tmp_path: Path) -> None:
    assert nvidia_smi.query(Machine(root=tmp_path, environment={"PATH": ""})) is None
