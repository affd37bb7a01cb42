"""A training run of the reference CNN: one child of benchmarks/train.py, from its first event to what came of it.

The child keeps the run's folder (checkpoints, metrics, result); what is here listens, stops it so that nothing is lost, and makes
of every way in which it can end a result or one clear line.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from envdoctor import __version__
from envdoctor.bench import training_folder
from envdoctor.bench.child import SILENCE, STARTUP, Child, Ending, Event
from envdoctor.bench.diagnosing import diagnosed
from envdoctor.bench.results import Environment, Failure
from envdoctor.bench.runner import LOG_TAIL, WHOLE_WORDS, Hello, startup_error
from envdoctor.bench.signals import deferred, terminable, undisturbed
from envdoctor.bench.training_result import Epoch, Finished, Status, TrainingResult
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot

SAVING = 120.0
"""Seconds that a child has to save itself: 412 million parameters with Adam's moments are 5 GB, and a step comes before."""
LOADING = 3.0
"""Seconds that it has while there is nothing to save."""
TRAIN = ("train", "trained")


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
    words = ["-o", str(folder), *arguments]
    with terminable(), contextlib.ExitStack() as stack:
        child = None
        try:
            with deferred():
                child = stack.enter_context(Child(python, words, script=script, silence=silence, startup=startup))
            for event in child:
                _take(training, event)
                listener(training, event)
        except KeyboardInterrupt:
            training.interrupted = True
            if child is not None:
                _stop(child, training, listener)
        if child is not None:
            training.ending = child.ending
            if child.garbage:
                lines = "line" if child.garbage == 1 else "lines"
                first = child.garbage_lines[0][:80]
                training.notes.append(f"{child.garbage} {lines} on its stdout were no events, the first: {first!r}")
    if not training.begun and not training.interrupted:
        _require_start(str(python), training)
    return training


def _stop(child: Child, training: Training, listener: Listener) -> None:
    """Lets the child save itself; a second interrupt ends it at once, and the checkpoint before stands."""
    with contextlib.suppress(KeyboardInterrupt):
        listener(training, None)
        child.stop(grace=SAVING if training.begun else LOADING)
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
    raise InputError(found[1].removeprefix("argument "))


# --- what came of it --------------------------------------------------------------------------------------------------


def conclude(
    training: Training,
    *,
    resumed: bool,
    python: str | None,
    again: str,
    export: str | None,
    began: float,
    facts: Callable[[bool], Snapshot],
) -> TrainingResult:
    """The result. `python`: the interpreter as it was named; `again`: the command that goes on with this run; `export`: the
    file that it was to write; `began`: time.monotonic() when it did.

    `facts(live)` is called where it failed, to find the cause; live: with a try of torch on the device.
    """
    seconds = time.monotonic() - began
    status, failure = _judged(training)
    if failure is not None:
        on_gpu = training.hello is not None and training.hello.device.type == "cuda"
        snapshot = facts(on_gpu and status == "invalid")
        failure = msgspec.structs.replace(failure, diagnosed=diagnosed(failure, snapshot, whole_machine=on_gpu))
    with undisturbed():
        config = training_folder.config(training.folder)
        hello, outcome = training.hello, training.outcome
        epochs = {epoch.epoch: epoch for epoch in training_folder.epochs(training.folder)} if training.begun else {}
        return TrainingResult(
            status=status,
            ok=status == "trained",
            folder=str(training.folder),
            envdoctor=__version__,
            created=datetime.fromtimestamp(time.time() - seconds, timezone.utc).isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            resumed=resumed,
            device=hello.device if hello else None,
            environment=_environment(hello),
            settings=training.settings,
            knobs=(outcome.knobs if outcome else None) or training.knobs,
            data=config.get("data") or {},
            parameters=config.get("parameters"),
            epochs=tuple(epoch for _, epoch in sorted({**epochs, **training.epochs}.items())),
            outcome=outcome,
            invalid_because=tuple(_invalid(training)) if status == "invalid" else (),
            failure=failure,
            python=python,
            resume=f"{again} --export={shlex.quote(export)}" if export else again,
            resumable=status != "trained" and training.begun and training_folder.resumable(training.folder),
            files=training_folder.files(training.folder) if training.begun else {},
            notes=tuple(dict.fromkeys(training.notes)),
        )


def _judged(training: Training) -> tuple[Status, Failure | None]:
    ending, error, outcome = training.ending, training.error, training.outcome
    if ending is None:  # interrupted before there was a child
        return "stopped", None
    if error is not None:
        failure = Failure(
            kind=str(error["kind"]),
            message=str(error.get("message") or "no reason was given"),
            traceback=str(error.get("traceback") or "")[-WHOLE_WORDS:] or None,
            log_tail=_tail(ending.stderr),
        )
        return ("invalid" if failure.kind == "validation" else "failed"), failure
    if outcome is not None:
        return ("trained" if outcome.valid else "invalid"), None
    if training.interrupted or training.stopped:
        return "stopped", None
    if ending.kind == "finished":
        message = "the training process ended without a result"
    else:
        message = f"the training process {ending.words}"
        if ending.signal == "SIGKILL":
            message += ". A smaller --batch or --size needs less memory"
    kind = ending.kind if ending.kind == "hang" else "crash"
    return "failed", Failure(kind=kind, message=message, log_tail=_tail(ending.stderr))


def _invalid(training: Training) -> Iterator[str]:
    if training.outcome is not None:
        yield from training.outcome.invalid_because
    elif training.error is not None:
        yield str(training.error.get("message"))


def _environment(hello: Hello | None) -> Environment:
    if hello is None:
        return Environment()
    return Environment(
        python=hello.python,
        torch=hello.torch,
        torchvision=hello.torchvision,
        cuda=hello.cuda,
        cudnn=hello.cudnn,
        threads=hello.threads,
        precision=hello.precision,
        seed=hello.seed,
    )


def _tail(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines()[-LOG_TAIL:])
