"""Live machines as facts on which nothing is wrong, though something about them looks as if it were."""

from __future__ import annotations

from msgspec.structs import replace

from envdoctor.facts.model import ProbeReport, Snapshot
from envdoctor.facts.sections.driver import DeviceNode, Driver, KernelModule
from envdoctor.facts.sections.gpu import CudaDriver, MigInstance, Nvml
from envdoctor.facts.sections.host import Host, PciDevice
from envdoctor.facts.sections.interpreter import Interpreter, Torch, TorchDevice, TorchRun
from tests.diagnosis.population import computing, healthy
from tests.machines.fault_matrix import cuda_ends, kinds, not_tried, nvml_fails, run, with_run


def near_misses() -> dict[str, Snapshot]:
    machines = kinds()
    station, board = machines["workstation"], machines["8x H100"]
    return {
        **machines,
        **{f"{kind}, --fast": not_tried(machine) for kind, machine in machines.items() if kind != "Jetson"},
        **_without_gpus(),
        **_chosen(board),
        "NVML fails, torch computes": nvml_fails("UNKNOWN", 999)(station),
        "NVML out of time, torch computes": replace(
            station, nvml=None, probes=(ProbeReport(name="nvml", outcome="timeout", seconds=10.0),)
        ),
        "cuInit out of time, torch computes": cuda_ends("timeout")(station),
        "no NumPy, no torchvision": run(numpy=None, torchvision=None)(station),
        "no cuDNN in the build": run(cudnn_convolution=None)(station),
        "warnings of nothing": run(
            warnings=("The pynvml package is deprecated. Please install nvidia-ml-py instead.",), stderr="loading ..."
        )(station),
        "a card passed through to a guest": replace(
            station,
            pci=(
                *(station.pci or ()),
                PciDevice(address="0000:f1:00.0", vendor="10de", device="2684", class_code="030000", driver="vfio-pci"),
            ),
        ),
        "a card of another vendor without a driver": replace(
            station,
            pci=(
                *(station.pci or ()),
                PciDevice(address="0000:f1:00.0", vendor="1002", device="744c", class_code="030000", driver=""),
            ),
        ),
        "more GPUs than are tried": _sixteen_of(computing(20, "Tesla T4", "1eb8", "7.5")),
    }


def _without_gpus() -> dict[str, Snapshot]:
    cpu = healthy()["CPU only"]
    cuda = _with_torch(cpu, Torch(version="2.15.0+cu132", build="cuda", cuda="13.2"))
    sees_none = TorchRun(
        outcome="ok", cuda_available=False, device_count=0, numpy="ok",
        cuda_error="RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
    )  # fmt: skip
    tried = with_run(cuda, sees_none)
    library = CudaDriver(
        library="/usr/lib/x86_64-linux-gnu/libcuda.so.1", library_missing=False, outcome="ok", init_code=100,
        init_name="CUDA_ERROR_NO_DEVICE", version="13.0",
    )  # fmt: skip
    image = replace(tried, nvml=Nvml(source="nvml", status="DRIVER_NOT_LOADED", status_code=9), cuda_driver=library)
    amd = PciDevice(address="0000:03:00.0", vendor="1002", device="744c", class_code="030000", driver="amdgpu")
    rocm = Torch(version="2.15.0+rocm7.14", build="rocm", hip="7.14", run=TorchRun(outcome="ok", cuda_available=True,
                 device_count=1, devices=(TorchDevice(index=0, name="AMD Radeon RX 7900 XTX"),), computation="ok"))  # fmt: skip
    return {
        "a CPU build and no GPU": cpu,
        "a CUDA build and no GPU": tried,
        "a CUDA build, no GPU, quiet": with_run(cuda, replace(sees_none, cuda_error=None)),
        "an image with a driver's libraries on a machine without GPU": image,
        "the same, and cuInit has another word for it": replace(image, cuda_driver=replace(library, init_code=3)),
        "ROCm": _with_torch(replace(cpu, pci=(amd,)), rocm),
        "macOS": Snapshot(
            source="live",
            host=Host(system="Darwin", architecture="arm64"),
            pci=None,
            environment={},
            interpreter=replace(
                _interpreter(cpu), torch=Torch(version="2.15.0", build="cpu", arch_flags=(),
                run=TorchRun(outcome="ok", cuda_available=False, mps_available=True, numpy="ok"))
            ),
        ),
        "WSL without an NVIDIA GPU": replace(
            tried,
            host=replace(cpu.host or Host(), wsl=2, kernel="6.6.87.2-microsoft-standard-WSL2"),
            driver=Driver(
                module=KernelModule(loaded=False), libraries=(), packages=(),
                device_nodes=(DeviceNode(path="/dev/dxg", exists=True, readable=True, writable=True),),
            ),
        ),
    }  # fmt: skip


def _interpreter(machine: Snapshot) -> Interpreter:
    assert machine.interpreter
    return machine.interpreter


def _with_torch(machine: Snapshot, torch: Torch) -> Snapshot:
    return replace(machine, interpreter=replace(_interpreter(machine), torch=torch))


def _chosen(board: Snapshot) -> dict[str, Snapshot]:
    """Eight GPUs, of which somebody chose or was given a few."""
    assert board.driver and board.nvml and board.nvml.gpus and board.cuda_driver and board.cuda_driver.devices
    uuids = ",".join(gpu.uuid or "" for gpu in board.nvml.gpus[:2])
    shut = tuple(
        replace(node, readable=False, writable=False, error="EPERM") if node.path[-1] in "234567" else node
        for node in board.driver.device_nodes or ()
    )
    job = replace(board, driver=replace(board.driver, device_nodes=shut))
    instance = (MigInstance(uuid="MIG-1f2e3d4c-0001-5aaa-8bbb-0123456789ab", name="3g.40gb", memory_total=40 << 30),)
    mig = tuple(replace(gpu, mig_enabled=True, mig_pending=True, mig_instances=instance) for gpu in board.nvml.gpus)
    return {
        "two of eight, by number": _first(replace(board, environment={"CUDA_VISIBLE_DEVICES": "0,1"}), 2),
        "two of eight, by name": _first(replace(board, environment={"CUDA_VISIBLE_DEVICES": uuids}), 2),
        "a batch job with two of eight": _first(job, 2),
        "an environment that is not known": _first(replace(board, environment=None), 2),
        "one instance of eight GPUs with MIG": replace(_first(board, 1), nvml=replace(board.nvml, gpus=mig)),
    }


def _first(board: Snapshot, number: int) -> Snapshot:
    assert (
        board.torch and board.torch.run and board.torch.run.devices and board.cuda_driver and board.cuda_driver.devices
    )
    fewer = run(devices=board.torch.run.devices[:number], device_count=number)(board)
    return replace(
        fewer, cuda_driver=replace(board.cuda_driver, devices=board.cuda_driver.devices[:number], device_count=number)
    )


def _sixteen_of(machine: Snapshot) -> Snapshot:
    assert machine.torch and machine.torch.run and machine.torch.run.devices
    return run(devices=machine.torch.run.devices[:16])(machine)
