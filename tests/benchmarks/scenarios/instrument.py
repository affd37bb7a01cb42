"""What the instrument does where something is missing, noisy or not a GPU: facts for test_instrument.py, as one JSON object."""

from __future__ import annotations

import json
import resource
import sys
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.data.bundled import synthetic
from benchmarks.harness import allocator, failures
from benchmarks.harness.context import Context, Skip
from benchmarks.harness.device import Device, is_mig
from benchmarks.harness.events import Events
from benchmarks.harness.roofline import Ceilings
from benchmarks.harness.timing import Rules, Timing
from benchmarks.pipeline.model import build
from benchmarks.pipeline.prepare import Preparation
from benchmarks.pipeline.settings import Settings, article_knobs, tuned_knobs
from benchmarks.pipeline.step import TrainingStep
from benchmarks.workloads import ablation, loader, refcnn_train, soak

warnings.simplefilter("ignore")
CPU = torch.device("cpu")
found: dict[str, Any] = {}


class Silent(Events):
    def __init__(self) -> None:
        self.said: list[Any] = []

    def emit(self, event: str, **fields: Any) -> None:
        self.said.append((event, fields))


def context(name: str, **more: Any) -> Context:
    device = Device()
    rules = Rules(target=0.5, least_s=0.01, warmup_s=0.0, min_samples=3, min_blocks=1, block_s=0.01)
    return Context(name, device, Silent(), Ceilings(device), rules, budget_s=5.0, **more)


# --- what the host waits for in a step -----------------------------------------------------------------------------------
# torch's `meta` device stands for a GPU: it has no memory, so whatever would read a number from it raises, and every copy to it
# is seen. Only from page-locked memory, asynchronously, is a copy one that nobody waits for.


class Waits(TorchDispatchMode):  # type: ignore[misc]
    """Notes the copies from the host that the host would wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(func)
        source = args[1] if name.startswith("aten.copy_") else args[0] if args else None
        to = args[0].device if name.startswith("aten.copy_") else kwargs.get("device")
        arrives = (
            isinstance(source, torch.Tensor) and source.device.type == "cpu" and to is not None and to.type == "meta"
        )
        waits_not = kwargs.get("non_blocking") or (name.startswith("aten.copy_") and len(args) > 2 and args[2])
        if arrives and not waits_not:
            self.seen.append(name)
        return func(*args, **kwargs)


class Constants(TorchFunctionMode):  # type: ignore[misc]
    """Notes tensors that are made on the device from Python's numbers: they are copied there, and waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu").type == "meta":
            self.seen.append(func.__name__)
        return func(*args, **kwargs)


def waits(knobs: Any, **augmented: Any) -> list[str]:
    """Of the second step and its preparation."""
    settings = Settings(data="synthetic", size=32, batch=8, **augmented)
    gpu = torch.device("meta")
    pixels = torch.zeros(8, 3, 32, 32, dtype=torch.uint8, device=gpu)
    labels = torch.zeros(8, dtype=torch.int64, device=gpu)
    preparation = Preparation((0.5,) * 3, (0.2,) * 3, settings, knobs.channels_last)
    step = TrainingStep(build(10, 32, 0.5, 0), settings, knobs, gpu, 10)
    step(preparation.for_training(pixels), labels)
    with Waits() as copies, Constants() as constants:
        step(preparation.for_training(pixels), labels)
    return [*copies.seen, *constants.seen]


pinning = torch.Tensor.pin_memory
torch.Tensor.pin_memory = lambda self, *_: self
gpu_knobs = replace(tuned_knobs(CPU), precision="fp32", fused=False, compiled=False)
found["waits"] = {
    "tuned": waits(gpu_knobs),
    "article": waits(replace(article_knobs(), prepare_on_device=True)),
    "augmented": waits(gpu_knobs, crop=3, rotation=10.0, flip=True),
}
with Waits() as copies, Constants() as constants:
    torch.as_tensor([1.0, 2.0], device=torch.device("meta"))
    torch.ones(2).to("meta")
found["waits"]["planted"] = copies.seen + constants.seen
torch.Tensor.pin_memory = pinning

# --- without a compiler -----------------------------------------------------------------------------------------------------


def no_compiler(*_: Any, **__: Any) -> Any:
    raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable.")


real = torch.compile
torch.compile = no_compiler
images = synthetic(4, 32, 10, 0)
settings = Settings(data="synthetic", size=32, batch=4)
step = TrainingStep(build(10, 32, 0.5, 0), settings, replace(tuned_knobs(CPU), compiled=True), CPU, 10)
loss, _ = step(Preparation((0.5,) * 3, (0.2,) * 3, settings, True).for_evaluation(images.pixels), images.labels)
found["uncompiled"] = [step.uncompiled_because, step.knobs.compiled, float(loss) > 0]
vars(refcnn_train)["tuned_knobs"] = lambda *given: replace(tuned_knobs(*given), compiled=True)
at = context("refcnn.train", options={"batch": "2"}, preset="tuned", suite="standard")
result = refcnn_train.measure(at)
found["workload without a compiler"] = [result.knobs["tuned"]["compiled"], result.warnings, sorted(result.metrics)]
at = context("refcnn.train", options={"batch": "2"}, preset="tuned", suite="quick")
found["compiled in quick"] = refcnn_train.measure(at).knobs["tuned"]["compiled"]
try:
    ablation.measure(context("ablation.compile"))
except Skip as skip:
    found["ablation without a compiler"] = str(skip)
torch.compile = real

# --- memory that is kept ---------------------------------------------------------------------------------------------------


def faults(steps: int = 20) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        block = torch.ones(10 << 20)  # 40 MiB: more than glibc ever keeps by itself
        del block
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / steps


faults(3)
found["can keep"] = allocator.can_keep()
found["faults"] = [faults()]
with allocator.keeping(True):
    faults(3)
    found["faults"].append(faults())
faults(3)
found["faults"].append(faults())

# --- a ceiling from a bad moment ---------------------------------------------------------------------------------------------

at = context("memory.copy")
speeds = iter((1e9, 3e9))
at.ceilings._measure_copy = lambda: next(speeds)  # type: ignore[method-assign]
taken = Timing(samples=[0.5] * 9)
found["bound"] = [at.bound(lambda: 1e9 / at.ceilings.copy(), taken), at.ceilings.known()]
calm = context("memory.copy")
calm.ceilings.adopt("copy", 1.9e9)
found["bound in a calm moment"] = [calm.bound(lambda: 0.9e9 / calm.ceilings.copy(), taken), calm.ceilings.known()]

# --- words ---------------------------------------------------------------------------------------------------------------------

worker = "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  ...\nRuntimeError: "
found["worker's error"] = failures.message_of(
    RuntimeError(worker + "unable to write to file </torch_1>: No space left on device")
)
found["small shm"] = loader.shared_memory_lacking(16, 64, 224, "article", free=64 << 20)
found["large shm"] = loader.shared_memory_lacking(16, 64, 224, "article", free=8 << 30)
found["soak"] = [soak.drifted("matmul", -0.031), soak.drifted("matmul", 0.029)]
found["mig"] = [is_mig("NVIDIA H100 80GB HBM3 MIG 1g.10gb"), is_mig("NVIDIA H100 80GB HBM3")]
json.dump(found, sys.stdout)
