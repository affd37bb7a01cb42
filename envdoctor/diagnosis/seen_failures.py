"""What failed on a machine that was looked at, as it was seen there: whoever may explain it, it was seen.

A failure that was seen is never called healthy: `torch-failure-unexplained` reports it where no cause is known, and
`conclusion.py` asks here before it calls anything healthy. A dump is somebody else's account of a machine, with gaps of its own,
and shows nothing here.
"""

from __future__ import annotations

import msgspec

from envdoctor.diagnosis.architecture import has_code
from envdoctor.diagnosis.snapshot_queries import is_tegra, is_wsl, plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import CudaDriver, Gpu
from envdoctor.facts.sections.interpreter import TorchRun
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import visible_gpus
from envdoctor.planning.visible_devices import select_devices
from envdoctor.reading.case import LIVE

NO_DEVICE = 100
MOST_TRIED = 16
"""The import's child looks at no more devices."""
NO_DRIVER = ("LIBRARY_NOT_FOUND", "DRIVER_NOT_LOADED")
"""NVML's words where there is no driver, or none that runs: nothing failed, something is not there."""


class Seen(msgspec.Struct, frozen=True):
    """One failure: what a person is told of it, and the facts that show it."""

    summary: str
    evidence: tuple[Evidence, ...] = ()


def seen_failure(machine: Snapshot, world: Knowledge) -> Seen | None:
    """The failure that was seen first, in the order in which a program would meet them; None where none was seen."""
    if machine.source != LIVE:
        return None
    torch = machine.torch
    run = torch.run if torch else None
    if run is not None and (said := _import(run) or _on_the_gpu(machine, run, world) or _companions(run)) is not None:
        return said
    return _without_cuda(machine, world)


def lacks_gpu(machine: Snapshot, world: Knowledge) -> bool:
    """Whether this machine is known to have no NVIDIA GPU of its own: its bus shows none, and no driver does either.

    Under WSL, and on a Jetson, the GPU is on no bus; there it is the driver's library that must be missing.
    """
    if machine.nvidia_devices != () or visible_gpus(machine, world):
        return False
    cuda = machine.cuda_driver
    return not _off_the_bus(machine) or bool(cuda and cuda.library_missing)


def _import(run: TorchRun) -> Seen | None:
    stage = f" (at: {run.stage})" if run.stage else ""
    error = _quoted(("torch.run.error", run.error))
    if run.outcome == "import-error":
        return Seen("torch is installed, and importing it fails.", error)
    if run.outcome == "crash":
        how = run.signal or f"exit code {run.exit_code}"
        return Seen(f"Python died with {how} while it imported or tried torch{stage}.", error)
    if run.outcome == "timeout":
        return Seen(f"torch was imported or tried for too long and did not come back{stage}.", error)
    if run.outcome == "ok" and run.cuda_available is None and run.cuda_error is not None:
        return Seen("torch.cuda.is_available() raises an error.", _quoted(("torch.run.cuda_error", run.cuda_error)))
    return None


def _on_the_gpu(machine: Snapshot, run: TorchRun, world: Knowledge) -> Seen | None:
    """What torch could not do with a GPU that it sees."""
    for name, what, said in (
        ("computation", "A tiny computation on the GPU", run.computation),
        ("cudnn_convolution", "A small convolution on the GPU", run.cudnn_convolution),
    ):
        # One GPU of several without code in this build is a warning of its own, and all that there is to say.
        if said in (None, "ok") or ("no kernel image" in said and has_code(machine, world) is False):
            continue
        words = f"{what} gives wrong numbers." if said == "wrong" else f"{what} fails."
        return Seen(words, (fact(f"torch.run.{name}", said),))
    if run.cuda_available and run.cuda_error is not None:
        return Seen("torch cannot ask a GPU for its properties.", _quoted(("torch.run.cuda_error", run.cuda_error)))
    if not run.cuda_available or run.devices is None:
        return None
    expected = _expected(machine)
    if expected is None or len(run.devices) >= min(len(expected), MOST_TRIED):
        return None
    return Seen(
        f"The driver shows {len(expected)} GPUs, and torch sees {len(run.devices)} of them.",
        (fact("nvml.gpus", plain_list([gpu.name or f"GPU {gpu.index}" for gpu in expected])),
         fact("torch.run.devices", len(run.devices))),
    )  # fmt: skip


def _expected(machine: Snapshot) -> list[Gpu] | None:
    """The GPUs that every CUDA program here should see; None where that cannot be told."""
    gpus, nodes = machine.gpus, (machine.driver.device_nodes or ()) if machine.driver else ()
    # CUDA shows one MIG instance in place of all GPUs; a lost GPU, or one whose node is shut, has a cause of its own.
    if (
        not gpus
        or machine.environment is None
        or any(gpu.mig_enabled or gpu.lost or gpu.unavailable.get("name") for gpu in gpus)
    ):
        return None
    if any(node.error in ("EACCES", "EPERM") for node in nodes):
        return None
    selection = machine.variable("CUDA_VISIBLE_DEVICES")
    if selection is None:
        return list(gpus)
    chosen, invalid = select_devices(selection, gpus)
    return None if invalid is not None else [gpus[place] for place in chosen]


def _companions(run: TorchRun) -> Seen | None:
    for name, what, said in (
        ("numpy", "NumPy fails together with torch.", run.numpy),
        ("torchvision", "torchvision's operators fail to load into torch.", run.torchvision),
    ):
        if said not in (None, "ok"):
            return Seen(what, (fact(f"torch.run.{name}", said),))
    return None


def _without_cuda(machine: Snapshot, world: Knowledge) -> Seen | None:
    """CUDA does not start, or torch does not see a GPU that is there."""
    torch, cuda = machine.torch, machine.cuda_driver
    run = torch.run if torch else None
    if torch is not None and torch.build not in ("cuda", None):
        return None  # somebody wants no CUDA here, or `torch-cpu-only` says so
    works = run is not None and bool(run.cuda_available or run.computation == "ok")
    if works or lacks_gpu(machine, world):
        return None
    refused = run is not None and run.cuda_available is False
    start = _start(cuda)
    gpus = visible_gpus(machine, world)
    if gpus and (start is not None or refused):
        summary = "A GPU is there, and torch.cuda.is_available() is False." if refused else ""
        return Seen(" ".join(filter(None, (summary, start))), _words(machine))
    # Nobody shows a GPU; but a driver is there that fails otherwise than for want of one.
    code = cuda.init_code if cuda else None
    if start is not None and code not in (None, 0, NO_DEVICE):
        return Seen(start, _words(machine))
    if start is not None and cuda is not None and cuda.outcome in ("timeout", "crash"):
        return Seen(start, _words(machine))
    nvml = machine.nvml
    if refused and nvml is not None and nvml.working is False and nvml.status not in NO_DRIVER:
        return Seen("NVML fails, and torch.cuda.is_available() is False.", _words(machine))
    return None


def _start(cuda: CudaDriver | None) -> str | None:
    """How CUDA's start failed."""
    if cuda is None:
        return None
    if cuda.outcome == "timeout":
        return "cuInit, with which every CUDA program starts, does not come back."
    if cuda.outcome == "crash":
        return "cuInit, with which every CUDA program starts, ends the process."
    if cuda.init_code:
        name = f" ({cuda.init_name})" if cuda.init_name and not cuda.init_name.isdigit() else ""
        return f"CUDA does not start: cuInit answers {cuda.init_code}{name}."
    return "CUDA starts, and lists no GPU." if cuda.init_code == 0 and cuda.device_count == 0 else None


def _words(machine: Snapshot) -> tuple[Evidence, ...]:
    """What CUDA, NVML and torch said of it."""
    cuda, nvml = machine.cuda_driver, machine.nvml
    run = machine.torch.run if machine.torch else None
    facts: list[Evidence] = []
    if cuda is not None and cuda.init_code is not None:
        facts.append(fact("cuda_driver.init_code", cuda.init_code))
    if cuda is not None and cuda.outcome in ("timeout", "crash"):
        facts.append(fact("cuda_driver.outcome", cuda.outcome))
    if nvml is not None and nvml.working is False:
        facts.append(fact("nvml.status", nvml.status))
    if run is not None:
        facts += [fact("torch.run.warnings", warning) for warning in run.warnings[:2]]
        if run.cuda_error is not None and not any(run.cuda_error.partition(": ")[2][:60] in w for w in run.warnings):
            facts.append(fact("torch.run.cuda_error", run.cuda_error))
    return tuple(facts)


def _off_the_bus(machine: Snapshot) -> bool:
    return is_wsl(machine) or is_tegra(machine)


def _quoted(*said: tuple[str, str | None]) -> tuple[Evidence, ...]:
    return tuple(fact(name, text) for name, text in said if text)
