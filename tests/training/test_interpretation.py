"""What `envdoctor train` says of a run's figures."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.bench.results import Telemetry
from envdoctor.training.interpretation import read
from envdoctor.training.result import Epoch, Finished, Scores, TrainingResult

GUESS = Scores(images=100, accuracy=0.5, precision=0.25, recall=0.5, f1=0.33)


def result(losses: tuple[float, ...] = (), **more: Any) -> TrainingResult:
    """A sound run of two classes; `losses`: of the validation images, an epoch each."""
    outcome = {
        "test": Scores(images=100, accuracy=0.95, precision=0.95, recall=0.95, f1=0.95),
        "confusion": ((50, 0), (5, 45)),
        "classes": ("cat", "dog"),
    }
    fields = {name: more.pop(name) for name in list(more) if name in Finished.__struct_fields__}
    epochs = tuple(
        Epoch(epoch=number, validation_loss=loss, accuracy=0.96) for number, loss in enumerate(losses or (0.5, 0.3), 1)
    )
    return TrainingResult(
        status="trained", ok=True, folder="run", epochs=epochs, outcome=Finished(**{**outcome, **fields}), **more
    )


def said(found: TrainingResult, tone: str) -> str:
    return " ".join(statement.text for statement in read(found) if statement.tone == tone)


def test_a_sound_run_has_nothing_against_it_and_names_its_commonest_mistake() -> None:
    assert said(result(), "bad") == ""
    assert "dog taken for cat (5 of 50 images)" in said(result(), "plain")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (result((0.9, 0.3, 0.31, 0.4, 0.5, 0.6)), "lowest in epoch 2"),
        (result(data_wait=0.4), "waited 40 %"),
        (result(unreadable=3), "3 images could not be read"),
        (result(telemetry=Telemetry(others_cpu=0.5)), "would not count: other processes took 50%"),
        (result(telemetry=Telemetry(xids=(79,))), "Xid 79"),
        (result(confusion=((50, 0), (50, 0)), test=GUESS), "learnt nothing"),
        (result(test=Scores(images=100, accuracy=0.7, precision=0.7, recall=0.7, f1=0.7)), "by heart"),
    ],
    ids=["overfitted", "input-bound", "unreadable", "disturbed", "xid", "guesses", "by heart"],
)  # fmt: skip
def test_what_holds_a_run_back_is_said(found: TrainingResult, words: str) -> None:
    assert words in said(found, "bad")


def test_a_slow_start_and_a_late_best_epoch_are_no_overfitting() -> None:
    assert said(result((2.0, 1.0, 0.5, 0.4, 0.41)), "bad") == ""


def test_a_loss_that_wavers_close_to_zero_is_no_overfitting() -> None:
    assert "lowest in epoch" not in said(result((0.9, 0.004, 0.006, 0.008, 0.01, 0.012)), "bad")


def test_early_stopping_tells_which_epoch_was_kept() -> None:
    assert "since epoch 2" in said(result((0.9, 0.3, 0.6, 0.7), stopped_early=True), "plain")


def test_random_images_are_judged_by_nothing_but_speed() -> None:
    found = result(settings={"data": "synthetic"}, data_wait=0.4)
    assert "random numbers" in said(found, "plain") and "waited 40 %" in said(found, "bad")
    assert "taken for" not in said(found, "plain")


def test_the_accuracys_interval_is_wilsons() -> None:
    """Against the formula's published values: 9 of 10 is 0.596 to 0.982."""
    low, high = Scores(images=10, accuracy=0.9, precision=0, recall=0, f1=0).interval
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)
    assert Scores(images=10, accuracy=1.0, precision=0, recall=0, f1=0).interval[1] == pytest.approx(1.0)
