"""Benchmark results as one self-contained HTML file: plots, tables and words, for the screen (light and dark) and for paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envdoctor import __version__
from envdoctor.bench.compare import ABSENT, INVALID, PASSED, Against, ComparedFigure, Comparison
from envdoctor.bench.results import BenchResult, Metric, WorkloadResult
from envdoctor.report.bench import comparison_text, plots, result_text
from envdoctor.report.bench.table import half_words, span
from envdoctor.report.figures import quantity

PAGE = Path(__file__).with_name("page.html.j2")
TONES = {"good": "good", "bad": "warn", "plain": ""}
VERDICTS = {"faster": "good", "better": "good", "slower": "bad", "worse": "bad"}


SHADED = "Shaded: all samples, but for the outermost hundredth."


@dataclass(frozen=True)
class Sentence:
    """A sentence. `tone`: a class of the page: good, bad, warn, soft."""

    text: str
    tone: str = ""
    code: str = ""
    """Commands, one a line."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table; `n`: it holds a number, and stands on the right."""

    text: str
    n: bool = False
    tone: str = ""
    struck: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row; `group`: its one cell is the title of those that follow."""

    cells: Sequence[Cell]
    struck: bool = False
    group: bool = False


@dataclass(frozen=True)
class Table:
    head: Sequence[Cell]
    rows: Sequence[TableRow]

    @property
    def titled(self) -> bool:
        return any(cell.text for cell in self.head)


@dataclass(frozen=True)
class Section:
    """A part of the page: a plot, a table, a list, a remark; each may be absent."""

    title: str
    plot: str = ""
    table: Table | None = None
    lines: Sequence[Sentence] = field(default_factory=tuple)
    note: str = ""


def _page(title: str, leads: Sequence[Sentence], sections: Sequence[Section]) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(PAGE.read_text(encoding="utf-8"))
    footer = f"Written by envdoctor {__version__}. Dots are the medians of launches: processes that measured one after another."
    return template.render(title=title, leads=leads, sections=sections, footer=footer)


# --- a comparison ---------------------------------------------------------------------------------------------------------


def comparison_page(comparison: Comparison, results: Sequence[BenchResult]) -> str:
    """The page of a comparison; `results` in the order of its sides. Raises InputError where matplotlib is missing."""
    baseline = comparison.sides[0]
    leads = [
        Sentence(comparison_text.verdict_words(a, baseline.name), VERDICTS.get(a.verdict, ""))
        for a in comparison.against
    ]
    named = [(side.name, result) for side, result in zip(comparison.sides, results, strict=True)]
    sections = [_sides(comparison)]
    spread = plots.distributions(named, "distributions")
    for index, found in enumerate(comparison.against):
        plot = plots.ratios(found, baseline.name, f"ratios{index}")
        sections.append(_against(found, baseline.name, plot))
        if found.efficiency:
            lines = [
                Sentence(comparison_text.efficiency_words(gain, baseline.name, found.other))
                for gain in found.efficiency
            ]
            sections.append(Section("For what it costs", lines=lines))
        if found.confounders:
            lines = [Sentence(f"{c.what}: {c.baseline} → {c.other}") for c in found.confounders]
            sections.append(Section(f"What else differs between {baseline.name} and {found.other}", lines=lines))
        if found.notes:
            sections.append(Section("Note", lines=[Sentence(note, "warn") for note in found.notes]))
    if spread:
        note = f"{SHADED} Where the dots of a side scatter more than the sides differ, no difference is shown."
        sections.append(Section("Distributions", plot=spread, note=note))
    return _page("Benchmark comparison", leads, sections)


def _sides(comparison: Comparison) -> Section:
    head = [Cell(""), Cell("result"), Cell("measured with")]
    rows = [
        TableRow([Cell(side.name), Cell(side.source), Cell(", ".join(comparison_text.side_words(side)))])
        for side in comparison.sides
    ]
    return Section("Results", table=Table(head, rows))


def _against(found: Against, baseline: str, plot: str) -> Section:
    head = [
        Cell("figure"), Cell(baseline, n=True), Cell(found.other, n=True), Cell("ratio", n=True),
        Cell("95 %", n=True), Cell("verdict"),
    ]  # fmt: skip
    shown = [row for row in found.rows if row.verdict not in (ABSENT, PASSED)]
    rows = [each for row, first in _with_first(shown) for each in _comparison_rows(row, first=first)]
    note = " ".join(comparison_text.legend(found.rows))
    lines = [Sentence(f"{line[0].upper()}{line[1:]}", "soft") for line in comparison_text.aside(found.rows)]
    return Section(f"{found.other} against {baseline}", plot=plot, table=Table(head, rows), lines=lines, note=note)


def _with_first(rows: Sequence[ComparedFigure]) -> Iterator[tuple[ComparedFigure, bool]]:
    """Each row, and whether it is the first of its workload."""
    above = None
    for row in rows:
        yield row, row.workload != above
        above = row.workload


def _group(workload: str) -> TableRow:
    return TableRow([Cell(workload)], group=True)


def _comparison_rows(row: ComparedFigure, *, first: bool) -> Iterator[TableRow]:
    if first:
        yield _group(row.workload)
    yield _comparison_row(row)


def _comparison_row(row: ComparedFigure) -> TableRow:
    if row.ratio is None:
        return TableRow([*[Cell("")] * 5, Cell(f"{row.verdict}: {row.why}", tone="soft")])
    struck = row.verdict == INVALID
    interval = f"{row.interval[0]:.3f} to {row.interval[1]:.3f}" if row.interval else ""
    verdict = (
        f"invalid: {row.why}" if struck else comparison_text.row_verdict(row) + (f" ({row.why})" if row.why else "")
    )
    return TableRow(
        [
            Cell(row.metric),
            Cell(quantity(row.baseline, row.unit), n=True, struck=struck),
            Cell(quantity(row.other, row.unit), n=True, struck=struck),
            Cell(comparison_text.ratio_words(row.ratio), n=True, struck=struck),
            Cell(interval, n=True, struck=struck),
            Cell(verdict, tone="bad" if struck else VERDICTS.get(row.verdict, "soft")),
        ],
        struck=struck,
    )


# --- one run --------------------------------------------------------------------------------------------------------------


def run_page(result: BenchResult) -> str:
    """The page of a run. Raises InputError where matplotlib is missing."""
    headline = result_text.headline(result)
    tone = {"bold green": "good", "bold red": "bad"}.get(str(headline.style), "warn")
    parts = [TableRow([Cell(label), Cell(", ".join(words))]) for label, words in result_text.about(result)]
    said = result_text.statements(result)
    sections = [Section("Machine", table=Table([Cell(""), Cell("")], parts))]
    if said:
        sections.append(Section("What it means", lines=[Sentence(s.text, TONES[s.tone]) for s in said]))
    if plot := plots.shares(result, "shares"):
        sections.append(Section("Against the limits", plot=plot))
    sections.append(_figures(result))
    if plot := plots.distributions([("this run", result)], "distributions"):
        sections.append(Section("Distributions", plot=plot, note=SHADED))
    sections += _troubles(result)
    return _page("Benchmark", [Sentence(headline.plain, tone)], sections)


def _figures(result: BenchResult) -> Section:
    head = [
        Cell("figure"), Cell("value", n=True), Cell("± 95 %", n=True), Cell("10th to 90th percentile", n=True),
        Cell("samples", n=True), Cell("of its limit"),
    ]  # fmt: skip
    rows = [
        row
        for workload in result.workloads
        if workload.metrics
        for row in (
            _group(workload.name),
            *(_figure_row(workload, name, metric) for name, metric in workload.metrics.items()),
        )
    ]
    return Section("Figures", table=Table(head, rows))


def _figure_row(workload: WorkloadResult, name: str, metric: Metric) -> TableRow:
    spread = ""
    if metric.p10 is not None and metric.n > 1:
        spread = span(quantity(metric.p10, ""), quantity(metric.p90, ""))
    limit = f"{metric.limit.percent:.0f} % of {metric.limit.what or 'its limit'}" if metric.limit else ""
    struck = not workload.valid
    cells = [
        Cell(name),
        Cell(quantity(metric.value, metric.unit), n=True, struck=struck),
        Cell(half_words(metric), n=True, struck=struck),
        Cell(spread, n=True, struck=struck),
        Cell(str(metric.n), n=True),
        Cell(limit, struck=struck),
    ]
    return TableRow(cells, struck=struck)


def _troubles(result: BenchResult) -> list[Section]:
    sections = []
    struck = [(w.name, reason) for w in result.workloads for reason in w.invalid_because]
    if struck:
        lines = [Sentence(f"{', '.join(names)}: {text}") for names, text in result_text.grouped(struck)]
        sections.append(Section("Struck, because", lines=lines))
    found = list(_causes(result))
    if found:
        sections.append(Section("Causes", lines=found))
    warnings = [(w.name, text) for w in result.workloads if w.valid for text in w.warnings]
    notes = [Sentence(f"{', '.join(names)}: {text}") for names, text in result_text.grouped(warnings)]
    notes += [Sentence(note) for note in result.notes]
    skipped = result_text.grouped([(s.name, s.reason) for s in result.skipped])
    notes += [Sentence(f"{', '.join(names)} skipped: {reason}", "soft") for names, reason in skipped]
    if notes:
        sections.append(Section("Good to know", lines=notes))
    return sections


def _causes(result: BenchResult) -> Iterator[Sentence]:
    """What is known of the causes of failures, each once, and its repair."""
    for workloads in result_text.alike([w for w in result.workloads if w.failure is not None]):
        names = ", ".join(w.name for w in workloads)
        for found in workloads[0].failure.diagnosed if workloads[0].failure else ():
            yield Sentence(f"{names}: {found.code}: {found.summary or found.title}", "bad")
            if found.fix:
                yield Sentence(f"Fix: {found.fix}", code="\n".join(found.commands))
