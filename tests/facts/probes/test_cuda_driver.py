from __future__ import annotations

import time
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import cuda_driver
from envdoctor.facts.sections.gpu import CudaDriver
from tests.fakes import FakeDriver, FakeGpu, FakeMig, build, machine_with, machine_without_driver

H100 = "NVIDIA H100 80GB HBM3"
GIB = 1 << 30
ENOUGH = 3.0  # seconds for a child to get as far as its hang, on a busy machine


def probe(driver: FakeDriver, folder: Path, **environment: str) -> CudaDriver:
    return cuda_driver.probe(machine_with(driver, folder, **environment))


def names(found: CudaDriver) -> list[str | None]:
    assert found.devices is not None
    return [device.name for device in found.devices]


# --- a working driver ---------------------------------------------------------------------------------------------


def test_devices_are_listed_as_the_driver_numbers_them(tmp_path: Path) -> None:
    found = probe(FakeDriver(cuda="13.0", gpus=[FakeGpu(H100, memory_total=80 * GIB), FakeGpu("Tesla T4")]), tmp_path)
    assert (found.outcome, found.init_code, found.init_name, found.message) == ("ok", 0, "CUDA_SUCCESS", None)
    assert (found.version, found.library_missing, found.load_error) == ("13.0", False, None)
    assert found.library == str(tmp_path / "driver" / "libcuda.so.580.159.04")
    assert found.device_count == 2
    assert names(found) == [H100, "Tesla T4"]
    assert found.devices is not None
    first = found.devices[0]
    assert (first.index, first.compute_capability, first.memory_total) == (0, "9.0", 80 * GIB)
    assert (first.uuid or "").startswith("GPU-") and len(first.uuid or "") == 40


def test_uuid_is_written_as_nvml_writes_it(tmp_path: Path) -> None:
    uuid = "GPU-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    found = probe(FakeDriver(gpus=[FakeGpu(H100, uuid=uuid)]), tmp_path)
    assert found.devices is not None
    assert found.devices[0].uuid == uuid


@pytest.mark.parametrize(
    ("visible", "listed"),
    [
        ("1", ["Tesla T4"]),
        ("1,0", ["Tesla T4", H100]),
        ("0,7,1", [H100]),  # what follows an entry that names no device is ignored
        ("GPU-aaaa", ["Tesla T4"]),
    ],
)
def test_cuda_visible_devices_applies_as_it_does_to_every_program(
    tmp_path: Path, visible: str, listed: list[str]
) -> None:
    driver = FakeDriver(gpus=[FakeGpu(H100), FakeGpu("Tesla T4", uuid="GPU-aaaa2c3d-4e5f-6071-8293-a4b5c6d7e8f9")])
    found = probe(driver, tmp_path, CUDA_VISIBLE_DEVICES=visible)
    assert found.init_code == 0
    assert names(found) == listed


@pytest.mark.parametrize("visible", ["", "-1", "9", "GPU-nobody"])
def test_cuda_visible_devices_that_hides_all_leaves_no_device(tmp_path: Path, visible: str) -> None:
    found = probe(FakeDriver(gpus=[FakeGpu(H100)]), tmp_path, CUDA_VISIBLE_DEVICES=visible)
    assert (found.init_code, found.device_count, found.devices) == (100, 0, ())


def test_mig_instance_is_the_device_and_bears_its_own_uuid(tmp_path: Path) -> None:
    uuid = "MIG-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    found = probe(FakeDriver(gpus=[FakeGpu(H100, mig=[FakeMig("1g.10gb", 10 * GIB, uuid)])]), tmp_path)
    assert found.devices is not None
    (device,) = found.devices
    assert (device.name, device.uuid, device.memory_total) == (f"{H100} MIG 1g.10gb", uuid, 10 * GIB)
    assert device.compute_capability == "9.0"


def test_forward_compatible_libcuda_tells_its_own_cuda_version(tmp_path: Path) -> None:
    found = probe(FakeDriver("535.288.01", "12.2", [FakeGpu(H100)], libcuda_cuda="13.0"), tmp_path)
    assert found.version == "13.0"


# --- a driver that does not start -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        (802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"),
        (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"),
        (804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "forward compatibility was attempted on non supported HW"),
        (999, "CUDA_ERROR_UNKNOWN", "unknown error"),
        (4711, None, None),
    ],
)
def test_failed_cuinit_keeps_code_name_and_words(
    tmp_path: Path, code: int, name: str | None, words: str | None
) -> None:
    found = probe(FakeDriver(cuda="12.8", gpus=[FakeGpu(H100)], errors={"cuInit": code}), tmp_path)
    assert (found.outcome, found.init_code, found.init_name, found.message) == ("ok", code, name, words)
    assert found.version == "12.8"  # needs no cuInit
    assert (found.device_count, found.devices) == (None, None)


def test_driver_that_sees_no_gpu_says_no_device(tmp_path: Path) -> None:
    found = probe(FakeDriver(), tmp_path)
    assert (found.init_code, found.init_name) == (100, "CUDA_ERROR_NO_DEVICE")
    assert (found.device_count, found.devices) == (0, ())


def test_error_names_are_known_where_the_library_has_no_function_for_them(tmp_path: Path) -> None:
    driver = FakeDriver(gpus=[FakeGpu(H100)], errors={"cuInit": 803}, missing=["cuGetErrorName", "cuGetErrorString"])
    found = probe(driver, tmp_path)
    assert (found.init_code, found.init_name) == (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH")
    assert found.message is None


def test_query_that_fails_leaves_that_field_unknown(tmp_path: Path) -> None:
    errors: dict[str, str | int] = {"cuDeviceTotalMem": 46, "cuDeviceGetUuid": 1, "cuDeviceGetAttribute": 999}
    found = probe(FakeDriver(gpus=[FakeGpu(H100, errors=errors)]), tmp_path)
    assert found.devices is not None
    (device,) = found.devices
    assert (device.name, device.memory_total, device.uuid, device.compute_capability) == (H100, None, None, None)


def test_older_uuid_function_is_used_where_the_newer_is_missing(tmp_path: Path) -> None:
    uuid = "GPU-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    found = probe(FakeDriver(gpus=[FakeGpu(H100, uuid=uuid)], missing=["cuDeviceGetUuid_v2"]), tmp_path)
    assert found.devices is not None
    assert found.devices[0].uuid == uuid


def test_hang_in_cuinit_is_a_timeout_and_the_version_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "TIMEOUT", ENOUGH)
    began = time.monotonic()
    found = probe(FakeDriver(cuda="13.0", gpus=[FakeGpu(H100)], errors={"cuInit": "hang"}), tmp_path)
    assert time.monotonic() - began < ENOUGH + 3
    assert (found.outcome, found.message) == ("timeout", f"cuInit did not answer within {ENOUGH:g} s")
    assert (found.version, found.init_code, found.library_missing) == ("13.0", None, False)


def test_hang_after_cuinit_keeps_the_devices_seen_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "TIMEOUT", ENOUGH)
    driver = FakeDriver(gpus=[FakeGpu(H100), FakeGpu(H100, errors={"cuDeviceTotalMem": "hang"})])
    found = probe(driver, tmp_path)
    assert (found.outcome, found.init_code, found.device_count) == ("timeout", 0, 2)
    assert names(found) == [H100]


@pytest.mark.parametrize(
    ("function", "where"), [("libcuda.load", "dlopen(libcuda.so.1)"), ("cuInit", "cuInit"), ("cuDeviceGetCount",) * 2]
)
def test_crash_inside_the_driver_is_a_fact(tmp_path: Path, function: str, where: str) -> None:
    found = probe(FakeDriver(gpus=[FakeGpu(H100)], errors={function: "crash"}), tmp_path)
    assert (found.outcome, found.message) == ("crash", f"{where} ended its process with SIGSEGV")
    assert found.devices is None


# --- the library itself ---------------------------------------------------------------------------------------------


def test_machine_without_the_library_is_known_to_lack_it(tmp_path: Path) -> None:
    found = cuda_driver.probe(machine_without_driver(tmp_path))
    assert (found.library_missing, found.library, found.init_code, found.outcome) == (True, None, None, None)
    assert "cannot open shared object file" in (found.load_error or "")


def test_file_that_is_no_library_is_not_missing_but_broken(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"")
    found = cuda_driver.probe(Machine(environment={"PATH": "", "LD_LIBRARY_PATH": str(tmp_path)}))
    assert found.library_missing is False
    assert "file too short" in (found.load_error or "")
    assert (found.outcome, found.init_code) == (None, None)


def test_library_for_32_bits_is_not_missing_but_broken(tmp_path: Path) -> None:
    image = bytearray(build("cuda").read_bytes())
    image[4] = 1  # EI_CLASS: ELFCLASS32
    file = tmp_path / "usr/lib/libcuda.so.1"
    file.parent.mkdir(parents=True)
    file.write_bytes(image)
    found = cuda_driver.probe(machine_without_driver(tmp_path))
    assert found.library_missing is False
    assert "wrong ELF class" in (found.load_error or "")


def test_driver_of_a_sysroot_is_loaded_from_its_own_folders(tmp_path: Path) -> None:
    FakeDriver(gpus=[FakeGpu("Tesla T4")]).install(tmp_path / "usr/lib/x86_64-linux-gnu")
    found = cuda_driver.probe(machine_without_driver(tmp_path))
    assert found.library == "/usr/lib/x86_64-linux-gnu/libcuda.so.580.159.04"
    assert names(found) == ["Tesla T4"]


def test_first_folder_of_the_library_path_wins(tmp_path: Path) -> None:
    compat = FakeDriver("590.44.01", "13.1", errors={"cuInit": 804}, libraries=["cuda"]).install(tmp_path / "compat")
    own = FakeDriver("535.288.01", "12.2", [FakeGpu(H100)]).install(tmp_path / "own")
    found = cuda_driver.probe(Machine(environment={"PATH": "", "LD_LIBRARY_PATH": f"{compat}:{own}"}))
    assert (found.library, found.init_code, found.version) == (f"{compat}/libcuda.so.590.44.01", 804, "13.1")
