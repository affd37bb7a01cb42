"""What a training run's figures mean, in sentences. Each threshold stands with what it was taken from."""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.bench import validity
from envdoctor.bench.verdict import INPUT_BOUND, Statement
from envdoctor.training.result import Epoch, Finished, TrainingResult

SYNTHETIC = "synthetic"
OVERFITTED = 1.5
"""Times the lowest validation loss that the last one is: the later epochs made the model worse at what it has not seen."""
NOTICEABLE = 0.05
"""Nats of validation loss that it must be worse by: one image of a few hundred that is taken for another costs some 0.02."""
NOTHING = 0.02
"""Accuracy above that of naming the most frequent class every time, below which nothing was learnt."""
LEARNT_BY_HEART = 0.10
"""Accuracy on the training images above that on the test images."""
OFTEN = 2
"""Images that one class was taken for another before it is worth a sentence."""


def checks(result: TrainingResult) -> Iterator[str]:
    """What was verified, and held."""
    outcome = result.outcome
    if outcome is None or not outcome.valid:
        return
    first = outcome.first_step
    if first is not None and isinstance(first.get("cosine"), (int, float)):
        yield f"the first step computes what fp32 on the CPU computes (worst gradient's cosine {first['cosine']:.4f})"
    target = result.settings.get("target_accuracy") or 0.0
    if target:
        yield f"accuracy is above the {100 * target:.0f} % that is expected of this data"
    if outcome.export is not None:
        version = outcome.export.get("onnxruntime", "")
        yield (
            f"the exported model computes in onnxruntime {version} what it computes in torch (relative error "
            f"{outcome.export['relative']:.1e}, the same classes)"
        )


def read(result: TrainingResult) -> list[Statement]:
    """The sentences, what is good first."""
    outcome = result.outcome
    if outcome is None:
        return []
    found = [Statement("good", "check", text[0].upper() + text[1:]) for text in checks(result)]
    if result.settings.get("data") == SYNTHETIC:
        text = "The images and labels are random numbers: the speed means something, the accuracy does not"
        return [*found, Statement("plain", "data", text), *_speed(result, outcome)]
    if learnt_nothing(outcome):
        text = "It has learnt nothing: naming the most frequent class every time is right as often. More epochs, or a lower"
        return [*found, Statement("bad", "fit", f"{text} --rate, may help"), *_speed(result, outcome)]
    return [*found, *_fit(result, outcome), *_speed(result, outcome), *_confused(outcome)]


def learnt_nothing(outcome: Finished) -> bool:
    """Whether the model is no better than a guess."""
    of = [sum(row) for row in outcome.confusion]
    return bool(sum(of)) and outcome.test.accuracy <= max(of) / sum(of) + NOTHING


def _fit(result: TrainingResult, outcome: Finished) -> Iterator[Statement]:
    known = [epoch for epoch in result.epochs if epoch.validation_loss is not None]
    if outcome.stopped_early and known:
        best = _best(known)
        text = f"Stopped early: no better validation loss since epoch {best.epoch}, whose weights were kept and judged"
        yield Statement("plain", "early", text)
        return
    if len(known) > 2:
        best, last = _best(known), known[-1]
        lowest, now = best.validation_loss or 0.0, last.validation_loss or 0.0
        if now > max(OVERFITTED * lowest, lowest + NOTICEABLE) and last.epoch - best.epoch > 2:
            text = (
                f"The validation loss was lowest in epoch {best.epoch} (best.pt) and is {last.validation_loss:.3g} now: "
                "--patience 3 would have stopped there"
            )
            yield Statement("bad", "overfitted", text)
    trained = known[-1].accuracy if known else None
    if trained is not None and trained - outcome.test.accuracy > LEARNT_BY_HEART:
        text = (
            f"{100 * trained:.0f} % of the training images are right and {100 * outcome.test.accuracy:.0f} % of the test "
            "images: it has learnt images by heart. More images, or stronger augmentation, help"
        )
        yield Statement("bad", "overfitted", text)


def _best(epochs: list[Epoch]) -> Epoch:
    return min(epochs, key=lambda epoch: epoch.validation_loss or 0.0)


def _speed(result: TrainingResult, outcome: Finished) -> Iterator[Statement]:
    for reason in validity.invalid(result.telemetry) if result.telemetry else ():
        yield Statement("bad", "telemetry", f"As a measurement, the speed would not count: {reason}")
    waited = 100 * (outcome.data_wait or 0.0)
    if waited > INPUT_BOUND:
        text = (
            f"Training waited {waited:.0f} % of its time for images: more loader processes help (--setting workers=N)"
        )
        yield Statement("bad", "input", text)
    if outcome.unreadable:
        yield Statement("bad", "data", f"{outcome.unreadable} images could not be read and were left out")


def _confused(outcome: Finished) -> Iterator[Statement]:
    pairs = [
        (count, sum(row), true, called)
        for true, row in enumerate(outcome.confusion)
        for called, count in enumerate(row)
        if true != called and count >= OFTEN
    ]
    if pairs and len(outcome.classes) == len(outcome.confusion):
        count, of, true, called = max(pairs)
        text = (
            f"Most often confused: {outcome.classes[true]} taken for {outcome.classes[called]} ({count} of {of} images)"
        )
        yield Statement("plain", "confused", text)
