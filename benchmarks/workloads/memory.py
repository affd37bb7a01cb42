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

from benchmarks.harness.context import Context, Result
from benchmarks.harness.kernels import BUFFER_BYTES, operation, tier

VERSION = 1


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
