"""A trained model's card, as Markdown: what it is, how it was made and judged, how to load it, what not to do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from envdoctor import __version__
from envdoctor.report.figures import number
from envdoctor.training.interpretation import SYNTHETIC, checks
from envdoctor.training.result import Finished, TrainingResult

TEMPLATE = Path(__file__).with_name("model_card.md.j2")
MOST_CLASSES = 20
"""Classes of which each has a row."""
PARTS = {"train": "training", "validation": "validation", "test": "test"}


class ClassRow(NamedTuple):
    """A class and its scores on the test images, in percent."""

    name: str
    images: int
    precision: str
    recall: str


def card(result: TrainingResult) -> str:
    """The card; '' where the run did not come to a result."""
    outcome = result.outcome
    if outcome is None:
        return ""
    import jinja2

    environment = jinja2.Environment(
        # Markdown; what others named goes through `cell`.
        autoescape=False,  # noqa: S701
        undefined=_not_known(jinja2),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _cell
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    low, high = outcome.test.interval
    return template.render(
        name=Path(str(result.data.get("name") or result.settings.get("data") or "images")).name,
        result=result,
        outcome=outcome,
        settings=result.settings,
        knobs=outcome.knobs,
        device=(result.device.name if result.device else None) or "unknown",
        torch=result.environment.torch or "unknown",
        scores=[
            ("accuracy", _percent(outcome.test.accuracy), f"95 % interval {_percent(low)} to {_percent(high)}"),
            ("precision", _percent(outcome.test.precision), "macro"),
            ("recall", _percent(outcome.test.recall), "macro"),
            ("F1", _percent(outcome.test.f1), "macro"),
        ],
        synthetic=result.settings.get("data") == SYNTHETIC,
        rows=_rows(outcome),
        checked=list(checks(result)),
        images=[(PARTS.get(part, part), f"{count:,}") for part, count in (result.data.get("images") or {}).items()],
        speed=f"{number(outcome.images_per_second)} img/s" if outcome.images_per_second else "not known",
        version=__version__,
    )


def _not_known(jinja2: Any) -> Any:
    """What a run of another version does not say: nothing in a condition, and these words in the text."""

    class NotKnown(jinja2.Undefined):  # type: ignore[misc]
        def __str__(self) -> str:
            return "not known"

    return NotKnown


def _rows(outcome: Finished) -> list[ClassRow]:
    """One a class, from the confusion matrix; none where there are too many."""
    matrix, classes = outcome.confusion, outcome.classes
    if len(classes) != len(matrix) or len(classes) > MOST_CLASSES:
        return []
    found = []
    for index, name in enumerate(classes):
        called, true = sum(row[index] for row in matrix), sum(matrix[index])
        hit = matrix[index][index]
        found.append(
            ClassRow(
                name, true, _percent(hit / called) if called else "never called", _percent(hit / true) if true else "-"
            )
        )
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cell(text: object) -> str:
    """As it may stand in a table's cell: class names are folders' names, which hold anything."""
    return " ".join(str(text).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
