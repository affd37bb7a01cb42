"""The command, with workloads planted in its table that fail in every way; the arguments are the command's own."""

from __future__ import annotations

import os
import sys
import time
import types
from typing import Any

import torch

from benchmarks import workloads
from benchmarks.harness import command
from benchmarks.harness.context import Context, Result, Skip
from benchmarks.harness.device import Device
from benchmarks.pipeline.errors import ValidationError


def good(context: Context) -> Result:
    context.declare(1, {"n": 64}, {})
    x = torch.randn(64, 64)
    return context.result({"figure": context.metric(context.time(lambda: x @ x), "ms", lambda s: 1e3 * s, "lower")})


def oom(context: Context) -> Result:
    torch.empty(1 << 50)
    raise AssertionError("there is no petabyte")


def exception(context: Context) -> Result:
    context.declare(1, {}, {})
    raise KeyError("weights")


def cuda(context: Context) -> Result:
    raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors ...")


def cudnn(context: Context) -> Result:
    raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")


def nan(context: Context) -> Result:
    raise ValidationError("the loss is not finite after 3 steps")


def skip(context: Context) -> Result:
    raise Skip("there is no such thing here")


def undeclared(context: Context) -> Result:
    return context.result({})


def noisy(context: Context) -> Result:
    sys.stdout.write("a library that prints\n")
    sys.stdout.flush()
    os.write(1, b"C code that prints\n")
    os.system("echo a child that prints")
    return good(context)


def lost(context: Context) -> Result:
    Device.alive = lambda self: False  # type: ignore[method-assign]
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def harness(context: Context) -> Result:
    def broken(*arguments: Any) -> None:
        raise ValueError("a defect of the harness itself")

    Device.alive = broken  # type: ignore[method-assign, assignment]
    return good(context)


def slow(context: Context) -> Result:
    """Longer to set up than what is kept back for a second pass, and never measured well enough."""
    context.declare(1, {}, {})
    time.sleep(2.5)
    timing = context.time(lambda: time.sleep(float(torch.rand(1))))
    return context.result({"figure": context.metric(timing, "s", better="lower")})


def interrupted(context: Context) -> Result:
    raise KeyboardInterrupt


for function in (oom, exception, cuda, cudnn, nan, skip, undeclared, noisy, good, slow, lost, harness, interrupted):
    module: Any = types.ModuleType("benchmarks.workloads.planted_" + function.__name__)
    module.measure = function
    sys.modules[module.__name__] = module
    workloads.WORKLOADS["planted." + function.__name__] = workloads.Entry(
        "planted_" + function.__name__, "", ("quick",)
    )
workloads.WORKLOADS["planted.after"] = workloads.Entry("planted_good", "", ())
code = command.main()
sys.stderr.write("torch._dynamo imported: {}\n".format("torch._dynamo" in sys.modules))
sys.exit(code)
