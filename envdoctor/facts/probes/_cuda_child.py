"""Starts the CUDA driver API and prints each answer as it comes (a child process of the `cuda_driver` probe).

Arguments: folders for sys.path, joined by os.pathsep; then the names to load libcuda by.
"""

from __future__ import annotations

import ctypes
import os
import sys
import uuid

sys.path += sys.argv[1].split(os.pathsep)  # at the end: nothing there may stand in for the standard library

from envdoctor.facts.numbers import cuda_version
from envdoctor.facts.probes._child import MOST_GPUS, load, say

COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
SUCCESS = 0
NAME_SIZE = 256


class DriverApi:
    """libcuda's functions; one that it lacks answers None."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def call(self, function: str, *arguments: object) -> int | None:
        say(call=function)
        try:
            return int(getattr(self.library, function)(*arguments))
        except AttributeError:
            return None

    def number(self, function: str, *arguments: object) -> int | None:
        value = ctypes.c_int()
        return value.value if self.call(function, ctypes.byref(value), *arguments) == SUCCESS else None

    def text(self, function: str, code: int) -> str | None:
        value = ctypes.c_char_p()
        if self.call(function, code, ctypes.byref(value)) != SUCCESS or value.value is None:
            return None
        return value.value.decode("utf-8", "replace")

    def name(self, device: int) -> str | None:
        buffer = ctypes.create_string_buffer(NAME_SIZE)
        if self.call("cuDeviceGetName", buffer, NAME_SIZE, device) != SUCCESS:
            return None
        return buffer.value.decode("utf-8", "replace")

    def memory(self, device: int) -> int | None:
        value = ctypes.c_size_t()
        return value.value if self.call("cuDeviceTotalMem_v2", ctypes.byref(value), device) == SUCCESS else None

    def capability(self, device: int) -> str | None:
        major = self.number("cuDeviceGetAttribute", COMPUTE_CAPABILITY_MAJOR, device)
        minor = self.number("cuDeviceGetAttribute", COMPUTE_CAPABILITY_MINOR, device)
        return None if major is None or minor is None else f"{major}.{minor}"

    def uuid(self, device: int) -> str | None:
        """As NVML writes it. The second version of the function knows MIG instances, the first their GPU only."""
        own, of_gpu = self._uuid("cuDeviceGetUuid_v2", device), self._uuid("cuDeviceGetUuid", device)
        if own is not None and of_gpu is not None and own != of_gpu:
            return f"MIG-{own}"
        found = own or of_gpu
        return None if found is None else f"GPU-{found}"

    def _uuid(self, function: str, device: int) -> str | None:
        buffer = ctypes.create_string_buffer(16)
        return str(uuid.UUID(bytes=buffer.raw)) if self.call(function, buffer, device) == SUCCESS else None


def main() -> None:
    library = load(sys.argv[2:])
    if library is None:
        return
    driver = DriverApi(library)
    version = driver.number("cuDriverGetVersion")  # needs no cuInit, which may never return
    if version:
        say(driver={"version": cuda_version(version)})
    code = driver.call("cuInit", 0)
    if code is None:
        say(driver={"message": "this libcuda has no cuInit"})
        return
    say(driver={"init_code": code})
    say(driver={"init_name": driver.text("cuGetErrorName", code)})
    if code != SUCCESS:
        say(driver={"message": driver.text("cuGetErrorString", code)})
        return
    count = driver.number("cuDeviceGetCount")
    if count is not None and not 0 <= count <= MOST_GPUS:
        say(driver={"message": f"cuDeviceGetCount says {count}"})
        return
    say(driver={"device_count": count})
    for index in range(count or 0):
        device = driver.number("cuDeviceGet", index)
        facts: dict[str, object] = {"index": index}
        if device is not None:
            facts["name"] = driver.name(device)
            facts["compute_capability"] = driver.capability(device)
            facts["memory_total"] = driver.memory(device)
            facts["uuid"] = driver.uuid(device)
        say(device=facts)


if __name__ == "__main__":
    main()
    say(done=True)
    os._exit(0)  # without the library's own end, which may hang or crash when everything has been said
