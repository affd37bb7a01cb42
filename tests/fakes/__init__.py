"""Fake driver libraries: real shared objects that the loader, ctypes and nvidia-ml-py take for NVIDIA's. See README.md."""

from tests.fakes.build import build
from tests.fakes.driver import FakeDriver, FakeGpu, FakeMig, FakeNvLink, FakeProcess
from tests.fakes.machine import machine_with, machine_without_driver

__all__ = [
    "FakeDriver",
    "FakeGpu",
    "FakeMig",
    "FakeNvLink",
    "FakeProcess",
    "build",
    "machine_with",
    "machine_without_driver",
]
