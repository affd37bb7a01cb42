"""soak: whether the device computes the same, and as fast, for as long as it is asked to.

Measures    rounds of matrix products, memory copies and training steps of the reference CNN, all from the same data: every
            round's answers must equal the first round's bit for bit (deterministic algorithms). A device that overheats
            slows down; one with failing memory or an unstable clock gives other bits.
Formula     different: elements that differ from the first round's, over all rounds. matmul, copy: as in their workloads.
            matmul_drift, copy_drift: the last third's median over the first third's, less 1; absent for fewer than 6 rounds.
            More than 3 % either way makes the result of a GPU invalid.
Unit        1 (a count), TFLOP/s, GB/s, %.
Length      the budget: 600 s in suite soak; `--workload soak --budget 3600` for an hour.
Tiers       gpu (products of 8192, buffers of 1 GiB), small (4096, 256 MiB), cpu (1024, 256 MiB).
Source      wilicc's gpu-burn compares the same way.
"""

from __future__ import annotations

import time
from typing import Any, Dict

import torch

from benchmarks.harness import gates, kernels, precision, statistics
from benchmarks.harness.context import Context, Result
from benchmarks.workloads import numerics
from benchmarks.workloads.conv import best_dtype

VERSION = 1
MOST_DRIFT = 0.03
"""Of a rate, between the first and the last third: as of the clock that makes it."""
PART_S = 0.5
"""Seconds of products, and of copies, a round."""


def measure(context: Context) -> Result:
    device = context.device
    size, dtype = kernels.tier(device), best_dtype(device)
    n, count = kernels.square_size(device), kernels.BUFFER_BYTES[size] // 4
    context.declare(
        VERSION, {"tier": size, "dtype": dtype, "n": n, "buffer_bytes": 4 * count, "model": "refcnn-32"}, {}
    )
    with precision.tf32(matmul=False, convolution=False):
        a, b = kernels.operands(device, dtype, n, n, n)
        out = gates.poison((n, n), precision.DTYPES[dtype], device.torch_device)
        source = kernels.buffer(device, count)
        target = gates.poison((count,), torch.float32, device.torch_device)
        torch.mm(a, b, out=out)
        expected = out.clone()
        trained = numerics.trained_parameters(device, context.seed)
        different = {"matmul": 0, "copy": 0, "refcnn": 0}
        rates: Dict[str, Any] = {"matmul": [], "copy": []}
        start, rounds = time.monotonic(), 0
        while rounds < 2 or context.remaining_s > 0:
            out.fill_(float("nan"))
            seconds = _repeat(context, lambda: torch.mm(a, b, out=out))
            rates["matmul"].append(2.0 * n**3 / seconds / 1e12)
            different["matmul"] += gates.different_bits(expected, out)
            target.fill_(float("nan"))
            seconds = _repeat(context, lambda: target.copy_(source))
            rates["copy"].append(8.0 * count / seconds / 1e9)
            different["copy"] += gates.different_bits(source, target)
            different["refcnn"] += numerics.count_differences(
                lambda: numerics.trained_parameters(device, context.seed), trained
            )
            rounds += 1
            context.progress("measure", rounds, None, rates["matmul"][-1], "TFLOP/s")
        context.detail("soak_window", [start, time.monotonic()])
    context.detail("rounds", rounds)
    for name, found in different.items():
        if found:
            context.wrong("{} elements of {} differed from the first round's".format(found, name))
    metrics = {
        "different": context.figure(float(sum(different.values())), "1", "lower"),
        "matmul": context.metric(rates["matmul"], "TFLOP/s"),
        "copy": context.metric(rates["copy"], "GB/s"),
    }
    for name, series in rates.items():
        drift = statistics.drift(series)
        if drift is not None:
            metrics[name + "_drift"] = context.figure(100 * drift, "%")
            objection = drifted(name, drift)
            if objection and device.is_cuda:
                context.invalid(objection)
            elif objection:
                context.warn(objection + ", as a CPU's neighbours make it do")
    return context.result(metrics)


def drifted(name: str, drift: float) -> str:
    """What there is to object to a drift of a rate (a ratio), '' where there is nothing."""
    if abs(drift) <= MOST_DRIFT:
        return ""
    return "{} drifted by {:+.1f} % from the first third of the soak to the last ({:.0f} % is let pass)".format(
        name, 100 * drift, 100 * MOST_DRIFT
    )


def _repeat(context: Context, step: Any) -> float:
    """Seconds a step, repeated for `PART_S`."""
    device = context.device
    device.synchronize()
    first, begun, steps = device.mark(), time.perf_counter(), 0
    while time.perf_counter() - begun < PART_S:
        # The host would otherwise run hundreds of steps ahead of the device.
        for _ in range(4):
            step()
        device.synchronize()
        steps += 4
    second = device.mark()
    device.synchronize()
    return device.seconds(first, second) / steps
