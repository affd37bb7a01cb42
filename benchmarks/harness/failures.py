"""What an error is, from its type and text: out of memory, the device's, or any other."""

from __future__ import annotations

import traceback
from typing import Any, Dict

import torch

from benchmarks.pipeline.errors import ValidationError


def describe(error: BaseException) -> Dict[str, Any]:
    """kind, message and traceback of an `error` event."""
    return {
        "kind": kind_of(error),
        "message": message_of(error),
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }


def message_of(error: BaseException) -> str:
    """One line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # A DataLoader's worker: the first line says which one, then comes its traceback, and its own error last.
    return lines[-1] if lines[0].startswith("Caught ") else "{}: {}".format(type(error).__name__, lines[0])


def kind_of(error: BaseException) -> str:
    """'out-of-memory', 'cuda', 'numerics' or 'exception'."""
    text = str(error)
    if isinstance(error, ValidationError):
        return "numerics"
    # torch.cuda.OutOfMemoryError (1.13) is torch.OutOfMemoryError since 2.5; the CPU allocator raises a RuntimeError.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out-of-memory"
    if isinstance(error, RuntimeError):
        if "out of memory" in text or "can't allocate memory" in text or "CUBLAS_STATUS_ALLOC_FAILED" in text:
            return "out-of-memory"
        if any(
            word in text for word in ("CUDA error", "CUDA driver error", "cuDNN error", "CUDNN_STATUS", "CUBLAS_STATUS")
        ):
            return "cuda"
    # torch >= 2.8
    accelerator = getattr(torch, "AcceleratorError", None)
    return "cuda" if accelerator is not None and isinstance(error, accelerator) else "exception"


def why_not_compiled(error: BaseException) -> str:
    """What stands in the way of torch.compile, in one line; '' where the error has nothing to do with compiling.

    Every backend has exceptions of its own (no compiler, no Python.h, no Triton, a Python that is too new), so all count that are
    not the device's or its memory's. Who asks tries without compiling: an error of the step itself is raised there again.
    """
    return "" if kind_of(error) != "exception" else message_of(error)[:300]
