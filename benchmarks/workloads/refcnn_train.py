"""refcnn.train: the reference CNN's training steps, in the article's literal loop and tuned, and what each tuning buys.

Measures    training steps (cross entropy, Adam 1e-3) on uint8 images that lie on the device and are made float there.
            article: eager, NCHW, torch's default precision and Adam, the loss read after every step. tuned: channels_last,
            autocast, fused Adam, the loss never read, on a GPU torch.compile (not in the quick suite), on a CPU with glibc
            freed memory kept (harness/allocator.py). A ladder from one to the other, a knob a rung, where the time allows it
            (--parameter ladder=true; the full suite).
Formula     batch over the median time of a step. roofline: the kernel-sum bound (models/simple_cnn_costs.py) from this run's own
            matmul and copy ceilings, over that time. speedup: median article step over median tuned step, of one run; its
            interval from both, added in squares. gain_X (ladder): a rung's step over the next one's.
Gate        in the full suite, or alone, the tuned loop's first gradients (eager, 8 images) are held against the CPU's in fp32:
            pipeline/first_step.py; first_step_cosine is the worst of them.
Unit        img/s, ms, % (roofline), ratio, 1 (cosine), GB (10^9 bytes), s.
Tiers       224 (10.5 GiB and more), 112 (4 GiB), 32 (the rest, CPUs). --parameter tier=224, batch=N make it other work;
            --preset article or tuned measures that one alone.
Source      the article's SimpleCNN; Williams et al., Roofline (2009).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch

from benchmarks.data.bundled import synthetic
from benchmarks.harness import allocator, kernels, precision
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device
from benchmarks.harness.timing import Timing
from benchmarks.models.simple_cnn import TIERS
from benchmarks.models.simple_cnn_costs import Bounds, step_bounds, step_flops
from benchmarks.pipeline import first_step
from benchmarks.pipeline.model import build
from benchmarks.pipeline.normalise import IMAGENET_MEAN, IMAGENET_STD
from benchmarks.pipeline.prepare import Preparation
from benchmarks.pipeline.settings import Knobs, Settings, article_knobs, tuned_knobs
from benchmarks.pipeline.step import TrainingStep

VERSION = 1
CLASSES = 1000
RUNGS: Tuple[Tuple[str, Dict[str, Any]], ...] = (
    ("article", {}),
    ("no_sync", {"sync_each_step": False}),
    ("fused", {"fused": True}),
    ("channels_last", {"channels_last": True}),
    ("precision", {}),  # the tuned one
    ("keep_memory", {"keep_memory": True}),
    ("compile", {"compiled": True}),
)


def tier(device: Device) -> str:
    if device.is_cuda:
        for name in ("224", "112"):
            if device.memory_bytes >= TIERS[name].memory_bytes:
                return name
    return "32"


def ladder(tuned: Knobs) -> List[Tuple[str, Knobs]]:
    """Knobs from the article's to the tuned ones, each rung one knob further; what changes nothing here is left out."""
    knobs = replace(article_knobs(), prepare_on_device=True)
    rungs = [("article", knobs)]
    for name, change in RUNGS[1:]:
        wanted = {"precision": tuned.precision} if name == "precision" else change
        following = replace(knobs, **wanted)
        if following != knobs and all(getattr(tuned, key) == value for key, value in wanted.items()):
            rungs.append((name, following))
            knobs = following
    return rungs


def measure(context: Context) -> Result:
    device = context.device
    chosen = context.option("tier", tier(device))
    size, batch = TIERS[chosen].size, context.option("batch", TIERS[chosen].batch)
    tuned = tuned_knobs(device.torch_device)
    if context.suite == "quick":
        tuned = replace(tuned, compiled=False)  # it takes longer than the whole suite
    article = replace(article_knobs(), prepare_on_device=True)  # its images lie on the device too
    context.declare(
        VERSION,
        {
            "model": "refcnn-" + chosen, "batch": batch, "image": size, "classes": CLASSES, "optimiser": "Adam 1e-3",
            "loss": "cross entropy", "data": "synthetic uint8", "preset": context.preset or "both",
            "dtype": {"article": article.precision, "tuned": tuned.precision},
        },
        {"article": article.describe(), "tuned": tuned.describe(), "cudnn_benchmark": True},
    )  # fmt: skip
    sides = [
        (name, knobs) for name, knobs in (("article", article), ("tuned", tuned)) if context.preset in (None, name)
    ]
    climb = context.option("ladder", context.suite == "full") and context.preset is None
    # The ceilings and the ladder take their part of the time.
    share = (0.5 if climb else 1.0) * (1.0 if context.ceilings.known() else 0.8)
    metrics: Dict[str, Any] = {}
    timings: Dict[str, Timing] = {}
    if context.suite in (None, "full"):  # at 224 pixels it takes some seconds of all the host's cores, and 8 GB
        _hold_against_cpu(context, *sides[-1], size)
    # What compiles goes first, so that the time is shared out when it has.
    for index, (name, knobs) in enumerate(reversed(sides)):
        timings[name] = _time(context, name, knobs, size, batch, share / (len(sides) - index))
    for name, knobs in reversed(sides):  # the tuned loop's figures are the workload's own, and stand first
        metrics.update(_figures(context, name, knobs, timings[name], size, batch))
    if len(sides) == 2:
        metrics["speedup"] = context.ratio(timings["article"], timings["tuned"])
    if climb:
        metrics.update(_climb(context, ladder(tuned), size, batch))
    return context.result(metrics)


def training_step(
    device: Device, knobs: Knobs, size: int, batch: int, seed: int, losses: List[Any], loop: List[TrainingStep]
) -> Callable[[], None]:
    """One step of the loop on its own images, made float on the device; keeps the loss in `losses`, and is in `loop`."""
    settings = Settings(data="synthetic", size=size, classes=CLASSES, batch=batch, seed=seed, schedule="constant")
    images = synthetic(batch, size, CLASSES, seed)
    pixels, labels = images.pixels.to(device.torch_device), images.labels.to(device.torch_device)
    preparation = Preparation(IMAGENET_MEAN, IMAGENET_STD, settings, knobs.channels_last)
    # Drawn where they are used: a CPU needs seconds for 412 million of them.
    model = build(CLASSES, size, settings.dropout, seed, device.torch_device)
    step = TrainingStep(model, settings, knobs, device.torch_device, steps=1 << 30)
    step.model.train()
    loop[:] = [step]

    def run() -> None:
        loss, _ = step(preparation.for_evaluation(pixels), labels)
        if knobs.sync_each_step:
            loss.item()
        losses[:] = [loss]

    return run


def _hold_against_cpu(context: Context, name: str, knobs: Knobs, size: int) -> None:
    """Judge a loop's first step: once, however often the workload goes on."""
    if name in context.kept.get("first_step", {}):
        return
    context.progress("check", 0)
    settings = Settings(data="synthetic", size=size, classes=CLASSES, seed=context.seed)
    images = synthetic(first_step.IMAGES, size, CLASSES, context.seed)
    pixels = Preparation(IMAGENET_MEAN, IMAGENET_STD, settings, knobs.channels_last).for_evaluation(images.pixels)
    model = build(CLASSES, size, settings.dropout, context.seed)
    with precision.kept():
        found = first_step.compare_first_step(model, pixels, images.labels, knobs, context.device.torch_device)
    context.kept.setdefault("first_step", {})[name] = found
    context.device.release()


def _time(context: Context, key: str, knobs: Knobs, size: int, batch: int, share: float) -> Timing:
    losses: List[Any] = []
    context.progress("setup", 0)
    context.device.reset_peak()
    loop: List[TrainingStep] = []
    # The step sets the policy that its knobs name.
    with precision.kept(), precision.autotuned(), allocator.keeping(knobs.keep_memory):
        step = training_step(context.device, knobs, size, batch, context.seed, losses, loop)
        timing = context.time(step, key=key, share=share, figure=lambda s: batch / s, unit="img/s", trains=True)
    if loop[0].uncompiled_because:
        context.warn(
            "torch.compile does not work here, so {} ran without it: {}".format(key, loop[0].uncompiled_because)
        )
        context.correct(key, loop[0].knobs.describe())
    peak = context.device.peak_bytes()
    if peak is not None:
        context.kept.setdefault("peak", {})[key] = peak
    # Adam at 1e-3 without a warm-up makes the loss jump; it must stay a number all the same.
    if not bool(torch.isfinite(losses[0])):
        context.wrong("the {} loop's loss is {} on random images".format(key, float(losses[0])))
    del step, loop
    context.device.release()
    return timing


def _figures(context: Context, name: str, knobs: Knobs, timing: Timing, size: int, batch: int) -> Dict[str, Any]:
    """Named after the preset, but for the tuned one's, which are the workload's own."""
    before = "" if name == "tuned" else name + "_"
    dtype = knobs.precision
    if dtype == "default":
        # torch's default: convolutions in TF32 where there is TF32. All at that ceiling is a bound; all at fp32's can be beaten.
        dtype = "fp32" if kernels.unsupported(context.device, "tf32") else "tf32"

    def bounds_now() -> Bounds:
        return step_bounds(context.ceilings.matmul(dtype), context.ceilings.copy(), batch, size, CLASSES, dtype)

    context.bound(lambda: bounds_now().kernel_sum_s, timing)
    bounds = bounds_now()
    figures = {
        before + "throughput": context.metric(
            timing, "img/s", lambda s: batch / s, ceiling=batch / bounds.kernel_sum_s, what="the kernel-sum roofline"
        ),
        before + "step": context.metric(timing, "ms", lambda s: 1e3 * s, "lower"),
        before + "roofline": context.metric(timing, "%", lambda s: 100 * bounds.kernel_sum_s / s),
    }
    if timing.cold_start_s is not None:
        figures[before + "cold_start"] = context.once(timing.cold_start_s, "s", "lower")
    if name in context.kept.get("peak", {}):
        figures[before + "peak_memory"] = context.figure(context.kept["peak"][name] / 1e9, "GB", "lower")
    if name in context.kept.get("first_step", {}):
        found = context.kept["first_step"][name]
        figures[before + "first_step_cosine"] = context.figure(found.cosine, "1")
        context.wrong(first_step.objection(found, knobs.precision))
    if name == "tuned" or context.preset is not None:
        context.detail("bound", bounds.compulsory_by)
    context.detail(
        name,
        {
            "compulsory_ms": 1e3 * bounds.compulsory_s,
            "kernel_sum_ms": 1e3 * bounds.kernel_sum_s,
            "held_by": bounds.compulsory_by,
            "step_gflop": step_flops(batch, size, CLASSES) / 1e9,
        },
    )
    return figures


def _climb(context: Context, rungs: List[Tuple[str, Knobs]], size: int, batch: int) -> Dict[str, Any]:
    """How much faster each rung is than the one below it."""
    figures: Dict[str, Any] = {}
    below: Optional[Timing] = None
    for index, (name, knobs) in enumerate(rungs):
        timing = _time(context, "ladder." + name, knobs, size, batch, 1.0 / (len(rungs) - index))
        if below is not None:
            figures["gain_" + name] = context.ratio(below, timing)
        below = timing
    return figures
