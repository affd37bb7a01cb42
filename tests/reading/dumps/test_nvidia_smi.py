# ruff: noqa: E501, ISC004 (lines as they are pasted)
"""Pasted output of nvidia-smi, of every age."""

from __future__ import annotations

import pytest

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu, GpuProcess, MigInstance, Nvml
from envdoctor.reading.dumps import read
from tests.reading.dumps import samples

MIB = 1024**2


def nvml_of(snapshot: Snapshot) -> Nvml:
    assert snapshot.nvml is not None
    return snapshot.nvml


def test_the_table() -> None:
    snapshot = read(samples.SMI)
    nvml = nvml_of(snapshot)
    assert (snapshot.source, snapshot.driver_version, nvml.cuda_version, nvml.working) == (
        "nvidia-smi",
        "550.144.03",
        "12.4",
        True,
    )
    assert nvml.gpus is not None
    first, second = nvml.gpus
    assert first == Gpu(
        index=0,
        name="NVIDIA A100-SXM4-80GB",
        pci_address="0000:07:00.0",
        persistence_mode=True,
        ecc_enabled=True,
        ecc_uncorrected_volatile=0,
        memory_used=71234 * MIB,
        memory_total=81920 * MIB,
        power_draw=63.0,
        power_limit=400.0,
        temperature=34,
        performance_state=0,
        utilization=97,
        compute_mode="exclusive_process",
        mig_enabled=False,
        processes=(
            GpuProcess(pid=41873, name="/opt/conda/bin/python", memory=71216 * MIB, kind="compute"),
            GpuProcess(pid=2211, name="/usr/lib/xorg/Xorg", kind="graphics"),
        ),
    )
    assert (second.pci_address, second.ecc_uncorrected_volatile, second.compute_mode) == ("0000:0f:00.0", 12, "default")
    assert second.mig_enabled is True
    assert second.mig_instances == (MigInstance(memory_total=40192 * MIB),)


def test_the_banner_from_driver_610_on() -> None:
    snapshot = read(samples.SMI_610)
    assert (snapshot.driver_version, nvml_of(snapshot).cuda_version) == ("610.43.02", "13.3")
    assert snapshot.gpus is not None
    assert (snapshot.gpus[0].name, snapshot.gpus[0].power_limit, snapshot.gpus[0].processes) == (
        "NVIDIA GeForce RTX 5090",
        575.0,
        (),
    )
    assert snapshot.gpus[0].ecc_enabled is None  # 'N/A'


def test_the_table_of_2014() -> None:
    snapshot = read(samples.SMI_2014)
    assert (snapshot.driver_version, nvml_of(snapshot).cuda_version) == ("331.62", None)
    assert snapshot.gpus is not None
    assert (snapshot.gpus[0].name, snapshot.gpus[0].memory_total, snapshot.gpus[0].power_draw) == (
        "GeForce GTX 680",
        4095 * MIB,
        None,
    )


def test_windows_has_the_driver_model_where_linux_has_persistence() -> None:
    snapshot = read(samples.SMI_610.replace("NVIDIA GeForce RTX 5090        Off", "NVIDIA GeForce RTX 4080 ...  WDDM"))
    assert snapshot.gpus is not None
    assert (snapshot.gpus[0].name, snapshot.gpus[0].persistence_mode) == ("NVIDIA GeForce RTX 4080 ...", None)


@pytest.mark.parametrize(
    ("row", "process"),
    [
        ("|    0      3178    C   python                                      11407MiB |", GpuProcess(pid=3178, name="python", memory=11407 * MIB, kind="compute")),
        ("|    0   N/A  N/A      1500    C+G   ...e\\explorer.exe               N/A      |", GpuProcess(pid=1500, name="...e\\explorer.exe", kind="graphics")),
        ("|    0  2210  X                                                      40MiB |", GpuProcess(pid=2210, name="X", memory=40 * MIB)),
        ("|    0    7    0      99310      C   python train.py                  4096MiB |", GpuProcess(pid=99310, name="python train.py", memory=4096 * MIB, kind="compute")),
    ],
)  # fmt: skip
def test_processes_in_the_columns_of_every_age(row: str, process: GpuProcess) -> None:
    text = samples.SMI_610.replace(
        "|  No running processes found                                                             |", row
    )
    snapshot = read(text)
    assert snapshot.gpus is not None
    assert snapshot.gpus[0].processes == (process,)


def test_a_table_whose_banner_was_cut_off() -> None:
    snapshot = read(samples.SMI[samples.SMI.index("|   0  NVIDIA") :])
    assert snapshot.gpus is not None
    assert [gpu.memory_total for gpu in snapshot.gpus] == [81920 * MIB, 81920 * MIB]
    assert snapshot.driver is None


def test_a_list_with_uuids() -> None:
    snapshot = read(
        "GPU 0: NVIDIA GeForce RTX 3070 (UUID: GPU-4c5e2a7e-1b9d)\nGPU 1: NVIDIA GeForce RTX 3070 (UUID: GPU-77aa)\n"
    )
    assert snapshot.gpus == (
        Gpu(index=0, name="NVIDIA GeForce RTX 3070", uuid="GPU-4c5e2a7e-1b9d"),
        Gpu(index=1, name="NVIDIA GeForce RTX 3070", uuid="GPU-77aa"),
    )


def test_a_query_in_csv() -> None:
    snapshot = read("""\
index, name, driver_version, memory.total [MiB], compute_cap
0, NVIDIA RTX A6000, 535.183.01, 49140 MiB, 8.6
1, NVIDIA TITAN V, 535.183.01, 12288 MiB, 7.0
""")
    assert snapshot.driver_version == "535.183.01"
    assert snapshot.gpus == (
        Gpu(index=0, name="NVIDIA RTX A6000", memory_total=49140 * MIB, compute_capability="8.6"),
        Gpu(index=1, name="NVIDIA TITAN V", memory_total=12288 * MIB, compute_capability="7.0"),
    )


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver "
            "is installed and running.",
            "DRIVER_NOT_LOADED",
            9,
        ),
        ("Failed to initialize NVML: Driver/library version mismatch", "LIB_RM_VERSION_MISMATCH", 18),
        ("Failed to initialize NVML: Unknown Error", "UNKNOWN", 999),
        ("Failed to initialize NVML: Insufficient Permissions", "NO_PERMISSION", 4),
        ("Failed to initialize NVML: GPU access blocked by the operating system", "OPERATING_SYSTEM", 17),
        ("Unable to determine the device handle for GPU 0000:1A:00.0: GPU is lost.  Reboot the system to recover this GPU", "GPU_IS_LOST", 15),
        ("Unable to determine the device handle for GPU0000:1A:00.0: Unknown Error", "UNKNOWN", 999),
    ],
)  # fmt: skip
def test_its_failures_are_facts_and_stay_messages(text: str, status: str, code: int) -> None:
    snapshot = read(f"$ nvidia-smi\n{text}\n")
    nvml = nvml_of(snapshot)
    assert (nvml.status, nvml.status_code, nvml.message, nvml.gpus) == (status, code, text, None)
    assert text in snapshot.messages


def test_the_librarys_version_beside_a_mismatch() -> None:
    nvml = nvml_of(read("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.120\n"))
    assert (nvml.status, nvml.nvml_version) == ("LIB_RM_VERSION_MISMATCH", "550.120")


def test_no_devices_is_a_known_absence() -> None:
    nvml = nvml_of(read("No devices were found"))
    assert (nvml.status, nvml.gpus) == ("SUCCESS", ())


def test_a_watched_table_keeps_its_first_moment() -> None:
    later = samples.SMI.replace("71234MiB", "    4MiB")
    gpus = read(samples.SMI + later).gpus
    assert gpus is not None
    assert gpus[0].memory_used == 71234 * MIB


def test_other_tables_between_bars_are_not_swallowed() -> None:
    snapshot = read(samples.SMI + "\nand results:\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "| 1 | 2 |" in snapshot.messages
