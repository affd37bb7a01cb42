"""The curves of a training run as one SVG picture: loss on the left, accuracy on the right, for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from envdoctor.training.result import Epoch, TrainingResult

PICTURE = Path(__file__).with_name("curves.svg.j2")
PANEL_WIDTH, PANEL_HEIGHT = 330.0, 220.0
LOGARITHMIC_FROM = 20.0
"""Times between the largest and the smallest loss from which a linear axis would show the first epochs only."""
MOST_DOTS = 40


class Tick(NamedTuple):
    """A place in pixels from the panel's left or top edge, and its word."""

    at: float
    text: str


class CurveLine(NamedTuple):
    """A curve; `dots` (x, y): where epochs are few enough to be told apart."""

    name: str
    style: str
    points: str
    dots: tuple[tuple[float, float], ...]
    end: tuple[float, float]


class Panel(NamedTuple):
    """One of the two coordinate systems. `level`: a dashed line across it, with its word."""

    title: str
    lines: tuple[CurveLine, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    level: Tick | None


def curves(result: TrainingResult) -> str:
    """The picture; '' where no epoch was finished."""
    if not result.epochs:
        return ""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(PICTURE.read_text(encoding="utf-8"))
    test = result.outcome.test.accuracy if result.outcome else None
    panels = [_loss(result.epochs), _accuracy(result.epochs, test)]
    name = result.data.get("name") or result.settings.get("data") or "images"
    return template.render(
        panels=[panel for panel in panels if panel is not None],
        width=PANEL_WIDTH,
        height=PANEL_HEIGHT,
        title=f"{Path(str(name)).name}: {len(result.epochs)} epochs",
    )


Series = Sequence[tuple[int, float]]


def _series(epochs: Sequence[Epoch], field: str) -> Series:
    pairs = [(epoch.epoch, getattr(epoch, field)) for epoch in epochs]
    return [(epoch, value) for epoch, value in pairs if value is not None and math.isfinite(value)]


def _loss(epochs: Sequence[Epoch]) -> Panel | None:
    drawn = {"training": _series(epochs, "loss"), "validation": _series(epochs, "validation_loss")}
    values = [value for series in drawn.values() for _, value in series]
    if not values:
        return None
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > LOGARITHMIC_FROM
    if logarithmic:
        ticks = _one_two_five(low, high)
        bottom, top = math.log10(min(low, ticks[0])), math.log10(max(high, ticks[-1]))
        places = [(math.log10(tick), f"{tick:g}") for tick in ticks]
        drawn = {name: [(x, math.log10(y)) for x, y in series] for name, series in drawn.items()}
    else:
        bottom, top, places = _linear(0.0, high)
    title = "loss (cross-entropy, logarithmic)" if logarithmic else "loss (cross-entropy)"
    return _panel(title, epochs, drawn, bottom, top, places, None)


def _accuracy(epochs: Sequence[Epoch], test: float | None) -> Panel | None:
    drawn = {"training": _series(epochs, "accuracy"), "validation": _series(epochs, "validation_accuracy")}
    values = [value for series in drawn.values() for _, value in series]
    if not values:
        return None
    low = min(values + ([test] if test is not None else []))
    bottom = 0.0 if low < 0.5 else 0.5 if low < 0.8 else 0.8 if low < 0.95 else 0.95
    step = {0.0: 0.2, 0.5: 0.1, 0.8: 0.05, 0.95: 0.01}[bottom]
    count = round((1 - bottom) / step)
    places = [(bottom + i * step, f"{100 * (bottom + i * step):.0f} %") for i in range(count + 1)]
    level = (test, f"test {100 * test:.1f} %") if test is not None else None
    return _panel("accuracy", epochs, drawn, bottom, 1.0, places, level)


def _panel(
    title: str,
    epochs: Sequence[Epoch],
    drawn: dict[str, Series],
    bottom: float,
    top: float,
    places: Sequence[tuple[float, str]],
    level: tuple[float, str] | None,
) -> Panel:
    first, last = epochs[0].epoch, epochs[-1].epoch
    span = max(last - first, 1)

    def x(epoch: int) -> float:
        # One epoch alone stands in the middle.
        return round(PANEL_WIDTH * (0.5 if last == first else (epoch - first) / span), 1)

    def y(value: float) -> float:
        return round(PANEL_HEIGHT * (1 - (value - bottom) / ((top - bottom) or 1.0)), 1)

    lines = []
    for name, series in drawn.items():
        points = tuple((x(epoch), y(value)) for epoch, value in series)
        if points:
            text = " ".join(f"{a:g},{b:g}" for a, b in points)
            lines.append(CurveLine(name, name, text, points if len(points) <= MOST_DOTS else (), points[-1]))
    across = tuple(Tick(x(epoch), str(epoch)) for epoch in _round_epochs(first, last))
    up = tuple(Tick(y(value), text) for value, text in places)
    return Panel(title, tuple(lines), across, up, Tick(y(level[0]), level[1]) if level else None)


def _round_epochs(first: int, last: int) -> list[int]:
    """First, last, and round ones between them that leave room for both."""
    step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**6) if (last - first) / size <= 6)
    between = [epoch for epoch in range(step, last, step) if min(epoch - first, last - epoch) * 2 >= step]
    return sorted({first, last, *(epoch for epoch in between if epoch > first)})


def _linear(low: float, high: float) -> tuple[float, float, list[tuple[float, str]]]:
    """Bottom, top and about five round ticks."""
    rough = max(high - low, 1e-9) / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    count = math.ceil((high - low) / step - 1e-9)
    return low, low + count * step, [(low + i * step, f"{low + i * step:g}") for i in range(count + 1)]


def _one_two_five(low: float, high: float) -> list[float]:
    """0.02, 0.05, 0.1, ...: from just below the lowest to just above the highest."""
    ticks = [
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        for factor in (1, 2, 5)
    ]
    below = max((t for t in ticks if t <= low), default=ticks[0])
    above = min((t for t in ticks if t >= high), default=ticks[-1])
    chosen = [t for t in ticks if below <= t <= above]
    return chosen if len(chosen) <= 7 else [t for t in chosen if f"{t:e}"[0] == "1" or t in (below, above)]
