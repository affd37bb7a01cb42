"""loader.{article,uint8,feed}: how fast images come from files, and whether they keep training fed.

Measures    a DataLoader over JPEG files of 500 x 375 that the page cache holds, with 0, 1, 2, 4 ... workers up to the number
            of CPUs (16 at most). article: Pillow decodes, resizes to the tier's size (bilinear), ToTensor, Normalize: fp32
            batches. uint8: libjpeg decodes at reduced scale where that is enough, and bytes are handed on, to be normalised
            on the device. feed: tuned training steps of the reference CNN (as refcnn.train's) fed by the uint8 pipeline with as
            many workers as CPUs, against the same steps on a batch that is there already.
Formula     images over the median time of a round in which each worker delivers one batch. data_wait: 1 less resident over
            fed step time, in percent. workers_needed: resident img/s over one worker's img/s, rounded up.
Unit        img/s, %, ms, 1.
Knobs       the number of workers; pinned memory for GPUs.
Tiers       gpu (224, batch 64), cpu (224, batch 16; feed: refcnn-32 at 32). --data FOLDER: other pictures, so other work.
Source      torch.utils.data's documentation; the article's torchvision pipeline (Resize, ToTensor, Normalize).
"""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch

from benchmarks.harness import allocator, precision
from benchmarks.harness.context import Context, Result, Skip
from benchmarks.harness.device import Device
from benchmarks.models.simple_cnn import TIERS
from benchmarks.pipeline.model import build
from benchmarks.pipeline.normalise import IMAGENET_MEAN, IMAGENET_STD
from benchmarks.pipeline.prepare import Preparation
from benchmarks.pipeline.settings import Settings, tuned_knobs
from benchmarks.pipeline.step import TrainingStep
from benchmarks.workloads import photographs, refcnn_train

VERSION, FEED_VERSION = 1, 2
FILES = 48
BATCH = {"gpu": 64, "cpu": 16}
SIZE, CLASSES = 224, 1000
MOST_WORKERS = 16
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where torch puts what processes share


def unavailable(member: str, device: Device) -> str:
    return "" if importlib.util.find_spec("PIL") else "JPEG files are decoded with Pillow, which is not installed"


def measure(context: Context) -> Result:
    try:
        import PIL
    except ImportError as error:
        raise Skip("JPEG files are decoded with Pillow, which this Python cannot import: {}".format(error)) from None
    tier = "gpu" if context.device.is_cuda else "cpu"
    with tempfile.TemporaryDirectory(prefix="envdoctor-loader-") as folder:
        if context.data is None:
            paths = photographs.write(Path(folder), FILES, context.seed)
            data = {"id": "textures 500x375 JPEG quality 90", "files": FILES}
        else:
            paths, digest = photographs.found_in(context.data)
            data = {"id": digest, "files": len(paths)}
        context.detail("mean_file_bytes", sum(Path(path).stat().st_size for path in paths) / len(paths))
        context.detail("pillow", PIL.__version__)
        run = _feed if context.member == "feed" else _alone
        return run(context, paths, tier, data)


def cpus() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_counts() -> List[int]:
    """0, 1, 2, 4 ... and the number of CPUs."""
    most = min(cpus(), MOST_WORKERS)
    return sorted({0, most, *(1 << power for power in range(5) if 1 << power <= most)})


def batches(paths: List[str], size: int, pipeline: str, batch: int, workers: int, pinned: bool) -> Iterator[Any]:
    """Batches without an end."""
    options: Dict[str, Any] = {}
    if workers:
        # A worker that is not forked would have to import this package, which no path leads to.
        options["multiprocessing_context"] = "fork"
    loader = torch.utils.data.DataLoader(
        photographs.Pictures(paths, size, pipeline), batch, sampler=range(1 << 40), num_workers=workers, pin_memory=pinned,
        **options,
    )  # fmt: skip
    return iter(loader)


def shared_memory_lacking(workers: int, batch: int, size: int, pipeline: str, free: Optional[int] = None) -> str:
    """Why that many workers cannot hand over their batches, '' where they can or it is not known. free: bytes of /dev/shm.

    Each keeps two batches ready (prefetch_factor), and they lie in /dev/shm; a container has 64 MB of it unless told otherwise.
    """
    if free is None:
        try:
            free = shutil.disk_usage(SHARED_MEMORY).free
        except OSError:
            return ""
    needed = workers * 2 * batch * 3 * size * size * (4 if pipeline == "article" else 1)
    if needed <= free:
        return ""
    return (
        "{} has {:.0f} MB free, and {} worker{} that hand{} over batches need {:.0f} MB: a container gets more by "
        "docker run --shm-size={}g (or --ipc=host)".format(
            SHARED_MEMORY, free / 1e6, workers, "s" if workers > 1 else "", "" if workers > 1 else "s", needed / 1e6,
            max(1, math.ceil(2 * needed / (1 << 30))),
        )
    )  # fmt: skip


def _usable_workers(context: Context, batch: int, pipeline: str) -> List[int]:
    if sys.platform != "linux":
        context.warn("workers are forked, which only Linux does safely: measured without workers")
        return [0]
    counts = worker_counts()
    while counts[-1]:
        lacking = shared_memory_lacking(counts[-1], batch, SIZE, pipeline)
        if not lacking:
            return counts
        # Beyond it a worker dies of a bus error, and takes the workload with it.
        context.warn("not measured with {} workers: {}".format(counts.pop(), lacking))
    return counts


def _alone(context: Context, paths: List[str], tier: str, data: Dict[str, Any]) -> Result:
    batch, pipeline, counts = BATCH[tier], context.member, _usable_workers(context, BATCH[tier], context.member)
    context.declare(
        VERSION, {"pipeline": pipeline, "size": SIZE, "batch": batch, "tier": tier, "data": data}, {"workers": counts}
    )
    metrics: Dict[str, Dict[str, Any]] = {}
    rates: List[Tuple[float, str]] = []
    timings = {}
    for number, workers in enumerate(counts):
        name = "workers_{}".format(workers)
        source = batches(paths, SIZE, pipeline, batch, workers, pinned=False)
        step, images = _round(source, workers), batch * max(1, workers)

        def rate(seconds: float, images: int = images) -> float:
            return images / seconds

        timing = context.time(step, name, 1.0 / (len(counts) - number), figure=rate, unit="img/s", computes=False)
        # Its workers end when it goes.
        del step, source
        metrics[name] = context.metric(timing, "img/s", rate, must_reach=False)
        timings[name] = timing, rate
        rates.append((metrics[name]["value"], name))
    best = max(rates)[1]
    metrics["throughput"] = context.metric(timings[best][0], "img/s", timings[best][1])
    context.detail("best", best)
    return context.result(metrics)


def _round(source: Iterator[Any], workers: int) -> Callable[[], Any]:
    """A batch of each worker: single ones arrive in bursts."""

    def step() -> None:
        for _ in range(max(1, workers)):
            next(source)

    return step


def _feed(context: Context, paths: List[str], tier: str, data: Dict[str, Any]) -> Result:
    device = context.device
    model = refcnn_train.tier(device)
    size, batch, workers = TIERS[model].size, BATCH[tier], _usable_workers(context, BATCH[tier], "uint8")[-1]
    knobs = tuned_knobs(device.torch_device)
    context.declare(
        FEED_VERSION,
        {"model": "refcnn-" + model, "size": size, "batch": batch, "dtype": knobs.precision, "tier": tier, "data": data,
         "optimiser": "Adam 1e-4", "loss": "cross entropy"},
        dict(knobs.describe(), workers=workers),
    )  # fmt: skip
    settings = Settings(data="synthetic", size=size, classes=CLASSES, batch=batch, rate=1e-4, schedule="constant")
    labels = torch.randint(0, CLASSES, (batch,), device=device.torch_device)
    images: List[Any] = []

    def rate(seconds: float) -> float:
        return batch / seconds

    with precision.kept(), precision.autotuned(), allocator.keeping(knobs.keep_memory):
        step = TrainingStep(
            build(CLASSES, size, settings.dropout, context.seed), settings, knobs, device.torch_device, 1
        )
        prepared = Preparation(IMAGENET_MEAN, IMAGENET_STD, settings, knobs.channels_last).for_evaluation

        def train() -> None:
            step(prepared(images[0].to(device.torch_device, non_blocking=knobs.pinned)), labels)

        one = batches(paths, size, "uint8", batch, min(1, workers), pinned=False)
        single = context.time(_round(one, 1), "one_worker", 0.25, figure=rate, unit="img/s", computes=False)
        images[:] = [next(one).to(device.torch_device)]
        del one
        resident = context.time(train, "resident", 0.4, figure=rate, unit="img/s")
        source = batches(paths, size, "uint8", batch, workers, pinned=knobs.pinned)

        def fed_step() -> None:
            images[:] = [next(source)]
            train()

        fed = context.time(fed_step, "fed", 1.0, figure=rate, unit="img/s", computes=False)
    if step.uncompiled_because:
        context.warn(
            "torch.compile does not work here, so the steps ran without it: {}".format(step.uncompiled_because)
        )
        context.correct("compiled", False)
    wait = 100 * max(0.0, 1 - resident.median / fed.median)
    return context.result(
        {
            "throughput": context.metric(fed, "img/s", rate),
            "resident": context.metric(resident, "img/s", rate),
            "one_worker": context.metric(single, "img/s", rate, must_reach=False),
            "data_wait": context.figure(wait, "%", "lower"),
            "workers_needed": context.figure(float(math.ceil(single.median / resident.median)), "1", "lower"),
        }
    )
