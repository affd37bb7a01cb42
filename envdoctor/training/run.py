"""A training run of the reference CNN: one child of benchmarks/train.py, from its first event to what came of it.

The child keeps the run's folder (checkpoints, metrics, result). What is here listens, watches the device, stops the child so that
nothing is lost, and says in one clear line why a run could not begin. training_conclusion.py makes a result of the others.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from envdoctor.bench.child import SILENCE, STARTUP, Child, Ending, Event
from envdoctor.bench.protocol import Hello
from envdoctor.bench.results import Telemetry
from envdoctor.bench.runner import startup_error
from envdoctor.bench.telemetry import Watch
from envdoctor.errors import InputError
from envdoctor.signals import deferred, terminable
from envdoctor.training import run_folder
from envdoctor.training.result import Epoch, Finished

SAVING = 120.0
"""Seconds that a child has to save itself: 412 million parameters with Adam's moments are 5 GB, and a step comes before."""
LOADING = 3.0
"""Seconds that it has while there is nothing to save."""
WATCHED = 600.0
"""Seconds of training of which telemetry is kept: ten samples a second of a week would not fit the memory."""
TRAIN = ("train", "trained")
OPTIONS = frozenset(
    (
        "data", "epochs", "batch", "size", "rate", "preset", "patience", "labels-per-class", "seed", "finetune-from", "freeze",
        "export", "device", "precision", "threads",
    )
)  # fmt: skip
"""The child's options that `envdoctor train` has under the same names; the others are its settings."""


@dataclass
class Training:
    """What is known of a run so far; whole at any moment, for it may be interrupted at any."""

    folder: Path
    hello: Hello | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    knobs: dict[str, Any] = field(default_factory=dict)
    begun: bool = False
    """Whether its folder has been made and its data read."""
    epochs: dict[int, Epoch] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    """The latest sign of progress: phase, step, steps, and while it trains loss, accuracy, images_per_second, remaining_s."""
    outcome: Finished | None = None
    error: dict[str, Any] | None = None
    ending: Ending | None = None
    interrupted: bool = False
    """By us, at the user's or a scheduler's wish."""
    stopped: bool = False
    """The child has saved itself and ended, whoever asked for it."""
    seen: Telemetry | None = None
    """Of the device while it trained."""
    notes: list[str] = field(default_factory=list)


Listener = Callable[[Training, Event | None], None]
"""Called with every event, after it has been taken in, and with None when the child is asked to save and stop."""


def train(
    python: str | Path,
    arguments: Sequence[str],
    folder: Path,
    *,
    script: str | Path,
    silence: float = SILENCE,
    startup: float = STARTUP,
    listener: Listener = lambda _training, _event: None,
) -> Training:
    """Runs `PYTHON script --events -o folder ARGUMENTS` to its end, whichever it is. An interrupt is not raised: the child saves
    itself, and `interrupted` says so.

    Raises InputError or StartupError where no run came about at all.
    """
    training = Training(folder)
    watching = _Watching()
    words = ["-o", str(folder), *arguments]
    with terminable(), contextlib.ExitStack() as stack:
        child = None
        try:
            with deferred():
                child = stack.enter_context(Child(python, words, script=script, silence=silence, startup=startup))
            watching.begin(child)
            for event in child:
                _take(training, event)
                watching.hear(training, event)
                listener(training, event)
        except KeyboardInterrupt:
            training.interrupted = True
            if child is not None:
                _stop(child, training, listener)
        watching.end(training)
        if child is not None:
            training.ending = child.ending
            if child.garbage:
                lines = "line" if child.garbage == 1 else "lines"
                first = child.garbage_lines[0][:80]
                training.notes.append(f"{child.garbage} {lines} on its stdout were no events, the first: {first!r}")
    if not training.begun and not training.interrupted:
        _require_start(str(python), training)
    return training


class _Watching:
    """Telemetry of the device from the first step to the last epoch, or of the first minutes of a long run."""

    def __init__(self) -> None:
        self._watch = Watch()
        self._from: float | None = None
        self._to: float | None = None
        self._over = False

    def begin(self, child: Child) -> None:
        self._watch.prepare()
        if child.pid is not None:
            self._watch.own(child.pid)

    def hear(self, training: Training, event: Event) -> None:
        if event.name == "hello" and training.hello is not None:
            self._watch.start(training.hello.device)
        if self._over or not (event.name == "epoch" or event.fields.get("phase") == "train"):
            return
        if self._from is None:
            self._from = event.arrived
        self._to = event.arrived
        if self._to - self._from > WATCHED:
            self._over = True
            self._watch.stop()

    def end(self, training: Training) -> None:
        if not self._over:
            self._watch.stop()
        if self._from is not None and self._to is not None and self._to > self._from:
            training.seen = self._watch.during([(self._from, self._to)])
            training.notes += self._watch.notes


def _stop(child: Child, training: Training, listener: Listener) -> None:
    """Lets the child save itself; a second interrupt ends it at once, and the checkpoint before stands."""
    with contextlib.suppress(KeyboardInterrupt):
        listener(training, None)
        # It may be further than what we have heard of it.
        begun = training.begun or run_folder.resumable(training.folder)
        child.stop(grace=SAVING if begun else LOADING)
    with contextlib.suppress(KeyboardInterrupt):
        for event in child.rest():
            _take(training, event)


def _take(training: Training, event: Event) -> None:
    fields = event.fields
    try:
        if event.name == "hello":
            training.hello = msgspec.convert(fields, Hello, strict=False)
        elif event.name == "run":
            training.settings, training.knobs = dict(fields["settings"]), dict(fields["knobs"])
            training.begun = True
        elif event.name == "progress":
            training.progress = fields
        elif event.name == "epoch":
            epoch = msgspec.convert(fields, Epoch, strict=False)
            training.epochs[epoch.epoch] = epoch
        elif event.name == "finished":
            training.outcome = msgspec.convert(fields, Finished, strict=False)
        elif event.name == "error":
            training.error = {"kind": str(fields.get("kind", "exception")), **fields}
        elif event.name == "stopped":
            training.stopped = True
        elif event.name == "log":
            training.notes.append(str(fields.get("text", "")))
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        training.notes.append(f"an event '{event.name}' of the training process cannot be read: {error}")


def _require_start(python: str, training: Training) -> None:
    """Raises what a person should hear of a child that never began to train; returns where it has failed by itself."""
    ending, error = training.ending, training.error
    assert ending is not None
    if error is not None and error["kind"] == "input":
        message = str(error.get("message"))
        if "cannot import torch" in message:
            raise startup_error(python, msgspec.structs.replace(ending, stderr=message), TRAIN)
        if message.startswith("no CUDA device"):
            message += ". `envdoctor check` says why; --device cpu trains without one"
        raise InputError(message)
    if error is not None or training.hello is not None or training.stopped:
        return
    lines = ending.stderr.strip().splitlines()
    # argparse: "train.py: error: argument --epochs: ..."
    found = re.search(r"error: (.*)", lines[-1]) if lines and ending.code == 2 else None
    if found is None:
        raise startup_error(python, ending, TRAIN)
    unknown = re.match(r"unrecognized arguments: --([^\s=]+)", found[1])
    if unknown is not None:
        raise InputError(f"there is no setting '{unknown[1]}'; docs/training.md lists them")
    named = re.match(r"argument --([\w-]+): (.*)", found[1])
    if named is not None and named[1] not in OPTIONS:
        raise InputError(f"--setting {named[1]}: {named[2]}")
    raise InputError(found[1].removeprefix("argument "))
