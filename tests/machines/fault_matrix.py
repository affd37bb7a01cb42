"""Live machines as facts: sound ones of several kinds, every fault that was seen to pass for health, and near-misses.

The facts are those that the probes give: where cuInit fails, torch's words are those that
c10/cuda/CUDAFunctions.cpp has for that error.
`tests/machines/unexplained.py` has some of the same faults as whole machines, on which the real probes make the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from envdoctor.facts.model import ProbeReport, Snapshot
from envdoctor.facts.sections.driver import DeviceNode, Driver, KernelModule
from envdoctor.facts.sections.gpu import CudaDevice, CudaDriver, Nvml
from envdoctor.facts.sections.host import PciDevice
from envdoctor.facts.sections.interpreter import Interpreter, TorchDevice, TorchRun
from tests.diagnosis.population import computing, healthy
from tests.machines.parts import CUDA_12_8, NEW, OLD

Change = Callable[[Snapshot], Snapshot]


NO_DEVICE = 100


def anywhere(machine: Snapshot) -> bool:
    return True


@dataclass(frozen=True)
class Fault:
    """One fault, and the machines that can have it. `seen`: a failure shows, so that it must be a finding; where nothing
    shows, the verdict must be that not enough is known."""

    name: str
    make: Change
    seen: bool = True
    fits: Callable[[Snapshot], bool] = anywhere


# --- sound machines --------------------------------------------------------------------------------------------------------


def kinds() -> dict[str, Snapshot]:
    """Machines on which torch computes, by kind of GPU, torch, driver and surroundings."""
    sound = healthy()
    return {
        "workstation": sound["workstation"],
        "8x H100": sound["NVSwitch server"],
        "container": sound["container"],
        "WSL": sound["WSL"],
        "2x T4": sound["two old cards"],
        "RTX 5090": computing(1, "NVIDIA GeForce RTX 5090", "2b85", "12.0", "2.9.1+cu130", f"{NEW} compute_120"),
        "2x A100, older torch": computing(2, "NVIDIA A100-SXM4-40GB", "20b0", "8.0", "2.7.1+cu126", OLD),
        "V100": _proprietary(computing(1, "Tesla V100-SXM2-16GB", "1db1", "7.0", "2.8.0+cu128", CUDA_12_8)),
        "Jetson": jetson(),
        "a bus that cannot be read": replace(sound["workstation"], pci=None),
        "Windows": windows(),
    }


def _proprietary(machine: Snapshot) -> Snapshot:
    driver = machine.driver
    assert driver and driver.module
    files = tuple(replace(file, flavour="proprietary") for file in driver.module_files or ())
    return replace(
        machine,
        driver=replace(driver, module=replace(driver.module, flavour="proprietary"), module_files=files, packages=()),
    )


def windows() -> Snapshot:
    """Where neither the bus nor the driver's files are looked at."""
    machine = healthy()["workstation"]
    assert machine.host
    host = replace(
        machine.host, system="Windows", architecture="AMD64", kernel="10.0.26100", glibc=None, libstdcxx=None
    )
    return replace(machine, host=host, pci=None, driver=None, logs=None, libraries=None, container=None)


def jetson() -> Snapshot:
    """An AGX Orin: a GPU on no bus, no NVML, and NVIDIA's own torch."""
    board = computing(1, "Orin", "", "8.7", "2.8.0", "sm_87")
    assert board.host and board.cuda_driver and board.interpreter and board.interpreter.torch
    torch = replace(board.interpreter.torch, build="cuda", cuda="12.6")
    library = "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1"
    devices = (CudaDevice(index=0, name="Orin", compute_capability="8.7", memory_total=61 << 30),)
    return replace(
        board,
        host=replace(board.host, architecture="aarch64", kernel="5.15.148-tegra", glibc="2.35", virtualization="none"),
        pci=(),
        nvml=Nvml(source="nvml", status="LIBRARY_NOT_FOUND"),
        driver=Driver(
            module=KernelModule(loaded=False),
            libraries=(),
            device_nodes=(DeviceNode(path="/dev/nvhost-gpu", exists=True, readable=True, writable=True),),
        ),
        cuda_driver=replace(board.cuda_driver, library=library, version="12.6", devices=devices),
        interpreter=replace(board.interpreter, torch=torch),
        logs=None,
    )


# --- parts of faults ---------------------------------------------------------------------------------------------------------


def with_run(machine: Snapshot, run: TorchRun | None) -> Snapshot:
    interpreter = machine.interpreter
    assert interpreter and interpreter.torch
    return replace(machine, interpreter=replace(interpreter, torch=replace(interpreter.torch, run=run)))


def run(**fields: Any) -> Change:
    """torch was tried, and these facts of it are others."""

    def change(machine: Snapshot) -> Snapshot:
        assert machine.torch and machine.torch.run
        return with_run(machine, replace(machine.torch.run, **fields))

    return change


def not_tried(machine: Snapshot) -> Snapshot:
    """As under --fast."""
    return with_run(machine, None)


def sees_none(*words: str, error: str | None = None) -> Change:
    """torch.cuda.is_available() is False; what it warned of, and what torch.cuda.init() raised."""

    def change(machine: Snapshot) -> Snapshot:
        return with_run(
            machine,
            TorchRun(
                outcome="ok", seconds=1.4, cuda_available=False, cuda_error=error, warnings=words, numpy="ok",
                device_count=len(machine.gpus or ()), torchvision="ok",
            ),
        )  # fmt: skip

    return change


def silent(machine: Snapshot) -> Snapshot:
    """torch sees no GPU and says the least that it can."""
    return sees_none(error="RuntimeError: No CUDA GPUs are available")(machine)


def cuda_fails(code: int, name: str) -> Change:
    """cuInit answers with an error, and so no device is counted."""

    def change(machine: Snapshot) -> Snapshot:
        assert machine.cuda_driver
        return replace(
            machine,
            cuda_driver=replace(
                machine.cuda_driver, init_code=code, init_name=name, device_count=None, devices=None, outcome="ok"
            ),
        )

    return change


def cuda_ends(outcome: str) -> Change:
    """cuInit never returns ('timeout'), or ends the process ('crash')."""

    def change(machine: Snapshot) -> Snapshot:
        library = machine.cuda_driver.library if machine.cuda_driver else None
        cuda = CudaDriver(library=library, library_missing=False, version="13.0", outcome=outcome, message="at: cuInit")
        return replace(machine, cuda_driver=cuda)

    return change


def nvml_fails(status: str, code: int | None) -> Change:
    def change(machine: Snapshot) -> Snapshot:
        library = machine.nvml.library if machine.nvml else None
        return replace(machine, nvml=Nvml(source="nvml", library=library, status=status, status_code=code))

    return change


def both(*changes: Change) -> Change:
    def change(machine: Snapshot) -> Snapshot:
        for each in changes:
            machine = each(machine)
        return machine

    return change


def probes_out_of_time(machine: Snapshot) -> Snapshot:
    late = tuple(
        ProbeReport(name=name, outcome="timeout", seconds=10.0, error="no answer within 10 s")
        for name in ("nvml", "cuda_driver")
    )
    return replace(machine, nvml=None, cuda_driver=None, probes=late)


def nobody_else(machine: Snapshot) -> Snapshot:
    """Neither the bus, NVML nor cuInit could be asked."""
    return replace(machine, pci=None, nvml=None, cuda_driver=None)


def without_python(error: str) -> Change:
    return lambda machine: replace(machine, interpreter=Interpreter(executable="/usr/bin/python3", error=error))


def several(machine: Snapshot) -> bool:
    return len(machine.gpus or ()) > 1


def on_bus(machine: Snapshot) -> bool:
    return bool(machine.pci) and not (machine.container and machine.container.inside)


def has_nvml(machine: Snapshot) -> bool:
    return bool(machine.gpus)


# --- faults --------------------------------------------------------------------------------------------------------------------

_UNEXPECTED = (
    "CUDA initialization: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling "
    "NumCudaDevices() that might have already set an error? Error {}: {}"
)
# cuInit's errors, and how the runtime words them; 777777 is none that anybody knows.
CODES = {
    1: ("CUDA_ERROR_INVALID_VALUE", _UNEXPECTED.format(1, "invalid argument")),
    3: (
        "CUDA_ERROR_NOT_INITIALIZED",
        "CUDA initialization: CUDA driver initialization failed, you might not have a CUDA gpu.",
    ),
    36: (
        "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER",
        _UNEXPECTED.format(36, "API call is not supported in the installed CUDA driver"),
    ),
    100: ("CUDA_ERROR_NO_DEVICE", "CUDA initialization: No CUDA GPUs are available"),
    101: ("CUDA_ERROR_INVALID_DEVICE", _UNEXPECTED.format(101, "invalid device ordinal")),
    304: (
        "CUDA_ERROR_OPERATING_SYSTEM",
        _UNEXPECTED.format(304, "OS call failed or operation not supported on this OS"),
    ),
    800: ("CUDA_ERROR_NOT_PERMITTED", _UNEXPECTED.format(800, "operation not permitted")),
    801: ("CUDA_ERROR_NOT_SUPPORTED", _UNEXPECTED.format(801, "operation not supported")),
    802: ("CUDA_ERROR_SYSTEM_NOT_READY", _UNEXPECTED.format(802, "system not yet initialized")),
    803: (
        "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        _UNEXPECTED.format(803, "system has unsupported display driver / cuda driver combination"),
    ),
    999: (
        "CUDA_ERROR_UNKNOWN",
        "CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up environment",
    ),
    777777: ("777777", _UNEXPECTED.format(777777, "unrecognized error code")),
}
STATUSES = {
    "UNKNOWN": 999, "TIMEOUT": None, "CRASH": None, "NOT_SUPPORTED": 3, "GPU_IS_LOST": 15, "777777": 777777,
    "LIB_RM_VERSION_MISMATCH": 18,
}  # fmt: skip
INTERNAL = "RuntimeError: cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"
CONVOLUTIONS = (
    "wrong", INTERNAL, "RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    "RuntimeError: GET was unable to find an engine to execute this computation",
)  # fmt: skip
COMPUTATIONS = (
    "wrong",
    "RuntimeError: CUDA error: an illegal instruction was encountered",
    "RuntimeError: CUDA error: unspecified launch failure",
    "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "RuntimeError: something that nobody knows",
)
SEGFAULT = (
    'SIGSEGV\nFatal Python error: Segmentation fault\nCurrent thread (most recent call first):\n  File "{}", line 1'
)
RAISED = "RuntimeError: something that nobody knows"


def faults() -> Iterator[Fault]:
    for code, (name, words) in CODES.items():
        failing = cuda_fails(code, name)
        quoted = sees_none(words, error=f"RuntimeError: {words.removeprefix('CUDA initialization: ')}")
        fits = has_nvml if code == NO_DEVICE else anywhere
        yield Fault(f"cuInit answers {code}, torch quotes it", both(failing, quoted), fits=fits)
        yield Fault(f"cuInit answers {code}, torch says False", both(failing, silent), fits=fits)
        yield Fault(f"cuInit answers {code}, --fast", both(failing, not_tried), fits=fits)
        yield Fault(f"cuInit answers {code}, no Python", both(failing, without_python("no Python")), fits=fits)
    yield Fault("no device, and nothing that shows one", both(cuda_fails(NO_DEVICE, CODES[NO_DEVICE][0]), silent),
                seen=False, fits=lambda m: not has_nvml(m))  # fmt: skip
    for outcome in ("timeout", "crash"):
        ends = cuda_ends(outcome)
        yield Fault(f"cuInit: {outcome}, torch says False", both(ends, silent))
        yield Fault(f"cuInit: {outcome}, --fast", both(ends, not_tried))
        tried = run(outcome=outcome, stage="is_available", cuda_available=None, computation=None, devices=None)
        yield Fault(f"cuInit: {outcome}, and so does torch", both(ends, tried))
    for status, number in STATUSES.items():
        no_nvml = nvml_fails(status, number)
        yield Fault(f"NVML: {status}, torch sees no GPU", both(no_nvml, silent), fits=has_nvml, seen=False)
        yield Fault(
            f"NVML: {status}, cuInit fails, torch sees no GPU", both(no_nvml, cuda_fails(999, CODES[999][0]), silent)
        )
        yield Fault(f"NVML: {status}, cuInit not tried, --fast", both(no_nvml, lambda m: replace(m, cuda_driver=None), not_tried),
                    seen=False)  # fmt: skip
    yield Fault("torch sees no GPU and says nothing", silent)
    unlooked = sees_none(CODES[999][1], error="RuntimeError: CUDA unknown error")
    yield Fault("torch alone speaks of an error", both(nobody_else, unlooked), seen=False)
    for text in CONVOLUTIONS:
        yield Fault(f"convolution: {text[:50]}", run(cudnn_convolution=text))
    for text in COMPUTATIONS:
        yield Fault(f"product: {text[:50]}", run(computation=text))
    yield Fault("product on the second GPU", run(computation=f"cuda:1: {COMPUTATIONS[1]}"), fits=several)
    yield Fault("convolution on the second GPU", run(cudnn_convolution=f"cuda:1: {INTERNAL}"), fits=several)
    yield Fault("is_available raises", run(cuda_available=None, cuda_error=RAISED, devices=None, computation=None,
                                           cudnn_convolution=None))  # fmt: skip
    yield Fault("properties raise", _without_properties)
    yield Fault("properties of the last raise", _without_last_properties, fits=several)
    yield Fault("torch sees one GPU fewer", _one_fewer, fits=several)
    yield Fault("torch and CUDA see one GPU fewer", both(_one_fewer, _cuda_one_fewer), fits=several)
    for companion in ("numpy", "torchvision"):
        yield Fault(f"{companion} ends Python", run(**{companion: SEGFAULT.format(companion)}))
        yield Fault(f"{companion} raises", run(**{companion: RAISED}))
    yield Fault("a card without a driver", _unbound, fits=on_bus)
    yield Fault("the import ends Python", run(outcome="crash", signal="SIGILL", stage="import", cuda_available=None, devices=None,
                                              computation=None, cudnn_convolution=None))  # fmt: skip
    yield Fault("no end of the import", run(outcome="timeout", stage="import", cuda_available=None, devices=None,
                                            computation=None, cudnn_convolution=None))  # fmt: skip
    yield Fault("no Python", without_python("no Python was found"), seen=False)
    yield Fault("a Python that answers with garbage", without_python("it did not answer as a Python does"), seen=False)
    yield Fault("torch's import answers with garbage", lambda m: with_run(m, TorchRun(outcome="garbage")), seen=False)
    yield Fault("NVML and cuInit out of time, --fast", both(probes_out_of_time, not_tried), seen=False)
    yield Fault("NVML and cuInit out of time, no Python", both(probes_out_of_time, without_python("none")), seen=False)
    yield Fault("nothing known but torch's version", _only_versions, seen=False)
    yield Fault("nothing known", lambda m: Snapshot(source=m.source), seen=False)


def _devices(machine: Snapshot) -> tuple[TorchDevice, ...]:
    assert machine.torch and machine.torch.run
    return machine.torch.run.devices or ()


def _without_properties(machine: Snapshot) -> Snapshot:
    nameless = tuple(TorchDevice(index=device.index) for device in _devices(machine))
    return run(devices=nameless, cuda_error=f"cuda:0: {RAISED}")(machine)


def _without_last_properties(machine: Snapshot) -> Snapshot:
    *first, last = _devices(machine)
    return run(devices=(*first, TorchDevice(index=last.index)), cuda_error=f"cuda:{last.index}: {RAISED}")(machine)


def _one_fewer(machine: Snapshot) -> Snapshot:
    devices = _devices(machine)[:-1]
    return run(devices=devices, device_count=len(devices))(machine)


def _cuda_one_fewer(machine: Snapshot) -> Snapshot:
    assert machine.cuda_driver and machine.cuda_driver.devices
    devices = machine.cuda_driver.devices[:-1]
    return replace(machine, cuda_driver=replace(machine.cuda_driver, devices=devices, device_count=len(devices)))


def _unbound(machine: Snapshot) -> Snapshot:
    """One more RTX 4090 on the bus, with no driver bound to it."""
    card = PciDevice(address="0000:f1:00.0", vendor="10de", device="2684", class_code="030000", driver="")
    return replace(machine, pci=(*(machine.pci or ()), card))


def _only_versions(machine: Snapshot) -> Snapshot:
    return Snapshot(source=machine.source, interpreter=not_tried(machine).interpreter)


def broken() -> Iterator[tuple[str, Snapshot, Fault]]:
    """Every fault on every kind of machine that can have it."""
    for kind, machine in kinds().items():
        for fault in faults():
            if fault.fits(machine):
                yield f"{kind}: {fault.name}", fault.make(machine), fault
