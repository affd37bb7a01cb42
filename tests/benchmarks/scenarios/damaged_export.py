"""refcnn.export of a file in which one weight was changed after it was written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from benchmarks.harness import command
from benchmarks.pipeline import export

compare = export.compare


def damaged(model: Any, images: Any, path: Path) -> Any:
    file = onnx.load(str(path))
    (bias,) = (weight for weight in file.graph.initializer if weight.name == "fc2.bias")
    values = numpy_helper.to_array(bias).copy()
    values[3] += 0.01
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    onnx.save(file, str(path))
    return compare(model, images, path)


export.compare = damaged
sys.exit(command.main(["--events", "--workload=refcnn.export", "--device=cpu"]))
