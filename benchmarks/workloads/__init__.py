"""The table of workloads: imports nothing, so that it can be listed without torch.

To add one, write its file with `measure(context) -> Result` and add it here. A module may also have
`unavailable(member, device)`: why that member cannot run on that device, '' where it can; it is then skipped before the time is
shared out.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Tuple, Union

QUICK, STANDARD, FULL, SOAK = "quick", "standard", "full", "soak"
TRUTH = {"true": True, "1": True, "false": False, "0": False}
ALL = (QUICK, STANDARD, FULL)
LONG = (STANDARD, FULL)


Option = Union[type, Tuple[str, ...]]
SIZE: Mapping[str, Option] = {"size": int}
BATCH: Mapping[str, Option] = {"batch": int, "compile": bool}
REFCNN: Mapping[str, Option] = {"tier": ("224", "112", "32"), "batch": int, "ladder": bool}


@dataclass(frozen=True)
class Entry:
    """A workload: the module that measures it, and how much of a suite's time it gets beside the others.

    options: what --parameter may change: int (from 1), bool, or the values to choose from. reads_data: --data is for it.
    """

    module: str
    summary: str
    suites: Tuple[str, ...]
    weight: float = 1.0
    options: Mapping[str, Option] = field(default_factory=dict)
    reads_data: bool = False

    def load_module(self) -> Any:
        return importlib.import_module("." + self.module, __name__)

    def load(self) -> Callable[[Any], Any]:
        measure: Callable[[Any], Any] = self.load_module().measure
        return measure


# Ceilings first, and the copy before all: what comes later is held against them.
WORKLOADS: Dict[str, Entry] = {
    "memory.copy": Entry("memory", "device copy, read and written", ALL),
    "memory.triad": Entry("memory", "STREAM triad", LONG, 0.7),
    "memory.rmw": Entry("memory", "read, modify, write in place", LONG, 0.7),
    "matmul.fp32": Entry("matmul", "IEEE fp32 matrix products, square and skinny", ALL, 1.3, options=SIZE),
    "matmul.tf32": Entry("matmul", "TF32 matrix products, square and skinny", LONG, 1.3, options=SIZE),
    "matmul.bf16": Entry("matmul", "bf16 matrix products, square and skinny", ALL, 1.3, options=SIZE),
    "matmul.fp16": Entry("matmul", "fp16 matrix products, square and skinny", LONG, 1.3, options=SIZE),
    "matmul.fp8": Entry("matmul", "fp8 (e4m3) matrix products, square and skinny", LONG, 1.3, options=SIZE),
    "transfer.h2d.pinned": Entry("transfer", "host to device, page-locked memory", ALL, 0.7),
    "transfer.h2d.pageable": Entry("transfer", "host to device, ordinary memory (on a CPU: host to host)", LONG, 0.7),
    "transfer.d2h.pinned": Entry("transfer", "device to host, page-locked memory", LONG, 0.7),
    "transfer.d2h.pageable": Entry("transfer", "device to host, ordinary memory", LONG, 0.7),
    "launch.stream": Entry("launch", "kernels that do nothing, back to back", ALL, 0.7),
    "launch.graph": Entry("launch", "a CUDA graph of 100 kernels that do nothing", LONG, 0.7),
    "launch.dispatch": Entry("launch", "an operation that does nothing, on the CPU", LONG, 0.4),
    "conv.fwd": Entry("conv", "3x3 convolutions, forward", LONG, 2.4),
    "conv.dgrad": Entry("conv", "3x3 convolutions, gradient of the data", LONG, 2.4),
    "conv.wgrad": Entry("conv", "3x3 convolutions, gradient of the weights", LONG, 2.4),
    "resnet50.train": Entry("resnet50", "ResNet-50 training (torchvision)", LONG, 2.0, BATCH),
    "transformer.train": Entry("transformer", "a GPT-2-shaped transformer's training", LONG, 2.0, BATCH),
    "refcnn.train": Entry(
        "refcnn_train", "the reference CNN's training, the article's loop and tuned", ALL, 3.0, REFCNN
    ),
    "refcnn.digits": Entry(
        "refcnn_digits", "the reference CNN on real images, to accuracy", LONG, 2.0, {"epochs": int, "size": int}
    ),
    "refcnn.finetune": Entry("refcnn_finetune", "a pretrained backbone against training from scratch", (FULL,), 3.0),
    "refcnn.export": Entry("refcnn_export", "ONNX export and onnxruntime parity", LONG, reads_data=True),
    "ablation.compile": Entry("ablation", "what torch.compile buys the reference CNN", (FULL,), 4.0),
    "ablation.amp": Entry("ablation", "what autocast buys the reference CNN", (FULL,)),
    "ablation.channels_last": Entry("ablation", "what channels_last buys the reference CNN", (FULL,)),
    "loader.article": Entry("loader", "JPEG files through the article's pipeline", (FULL,), 3.0, reads_data=True),
    "loader.uint8": Entry("loader", "JPEG files to bytes, normalised on the device", (FULL,), 3.0, reads_data=True),
    "loader.feed": Entry("loader", "the reference CNN fed from JPEG files", (FULL,), 3.0, reads_data=True),
    "numerics.matmul": Entry("numerics", "matrix products against float64", ALL, 0.3),
    "numerics.conv": Entry("numerics", "convolutions and their gradients against float64", ALL, 0.3),
    "numerics.gradients": Entry("numerics", "a bf16 training step's gradients against float64", LONG, 0.3),
    "numerics.determinism": Entry("numerics", "equal runs in deterministic mode, bit for bit", LONG, 0.3),
    "soak": Entry("soak", "minutes of products, copies and training, compared bit for bit", (SOAK,)),
}


def select(names: Iterable[str]) -> List[str]:
    """Workloads by name ('matmul.bf16') or by family ('matmul'), in the table's order. Raises ValueError on an unknown one."""
    chosen = set()
    for name in names:
        found = [known for known in WORKLOADS if known == name or known.startswith(name + ".")]
        if not found:
            families = sorted({known.partition(".")[0] for known in WORKLOADS})
            raise ValueError("no workload {!r}; there are: {}".format(name, ", ".join(families)))
        chosen.update(found)
    return [known for known in WORKLOADS if known in chosen]


def suite(name: str) -> List[str]:
    """The workloads of a suite."""
    return [known for known, entry in WORKLOADS.items() if name in entry.suites]


def check_parameters(names: Iterable[str], parameters: Mapping[str, str]) -> List[str]:
    """The parameters that none of these workloads has. Raises ValueError for what no workload has, and for a wrong value."""
    entries = [WORKLOADS[name] for name in names]
    unused = []
    for key, text in parameters.items():
        known = sorted({option for entry in WORKLOADS.values() for option in entry.options})
        if key not in known:
            raise ValueError("--parameter {}={}: no workload has it; there are {}".format(key, text, ", ".join(known)))
        kinds = [entry.options[key] for entry in entries if key in entry.options]
        for kind in kinds:
            parsed(key, text, kind)
        if not kinds:
            unused.append(key)
    return unused


def parsed(key: str, text: str, kind: Option) -> Any:
    """A --parameter's value. Raises ValueError naming it."""
    if isinstance(kind, tuple):
        if text in kind:
            return text
        wanted = "one of " + ", ".join(kind)
    elif kind is bool:
        if text.lower() in TRUTH:
            return TRUTH[text.lower()]
        wanted = "true or false"
    else:
        if text.isdigit() and int(text) >= 1:
            return int(text)
        wanted = "a whole number from 1"
    raise ValueError("--parameter {}={}: it must be {}".format(key, text, wanted))
