"""Asks NVML everything about every GPU and prints each answer as it comes (a child process of the `gpus` probe).

Arguments: folders for sys.path, joined by os.pathsep; then the names to load NVML's library by.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

sys.path += sys.argv[1].split(os.pathsep)  # at the end: nothing there may stand in for the standard library

import pynvml

from envdoctor.facts.numbers import cuda_version
from envdoctor.facts.probes._child import MOST_GPUS, load, say
from envdoctor.facts.probes._nvml_device import CODES, LACKING, NvmlDevice, ask, name_of
from envdoctor.facts.probes._nvml_fields import IDENTITY, CallRefused


def initialize(library: ctypes.CDLL) -> int:
    """Starts NVML; its return code."""
    say(call="nvmlInit")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        # nvidia-ml-py asks for nvmlInitWithFlags, which the oldest drivers that still run lack.
        if name_of(error.value) != LACKING or not hasattr(library, "nvmlInit_v2"):
            return int(error.value)
        return int(library.nvmlInit_v2())
    return 0


def words_of(code: int) -> str | None:
    try:
        return str(ask("nvmlErrorString", code))
    except CallRefused:
        return None


def tell_system(function: str, field: str, meaning: Callable[[Any], str] = str) -> None:
    with contextlib.suppress(CallRefused):
        say(system={field: meaning(ask(function))})


def open_device(index: int) -> NvmlDevice | None:
    try:
        return NvmlDevice(index, ask("nvmlDeviceGetHandleByIndex", index, gpu=index))
    except CallRefused as refused:
        fields = " ".join(fields for fields, _, _ in IDENTITY).split()
        reason = str(refused)
        say(gpu=index, facts={"lost": reason == "GPU_IS_LOST"}, unavailable=dict.fromkeys(fields, reason))
        return None


def main() -> None:
    library = load(sys.argv[2:])
    if library is None:
        return
    pynvml.nvmlLib = library  # so that nvidia-ml-py does not look for another one
    tell_system("nvmlSystemGetNVMLVersion", "nvml_version")
    code = initialize(library)
    say(system={"status": name_of(code) if code else "SUCCESS", "status_code": code})
    if code:
        say(system={"message": words_of(code)})
        return
    tell_system("nvmlSystemGetDriverVersion", "driver_version")
    tell_system("nvmlSystemGetCudaDriverVersion", "cuda_version", cuda_version)
    try:
        count = ask("nvmlDeviceGetCount")
    except CallRefused as refused:
        reason = str(refused)
        say(system={"status": reason, "status_code": CODES.get(reason), "message": f"nvmlDeviceGetCount: {reason}"})
        return
    if not 0 <= count <= MOST_GPUS:
        say(system={"status": None, "status_code": None, "message": f"nvmlDeviceGetCount says {count}"})
        return
    say(count=count)
    devices = [device for device in map(open_device, range(count)) if device is not None]
    for device in devices:  # what every GPU is comes first: a later question may hang
        device.tell_rows(IDENTITY)
    for device in devices:
        device.tell_health()


if __name__ == "__main__":
    main()
    say(done=True)
    os._exit(0)  # without the library's own end, which may hang or crash when everything has been said
