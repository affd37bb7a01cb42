"""What a person learns from laying a machine that works beside one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import DeviceNode, Driver, DriverLibrary, KernelModule
from envdoctor.facts.sections.gpu import CudaDriver, GpuProcess, Nvml
from envdoctor.facts.sections.host import LogLine, Logs
from envdoctor.facts.sections.interpreter import BrokenPin, Interpreter, MappedLibrary, Torch, TorchRun
from envdoctor.facts.sections.interpreter import Distribution as Installed
from envdoctor.knowledge import load
from envdoctor.machine_diff.difference import Compared, Difference, Weight, compare
from tests.diagnosis.snapshots import FLAGS_2_15, UBUNTU, gpu, interpreter, machine, module, nvml, torch

OLD_DRIVER = machine(
    driver=module("535.183.01", flavour="open"),
    nvml=nvml(driver="535.183.01"),
    cuda_driver=CudaDriver(outcome="ok", init_code=0, version="12.2", device_count=1),
    interpreter=interpreter(torch(flags=FLAGS_2_15, run=TorchRun(outcome="ok", cuda_available=False))),
)


def differ(a: Snapshot, b: Snapshot, **options: Any) -> Compared:
    return compare(a, b, load(), **options)


def facts(compared: Compared) -> dict[str, tuple[object, object]]:
    return {d.fact: (d.a, d.b) for d in compared.differences}


def one(compared: Compared, fact: str) -> Difference:
    return next(d for d in compared.differences if d.fact == fact)


def with_packages(*installed: Installed, **more: Any) -> Snapshot:
    return machine(interpreter=interpreter(torch(flags=FLAGS_2_15), *installed, **more))


def test_a_machine_does_not_differ_from_itself() -> None:
    same = differ(machine(), machine(), everything=True)
    assert not same.differences and not same.telling and not same.findings.only_a and not same.findings.only_b


def test_a_change_of_driver_is_told_once_and_its_finding_first() -> None:
    said = differ(machine(), OLD_DRIVER)
    assert facts(said)["driver.version"] == ("580.159.04", "535.183.01")
    assert [name for name, pair in facts(said).items() if "535.183.01" in pair] == ["driver.version"]
    assert said.findings.only_a == () and "driver-too-old" in said.findings.only_b and said.telling


def test_a_library_of_another_version_than_its_module_is_told_beside_it() -> None:
    def with_library(version: str) -> Snapshot:
        library = DriverLibrary(name="libcuda.so.1", path=f"/usr/lib/libcuda.so.{version}", version=version)
        return machine(driver=Driver(module=KernelModule(loaded=True, version="580.159.04"), libraries=(library,)))

    said = differ(with_library("580.159.04"), with_library("575.57.08"))
    assert facts(said)["driver.libraries.libcuda.so.1"] == ("580.159.04", "575.57.08")
    assert "driver.version" not in facts(said)


def test_telling_differences_come_before_soft_ones() -> None:
    host = {"kernel": "6.1.0", "cpu_model": "Other CPU"}
    other = machine(host=type(UBUNTU)(**{**_fields(UBUNTU), **host}), nvml=nvml(gpu("NVIDIA L4", "8.9")))
    weights = [d.weight for d in differ(machine(), other).differences if d.known]
    assert weights == sorted(weights, key=list(Weight).index) and len(set(weights)) == 2
    assert differ(machine(), other).differences[0].fact == "gpu.0"


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_what_always_differs_is_left_out_unless_asked_for() -> None:
    def at(second: int) -> Snapshot:
        busy = gpu(
            temperature=40 + second, uuid=f"GPU-{second}", memory_free=second, utilization=second, sm_clock=210 + second,
            pci_address=f"0000:{second:02d}:00.0", processes=(GpuProcess(pid=second, memory=1),), serial=str(second),
        )  # fmt: skip
        seconds = TorchRun(outcome="ok", seconds=float(second))
        return machine(
            created=f"2026-11-23T10:00:{second:02d}+00:00",
            nvml=nvml(busy),
            interpreter=interpreter(torch(flags=FLAGS_2_15, run=seconds)),
        )

    assert differ(at(1), at(2)).differences == ()
    everything = facts(differ(at(1), at(2), everything=True))
    assert {"created", "gpu.0.temperature", "gpu.0.uuid", "torch.run.seconds"} <= set(everything)
    assert not differ(at(1), at(2), everything=True).telling


def test_what_one_side_does_not_know_is_neither_absent_nor_telling() -> None:
    said = differ(machine(), machine(nvml=None, cuda_driver=None))
    status = one(said, "nvml.status")
    assert (status.a, status.b, status.weight) == ("SUCCESS", None, Weight.MINOR)
    assert not said.telling


def test_packages_are_only_in_one_or_of_another_version() -> None:
    a = with_packages(Installed(name="nvidia-cudnn-cu13", version="9.26.0.1"), Installed(name="numpy", version="2.1"))
    b = with_packages(
        Installed(name="nvidia-cudnn-cu13", version="9.10.2.21"), Installed(name="xformers", version="1.0")
    )
    said = differ(a, b)
    prefix = "interpreter.distributions"
    assert facts(said)[f"{prefix}.nvidia-cudnn-cu13"] == ("9.26.0.1", "9.10.2.21")
    assert facts(said)[f"{prefix}.numpy"] == ("2.1", False)
    assert facts(said)[f"{prefix}.xformers"] == (False, "1.0")
    assert one(said, f"{prefix}.nvidia-cudnn-cu13").weight is Weight.DECISIVE


def test_a_package_that_a_partial_list_does_not_name_is_not_known() -> None:
    a = with_packages(Installed(name="numpy", version="2.1"))
    b = with_packages(distributions_complete=False)
    assert facts(differ(a, b))["interpreter.distributions.numpy"] == ("2.1", None)
    assert not differ(a, b).telling


def test_a_torch_that_is_not_installed_is_told_once() -> None:
    b = machine(interpreter=Interpreter(executable="/usr/bin/python3", version="3.12.3", torch_installed=False))
    said = facts(differ(machine(), b))
    assert said["torch.version"] == ("2.15.0+cu132", False)
    assert not [name for name in said if name.startswith("torch.") and name != "torch.version"]


def test_a_cpu_build_has_no_cuda_and_an_unread_build_is_not_known() -> None:
    def cuda(other: Torch) -> tuple[object, object] | None:
        return facts(differ(machine(), machine(interpreter=interpreter(other)))).get("torch.cuda")

    assert cuda(torch("2.15.0+cpu", None)) == ("13.2", False)
    assert cuda(Torch(version="2.15.0")) == ("13.2", None)


@pytest.mark.parametrize(("a_has", "b_has", "expected"), [
    ({}, {"CUDA_VISIBLE_DEVICES": ""}, (False, "(set and empty)")),
    ({"LD_LIBRARY_PATH": "/opt/x"}, {}, ("/opt/x", False)),
    ({"NCCL_DEBUG": "INFO"}, {"NCCL_DEBUG": "WARN"}, ("INFO", "WARN")),
])  # fmt: skip
def test_variables_of_cuda_and_the_loader_decide(
    a_has: dict[str, str], b_has: dict[str, str], expected: tuple[object, object]
) -> None:
    said = differ(machine(environment=a_has), machine(environment=b_has))
    assert list(facts(said).values()) == [expected] and said.differences[0].weight is Weight.DECISIVE


def test_a_variable_that_a_dump_does_not_show_is_not_known() -> None:
    said = differ(machine(environment={"CUDA_HOME": "/x"}), machine(environment={}, environment_complete=False))
    assert facts(said) == {"environment.CUDA_HOME": ("/x", None)}


def test_gpus_are_matched_by_name_before_place() -> None:
    big, small = ("NVIDIA A100-SXM4-80GB", "8.0"), ("Tesla T4", "7.5")
    a = machine(nvml=nvml(gpu(*big), gpu(*small, index=1)))
    b = machine(nvml=nvml(gpu(*small), gpu(*big, index=1)))
    assert differ(a, b).differences == ()
    assert facts(differ(a, machine(nvml=nvml(gpu(*small))))) == {"gpu.0": ("NVIDIA A100-SXM4-80GB", False)}
    more = machine(nvml=nvml(gpu(*big), gpu(*small, index=1), gpu(*small, index=2)))
    assert facts(differ(a, more)) == {"gpu.2": (False, "Tesla T4")}


def test_a_gpu_replaced_by_another_is_told_with_its_capability() -> None:
    said = facts(differ(machine(), machine(nvml=nvml(gpu("Tesla V100-SXM2-32GB", "7.0")))))
    assert said["gpu.0"] == ("NVIDIA GeForce RTX 4090", "Tesla V100-SXM2-32GB")
    assert said["gpu.0.compute_capability"] == ("8.9", "7.0")


def test_the_same_memory_read_by_two_tools_is_no_difference() -> None:
    exact, rounded = (
        machine(nvml=nvml(gpu(memory_total=25757220864))),
        machine(nvml=nvml(gpu(memory_total=24564 << 20))),
    )
    half = machine(nvml=nvml(gpu(memory_total=12 << 30)))
    assert not differ(exact, rounded).differences
    assert "gpu.0.memory_total" in facts(differ(exact, half))


def test_a_library_loaded_from_elsewhere_is_told_and_another_environment_is_not() -> None:
    def mapping(path: str, prefix: str) -> Snapshot:
        mapped = (MappedLibrary(name="libcudnn", path=path, version="9.26.0"),)
        run = TorchRun(outcome="ok", mapped=mapped)
        return machine(interpreter=interpreter(torch(flags=FLAGS_2_15, run=run), prefix=prefix))

    own, others = (
        mapping("/home/a/venv/lib/libcudnn.so.9", "/home/a/venv"),
        mapping("/srv/e/lib/libcudnn.so.9", "/srv/e"),
    )
    assert differ(own, others).differences == ()
    foreign = mapping("/opt/cudnn/libcudnn.so.9", "/home/a/venv")
    assert facts(differ(own, foreign))["torch.run.mapped.libcudnn"] == (
        "9.26.0 of the environment",
        "9.26.0 at /opt/cudnn/libcudnn.so.9",
    )


def test_device_nodes_pins_and_errors_in_the_log_decide() -> None:
    denied = DeviceNode(path="/dev/nvidia0", exists=True, readable=False, writable=False, error="EACCES")
    fine = DeviceNode(path="/dev/nvidia0", exists=True, readable=True, writable=True)
    pin = BrokenPin(distribution="torch", requirement="nvidia-cudnn-cu13==9.26.0.1")
    a = machine(
        driver=Driver(device_nodes=(fine,)),
        logs=Logs(readable=True),
        interpreter=interpreter(torch(flags=FLAGS_2_15), broken_pins=()),
    )
    b = machine(
        driver=Driver(device_nodes=(denied,)),
        logs=Logs(readable=True, lines=(LogLine(text="NVRM: Xid 79", xid=79),)),
        interpreter=interpreter(torch(flags=FLAGS_2_15), broken_pins=(pin,)),
    )
    said = facts(differ(a, b))
    assert said["driver.device_nodes./dev/nvidia0"] == ("opens", "EACCES")
    assert said["logs.xid"] == (False, (79,))
    assert said["interpreter.broken_pins.nvidia-cudnn-cu13==9.26.0.1"] == (False, "not installed")
    assert all(d.weight is Weight.DECISIVE for d in differ(a, b).differences)


def test_a_driver_that_is_not_there_is_absent_and_one_that_was_not_read_is_not_known() -> None:
    gone = machine(driver=Driver(module=KernelModule(loaded=False)), nvml=Nvml(status="LIBRARY_NOT_FOUND"))
    unread = machine(driver=None, nvml=None)
    assert facts(differ(machine(), gone))["driver.version"] == ("580.159.04", False)
    assert facts(differ(machine(), unread))["driver.version"] == ("580.159.04", None)


def test_sides_may_be_swapped() -> None:
    there, back = differ(machine(), OLD_DRIVER), differ(OLD_DRIVER, machine())
    assert {(d.fact, d.a, d.b) for d in there.differences} == {(d.fact, d.b, d.a) for d in back.differences}
    assert there.findings.only_b == back.findings.only_a
