"""Train: the loop over epochs and batches, and all that it needs to stop and to go on.

    for epoch in range(epochs):
        for images, labels in batches:
            step(images, labels)
        validate; keep the best; stop early if it has not got better

Everything that the rest of a run depends on is in `Run.state()`: weights, optimiser, schedule, loss scale, random numbers, the
place in the data and the epoch's running sums. A run that is resumed from it ends with the same bits as one that never stopped.
"""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch

from benchmarks.data.images import Source
from benchmarks.data.load import Parts
from benchmarks.pipeline import checkpoint, evaluate
from benchmarks.pipeline.batches import Batches
from benchmarks.pipeline.errors import ValidationError
from benchmarks.pipeline.prepare import Preparation
from benchmarks.pipeline.settings import Knobs, Settings
from benchmarks.pipeline.step import TrainingStep

LOOK_EVERY_S = 0.5
"""How often the loss is read for a person to see, where the loop does not read it anyway: each look waits for the device."""

Tell = Callable[..., None]
"""tell(event, **fields)"""


class Stopped(Exception):
    """Somebody asked the run to end; it stands where its last checkpoint does."""


class Run:
    """A training run: `train()` goes through the epochs that are left, from wherever `restore` has put it."""

    def __init__(
        self,
        model: torch.nn.Module,
        parts: Parts,
        settings: Settings,
        knobs: Knobs,
        device: torch.device,
        tell: Tell = lambda _event, **_fields: None,
    ) -> None:
        self.parts, self.settings, self.knobs, self.device, self.tell = parts, settings, knobs, device, tell
        # Prepared on the device from uint8, or on the CPU in float and then sent.
        self._data_device = device if knobs.prepare_on_device else torch.device("cpu")
        self.batches = self._batches(parts.train, settings.batch, shuffle=True)
        self.preparation = Preparation(parts.mean, parts.std, settings, knobs.channels_last)
        torch.manual_seed(settings.seed)
        self.step = TrainingStep(model, settings, knobs, device, settings.epochs * len(self.batches))
        self.epoch = self.steps = 0
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.hits = torch.zeros((), dtype=torch.int64, device=device)
        self.seen = 0
        self.history: List[Dict[str, Any]] = []
        self.best: Dict[str, Any] = {}
        self.best_weights: Optional[Dict[str, torch.Tensor]] = None
        self.stopped_early = False

    # --- the loop ----------------------------------------------------------------------------------------------------

    def train(
        self,
        after_step: Callable[["Run"], None] = lambda _run: None,
        after_epoch: Callable[["Run"], None] = lambda _run: None,
    ) -> None:
        """All epochs that are left. The two are called with the run: to save it, or to raise Stopped.

        Raises ValidationError on a loss that is not finite.
        """
        while self.epoch < self.settings.epochs and not self.stopped_early:
            self._epoch(after_step)
            after_epoch(self)

    def _epoch(self, after_step: Callable[["Run"], None]) -> None:
        self.step.model.train()
        clock = _Clock(self)
        for pixels, labels in self.batches:
            if not len(labels):  # none of its files could be read any more
                continue
            loss, hits = self.step(*self._ready(pixels, labels, self.preparation.for_training))
            self.loss_sum += loss.double() * len(labels)
            self.hits += hits
            self.seen += len(labels)
            self.steps += 1
            if self.knobs.sync_each_step:
                self._require_finite(loss.item())
            clock.look()
            after_step(self)
        train_loss = float(self.loss_sum) / max(1, self.seen)
        self._require_finite(train_loss)
        seconds = clock.seconds()
        validation = self.evaluate(self.parts.validation)
        if validation.images:
            self._require_finite(validation.loss, "validation")
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "loss": train_loss,
                "accuracy": int(self.hits) / max(1, self.seen),
                "validation_loss": validation.loss,
                "validation_accuracy": validation.accuracy,
                "validation_f1": validation.f1,
                "rate": self.step.rate,
                "steps": self.steps,
                # Of this process alone: a resumed epoch counts from where it was taken up.
                "seconds": seconds,
                "images_per_second": clock.images() / seconds if seconds > 0 else None,
                "data_wait": clock.waited() / seconds if seconds > 0 else None,
            }
        )
        self._remember_best(validation)
        self.epoch += 1
        self.batches.start_epoch(self.epoch)
        self.loss_sum.zero_()
        self.hits.zero_()
        self.seen = 0
        self.tell("epoch", **self.history[-1])

    def _ready(
        self, pixels: torch.Tensor, labels: torch.Tensor, prepare: Callable[[torch.Tensor], torch.Tensor]
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        if self.knobs.prepare_on_device:
            return prepare(pixels.to(self.device)), labels.to(self.device)
        return prepare(pixels).to(self.device), labels.to(self.device)

    def _remember_best(self, validation: evaluate.Scores) -> None:
        # On the loss: accuracy on a few hundred images moves in steps.
        if not self.best or validation.loss < self.best["validation_loss"]:
            self.best = {
                "epoch": self.epoch + 1,
                "validation_loss": validation.loss,
                "validation_accuracy": validation.accuracy,
            }
            self.best_weights = self.weights()
        elif self.settings.patience and self.epoch + 1 - self.best["epoch"] >= self.settings.patience:
            self.stopped_early = True

    def evaluate(self, source: Source) -> evaluate.Scores:
        """Scores of the weights as they stand, in fp32."""
        batches = self._batches(source, max(self.settings.batch, 64), shuffle=False)

        def prepared() -> Iterator[Tuple[torch.Tensor, torch.Tensor]]:
            for number, (pixels, labels) in enumerate(batches):
                self.tell("progress", phase="evaluate", step=number, steps=len(batches), epoch=self.epoch)
                if not len(labels):
                    continue
                yield self._ready(pixels, labels, self.preparation.for_evaluation)

        return evaluate.evaluate(self.step.model, prepared(), len(self.parts.classes), self.step.loss_of)

    def _batches(self, source: Source, batch: int, shuffle: bool) -> Batches:
        return Batches(
            source,
            batch,
            self._data_device,
            seed=self.settings.seed,
            shuffle=shuffle,
            workers=self.settings.workers,
            pinned=self.knobs.pinned,
            whole_only=shuffle and self.knobs.compiled,
        )

    def _require_finite(self, loss: float, of: str = "training") -> None:
        if not math.isfinite(loss):
            raise ValidationError(
                "the {} loss became {} in epoch {}, step {}. A learning rate that is too high does that (lower --rate), "
                "and so does a device that computes wrongly: envdoctor bench --workload numerics tells".format(
                    of, loss, self.epoch + 1, self.steps
                )
            )

    # --- to stop and to go on ----------------------------------------------------------------------------------------

    def weights(self) -> Dict[str, torch.Tensor]:
        """A copy of the weights on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.step.model.state_dict().items()}

    def state(self) -> Dict[str, Any]:
        """All that the rest of the run depends on. The best weights are in best.pt; only early stopping needs them again."""
        return {
            "format": checkpoint.FORMAT,
            "settings": self.settings.as_dict(),
            "classes": list(self.parts.classes),
            "mean": list(self.parts.mean),
            "std": list(self.parts.std),
            "data_digest": self.parts.digest,
            **self.step.state(),
            "augmentation_rng": self.preparation.generator.get_state(),
            "loader": self.batches.state(),
            "epoch": self.epoch,
            "steps": self.steps,
            "loss_sum": self.loss_sum,
            "hits": self.hits,
            "seen": self.seen,
            "history": self.history,
            "best": self.best,
            "best_weights": self.best_weights if self.settings.patience else None,
            "stopped_early": self.stopped_early,
        }

    def final_state(self) -> Dict[str, Any]:
        """What it takes to judge a run again that has come to its end, a quarter of `state()`."""
        return dict(self.state(), optimiser=None, best_weights=None)

    def restore(self, state: Dict[str, Any]) -> None:
        """Take up a run where `state()` left it."""
        self.step.restore(state)
        self.preparation.generator.set_state(state["augmentation_rng"])
        self.batches.restore(state["loader"])
        self.epoch, self.steps, self.seen = state["epoch"], state["steps"], state["seen"]
        self.loss_sum.copy_(state["loss_sum"])
        self.hits.copy_(state["hits"])
        self.history, self.best = list(state["history"]), dict(state["best"])
        self.best_weights, self.stopped_early = state["best_weights"], state["stopped_early"]


class _Clock:
    """Looks at the run now and then, and tells what a person wants to see: loss, accuracy, speed, time left."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._begun = self._looked = time.monotonic()
        self._first_seen, self._first_step = run.seen, run.steps
        self._first_wait = run.batches.waited

    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def images(self) -> int:
        return self._run.seen - self._first_seen

    def waited(self) -> float:
        return self._run.batches.waited - self._first_wait

    def look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        run = self._run
        loss, hits = float(run.loss_sum) / run.seen, int(run.hits) / run.seen
        run._require_finite(loss)
        # Reading the loss has waited for the device.
        self._looked = time.monotonic()
        rate = (run.steps - self._first_step) / (self._looked - self._begun)
        run.tell(
            "progress",
            phase="train",
            epoch=run.epoch,
            epochs=run.settings.epochs,
            step=run.steps - run.epoch * len(run.batches),
            steps=len(run.batches),
            loss=loss,
            accuracy=hits,
            images_per_second=self.images() / (self._looked - self._begun),
            remaining_s=(run.settings.epochs * len(run.batches) - run.steps) / rate,
            data_wait=self.waited() / (self._looked - self._begun),
        )
