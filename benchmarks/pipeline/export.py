"""Export: ONNX with a batch of any size, and the proof that onnxruntime computes what torch computes.

Parity gate, on prepared test images and in fp32: relative L2 of the logits <= 1e-5, max |difference| <= 1e-4 max |logit|,
and the same class for every image. Measured between torch 2.15 and onnxruntime 1.32 on a CPU: relative L2 5e-7 to 1.2e-6.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import torch

from benchmarks.models.simple_cnn import SimpleCNN
from benchmarks.pipeline.checkpoint import cannot_write
from benchmarks.pipeline.errors import PipelineError, install

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
RELATIVE, LARGEST = 1e-5, 1e-4
OWN_FILE_FROM = 1 << 30
"""Weights from this size on go to a file beside the model: a protocol buffer ends at 2 GiB."""


class Export(NamedTuple):
    """What was written: sha256 of each file by name, and how far onnxruntime's logits are from torch's."""

    files: Dict[str, str]
    relative: float
    largest: float
    argmax_equal: bool
    images: int
    onnxruntime: str


def require_packages() -> None:
    """Raises PipelineError naming what an export needs and this Python lacks: to be asked before training, not after."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        words = " ".join(missing)
        raise PipelineError("the ONNX export needs {}: {}".format(words, install(words)))


def export_onnx(model: SimpleCNN, images: torch.Tensor, path: Path) -> Export:
    """Write the model to `path` (its weights to `path`.data where they are large), then hold it against torch, for `objection`.

    images: prepared, float32 (N, 3, H, W), two or more. Raises PipelineError where it cannot be written.
    """
    require_packages()
    model = model.cpu().float().to(memory_format=torch.contiguous_format)
    # Otherwise a Dropout node is exported.
    model.eval()
    images = images.cpu().contiguous()
    digests = _write(model, images, path)
    return compare(model, images, path)._replace(files=digests)


def compare(model: SimpleCNN, images: torch.Tensor, path: Path) -> Export:
    """onnxruntime's logits against torch's, for the whole batch (another size than the example's)."""
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(None, {"images": images.numpy()})[0]).double()
    with torch.no_grad():
        expected = model(images).double()
    apart = (found - expected).abs()
    return Export(
        files={},
        relative=float(apart.norm() / expected.norm()),
        largest=float(apart.max() / expected.abs().max()),
        argmax_equal=bool((found.argmax(1) == expected.argmax(1)).all()),
        images=len(images),
        onnxruntime=str(onnxruntime.__version__),
    )


def objection(result: Export, path: Path) -> str:
    """What speaks against this export: onnxruntime disagrees beyond the gates (NaN is beyond them). Empty: nothing."""
    if result.relative <= RELATIVE and result.largest <= LARGEST and result.argmax_equal:
        return ""
    return (
        "{}: onnxruntime {} does not compute what torch computes: relative L2 {:.2g} (gate {:g}), largest difference {:.2g} of "
        "the largest logit (gate {:g}), {}. Do not deploy it. The trained weights are not in doubt: export them again with newer "
        "onnxruntime and onnxscript".format(
            path.name,
            result.onnxruntime,
            result.relative,
            RELATIVE,
            result.largest,
            LARGEST,
            "the same classes" if result.argmax_equal else "other classes",
        )
    )


def _write(model: SimpleCNN, images: torch.Tensor, path: Path) -> Dict[str, str]:
    """Export beside the place and move: nobody sees half a model. Returns sha256 by file name."""
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    try:
        folder = Path(tempfile.mkdtemp(dir=str(path.parent), prefix="." + path.name))
    except OSError as error:
        raise PipelineError(cannot_write(path, error)) from error
    try:
        with _quiet():
            _export(model, images[:1], folder / path.name, own_file=size >= OWN_FILE_FROM)
        # The weights first: a model without its weights must not be seen either.
        written = sorted(folder.iterdir(), key=lambda file: file.name == path.name)
        digests = {file.name: _sha256(file) for file in written}
        for file in written:
            file.replace(path.with_name(file.name))
        return digests
    except OSError as error:
        raise PipelineError(cannot_write(path, error)) from error
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)


def _export(model: SimpleCNN, example: torch.Tensor, path: Path, own_file: bool) -> None:
    names: Dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    if (major, minor) >= (2, 6):
        # A batch of one would be taken for a constant.
        example = torch.cat([example, example])
        torch.onnx.export(
            model,
            (example,),
            str(path),
            dynamo=True,
            verbose=False,
            external_data=own_file,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            **names,
        )
    else:
        torch.onnx.export(
            model, (example,), str(path), dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}}, **names
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of what it will do some day; that is nothing that a person who exports can act on."""
    import logging

    loggers: List[logging.Logger] = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()
