"""The diagnoses of containers and of WSL."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import DeviceNode, Driver, DriverLibrary, KernelModule, Package
from envdoctor.facts.sections.gpu import CudaDriver, Nvml
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution
from envdoctor.facts.sections.interpreter import TorchRun
from tests.diagnosis.snapshots import UBUNTU, commands, finding, found, gpu, interpreter, judge, machine, module, nvml
from tests.diagnosis.snapshots import torch as torch_of

DOCKER = Container(kind="docker")
FAILS = interpreter(torch_of(run=TorchRun(outcome="ok", cuda_available=False)))
NO_NODES = Driver(
    module=KernelModule(loaded=True, version="580.159.04"),
    device_nodes=(DeviceNode(path="/dev/nvidiactl", exists=False), DeviceNode(path="/dev/nvidia-uvm", exists=False)),
)
NO_LIBRARY = CudaDriver(library_missing=True, load_error="libcuda.so.1: cannot open shared object file")
NO_NVML = Nvml(source="nvml", status="LIBRARY_NOT_FOUND")


def primary(snapshot: Snapshot) -> str | None:
    first = judge(snapshot).primary
    return first.code if first else None


# --- container-no-gpu --------------------------------------------------------------------------------------------------


def bare(**more: Any) -> Snapshot:
    """A container on a machine with a GPU, started without --gpus."""
    sections: dict[str, Any] = {
        "container": DOCKER,
        "driver": NO_NODES,
        "nvml": NO_NVML,
        "cuda_driver": NO_LIBRARY,
        "interpreter": FAILS,
    }
    return machine(**{**sections, **more})


def test_a_container_without_gpus_is_started_with_them() -> None:
    seen = bare()
    said = found("container-no-gpu", seen)
    assert "--gpus all" in commands(said) and "nvidia-ctk runtime configure" in commands(said)
    assert primary(seen) == "container-no-gpu"
    assert [f.code for f in judge(seen).findings if f.consequence_of is None] == ["container-no-gpu"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("podman", "--device nvidia.com/gpu=all"),
        ("kubernetes", "nvidia.com/gpu: 1"),
        ("apptainer", "apptainer exec --nv"),
    ],
)
def test_each_engine_is_told_in_its_own_words(kind: str, words: str) -> None:
    assert words in commands(found("container-no-gpu", bare(container=Container(kind=kind))))


def test_a_libcuda_in_the_image_does_not_hide_missing_nodes() -> None:
    in_image = CudaDriver(outcome="ok", init_code=100, device_count=0, library="/usr/lib/libcuda.so.1")
    assert primary(bare(cuda_driver=in_image)) == "container-no-gpu"


def test_a_host_whose_driver_is_not_running_is_repaired_first() -> None:
    off = Driver(module=KernelModule(loaded=False), device_nodes=NO_NODES.device_nodes)
    said = found("container-no-gpu", bare(driver=off))
    assert "not running" in said.summary and "host" in said.fixes[0].title


def test_capabilities_without_compute_are_named() -> None:
    seen = machine(
        container=DOCKER,
        cuda_driver=NO_LIBRARY,
        interpreter=FAILS,
        environment={"NVIDIA_DRIVER_CAPABILITIES": "utility"},
    )
    said = found("container-no-gpu", seen)
    assert "'utility'" in said.summary and "compute,utility" in commands(said)


def test_dockers_refusal_on_the_host_asks_for_the_toolkit() -> None:
    lines = ('docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',)
    said = found("container-no-gpu", machine(messages=lines))
    assert "apt-get install -y nvidia-container-toolkit" in commands(said) and "dnf" not in commands(said)


def test_the_variable_that_hides_the_gpus_is_the_cause_where_it_is_set() -> None:
    seen = bare(environment={"NVIDIA_VISIBLE_DEVICES": "void"})
    assert primary(seen) == "visible-devices-hidden"


@pytest.mark.parametrize(
    "seen",
    [
        bare(pci=()),
        bare(pci=None, driver=Driver()),
        bare(interpreter=interpreter(torch_of("2.15.0+cpu", None))),
        bare(container=Container(kind="none")),
        bare(container=None),
        machine(container=DOCKER),
        bare(cuda_driver=None, interpreter=None),
    ],
    ids=["no GPU in the machine", "bus unknown", "CPU torch", "host", "unknown", "GPUs passed", "CUDA unknown"],
)
def test_a_container_that_needs_no_gpu_or_has_one_is_healthy(seen: Snapshot) -> None:
    assert finding("container-no-gpu", seen) is None


def test_a_cpu_container_on_a_machine_without_gpus_has_no_finding_at_all() -> None:
    cpu = interpreter(torch_of("2.15.0+cpu", None))
    small = msgspec.structs.replace(UBUNTU, shm_total=64 << 20, root=True)
    no_module = Driver(module=KernelModule(loaded=False), device_nodes=NO_NODES.device_nodes, libraries=())
    assert judge(bare(pci=(), interpreter=cpu, host=small, driver=no_module)).findings == ()


# --- container-gpu-detached --------------------------------------------------------------------------------------------

CLOSED = Driver(
    module=KernelModule(loaded=True, version="580.159.04", uvm_loaded=True),
    device_nodes=tuple(
        DeviceNode(path=path, exists=True, error="EPERM")
        for path in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm")
    ),
)
UNKNOWN = Nvml(source="nvml", status="UNKNOWN", status_code=999, message="Failed to initialize NVML: Unknown Error")
BROKEN = CudaDriver(outcome="ok", init_code=999, device_count=0)


def test_a_container_that_lost_its_gpus_is_restarted_and_the_lasting_cure_named() -> None:
    seen = machine(container=DOCKER, driver=CLOSED, nvml=UNKNOWN, cuda_driver=BROKEN, interpreter=FAILS)
    said = found("container-gpu-detached", seen)
    assert "docker restart" in commands(said) and "nvidia-ctk cdi generate" in commands(said)
    assert [f.code for f in judge(seen).findings if f.consequence_of is None] == ["container-gpu-detached"]


def test_nvidia_smis_sentence_alone_is_half_sure() -> None:
    dump = Snapshot(source="collect_env", nvml=UNKNOWN, messages=("Failed to initialize NVML: Unknown Error",))
    said = found("container-gpu-detached", dump)
    assert said.confidence == 0.5 and "dmesg" in said.summary


@pytest.mark.parametrize(
    "sections",
    [
        {"container": Container(kind="none"), "nvml": UNKNOWN, "cuda_driver": BROKEN, "interpreter": FAILS},
        {"container": DOCKER, "driver": CLOSED},
        {"container": DOCKER, "driver": NO_NODES, "nvml": UNKNOWN, "cuda_driver": BROKEN, "interpreter": FAILS},
    ],
    ids=["on a host", "works", "nodes missing"],
)
def test_unknown_errors_elsewhere_are_no_detached_container(sections: dict[str, Any]) -> None:
    assert finding("container-gpu-detached", machine(**sections)) is None


# --- wsl-driver-problem ------------------------------------------------------------------------------------------------

WSL = Host(
    system="Linux",
    architecture="x86_64",
    kernel="5.15.153.1-microsoft-standard-WSL2",
    wsl=2,
    distribution=LinuxDistribution(id="ubuntu", version_id="24.04", like=("debian",)),
)
DXG = DeviceNode(path="/dev/dxg", exists=True)
RIGHT = "/usr/lib/wsl/lib/libcuda.so.1"


def wsl(cuda: CudaDriver, driver: Driver | None = None, **more: Any) -> Snapshot:
    sections: dict[str, Any] = {
        "host": WSL,
        "pci": (),
        "driver": driver or Driver(device_nodes=(DXG,)),
        "cuda_driver": cuda,
        "interpreter": FAILS,
    }
    return machine(**{**sections, **more})


def failed(library: str | None = RIGHT, code: int = 100) -> CudaDriver:
    return CudaDriver(outcome="ok", init_code=code, device_count=0, library=library)


def test_a_linux_libcuda_inside_wsl_is_removed() -> None:
    linux = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
    seen = wsl(failed(linux), Driver(libraries=(DriverLibrary(name="libcuda.so.1", path=linux, version="550.54.14"),)))
    said = found("wsl-driver-problem", seen)
    assert linux in said.summary and "apt-get remove" in commands(said) and "wsl.exe --shutdown" in commands(said)
    assert primary(seen) == "wsl-driver-problem"


def test_a_linux_driver_package_inside_wsl_is_removed() -> None:
    packages = (Package(name="nvidia-driver-550", version="550.54.14-0ubuntu1"),)
    assert "nvidia-driver-550" in found("wsl-driver-problem", wsl(failed(), Driver(packages=packages))).summary


def test_a_loader_that_does_not_look_into_wsls_folder_is_told() -> None:
    assert "ld.so.conf.d" in commands(found("wsl-driver-problem", wsl(CudaDriver(library_missing=True))))


def test_a_missing_dxg_and_a_failing_windows_driver_ask_for_updates() -> None:
    gone = Driver(device_nodes=(DeviceNode(path="/dev/dxg", exists=False),))
    assert "/dev/dxg is missing" in found("wsl-driver-problem", wsl(failed(), gone)).summary
    assert "wsl --update" in commands(found("wsl-driver-problem", wsl(failed(code=999))))


def test_wsl_1_is_converted_for_a_cuda_build() -> None:
    first = msgspec.structs.replace(WSL, wsl=1)
    said = found("wsl-driver-problem", wsl(CudaDriver(library_missing=True), nvml=NO_NVML, host=first))
    assert "--set-version" in commands(said)


@pytest.mark.parametrize(
    "seen",
    [
        wsl(CudaDriver(outcome="ok", init_code=0, device_count=1, library=RIGHT)),
        wsl(CudaDriver(library_missing=True), nvml=NO_NVML),
        wsl(failed(), nvml=Nvml(source="nvml", status="SUCCESS", gpus=())),
        wsl(failed(), environment={"CUDA_VISIBLE_DEVICES": ""}),
        machine(cuda_driver=failed("/usr/lib/x86_64-linux-gnu/libcuda.so.1"), interpreter=FAILS),
        wsl(CudaDriver(), interpreter=None),
    ],
    ids=["works", "no NVIDIA driver in Windows", "no GPU", "hidden", "not WSL", "unknown"],
)
def test_wsl_without_a_fault_of_its_own_is_left_alone(seen: Snapshot) -> None:
    assert finding("wsl-driver-problem", seen) is None


# --- shm-too-small -----------------------------------------------------------------------------------------------------


def with_shm(size: int | None, container: Container | None = DOCKER, **more: Any) -> Snapshot:
    return machine(host=msgspec.structs.replace(UBUNTU, shm_total=size), container=container, **more)


def test_dockers_64_mib_are_a_warning_with_the_engines_option() -> None:
    said = found("shm-too-small", with_shm(64 << 20))
    assert said.severity is Severity.WARNING and "--shm-size=8g" in commands(said)
    assert "emptyDir" in commands(found("shm-too-small", with_shm(64 << 20, Container(kind="kubernetes"))))


def test_a_workers_bus_error_is_an_error() -> None:
    lines = (
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
    )
    assert found("shm-too-small", Snapshot(source="collect_env", messages=lines)).severity is Severity.ERROR


@pytest.mark.parametrize(
    "seen",
    [
        with_shm(64 << 20, Container(kind="none")),
        with_shm(8 << 30),
        with_shm(None),
        with_shm(64 << 20, None),
        with_shm(64 << 20, pci=(), nvml=NO_NVML),
    ],
    ids=["host", "large", "unknown", "container unknown", "no GPU"],
)
def test_shared_memory_is_enough_elsewhere(seen: Snapshot) -> None:
    assert finding("shm-too-small", seen) is None


def test_a_healthy_container_with_gpus_has_no_finding_at_all() -> None:
    assert judge(with_shm(8 << 30, nvml=nvml(gpu()), driver=module(flavour="open"))).findings == ()
