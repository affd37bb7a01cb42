"""launch.{stream,graph,dispatch}: what an operation costs that computes almost nothing.

Measures    stream: kernels that add 1 to one number, back to back in one stream. `host`: what a launch costs the host, which
            runs ahead without waiting; `device`: from one kernel to the next where all were queued before the first may run.
            graph: a CUDA graph of 100 such kernels, replayed: per kernel. dispatch: the same addition on the CPU: the cost of
            Python and of torch's dispatcher, without any launch.
            A training step of K kernels cannot be faster than K times the host's figure: then it is launch-bound.
Formula     time of a step of 100 over 100.
Unit        us a launch (10^-6 s).
Tiers       none: the work is the same everywhere. stream and graph need CUDA.
Source      CUDA C++ Programming Guide, CUDA Graphs; NVIDIA's developer blog "Getting Started with CUDA Graphs".
"""

from __future__ import annotations

import time
from typing import Any, Callable, List

import torch

from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device

VERSION = 1
LAUNCHES = 100


def unavailable(member: str, device: Device) -> str:
    if device.is_cuda or member == "dispatch":
        return ""
    return "kernels are launched on a GPU; launch.dispatch has the host's part"


def measure(context: Context) -> Result:
    kind, device = context.member, context.device
    context.declare(VERSION, {"kind": kind, "operations": LAUNCHES, "elements": 1}, {})
    per_launch = _per_launch
    if kind == "dispatch":
        host = Device()
        x = torch.randn(1)
        timing = _time_on(context, host, adds(x))
        return context.result({"dispatch": context.metric(timing, "us", per_launch, "lower")})
    x = torch.randn(1, device=device.torch_device)
    if kind == "graph":
        step = captured(adds(x))
        timing = context.time(step, launches=LAUNCHES, figure=per_launch, unit="us")
        return context.result({"graph": context.metric(timing, "us", per_launch, "lower")})
    queued = context.time(adds(x), "device", 0.5, gated=True, launches=LAUNCHES, figure=per_launch, unit="us")
    samples = _host_samples(context, adds(x))
    return context.result(
        {
            "device": context.metric(queued, "us", per_launch, "lower"),
            "host": context.metric(samples, "us", per_launch, "lower"),
        }
    )


def _per_launch(seconds: float) -> float:
    return seconds / LAUNCHES * 1e6


def adds(x: Any) -> Callable[[], Any]:
    """A step of LAUNCHES additions in place."""

    def step() -> None:
        for _ in range(LAUNCHES):
            x.add_(1.0)

    return step


def _time_on(context: Context, device: Device, step: Callable[[], Any]) -> Any:
    """The host's part is timed by the host's clock, whatever the device under test is."""
    under_test, context.device = context.device, device
    try:
        return context.time(step, figure=_per_launch, unit="us", computes=False)
    finally:
        context.device = under_test


def _host_samples(context: Context, step: Callable[[], Any]) -> List[float]:
    """Seconds that the host needs to launch a step, while the stream has room for it."""
    samples: List[float] = context.kept.setdefault("host", {}).setdefault("samples", [])
    end = time.monotonic() + context.remaining_s
    while len(samples) < 30 or (time.monotonic() < end and len(samples) < 1000):
        context.device.synchronize()
        begun = time.perf_counter()
        step()
        samples.append(time.perf_counter() - begun)
        context.progress("measure", len(samples), None, _per_launch(samples[-1]), "us")
    context.device.synchronize()
    return samples


def captured(step: Callable[[], Any]) -> Callable[[], Any]:
    """A replay of what `step` launches. Warmed up on a side stream first, as capture wants it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay
