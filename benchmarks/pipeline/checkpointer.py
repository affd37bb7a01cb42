"""When to save: at the end of epochs and in between, so that a kill costs little and saving costs little."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Optional

from benchmarks.pipeline import checkpoint
from benchmarks.pipeline.errors import PipelineError
from benchmarks.pipeline.run_folder import RunFolder
from benchmarks.pipeline.training import Run, Stopped, Tell

LEAST_S = 30.0
SHARE = 20
"""A checkpoint of 412 million parameters and Adam's moments is 5 GB: saving takes at most one part in so many of the time."""


class Checkpointer:
    """Saves a run between its steps; `ask_to_stop` makes it save at once and end."""

    def __init__(self, folder: RunFolder, tell: Tell, every_steps: int = 0) -> None:
        """every_steps: save after so many steps whatever it costs; 0: by time."""
        self.folder, self.tell, self.every_steps = folder, tell, every_steps
        self.stopping: Optional[str] = None
        self._cost = 0.0
        self._saved = time.monotonic()
        self._epochs = 0
        self._best: Optional[int] = None

    def ask_to_stop(self, why: str) -> None:
        self.stopping = why

    def after_step(self, run: Run) -> None:
        if self.stopping:
            self.save(run)
            raise Stopped(self.stopping)
        due = run.steps % self.every_steps == 0 if self.every_steps else self._due()
        if due:
            self.save(run)

    def after_epoch(self, run: Run) -> None:
        """Metrics at once; the weights if they are the best so far; everything if it is due."""
        self.folder.write_metrics(run.history)
        if run.best and run.best_weights is not None and run.best["epoch"] != self._best:
            self._best = run.best["epoch"]
            checkpoint.save(weights_only(run, run.best_weights, run.best["epoch"]), self.folder.path / "best.pt")
        over = run.stopped_early or run.epoch == run.settings.epochs
        if self.every_steps or over or self._due() or not self.folder.last.exists():
            self.save(run)
        if self.stopping and not over:
            self.save(run)
            raise Stopped(self.stopping)

    def save(self, run: Run) -> None:
        begun = time.monotonic()
        checkpoint.save(run.state(), self.folder.last)
        self._saved = time.monotonic()
        self._cost = self._saved - begun
        self.tell("checkpoint", path=str(self.folder.last), epoch=run.epoch, steps=run.steps, seconds=self._cost)

    def save_final(self, run: Run, weights: Any, epoch: int) -> None:
        """The weights that are judged; where they are the best ones too, one file under two names."""
        best, final = self.folder.path / "best.pt", self.folder.path / "final.pt"
        # Only what this process has written, or has read, is known to be these weights.
        same = self._best == epoch == run.best.get("epoch") and best.exists()
        if not (same and checkpoint.link(best, final)):
            checkpoint.save(weights_only(run, weights, epoch), final)

    def slim(self, run: Run) -> None:
        """Of a run that has come to its end, keep what judges it again; a full disk leaves the larger file."""
        with contextlib.suppress(PipelineError):
            checkpoint.save(run.final_state(), self.folder.last)

    def _due(self) -> bool:
        return time.monotonic() - self._saved > max(LEAST_S, SHARE * self._cost)


def weights_only(run: Run, weights: Any, epoch: int) -> Any:
    """A checkpoint to fine-tune, evaluate or export from."""
    return {
        "format": checkpoint.FORMAT,
        "settings": run.settings.as_dict(),
        "classes": list(run.parts.classes),
        "mean": list(run.parts.mean),
        "std": list(run.parts.std),
        "epoch": epoch,
        "model": weights,
    }
