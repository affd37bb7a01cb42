"""refcnn.export: does the exported model compute what torch computes?

Measures    ONNX export of the reference CNN (32 pixels, 10 classes, weights from the seed), then the logits of 16 digits by
            onnxruntime on the CPU against torch's. --data CHECKPOINT exports that one.
Gate        relative L2 <= 1e-5, largest difference <= 1e-4 of the largest logit, the same class for each image
            (pipeline/export.py). Beyond: invalid.
Unit        1 (both errors, agreement), s, GB (10^9 bytes).
Needs       onnx, onnxruntime, onnxscript.
Source      measured here between torch 2.13 and onnxruntime 1.32: relative L2 2e-7 to 1.2e-6.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path
from typing import Tuple

from benchmarks.data.load import load
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device
from benchmarks.models.simple_cnn import SimpleCNN
from benchmarks.pipeline import checkpoint, export, finetune
from benchmarks.pipeline.errors import PipelineError, install
from benchmarks.pipeline.model import build
from benchmarks.pipeline.prepare import Preparation
from benchmarks.pipeline.recipes import settings_for

VERSION = 1
IMAGES = 16


def unavailable(member: str, device: Device) -> str:
    missing = [name for name in export.PACKAGES if importlib.util.find_spec(name) is None]
    words = " ".join(missing)
    return "not installed: {}; {}".format(words, install(words)) if missing else ""


def measure(context: Context) -> Result:
    try:
        model, digest = _model(context)
    except PipelineError as error:
        raise ValueError(str(error)) from error
    settings = settings_for({"data": "digits", "size": model.size})
    parts = load(settings)
    context.declare(VERSION, {"size": model.size, "weights": digest, "images": IMAGES, "data_digest": parts.digest}, {})
    context.progress("check", 0)
    images = Preparation(parts.mean, parts.std, settings, False).for_evaluation(parts.test.pixels[:IMAGES])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        begun = time.monotonic()
        found = export.export_onnx(model, images, path)
        seconds = time.monotonic() - begun
        objection = export.objection(found, path)
        if objection:
            context.invalid(objection)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    context.detail("files", found.files)
    context.detail("onnxruntime", found.onnxruntime)
    return context.result(
        {
            "relative_error": context.figure(found.relative, "1", "lower"),
            "largest_error": context.figure(found.largest, "1", "lower"),
            "argmax_agreement": context.figure(float(found.argmax_equal), "1"),
            "seconds": context.figure(seconds, "s", "lower"),
            "file_size": context.figure(size / 1e9, "GB", "lower"),
        }
    )


def _model(context: Context) -> Tuple[SimpleCNN, str]:
    if context.data is None:
        model = build(10, 32, 0.5, context.seed)
    else:
        weights = checkpoint.load(Path(context.data))["model"]
        finetune.require_backbone(weights, context.data)
        model = SimpleCNN(classes=len(weights["fc2.bias"]), size=finetune.size_of(weights) or 224)
        model.load_state_dict(weights)
    return model, checkpoint.digest(model.state_dict())
