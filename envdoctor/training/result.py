"""The result of a training run: the types of the document `envdoctor.train/1`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from envdoctor.bench.results import Device, Environment, Telemetry, WorkloadFailure
from envdoctor.credentials import without_credentials

SCHEMA = "envdoctor.train/1"

Status = Literal["trained", "invalid", "failed", "stopped"]
"""trained: to the end, and every check passed. invalid: its result must not be trusted (accuracy, numerics, an export that
disagrees). failed: it did not come to its end. stopped: by a person or a scheduler; it can be resumed."""


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch. Losses are mean cross-entropies in nats, accuracies and F1 0 to 1; `data_wait` is the share of the time that
    training waited for images. Speed and seconds are of the process that ended the epoch."""

    epoch: int
    loss: float | None = None
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_f1: float | None = None
    rate: float | None = None
    steps: int | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    data_wait: float | None = None


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """On the test images. Precision, recall and F1 are plain means over the classes (macro); all 0 to 1, `loss` in nats."""

    images: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    loss: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval (Wilson): what so few test images leave open."""
        n, z = max(self.images, 1), 1.959964
        centre = (self.accuracy + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * (self.accuracy * (1 - self.accuracy) / n + z * z / (4 * n * n)) ** 0.5
        return max(0.0, centre - half), min(1.0, centre + half)


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The child's `finished` event: what came of a run that was trained to its end."""

    test: Scores
    confusion: tuple[tuple[int, ...], ...] = ()
    """[i][j]: images of class i that were called j."""
    classes: tuple[str, ...] = ()
    epochs: int = 0
    steps: int = 0
    stopped_early: bool = False
    weights: dict[str, Any] = {}
    first_step: dict[str, Any] | None = None
    knobs: dict[str, Any] = {}
    images_per_second: float | None = None
    """The median of the epochs'."""
    data_wait: float | None = None
    unreadable: int = 0
    seconds: float | None = None
    export: dict[str, Any] | None = None
    valid: bool = True
    invalid_because: tuple[str, ...] = ()


class TrainingResult(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """A run, or as much of it as there was."""

    status: Status
    ok: bool
    folder: str
    envdoctor: str | None = None
    created: str | None = None
    """UTC, ISO 8601: when this process began."""
    seconds: float | None = None
    resumed: bool = False
    device: Device | None = None
    environment: Environment = Environment()
    settings: dict[str, Any] = {}
    knobs: dict[str, Any] = {}
    data: dict[str, Any] = {}
    """Its name, digest, images by part, images by class, mean and std, what cleaning found."""
    parameters: int | None = None
    epochs: tuple[Epoch, ...] = ()
    outcome: Finished | None = None
    """None where the run did not come to its end."""
    telemetry: Telemetry | None = None
    """Of the device while it trained (of a long run's first ten minutes)."""
    invalid_because: tuple[str, ...] = ()
    failure: WorkloadFailure | None = None
    python: str | None = None
    """The interpreter, as it was named; None: the active one."""
    resumable: bool = False
    """Whether there is something to go on with: it did not come to its end, and its settings or a checkpoint are kept."""
    resume: str = ""
    """The command that goes on with it (of a run that came to its end: that judges it again)."""
    files: dict[str, int] = {}
    """What the folder holds: bytes by name."""
    notes: tuple[str, ...] = ()


def encode(result: TrainingResult) -> str:
    return without_credentials(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
