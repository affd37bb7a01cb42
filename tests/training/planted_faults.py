"""A training process on a device that computes wrongly, for --trainer: `main(FAULT, ROOT)` with the training's own arguments.

The first step's reference is computed in fp32 and the training in bf16; a fault that shows under autocast alone is a fault of the
device, as the pipeline sees it.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any


def main(fault: str, root: str) -> int:
    sys.path.insert(0, root)
    import torch

    from benchmarks.pipeline.command import main as train

    if fault == "export":
        plant_export()
    else:
        torch.nn.functional.conv2d = Faulty(torch.nn.functional.conv2d, sound=0 if fault == "first step" else 6)
    return train(sys.argv[1:])


class Faulty:
    """A convolution that loses half of its channels, from the call after `sound` on."""

    def __init__(self, real: Any, sound: int) -> None:
        self.real, self.sound, self.calls = real, sound, 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        import torch

        out = self.real(*arguments, **options)
        if out.dtype != torch.bfloat16:
            return out
        self.calls += 1
        if self.calls <= self.sound:
            return out
        mask = torch.ones(out.shape[1], dtype=out.dtype)
        mask[::2] = 0
        return out * mask[:, None, None] if self.sound == 0 else out * 0


def plant_export() -> None:
    """Stands for onnx and onnxruntime: what is written is loaded, and computes a thousandth too much."""
    from benchmarks.pipeline import export

    exported: list[Any] = []

    def write(model: Any, images: Any, path: Path) -> dict[str, str]:
        exported.append(model)
        assert len(images) > 1
        path.write_bytes(b"onnx")
        return {path.name: hashlib.sha256(b"onnx").hexdigest()}

    class InferenceSession:
        def __init__(self, *_arguments: Any, **_options: Any) -> None:
            pass

        def run(self, _names: Any, inputs: dict[str, Any]) -> list[Any]:
            import torch

            return [(exported[0](torch.from_numpy(inputs["images"])) * 1.001).detach().numpy()]

    runtime = types.ModuleType("onnxruntime")
    runtime.__spec__ = importlib.machinery.ModuleSpec("onnxruntime", None)
    runtime.__version__ = "1.32.0"  # type: ignore[attr-defined]
    runtime.InferenceSession = InferenceSession  # type: ignore[attr-defined]
    sys.modules["onnxruntime"] = runtime
    export.require_packages = lambda: None
    export._write = write
