"""What came of a training run: a result for every way in which one can end, with the cause where it failed."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import msgspec

from envdoctor import __version__
from envdoctor.bench.diagnosing import diagnosed, errors_of
from envdoctor.bench.protocol import Hello
from envdoctor.bench.results import Environment, WorkloadFailure
from envdoctor.bench.runner import LOG_TAIL, WHOLE_WORDS
from envdoctor.facts.model import Snapshot
from envdoctor.signals import undisturbed
from envdoctor.training import run_folder
from envdoctor.training.result import Status, TrainingResult
from envdoctor.training.run import Training


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
        causes = errors_of(snapshot) if on_gpu else ()
        failure = msgspec.structs.replace(failure, diagnosed=diagnosed(failure, snapshot, causes))
    with undisturbed():
        config = run_folder.config(training.folder)
        hello, outcome = training.hello, training.outcome
        begun = training.begun or bool(config)
        epochs = {epoch.epoch: epoch for epoch in run_folder.epochs(training.folder)} if begun else {}
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
            settings=training.settings or config.get("settings") or {},
            knobs=(outcome.knobs if outcome else None) or training.knobs,
            data=config.get("data") or {},
            parameters=config.get("parameters"),
            epochs=tuple(epoch for _, epoch in sorted({**epochs, **training.epochs}.items())),
            outcome=outcome,
            telemetry=training.seen,
            invalid_because=tuple(_invalid(training)) if status == "invalid" else (),
            failure=failure,
            python=python,
            resume=f"{again} --export={shlex.quote(export)}" if export else again,
            resumable=status != "trained" and bool(config),
            files=run_folder.files(training.folder) if begun else {},
            notes=tuple(dict.fromkeys(training.notes)),
        )


def _judged(training: Training) -> tuple[Status, WorkloadFailure | None]:
    ending, error, outcome = training.ending, training.error, training.outcome
    if ending is None:  # interrupted before there was a child
        return "stopped", None
    if error is not None:
        failure = WorkloadFailure(
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
    return "failed", WorkloadFailure(kind=kind, message=message, log_tail=_tail(ending.stderr))


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
