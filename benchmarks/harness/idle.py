"""How much of a step a GPU computes, and how much it waits for the host to launch the next kernel.

Marks in the stream cannot tell: the time between two of them holds the idle time too. So some steps are launched whole behind a
kernel that holds the stream, and take what the device alone needs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import statistics

if TYPE_CHECKING:
    from .device import Device

STEPS = 7


def busy_seconds(device: Device, step: Callable[[], Any]) -> Optional[float]:
    """Seconds of a (warm) step that the device computes: all of it is queued before the device may begin.

    None where that cannot be: nothing can hold the stream, the step waits for the device, or the queue has no room for it.
    """
    device.synchronize()
    begun = time.perf_counter()
    step()
    launching = time.perf_counter() - begun
    found = []
    for _ in range(STEPS):
        device.synchronize()
        held = 1.5 * launching + 2e-3
        begun = time.perf_counter()
        if not device.gate(held):
            return None
        first = device.mark()
        step()
        second = device.mark()
        # Whoever waits for the stream waits until the gate opens.
        queued = time.perf_counter() - begun < held
        device.synchronize()
        if not queued:
            return None
        found.append(device.seconds(first, second))
    return statistics.median(found)
