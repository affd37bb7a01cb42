"""On a GPU: NVML is really asked while the child measures, and what spoils a figure strikes it, with the reason.

The child is a small script and the GPU a fake libnvidia-ml; everything between is the real command.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.scripts import benchmark, envdoctor
from tests.fakes import FakeDriver, FakeGpu, FakeMig, FakeProcess

H100 = "NVIDIA H100 80GB HBM3"


def measure(
    folder: Path,
    gpu: FakeGpu | None,
    *options: str,
    seconds: float = 0.6,
    uuid: str | None = None,
    more: str = "",
    **driver: Any,
) -> tuple[int, dict[str, Any], str]:
    """One workload of that many seconds on that GPU: exit code, file, report in one line. `more`: of the child's settings."""
    library = FakeDriver(gpus=[gpu] if gpu else [], **driver).install(folder / "driver")
    own = uuid or (None if gpu is None else str(gpu.scenario(0)["uuid"]))
    device = {"type": "cuda", "index": 0, "name": H100, "capability": "9.0", "memory_bytes": 80 << 30, "uuid": own}
    program = benchmark(folder, f"DEVICE = {device!r}\nSECONDS = {seconds}\nWATCHED = True\n{more}")
    file = folder / "result.json"
    arguments: list[str | Path] = [
        "--benchmarks",
        program,
        "--python",
        sys.executable,
        "--workload",
        "alpha",
        "--save",
        file,
        *options,
    ]
    code, out, err = envdoctor("bench", *arguments, home=folder, LD_LIBRARY_PATH=str(library))
    assert code in (0, 1), err
    return code, json.loads(file.read_text()), " ".join(out.split())


def only(data: dict[str, Any]) -> dict[str, Any]:
    (workload,) = data["workloads"]
    return dict(workload)


def test_a_quiet_gpu_gives_valid_figures_with_clocks_power_and_link(tmp_path: Path) -> None:
    gpu = FakeGpu(H100, sm_clock=1980, power_draw=612.5, temperature=61, throttle_reasons=())
    code, data, _ = measure(tmp_path, gpu, seconds=1.6)
    assert code == 0, data["workloads"]
    seen = only(data)["telemetry"]
    assert 10 <= seen["samples"] <= 18  # ten a second for 1.6 s
    assert seen["sm_clock"] == [1980, 1980, 1980] and seen["temperature"] == 61
    assert seen["power"] == pytest.approx(612.5) and seen["power_source"] == "samples"
    assert (seen["pcie_generation"], seen["pcie_width"]) == (5, 16)
    assert data["environment"]["power_limit"] == 700 and data["environment"]["driver"] == "580.159.04"


def test_energy_comes_from_the_counter_over_long_windows(tmp_path: Path) -> None:
    gpu = FakeGpu(H100, power_draw=100, energy_mj="5000000 +400000/s", throttle_reasons=())
    _, data, _ = measure(tmp_path, gpu, seconds=2.3)
    seen = only(data)["telemetry"]
    assert seen["power_source"] == "energy counter"
    assert seen["power"] == pytest.approx(400, rel=0.02) and seen["energy"] == pytest.approx(400 * 2.3, rel=0.05)


def test_power_is_that_of_the_moment_where_nvml_tells_it(tmp_path: Path) -> None:
    gpu = FakeGpu(H100, power_draw=100, throttle_reasons=(), errors={"power_instant": "620"})
    _, data, _ = measure(tmp_path, gpu, seconds=0.5)
    assert only(data)["telemetry"]["power"] == pytest.approx(620)


def test_energy_an_image_is_the_power_of_its_own_windows_over_the_rate(tmp_path: Path) -> None:
    gpu = FakeGpu(H100, power_draw=500, throttle_reasons=())
    _, data, out = measure(tmp_path, gpu, seconds=1.2, more="TIMED = 'img/s'\n")
    energy = only(data)["metrics"]["energy"]
    assert (energy["unit"], energy["better"], len(energy["launches"])) == ("J/img", "lower", 1)
    assert energy["value"] == pytest.approx(500 / only(data)["metrics"]["throughput"]["value"])
    assert "windows" not in only(data)["details"]["timing"]["step"] and "J/img" in out


@pytest.mark.parametrize(("seconds", "power", "unit"), [(0.5, 500, "img/s"), (1.2, None, "img/s"), (1.2, 500, "GB/s")])
def test_without_power_or_time_enough_or_items_there_is_no_energy(
    tmp_path: Path, seconds: float, power: float | None, unit: str
) -> None:
    gpu = FakeGpu(H100, power_draw=power, throttle_reasons=())
    _, data, _ = measure(tmp_path, gpu, seconds=seconds, more=f"TIMED = {unit!r}\n")
    assert set(only(data)["metrics"]) == {"throughput"}


def spoilt() -> Iterator[Any]:
    yield pytest.param({"throttle_reasons": ("hw_slowdown",)}, "the hardware slowed the GPU down", id="slowed down")
    yield pytest.param({"throttle_reasons": "0 then 0x40 after 1"}, "in ", id="throttled for a while")
    yield pytest.param({"sm_clock": "1980 then 1200 after 1"}, "the SM clock", id="clock falls")
    yield pytest.param({"ecc_uncorrected_volatile": "0 then 2 after 1"}, "2 uncorrected memory errors", id="ECC")
    yield pytest.param({"xid": "0 then 79 after 1"}, "Xid 79", id="Xid")


def test_an_xid_spoils_a_workload_that_names_no_windows(tmp_path: Path) -> None:
    gpu = FakeGpu(H100, xid="0 then 79 after 1", throttle_reasons=())
    code, data, out = measure(tmp_path, gpu, seconds=1.8, more="NO_WINDOWS = True\n")
    assert code == 1 and "Xid 79" in out and only(data)["telemetry"] is None


@pytest.mark.parametrize(("values", "words"), [*spoilt()])
def test_what_spoils_a_figure_strikes_it_with_the_reason(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    code, data, out = measure(tmp_path, FakeGpu(H100, **{"throttle_reasons": (), **values}), seconds=1.8)
    assert code == 1 and only(data)["valid"] is False
    assert any(words in reason for reason in only(data)["invalid_because"]), only(data)["invalid_because"]
    assert words in out and "TFLOP/s" in out


WRONG = 'REASONS = ["numerics: fp32 matmul: relative error 0.3, and 1e-5 is allowed"]\n'


def test_wrong_arithmetic_comes_with_what_is_wrong_with_the_gpu(tmp_path: Path) -> None:
    gpu = FakeGpu(H100, throttle_reasons=(), row_remap_failed=1)
    code, data, out = measure(tmp_path, gpu, more=WRONG)
    assert code == 1 and only(data)["metrics"]["throughput"]["value"]
    assert "this GPU computed wrongly in alpha" in out and "relative error 0.3" in out
    found = only(data)["diagnosed"][0]  # the child is no torch: that there is none is said too
    assert found["code"] == "gpu-hw-fault" and f"gpu-hw-fault: {found['summary'].split(':')[0]}" in out


def test_of_a_gpu_with_nothing_else_wrong_only_the_arithmetic_is_said(tmp_path: Path) -> None:
    code, _, out = measure(tmp_path, FakeGpu(H100, throttle_reasons=()), more=WRONG)
    assert code == 1 and "this GPU computed wrongly in alpha" in out and "gpu-hw-fault" not in out


def test_a_power_cap_only_warns(tmp_path: Path) -> None:
    code, data, out = measure(tmp_path, FakeGpu(H100, throttle_reasons=("sw_power_cap",)))
    assert code == 0 and "power limit in 100% of the samples" in out
    assert only(data)["valid"] is True


def test_two_benches_at_once_on_one_gpu_are_detected(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    try:
        gpu = FakeGpu(H100, processes=[FakeProcess(other.pid, "python")], throttle_reasons=())
        code, data, out = measure(tmp_path, gpu)
    finally:
        other.kill()
        other.wait()
    assert code == 1 and f"process {other.pid}" in out
    assert f"(process {other.pid})" in only(data)["telemetry"]["foreign"][0]


def test_one_that_comes_in_the_middle_is_detected_too(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    later = {"process0": f"- then {other.pid} compute 1000 python after 0.8"}
    try:
        code, data, _ = measure(tmp_path, FakeGpu(H100, throttle_reasons=(), errors=later), seconds=2.4)
    finally:
        other.kill()
        other.wait()
    assert code == 1 and only(data)["telemetry"]["foreign"]


def test_in_a_container_our_own_process_under_its_number_on_the_host_is_not_foreign(tmp_path: Path) -> None:
    own = {"process1": "- then 9000000 compute 1000 after 0.2"}  # no kernel of ours gives such numbers
    own["process0"] = "1 graphics 1000 Xorg"
    assert measure(tmp_path, FakeGpu(H100, throttle_reasons=(), errors=own))[0] == 0
    two = {**own, "process0": "9000001 compute 1000"}
    code, data, _ = measure(tmp_path, FakeGpu(H100, throttle_reasons=(), errors=two))
    assert code == 1 and only(data)["telemetry"]["foreign"]


def test_a_graphics_process_is_nobody_who_computes(tmp_path: Path) -> None:
    gpu = FakeGpu(H100, processes=[FakeProcess(1, "Xorg", kind="graphics")], throttle_reasons=())
    assert measure(tmp_path, gpu)[0] == 0


@pytest.mark.parametrize("declared", [False, True])
def test_a_mig_instance_counts_where_it_was_declared(tmp_path: Path, declared: bool) -> None:
    gpu = FakeGpu(H100, mig=[FakeMig(uuid="MIG-1234")], throttle_reasons=())
    options = ["--declare", "mig"] if declared else []
    code, data, out = measure(tmp_path, gpu, *options, uuid="MIG-1234")
    assert code == (0 if declared else 1) and "MIG instance" in out
    assert only(data)["telemetry"]["sm_clock"], "the GPU behind the instance is watched"


@pytest.mark.parametrize("bare", [True, False])
def test_a_mig_instance_is_seen_though_torch_gives_its_uuid_bare_or_none(tmp_path: Path, bare: bool) -> None:
    gpu = FakeGpu(H100, mig=[FakeMig(uuid="MIG-1234")], throttle_reasons=())
    device = {
        "type": "cuda",
        "index": 0,
        "name": H100 if bare else f"{H100} MIG 1g.10gb",
        "uuid": "1234" if bare else None,
    }
    code, data, out = measure(tmp_path, gpu, more=f"DEVICE = {device!r}\n")
    assert code == 1 and "--declare mig" in out
    assert not any("datasheet" in (m["limit"] or {}).get("what", "") for m in only(data)["metrics"].values())


def test_of_like_gpus_the_measured_one_is_told_by_its_pci_address(tmp_path: Path) -> None:
    cool, hot = (
        FakeGpu(H100, temperature=t, pci_address=a, throttle_reasons=())
        for t, a in ((40, "0000:3b:00.0"), (77, "0000:5e:00.0"))
    )
    library = FakeDriver(gpus=[cool, hot]).install(tmp_path / "driver")
    device = {"type": "cuda", "index": 1, "name": H100, "uuid": None, "pci": "00000000:5e:00.0"}
    program = benchmark(tmp_path, f"DEVICE = {device!r}\nSECONDS = 0.5\nWATCHED = True\n")
    file = tmp_path / "result.json"
    words: list[str | Path] = [
        "--benchmarks",
        program,
        "--python",
        sys.executable,
        "--workload",
        "alpha",
        "--save",
        file,
    ]
    code, _, err = envdoctor("bench", *words, home=tmp_path, LD_LIBRARY_PATH=str(library))
    assert code == 0, err
    assert only(json.loads(file.read_text()))["telemetry"]["temperature"] == 77


def test_a_virtual_gpu_is_invalid_unless_declared(tmp_path: Path) -> None:
    code, _, out = measure(tmp_path, FakeGpu(H100, virtualization_mode=2, throttle_reasons=()))
    assert code == 1 and "--declare vgpu" in out


@pytest.mark.parametrize(
    ("errors", "words"),
    [({"nvmlInit": 18}, "mismatch"), ({"nvmlDeviceGetHandleByUUID": "NOT_FOUND"}, "does not know the GPU")],
)
def test_without_nvml_the_run_goes_on_and_says_what_is_not_known(
    tmp_path: Path, errors: dict[str, Any], words: str
) -> None:
    code, data, out = measure(tmp_path, FakeGpu(H100), errors=errors, seconds=0.3)
    assert code == 0 and "no telemetry" in out and words in out
    assert only(data).get("telemetry") is None


def test_a_gpu_that_lacks_every_sensor_is_no_fault(tmp_path: Path) -> None:
    sensors = ("sm_clock", "throttle_reasons", "power_draw", "temperature", "pcie_generation", "ecc_enabled")
    bare: dict[str, Any] = dict.fromkeys(sensors)
    code, data, _ = measure(tmp_path, FakeGpu(H100, **bare), seconds=0.5)
    assert code == 0 and only(data)["telemetry"]["sm_clock"] is None


def test_nvml_that_hangs_costs_the_telemetry_and_not_the_run(tmp_path: Path) -> None:
    errors = {"nvmlDeviceGetClockInfo": "0 then hang after 1"}
    code, data, out = measure(tmp_path, FakeGpu(H100, throttle_reasons=()), errors=errors, seconds=1.5)
    assert code == 0 and "NVML does not answer" in out
    assert only(data)["metrics"]["throughput"]["value"] > 0


def test_a_gpu_that_is_lost_while_it_is_measured_is_told(tmp_path: Path) -> None:
    code, _, out = measure(tmp_path, FakeGpu(H100, lost="0 then 1 after 0.8", throttle_reasons=()), seconds=1.5)
    assert "fell off its bus" in out and code == 1
