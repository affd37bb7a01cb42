"""memory.{copy,triad,rmw}: how fast the device streams data that no cache holds.

Measures    copy: b = a. triad: a = b + s c (STREAM's). rmw (read, modify, write): a = s a in place. fp32, normal random.
            Buffers are 1 GiB each (8 times the largest L2 that there is, 126 MB) on a GPU, 256 MiB on small GPUs and CPUs.
Formula     bytes read plus bytes written over the median time: copy and rmw 8, triad 12 bytes an element. On a CPU, a write
            to a line that is not in the cache may read it first (write-allocate); that traffic is not counted, as in STREAM.
Unit        GB/s (10^9 bytes a second).
Tiers       gpu (1 GiB; 8 GB and more), small (256 MiB), cpu (256 MiB).
Source      McCalpin, STREAM (1995); Deakin et al., BabelStream (2018).
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

import torch

from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device

VERSION = 1
BUFFER_BYTES = {"gpu": 1 << 30, "small": 256 << 20, "cpu": 256 << 20}
BYTES_PER_ELEMENT = {"copy": 8, "triad": 12, "rmw": 8}
SCALE = 0.99998
"""Near 1, so that repeated in-place products stay normal numbers for longer than any run lasts."""


def tier(device: Device) -> str:
    if not device.is_cuda:
        return "cpu"
    return "gpu" if device.memory_bytes >= 7 << 30 else "small"


def buffer(device: Device, count: int) -> Any:
    """So many normal random numbers, in repeats of a million: no cache holds that, and drawing more takes seconds on a CPU."""
    pattern = torch.randn(1 << 20, device=device.torch_device)
    return pattern.repeat(-(-count // pattern.numel()))[:count]


def buffers(device: Device, kind: str) -> List[Any]:
    """What an operation works on: copy (from, to), triad (to, from, from), rmw (in place)."""
    count = BUFFER_BYTES[tier(device)] // 4
    return [buffer(device, count) for _ in range({"copy": 2, "triad": 3, "rmw": 1}[kind])]


def operation(device: Device, kind: str, given: Optional[List[Any]] = None) -> Tuple[Callable[[], Any], int]:
    """(step, bytes that it moves); given: its buffers, if they are there already."""
    tensors = buffers(device, kind) if given is None else given
    moved = BYTES_PER_ELEMENT[kind] * tensors[0].numel()
    if kind == "rmw":
        (a,) = tensors
        return lambda: a.mul_(SCALE), moved
    if kind == "copy":
        source, target = tensors
        return lambda: target.copy_(source), moved
    out, b, c = tensors
    return lambda: torch.add(b, c, alpha=SCALE, out=out), moved


def measure(context: Context) -> Result:
    kind = context.member
    size = tier(context.device)
    context.declare(VERSION, {"operation": kind, "dtype": "fp32", "tier": size, "buffer_bytes": BUFFER_BYTES[size]}, {})
    step, moved = operation(context.device, kind)
    timing = context.time(step, figure=lambda s: moved / s / 1e9, unit="GB/s")
    metric = context.metric(timing, "GB/s", lambda s: moved / s / 1e9)
    if kind == "copy":
        context.ceilings.adopt("copy", metric["p90"] * 1e9)
    return context.result({"bandwidth": metric})
