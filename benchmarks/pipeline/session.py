"""One process of a training run, from its options to its result: the pipeline's stages in their order."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import torch

from benchmarks.data.load import SYNTHETIC, Parts, class_counts, load, with_few_labels
from benchmarks.harness import allocator
from benchmarks.harness.command import hello
from benchmarks.harness.device import default_device, open_device
from benchmarks.harness.events import Events
from benchmarks.models.simple_cnn import SimpleCNN, parameter_count
from benchmarks.pipeline import checkpoint, export, finetune, first_step
from benchmarks.pipeline.checkpointer import Checkpointer
from benchmarks.pipeline.errors import PipelineError, ValidationError, insist
from benchmarks.pipeline.evaluate import Scores
from benchmarks.pipeline.model import build
from benchmarks.pipeline.optimise import is_fused
from benchmarks.pipeline.recipes import settings_for
from benchmarks.pipeline.run_folder import SCHEMA, RunFolder
from benchmarks.pipeline.settings import PRECISIONS, Knobs, Settings, article_knobs, tuned_knobs
from benchmarks.pipeline.training import Run

SELDOM_S = 0.25


class Session:
    """Runs it all; what it says goes to `events`."""

    def __init__(self, options: argparse.Namespace, given: Mapping[str, Any], events: Events) -> None:
        """Raises PipelineError on options that cannot be."""
        self.options, self.given, self.events = options, dict(given), events
        self.checkpointer: Optional[Checkpointer] = None
        self._run: Optional[Run] = None
        self._told = 0.0
        self._stop: Optional[str] = None
        self._loaded: Dict[str, Any] = {}

    def ask_to_stop(self, why: str) -> None:
        """Called by a signal: save at the next step, and end."""
        self._stop = why
        if self.checkpointer is not None:
            self.checkpointer.ask_to_stop(why)

    def save(self) -> None:
        if self.checkpointer is not None and self._run is not None:
            self.checkpointer.tell = lambda _event, **_fields: None
            self.checkpointer.save(self._run)

    def run(self) -> None:
        started = time.monotonic()
        options = self.options
        try:
            device = open_device(options.device or default_device())
        except ValueError as error:
            raise PipelineError(str(error)) from error
        folder = RunFolder(Path(options.run_folder).absolute())
        settings, state = self._settings(folder)
        folder.claim()
        if options.export:
            export.require_packages()
        self.events.emit("hello", **hello(torch, device, settings.seed))
        parts = self._data(settings)
        self._same_data(parts, state)
        model = self._model(settings, parts)
        knobs = self._knobs(settings, device.torch_device, parts)
        if state is None:
            folder.write_json("config.json", self._config(settings, knobs, parts, device.describe()))
        if knobs.keep_memory and not allocator.keep_freed_memory():
            knobs = replace(knobs, keep_memory=False)
        torch.backends.cudnn.benchmark = knobs.autotuned
        self.events.emit("run", folder=str(folder.path), settings=settings.as_dict(), knobs=knobs.describe())
        comparison = self._first_step(model, parts, settings, knobs, device.torch_device)
        run = self._run = Run(model, parts, settings, knobs, device.torch_device, self.tell)
        if state is not None:
            run.restore(state)
        self.checkpointer = Checkpointer(folder, self.tell, options.save_every)
        if self._stop:
            self.checkpointer.ask_to_stop(self._stop)
        trained_from = run.steps
        run.train(self.checkpointer.after_step, self.checkpointer.after_epoch)
        if run.step.uncompiled_because:
            self.events.emit(
                "log",
                text="torch.compile does not work here, so the run went without it: {}".format(
                    run.step.uncompiled_because
                ),
            )
        knobs_used = dict(run.step.knobs.describe(), fused=is_fused(run.step.optimiser))
        self._finish(run, self.checkpointer, comparison, knobs_used, started, run.steps - trained_from)

    # --- the stages --------------------------------------------------------------------------------------------------

    def _settings(self, folder: RunFolder) -> "tuple[Settings, Optional[Dict[str, Any]]]":
        """A new run's settings, or those of the run to go on with and its state (None: it was stopped before it saved)."""
        if not self.options.resume:
            if folder.begun:
                raise PipelineError(
                    "{} holds a run already: go on with it (--resume), or name another folder".format(folder.path)
                )
            start = self.given.get("finetune_from")
            if start:
                self._loaded = checkpoint.load(Path(start))
                self._adopt(self._loaded)
            return settings_for(self.given), None
        if self.given:
            names = ", ".join("--" + name.replace("_", "-") for name in sorted(self.given))
            raise PipelineError("a resumed run keeps its settings; leave out {}".format(names))
        if not folder.begun:
            raise PipelineError("{} holds no run to resume".format(folder.path))
        settings = Settings.from_dict(folder.read_json("config.json")["settings"])
        if settings.finetune_from and not folder.last.exists():
            self._loaded = checkpoint.load(Path(settings.finetune_from))
        return settings, checkpoint.load(folder.last) if folder.last.exists() else None

    def _adopt(self, loaded: Mapping[str, Any]) -> None:
        """What fine-tuning takes from its checkpoint: the image size, and a lower learning rate for all layers."""
        finetune.require_backbone(loaded["model"], self.given["finetune_from"])
        self.given.setdefault("size", finetune.size_of(loaded["model"]))
        if "rate" not in self.given and not self.given.get("freeze"):
            self.given["rate"] = finetune.LOWER_RATE * settings_for(self.given).rate

    def _data(self, settings: Settings) -> Parts:
        parts = load(settings, lambda done, of: self.tell("progress", phase="data", step=done, steps=of))
        if settings.labels_per_class:
            parts = with_few_labels(parts, settings.labels_per_class, settings.seed)
        for note in parts.notes:
            self.events.emit("log", text=note)
        return parts

    @staticmethod
    def _same_data(parts: Parts, state: Optional[Mapping[str, Any]]) -> None:
        if state is not None and state["data_digest"] != parts.digest:
            raise PipelineError(
                "the images are not those that this run began with, so it cannot go on; begin a new one, or fine-tune from "
                "its last.pt (--finetune-from)"
            )

    def _model(self, settings: Settings, parts: Parts) -> SimpleCNN:
        model = build(len(parts.classes), settings.size, settings.dropout, settings.seed)
        if self._loaded:
            finetune.take_backbone(model, self._loaded["model"], settings.finetune_from)
        if settings.freeze:
            finetune.freeze_backbone(model)
        return model

    def _knobs(self, settings: Settings, device: torch.device, parts: Parts) -> Knobs:
        steps = settings.epochs * len(parts.train) // settings.batch
        knobs = tuned_knobs(device, steps) if settings.preset == "tuned" else article_knobs()
        if self.options.precision is not None:
            if self.options.precision not in PRECISIONS:
                raise PipelineError(
                    "no precision {!r}; there are {}".format(self.options.precision, ", ".join(PRECISIONS))
                )
            knobs = replace(knobs, precision=self.options.precision)
        return knobs if self.options.compiled is None else replace(knobs, compiled=self.options.compiled)

    def _first_step(
        self, model: SimpleCNN, parts: Parts, settings: Settings, knobs: Knobs, device: torch.device
    ) -> Optional[Dict[str, Any]]:
        """The device's first step against the CPU's. Raises ValidationError beyond the gates."""
        if self.options.no_check:
            return None
        from benchmarks.data.images import Images
        from benchmarks.pipeline.prepare import Preparation

        count = first_step.IMAGES
        if isinstance(parts.train, Images):
            pixels = parts.train.pixels[:count]
        else:
            from benchmarks.data.folders import read_image

            pixels = torch.stack([read_image(path, settings.size) for path in parts.train.paths[:count]])
        self.tell("progress", phase="check", step=0, steps=1)
        images = Preparation(parts.mean, parts.std, settings, knobs.channels_last).for_evaluation(pixels)
        found = first_step.compare_first_step(model, images, parts.train.labels[:count], knobs, device)
        insist(first_step.objection(found, knobs.precision))
        return dict(found._asdict())

    def _finish(
        self,
        run: Run,
        checkpointer: Checkpointer,
        comparison: Optional[Dict[str, Any]],
        knobs: Dict[str, Any],
        started: float,
        steps: int,
    ) -> None:
        settings, parts, folder = run.settings, run.parts, checkpointer.folder
        chosen = "last"
        if settings.patience and run.best:
            # Early stopping ends after the best epoch: that one's weights are what it stopped for.
            if run.best_weights is not None:  # else this run had come to its end, and they are in place
                run.step.model.load_state_dict(run.best_weights)
            chosen = "best"
        scores = run.evaluate(parts.test)
        weights = run.weights()
        epoch = run.best["epoch"] if chosen == "best" else run.epoch
        checkpointer.save_final(run, weights, epoch)
        speeds = [line["images_per_second"] for line in run.history if line["images_per_second"]]
        result: Dict[str, Any] = {
            "test": scores.summary(),
            "confusion": scores.confusion,
            "classes": list(parts.classes),
            "epochs": run.epoch,
            "steps": run.steps,
            "stopped_early": run.stopped_early,
            "weights": {"of": chosen, "epoch": epoch, "digest": checkpoint.digest(weights)},
            "first_step": comparison,
            "knobs": knobs,
            "images_per_second": sorted(speeds)[len(speeds) // 2] if speeds else None,
            "data_wait": run.history[-1]["data_wait"] if run.history else None,
            "unreadable": run.batches.unreadable,
            "seconds": time.monotonic() - started,
            "steps_of_this_process": steps,
            "export": None,
            "valid": True,
            "invalid_because": [],
        }
        if run.batches.unreadable:
            self.events.emit("log", text="{} images could not be read and were left out".format(run.batches.unreadable))
        try:
            _require_accuracy(scores, settings)
            if self.options.export:
                result["export"] = self._export(run, Path(self.options.export).absolute())
        except ValidationError as error:
            result.update(valid=False, invalid_because=[str(error)])
        folder.write_json("result.json", dict(result, schema=SCHEMA))
        checkpointer.slim(run)
        self.events.emit("finished", **result)
        if not result["valid"]:
            raise ValidationError(result["invalid_because"][0])

    def _export(self, run: Run, path: Path) -> Dict[str, Any]:
        self.tell("progress", phase="export", step=0, steps=1)
        batches = run._batches(run.parts.test, 16, shuffle=False)
        images = run.preparation.for_evaluation(next(iter(batches))[0])
        found = export.export_onnx(run.step.model, images, path)
        insist(export.objection(found, path))
        return dict(found._asdict(), path=str(path))

    # --- what is told ------------------------------------------------------------------------------------------------

    def tell(self, event: str, **fields: Any) -> None:
        """Progress that is only a sign of life is told four times a second at most."""
        if event == "progress" and fields.get("phase") != "train":
            now = time.monotonic()
            if now - self._told < SELDOM_S:
                return
            self._told = now
        self.events.emit(event, **fields)

    @staticmethod
    def _config(settings: Settings, knobs: Knobs, parts: Parts, device: Mapping[str, Any]) -> Dict[str, Any]:
        return {
            "schema": SCHEMA,
            "settings": settings.as_dict(),
            "knobs": knobs.describe(),
            "torch": torch.__version__,
            "device": dict(device),
            "threads": torch.get_num_threads(),
            "parameters": parameter_count(len(parts.classes), settings.size),
            "data": {
                "name": settings.data,
                "digest": parts.digest,
                "images": {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
                "classes": class_counts(parts.train.labels, parts.classes),
                "mean": list(parts.mean),
                "std": list(parts.std),
                "notes": list(parts.notes),
            },
        }


def _require_accuracy(scores: Scores, settings: Settings) -> None:
    """Raises ValidationError below the target; synthetic labels have none."""
    if settings.data != SYNTHETIC and settings.target_accuracy and not scores.accuracy >= settings.target_accuracy:
        raise ValidationError(
            "test accuracy {:.2%} after {} epoch{}; at least {:.2%} is expected of this data. Either the settings were made "
            "worse than the defaults, or this machine trains wrongly: envdoctor bench --workload numerics tells".format(
                scores.accuracy, settings.epochs, "" if settings.epochs == 1 else "s", settings.target_accuracy
            )
        )
