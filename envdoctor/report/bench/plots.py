"""Plots of benchmark results as SVG texts for a page: distributions, ratios with their intervals, shares of limits.

Lines and letters take the page's own colour (currentColor), so that they can be read in dark mode and in print.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from envdoctor.bench.compare import INVALID, Against, ComparedFigure
from envdoctor.bench.results import BenchResult, Metric
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's colour while matplotlib draws."""
SERIES = ("#7d8590", "#3b82f6", "#f59e0b", "#10b981", "#a855f7", "#ef4444")
"""Told apart by common kinds of colour blindness, on white and on black."""
GOOD, BAD, NEITHER = "#10b981", "#ef4444", "#7d8590"
WIDTH = 8.0
MOST_ROWS = 40


def _figure(rows: int, each: float = 0.34) -> tuple[Figure, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            f"an HTML report draws its plots with matplotlib, which is not installed here ({error}): "
            "pip install matplotlib"
        ) from None
    figure = Figure(figsize=(WIDTH, 0.9 + each * max(rows, 1)), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.tick_params(colors=INK, labelcolor=INK, left=False)
    axes.xaxis.grid(visible=True, color=INK, alpha=0.15, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an <svg> element that a screen reader can name. The same data give the same text."""
    import matplotlib as mpl

    text = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10, "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    # Its own size would not shrink with the page; the ids of two plots on one page must differ.
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 class="plot" role="img"', svg, count=1)
    svg = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', svg)
    return svg.replace(">", f"><title>{_escaped(description)}</title>", 1)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def distributions(named: Sequence[tuple[str, BenchResult]], name: str) -> str:
    """Every headline figure of every result: its samples' density, and a dot for each launch's median; in percent of the first
    result's value. '' where nothing was measured."""
    rows = _headlines(named)
    if not rows:
        return ""
    per_row = 0.3 * len(named) + 0.12
    figure, axes = _figure(len(rows), each=per_row)
    for index, (_, metrics) in enumerate(rows):
        base = next(metric.value for metric in metrics if metric is not None and metric.value)
        for side, metric in enumerate(metrics):
            if metric is None or not metric.samples or base is None:
                continue
            place = -index * per_row - side * 0.3
            colour = SERIES[side % len(SERIES)]
            _violin(axes, [100 * sample / base for sample in metric.samples], place, colour)
            launches = [100 * value / base for value in metric.launches]
            axes.plot(
                launches,
                [place] * len(launches),
                "o",
                markersize=4,
                color=colour,
                markeredgecolor=INK,
                markeredgewidth=0.5,
            )
    axes.set_yticks([-i * per_row - 0.15 * (len(named) - 1) for i in range(len(rows))], [label for label, _ in rows])
    first = named[0][0]
    axes.set_xlabel(f"percent of {first}'s value" if len(named) > 1 else "percent of its value", color=INK)
    low, high = _clear_range(rows)
    axes.set_xlim(low, high)
    for side, (label, _) in enumerate(named):
        axes.plot([], [], "o", color=SERIES[side % len(SERIES)], label=label)
    if len(named) > 1:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(named), frameon=False, labelcolor=INK)
    return _svg(figure, name, "Distributions of the samples; dots are the medians of the launches")


def _headlines(named: Sequence[tuple[str, BenchResult]]) -> list[tuple[str, list[Metric | None]]]:
    rows: list[tuple[str, list[Metric | None]]] = []
    for name in dict.fromkeys(w.name for _, result in named for w in result.workloads):
        workloads = [result.workload(name) for _, result in named]
        found = next((w.headline for w in workloads if w is not None and w.headline), None)
        if found is None or found[1].unit in ("1", "ratio") or not found[1].samples:
            continue
        work = next(w.work_hash for w in workloads if w is not None and w.headline)
        metrics = [w.metrics.get(found[0]) if w is not None and w.work_hash == work else None for w in workloads]
        rows.append((name, metrics))
    return rows[:MOST_ROWS]


def _violin(axes: Any, values: list[float], place: float, colour: str) -> None:
    """The density of the samples. Where they are too few or equal, a line of dots."""
    if len(values) < 8 or max(values) == min(values):
        axes.plot(values, [place] * len(values), "|", markersize=9, color=colour, alpha=0.7)
        return
    # matplotlib 3.10 renamed the argument, and calls the old name deprecated.
    lying: dict[str, Any] = {"orientation": "horizontal"} if _version() >= (3, 10) else {"vert": False}
    drawn = axes.violinplot([_trimmed(values)], positions=[place], widths=0.28, showextrema=False, **lying)
    for body in drawn["bodies"]:
        body.set(facecolor=colour, edgecolor=colour, alpha=0.45)


def _version() -> tuple[int, ...]:
    import matplotlib as mpl

    return tuple(int(part) for part in mpl.__version__.split(".")[:2])


def _trimmed(values: list[float]) -> list[float]:
    """Without the outermost hundredth: one stray sample would flatten all others."""
    ordered = sorted(values)
    cut = len(ordered) // 100
    return ordered[cut : len(ordered) - cut]


def _clear_range(rows: Sequence[tuple[str, list[Metric | None]]]) -> tuple[float, float]:
    bounds = []
    for _, metrics in rows:
        base = next(metric.value for metric in metrics if metric is not None and metric.value) or 1.0
        for metric in metrics:
            if metric is not None and metric.samples:
                shares = _trimmed([100 * sample / base for sample in metric.samples])
                bounds += [shares[0], shares[-1], *(100 * value / base for value in metric.launches)]
    low, high = min(bounds), max(bounds)
    room = 0.05 * max(high - low, 2.0)
    return low - room, high + room


def ratios(found: Against, baseline: str, name: str) -> str:
    """A point and its interval for every figure that was compared; '' where none was."""
    rows = [row for row in found.rows if row.ratio is not None][:MOST_ROWS]
    if not rows:
        return ""
    figure, axes = _figure(len(rows))
    axes.axvline(1.0, color=INK, linewidth=1)
    axes.set_xscale("log")
    for index, row in enumerate(rows):
        colour = _tone(row)
        low, high = row.interval or (row.ratio, row.ratio)
        axes.plot([low, high], [-index, -index], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(
            row.ratio, -index, "o", color=colour, markersize=6, fillstyle="none" if row.verdict == INVALID else "full"
        )
    axes.set_yticks([-i for i in range(len(rows))], [f"{row.workload} {row.metric}" for row in rows])
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    _ratio_ticks(axes, rows)
    axes.set_xlabel(f"how many times better {found.other} is than {baseline}, with its 95 % interval", color=INK)
    return _svg(figure, name, f"Ratios of {found.other} to {baseline} with 95 % intervals")


def _tone(row: ComparedFigure) -> str:
    if row.verdict in ("faster", "better"):
        return GOOD
    return BAD if row.verdict in ("slower", "worse") else NEITHER


def _ratio_ticks(axes: Any, rows: Sequence[ComparedFigure]) -> None:
    """Ticks at numbers that people read, for a logarithmic axis has them at powers of ten only."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    bounds = [bound for row in rows for bound in (row.interval or (row.ratio or 1.0, row.ratio or 1.0))]
    low, high = max(min(*bounds, 0.98), 0.05), min(max(*bounds, 1.02), 50.0)
    axes.set_xlim(low / 1.03, high * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))


def shares(result: BenchResult, name: str) -> str:
    """How much of its limit every figure reached that has one; '' where none has."""
    rows = [
        (f"{w.name} {key}", metric, w.valid)
        for w in result.workloads
        for key, metric in w.metrics.items()
        if metric.limit is not None and metric.unit not in ("1", "ratio")
    ][:MOST_ROWS]
    if not rows:
        return ""
    figure, axes = _figure(len(rows))
    for index, (_, metric, valid) in enumerate(rows):
        assert metric.limit is not None
        axes.barh(
            -index, metric.limit.percent, height=0.6, color=SERIES[1] if valid else NEITHER, alpha=1 if valid else 0.4
        )
        words = f"{metric.limit.percent:.0f} %{'' if valid else ', invalid'}"
        axes.text(metric.limit.percent + 1, -index, words, va="center", color=INK)
    axes.set_yticks([-i for i in range(len(rows))], [f"{label}" for label, _, _ in rows])
    axes.set_xlim(0, 118)
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.axvline(100, color=INK, linewidth=1)
    axes.set_xlabel("percent of its limit", color=INK)
    return _svg(figure, name, "Share of the physical limit that each figure reached")
