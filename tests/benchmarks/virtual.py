"""Measuring on the device in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.harness import idle, timing
from tests.benchmarks.virtual_device import Clock, Stream, Wander, as_device

__all__ = ["Clock", "Stream", "Wander", "as_device", "clock", "take"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces the measuring loop's clock."""
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    monkeypatch.setattr(idle, "time", made)
    return made


def take(device: Stream, step: Callable[[], Any], seconds: float = 20.0, **options: Any) -> timing.Timing:
    """Measure by the standard rules within so many virtual seconds."""
    rules = options.pop("rules", timing.Rules())
    stream: Any = device
    return timing.measure(stream, step, rules, device.clock.now + seconds, **options)
