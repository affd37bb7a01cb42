"""ablation.{compile,amp,channels_last}: what one knob buys, all else equal.

Measures    training steps of the reference CNN (cross entropy, Adam) with a knob off and on, in turns (off, on, on, off, ...), so
            that what drifts (clocks, temperature, neighbours) strikes both. compile: torch.compile's default mode over eager.
            amp: bf16 (7.x: fp16) autocast over fp32 as torch has it by default. channels_last: that memory format over NCHW,
            under autocast.
Formula     speedup: time of a step off over time on, for each pair of neighbouring blocks; its median and interval.
            compile_time: the first step's time. break_even: compile_time over what a step gains; absent where it gains nothing.
Unit        ratio, ms, s, 1 (steps).
Tiers       the reference CNN's own: 224 (10.5 GB and more), 112 (4 GB), 32 (CPUs and the rest; batch 16).
Source      Kalibera and Jones, Rigorous Benchmarking in Reasonable Time (ISMM 2013), for pairs of neighbours.
"""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, List, Tuple

import torch
import torch.nn.functional as F

from benchmarks.harness import failures, precision, statistics
from benchmarks.harness import training as common
from benchmarks.harness.context import Context, Result, Skip
from benchmarks.harness.device import Device
from benchmarks.harness.timing import Timing
from benchmarks.models.simple_cnn import TIERS, SimpleCNN
from benchmarks.workloads.refcnn_train import tier

VERSION = 1
BLOCK_S = 0.05
CPU_BATCH = 16
WARMUP_STEPS = 5


def unavailable(member: str, device: Device) -> str:
    if member == "compile" and not hasattr(torch, "compile"):
        return "torch.compile came with torch 2.0; this is {}".format(torch.__version__)
    if member == "amp" and precision.best(device.torch_device) == "fp32":
        return "this {} multiplies in neither bf16 nor fp16".format("GPU" if device.is_cuda else "CPU")
    return ""


def measure(context: Context) -> Result:
    device, knob = context.device, context.member
    dtype = precision.best(device.torch_device)
    size = tier(device)
    batch = TIERS[size].batch if device.is_cuda else CPU_BATCH
    context.declare(
        VERSION,
        {
            "model": "refcnn-" + size, "knob": knob, "batch": batch, "optimiser": "Adam 1e-4", "loss": "cross entropy",
            "dtype": "fp32" if knob == "compile" else dtype + " autocast", "data": "synthetic normal",
        },
        {"cudnn_benchmark": True},
    )  # fmt: skip
    with precision.autotuned():
        off = _step(context, size, batch, knob, dtype, on=False)
        context.progress("setup", 0)
        _seconds(device, off, 1)
        try:
            on = _step(context, size, batch, knob, dtype, on=True)
            first_s = _seconds(device, on, 1)
        except Exception as error:
            why = failures.why_not_compiled(error) if knob == "compile" else ""
            if not why:
                raise
            raise Skip("torch.compile does not work here: {}".format(why)) from error
        speedups, off_s, on_s = _pairs(context, off, on)
    metrics = {
        "speedup": context.metric(speedups, "ratio"),
        "step_off": context.metric(off_s, "ms", lambda s: 1e3 * s, "lower"),
        "step_on": context.metric(on_s, "ms", lambda s: 1e3 * s, "lower"),
    }
    if knob == "compile":
        metrics["compile_time"] = context.once(first_s, "s", "lower")
        gain = statistics.median(off_s) - statistics.median(on_s)
        if gain > 0:
            metrics["break_even"] = context.figure(float(math.ceil(first_s / gain)), "1", "lower")
        else:
            context.warn("torch.compile gains nothing here: there is no break-even")
    return context.result(metrics)


def _step(context: Context, size: str, batch: int, knob: str, dtype: str, on: bool) -> Callable[[], Any]:
    device = context.device
    pixels = TIERS[size].size
    torch.manual_seed(context.seed)
    layout = torch.channels_last if knob == "channels_last" and on else torch.contiguous_format
    network = SimpleCNN(size=pixels).to(device.torch_device, memory_format=layout)
    images = torch.randn(batch, 3, pixels, pixels, device=device.torch_device).contiguous(memory_format=layout)
    labels = torch.randint(0, 1000, (batch,), device=device.torch_device)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    run = torch.compile(network) if knob == "compile" and on else network
    used = "fp32" if knob == "compile" or (knob == "amp" and not on) else dtype
    return common.train_step(device, run, optimiser, lambda net: F.cross_entropy(net(images), labels), used, [])


def _seconds(device: Device, step: Callable[[], Any], count: int) -> float:
    """A step's time, over `count` of them."""
    device.synchronize()
    first = device.mark()
    for _ in range(count):
        step()
    second = device.mark()
    device.synchronize()
    return device.seconds(first, second) / count


def _pairs(context: Context, off: Callable[[], Any], on: Callable[[], Any]) -> Tuple[Timing, List[float], List[float]]:
    """Speed-ups of neighbouring blocks, and both sides' seconds a step."""
    device, rules = context.device, context.rules
    ratios = context.timings.get("speedup") or Timing(key="speedup", target=rules.target, wanted=rules.min_samples)
    kept = context.kept.setdefault("pairs", {"off": [], "on": []})
    counts: Dict[str, int] = {}
    for name, step in (("off", off), ("on", on)):
        _seconds(device, step, WARMUP_STEPS)
        counts[name] = max(1, round(BLOCK_S / _seconds(device, step, 2)))
    start = time.monotonic()
    while True:
        # Off, on, on, off: whoever goes second in a pair does so as often as the other.
        order = (("off", off), ("on", on)) if ratios.n % 2 == 0 else (("on", on), ("off", off))
        for name, step in order:
            kept[name].append(_seconds(device, step, counts[name]))
        ratios.samples.append(kept["off"][-1] / kept["on"][-1])
        ratios.blocks += 1
        context.progress("measure", ratios.n, None, ratios.samples[-1], "ratio")
        if context.remaining_s <= 0 or (ratios.n >= rules.min_samples and ratios.n % 10 == 0 and ratios.reached):
            break
    ratios.windows.append((start, time.monotonic()))
    context.timings["speedup"] = ratios
    return ratios, kept["off"], kept["on"]
