"""transfer.{h2d,d2h}.{pinned,pageable}: how fast data reaches the GPU, and comes back.

Measures    a copy of 256 MiB between host and device. Pinned: from or to page-locked memory, asynchronously, queued behind a
            kernel that holds the stream. Pageable: ordinary memory, through the driver's own staging buffer.
            On a CPU there is no link: `h2d.pageable` is then a copy from one host buffer to another (tier `host`), and the
            rest is skipped.
Formula     bytes over the median time of a copy.
Unit        GB/s (10^9 bytes a second). The link's own limit (PCIe generation and width under load) is known to the parent.
Tiers       link (GPU), host (CPU).
Source      NVIDIA's bandwidthTest and nvbandwidth measure the same.
"""

from __future__ import annotations

from benchmarks.harness import kernels
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device

VERSION = 1
BYTES = 256 << 20


def unavailable(member: str, device: Device) -> str:
    if device.is_cuda or member == "h2d.pageable":
        return ""
    return "there is no link between host and device: the device is the host"


def measure(context: Context) -> Result:
    device = context.device
    direction, _, kind = context.member.partition(".")
    context.declare(
        VERSION,
        {"bytes": BYTES, "direction": direction, "memory": kind, "tier": "link" if device.is_cuda else "host"},
        {},
    )
    host = kernels.buffer(Device(), BYTES // 4)
    if kind == "pinned":
        host = host.pin_memory()
    remote = kernels.buffer(device, BYTES // 4)
    source, target = (host, remote) if direction == "h2d" else (remote, host)
    pinned = kind == "pinned"
    timing = context.time(
        # A copy from pageable memory holds the host whatever is asked for, so a gate would only be waited for.
        lambda: target.copy_(source, non_blocking=pinned),
        gated=pinned,
        computes=False,
        figure=lambda s: BYTES / s / 1e9,
        unit="GB/s",
    )
    return context.result({"bandwidth": context.metric(timing, "GB/s", lambda s: BYTES / s / 1e9)})
