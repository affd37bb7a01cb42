"""What no CPU can tell about the instrument, by hand and in plain torch: `python -m tests.gpu_proof.probe FILE [SECTION ...]`.

Each section is by itself: one that fails costs itself. A line of JSON a finding is appended to FILE; a section that FILE has
already is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import gates, idle, kernels, precision, timing
from benchmarks.harness.device import Device, open_device
from benchmarks.harness.roofline import Ceilings
from benchmarks.models.simple_cnn_costs import step_bounds
from benchmarks.pipeline.settings import article_knobs, tuned_knobs
from benchmarks.workloads import numerics, refcnn_train

Finding = dict[str, Any]
BATCHES = (64, 256, 1024)
TRACED = 5


def machine(device: Device) -> Iterator[Finding]:
    """Is there what torch.compile and a loader need?"""
    usage = shutil.disk_usage("/dev/shm") if Path("/dev/shm").exists() else None
    yield {
        **device.describe(), "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
        "cpus": len(os.sched_getaffinity(0)), "shm_bytes": usage.total if usage else None, "compiler": bool(shutil.which("gcc")),
        "python_h": (Path(sysconfig.get_paths()["include"]) / "Python.h").exists(),
    }  # fmt: skip


def nvml(device: Device) -> Iterator[Finding]:
    """What NVML tells here, through the code that a run is watched with."""
    from envdoctor.bench.gpu_watch import GpuWatch
    from envdoctor.bench.results import Device as Described

    watch = GpuWatch()
    known = {key: value for key, value in device.describe().items() if key in Described.__struct_fields__}
    missing = watch.look_around() or watch.choose(Described(**known))
    if missing is None:
        watch.sample(time.monotonic(), frozenset([os.getpid()]), thorough=True)
    yield {"missing": missing, "refused": watch.refused, "sharing": watch.sharing, "power_limit": watch.power_limit,
           "sample": vars(watch.samples[0]) if watch.samples else None, "pid": os.getpid()}  # fmt: skip


def ceilings(device: Device) -> Iterator[Finding]:
    """Products and copies in plain loops: what the workloads must reach too."""
    for dtype in ("fp32", "tf32", "bf16", "fp16", "fp8"):
        if kernels.unsupported(device, dtype):
            continue
        n = kernels.square_size(device)
        with precision.tf32(dtype == "tf32", dtype == "tf32"):
            seconds = by_hand(device, kernels.rotating_product(device, dtype, n, n, n))
        yield {"product": dtype, "tflops": 2 * n**3 / seconds / 1e12}
    step, moved = kernels.operation(device, "copy")
    yield {"copy_gb_s": moved / by_hand(device, step) / 1e9}
    source = kernels.buffers(device, "rmw")[0]
    yield {"read_gb_s": 4 * source.numel() / by_hand(device, source.sum) / 1e9}
    if device.is_cuda and not kernels.unsupported(device, "fp8"):
        yield {"fp8_fast_accumulation": kernels.accumulates_fast(device)}


def clocks(device: Device) -> Iterator[Finding]:
    """The SM clock while a square and a skinny product run, and idle: what the clock rules, COOL_S and LONG_ENOUGH rest on."""
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByPciBusId(device.describe()["pci"])
    log: list[tuple[float, int, float, float, int]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            log.append((
                time.monotonic(), pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
                pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3, pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
                pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle),
            ))  # fmt: skip

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    n = kernels.square_size(device)
    work = {
        "square": (kernels.rotating_product(device, "bf16", n, n, n), 4.0),
        "skinny": (kernels.rotating_product(device, "bf16", 64, 1024, 401408), 3.0),
        "idle": (lambda: time.sleep(0.05), 5.0),
    }
    phases = {}
    for name, (step, seconds) in work.items():
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            for _ in range(20):
                step()
            device.synchronize()
        phases[name] = (began, time.monotonic())
    over.set()
    thread.join()
    for name, (began, ended) in phases.items():
        seen = [entry for entry in log if began <= entry[0] <= ended]
        yield {"phase": name, "sm": [entry[1] for entry in seen][::4], "power": [round(entry[2]) for entry in seen][::4],
               "counter_w": (seen[-1][3] - seen[0][3]) / (seen[-1][0] - seen[0][0]),
               "reasons": sorted({entry[4] for entry in seen})}  # fmt: skip


def waits(device: Device) -> Iterator[Finding]:
    """Where the host waits for the device in a step: article once (it reads the loss), tuned never."""
    for name, knobs in presets(device).items():
        step = refcnn_train.training_step(
            device, replace(knobs, compiled=False), tier(device), batch(device), 0, [], []
        )
        for _ in range(3):
            step()
        device.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            step()
        torch.cuda.set_sync_debug_mode("default")
        where = [f"{Path(one.filename).name}:{one.lineno}" for one in said if "synchroniz" in str(one.message)]
        yield {"preset": name, "waits": len(where), "where": sorted(set(where))}


def steps(device: Device) -> Iterator[Finding]:
    """Cold start, step, its roofline by this run's own ceilings, the time that the GPU computes, and its kernels."""
    ways = [("article", batch(device), False), ("tuned", batch(device), False)]
    if device.is_cuda:
        ways += [("tuned", count, True) for count in BATCHES]
    ceilings = Ceilings(device)
    dtype = precision.best(device.torch_device)
    for name, count, compiled in ways:
        device.reset_peak()
        loop: list[Any] = []
        knobs = replace(presets(device)[name], compiled=compiled)
        step = refcnn_train.training_step(device, knobs, tier(device), count, 0, [], loop)
        first = timing.Timing()
        timing.first_step(device, step, first)
        seconds, busy, peak = by_hand(device, step), idle.busy_seconds(device, step), device.peak_bytes()
        bound = step_bounds(ceilings.matmul(dtype), ceilings.copy(), count, tier(device), refcnn_train.CLASSES, dtype)
        yield {
            "preset": name, "batch": count, "compiled": loop[0].knobs.compiled, "why_not": loop[0].uncompiled_because,
            "cold_start_s": first.cold_start_s, "ms": 1e3 * seconds, "busy_ms": busy and 1e3 * busy, "peak_bytes": peak,
            "kernel_sum_ms": 1e3 * bound.kernel_sum_s, "percent": 100 * bound.kernel_sum_s / seconds,
            "kernels": traced(device, step),
        }  # fmt: skip
        del step, loop
        device.release()


def tf32_floor(device: Device) -> Iterator[Finding]:
    """Which answers are better than TF32 gives: gates.TF32_FLOOR remarks each of them."""
    if kernels.unsupported(device, "tf32"):
        yield {"skipped": "no TF32"}
        return
    for shape in numerics.SHAPES["gpu"]:
        yield {
            "product": shape,
            "error": numerics.product_error(device, "tf32", *shape).error,
            "floor": gates.TF32_FLOOR,
        }
    for images in numerics.CONVOLUTIONS["gpu"]:
        for channels_last in (False, True):
            found = numerics.convolution_errors(device, "tf32", images, channels_last)
            yield {
                "convolution": images,
                "channels_last": channels_last,
                "errors": [verdict.error for verdict in found],
            }


def links(device: Device) -> Iterator[Finding]:
    if not device.is_cuda:
        yield {"skipped": "no link"}
        return
    size = 1 << 28
    pinned, plain = torch.empty(size, dtype=torch.uint8, pin_memory=True), torch.empty(size, dtype=torch.uint8)
    remote = torch.empty(size, dtype=torch.uint8, device=device.torch_device)
    ways: dict[str, Callable[[], Any]] = {
        "h2d_pinned": lambda: remote.copy_(pinned, non_blocking=True),
        "d2h_pinned": lambda: pinned.copy_(remote, non_blocking=True),
        "h2d_pageable": lambda: remote.copy_(plain),
    }
    yield {name: size / by_hand(device, step) / 1e9 for name, step in ways.items()}


# --- what they share -------------------------------------------------------------------------------------------------------


def by_hand(device: Device, step: Callable[[], Any], seconds: float = 0.4) -> float:
    """Seconds a step, by one difference of two marks around many."""
    for _ in range(3):
        step()
    device.synchronize()
    began = time.perf_counter()
    step()
    device.synchronize()
    count = max(3, int(seconds / max(time.perf_counter() - began, 1e-6)))
    first = device.mark()
    for _ in range(count):
        step()
    last = device.mark()
    device.synchronize()
    return device.seconds(first, last) / count


def presets(device: Device) -> dict[str, Any]:
    return {"article": replace(article_knobs(), prepare_on_device=True), "tuned": tuned_knobs(device.torch_device)}


def tier(device: Device) -> int:
    return 224 if device.is_cuda else 32


def batch(device: Device) -> int:
    return BATCHES[0] if device.is_cuda else 16


def traced(device: Device, step: Callable[[], Any]) -> list[tuple[str, float, int]]:
    """The kernels of a step by the time that they take: name, ms, how many."""
    if not device.is_cuda:
        return []
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(TRACED):
            step()
        device.synchronize()
    rows = [
        (one.key[:80], getattr(one, "self_device_time_total", 0) / 1e3 / TRACED, one.count // TRACED)
        for one in seen.key_averages()
    ]
    return sorted((row for row in rows if row[1]), key=lambda row: -row[1])[:14]


SECTIONS: dict[str, Callable[[Device], Iterator[Finding]]] = {
    section.__name__: section for section in (machine, nvml, ceilings, clocks, waits, steps, tf32_floor, links)
}
ON_A_GPU = ("nvml", "clocks", "waits")


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="cuda")
    options.add_argument("file", type=Path)
    options.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    given = options.parse_args(arguments)
    device = open_device(given.device)
    told = given.file.read_text().splitlines() if given.file.exists() else []
    ended = {line["section"] for line in map(json.loads, told) if "seconds" in line}
    failed = False
    with given.file.open("a") as file:

        def say(section: str, **fields: Any) -> None:
            file.write(json.dumps({"section": section, **fields}, default=str) + "\n")
            file.flush()

        for name in given.sections or SECTIONS:
            if name in ended or (name in ON_A_GPU and not device.is_cuda):
                continue
            began = time.monotonic()
            try:
                for finding in SECTIONS[name](device):
                    say(name, **finding)
            except Exception as error:  # noqa: BLE001 - what is learnt from the others must not be lost
                failed = True
                say(name, failed=f"{type(error).__name__}: {error}"[:300], traceback=traceback.format_exc()[-1500:])
                continue
            finally:
                device.release()
            say(name, seconds=round(time.monotonic() - began, 1))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
