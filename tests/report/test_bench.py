"""Results as people see them: nothing is lost in a pipe, struck is struck, and the page stands by itself."""

from __future__ import annotations

import html.parser
import io
import re
import sys
from pathlib import Path

import pytest

from envdoctor.bench.compare import compare
from envdoctor.bench.peaks import with_peaks
from envdoctor.bench.results import BenchResult, ErrorDiagnosis, PhysicalLimit, Skipped, WorkloadFailure, WorkloadResult
from envdoctor.console import Console
from envdoctor.errors import InputError
from envdoctor.report.bench.comparison_text import print_comparison, to_markdown
from envdoctor.report.bench.result_text import print_result
from envdoctor.report.bench.table import print_table
from envdoctor.report.figures import number, percent, sparkline
from tests.bench.made import metric, result, watts, workload


def run() -> BenchResult:
    """One of everything: good, short of its limit, struck, failed, skipped."""
    failure = WorkloadFailure(
        kind="cuda",
        message="RuntimeError: CUDA error: <no> kernel image",
        diagnosed=(
            ErrorDiagnosis(
                code="gpu-arch-too-new-for-torch", title="Too new", fix="Newer torch", commands=("pip install x",)
            ),
        ),
    )
    return with_peaks(
        result(
            workload("matmul.bf16", (700, 703, 698), telemetry=watts(690, throttled={"sw_power_cap": 0.9})),
            workload("memory.copy", metrics={"bandwidth": metric((1500, 1505, 1495), "GB/s")}),
            workload("conv.fwd", (300, 301, 299), invalid_because=("the SM clock drifted by -5.0%",)),
            WorkloadResult(
                name="resnet50.train", valid=False, invalid_because=(failure.message,), failure=failure, launches=0
            ),
            skipped=(Skipped("matmul.fp8", "fp8 needs compute capability 8.9"),),
        )
    )


def text(*, terminal: bool = False, encoding: str = "utf-8", width: int = 80) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    print_result(Console(file=out, width=width, highlight=False, force_terminal=terminal, legacy_windows=False), run())
    out.flush()
    out.seek(0)
    return out.read()


def test_the_report_says_what_the_card_is_good_at_and_what_is_wrong() -> None:
    words = " ".join(text().split())
    assert "2 of 4 workloads gave no figures to trust" in words
    assert "matmul.bf16 reaches 71 % of the datasheet's dense bf16 peak (700.3 of 989 TFLOP/s)" in words
    assert "memory.copy reaches 45 % of the datasheet's memory bandwidth" in words and "about 90 % is usual" in words
    assert "power-capped" in words
    assert "gpu-arch-too-new-for-torch" in words and "pip install x" in words
    assert "conv.fwd: the SM clock drifted" in words and "matmul.fp8: fp8 needs" in words


def test_struck_figures_are_struck_on_a_terminal_and_called_invalid_elsewhere() -> None:
    piped = next(line for line in text().splitlines() if line.startswith("conv.fwd throughput"))
    assert piped.endswith("invalid") and "300 TFLOP/s" in piped
    drawn = next(line for line in text(terminal=True).splitlines() if "conv.fwd" in line and "throughput" in line)
    assert "\x1b[2;9m300 TFLOP/s" in drawn


def test_nothing_is_wider_than_the_terminal() -> None:
    assert max(len(line) for line in text().splitlines()) <= 80


def table(*workloads: WorkloadResult, width: int = 80, encoding: str = "utf-8") -> list[str]:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    print_table(Console(file=out, width=width, highlight=False), workloads)
    out.flush()
    out.seek(0)
    return out.read().splitlines()


GPU_RUN = (
    workload("matmul.bf16", metrics={"throughput": metric((794, 796, 792)), "skinny": metric((12.1, 12.2, 12.0))}),
    workload("transfer.h2d.pageable", metrics={"bandwidth": metric((11.2, 11.3, 11.1), "GB/s")}),
    workload(
        "refcnn.train",
        metrics={
            "article_throughput": metric(
                (2750, 2760, 2740), "img/s", limit=PhysicalLimit(value=8100, percent=34, what="the kernel-sum roofline")
            ),
            "article_peak_memory": metric((10.6, 10.6, 10.6), "GB", "lower"),
            "gain_channels_last": metric((1.12, 1.13, 1.11), "ratio"),
        },
    ),
    workload(
        "refcnn.finetune",
        metrics={
            "all_layers_throughput": metric((123456, 123470, 123440), "tokens/s"),
            "from_scratch_accuracy": metric((68.9, 69, 68.8), "%"),
        },
        invalid_because=("the SM clock drifted",),
    ),
)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_name_is_whole_and_columns_line_up_at_any_width(width: int, encoding: str) -> None:
    lines = table(*GPU_RUN, width=width, encoding=encoding)
    assert max(map(len, lines)) <= width and all(line == line.rstrip() for line in lines)
    for one in GPU_RUN:
        for name in one.metrics:
            (line,) = (line for line in lines if f" {name} " in line)
            assert line.startswith(("  ", one.name)), line
    assert sum(line.endswith("invalid") for line in lines) == 2, "struck figures are called so in a pipe"
    units = {lines[i].index(unit) for i, unit in ((2, "TFLOP/s"),)}
    assert {
        line.index(unit) for line in lines[1:] for unit in ("TFLOP/s", "GB/s", "img/s", "GB ") if unit in line
    } == units


def test_a_wide_terminal_says_which_limit_it_is() -> None:
    assert any("34 % of the kernel-sum roofline" in line for line in table(*GPU_RUN, width=120))
    narrow = table(*GPU_RUN, width=80)
    assert any(line.endswith("34 %") for line in narrow) and not any("roofline" in line for line in narrow)


def test_a_terminal_of_ascii_gets_no_signs_that_it_lacks() -> None:
    page = "\n".join(table(*GPU_RUN, encoding="ascii"))
    assert "===....." in page and "+-95 %" in page and "spread" not in page


NUMBERS = [
    (0.0, "0"), (712.94, "713"), (71.294, "71.3"), (7.1294, "7.13"), (0.0142, "0.0142"), (12345.6, "12,346"),
    (2.5e-7, "2.5e-07"), (None, "-"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "words"), NUMBERS)
def test_numbers_have_three_digits_that_count(value: float | None, words: str) -> None:
    assert number(value) == words


def test_small_words() -> None:
    assert (percent(0.004), percent(0.123), percent(50)) == ("0.4 %", "12 %", "999 %")
    assert sparkline([1.0] * 20) == "" and len(sparkline([float(i) for i in range(100)])) == 8


def test_what_strikes_everything_is_said_of_all() -> None:
    def struck(count: int, reason: str = "the GPU was hot") -> str:
        spoilt = [workload(f"w{i}", invalid_because=(reason,)) for i in range(count)]
        out = io.StringIO()
        print_result(Console(file=out, width=100, highlight=False), result(*spoilt, workload("fine")))
        return out.getvalue()

    assert "all 6: the GPU was hot" in struck(6)
    assert "w0, w1, w2: the GPU was hot" in struck(3)


def compared() -> tuple[BenchResult, BenchResult]:
    other = result(
        workload("matmul.bf16", (350, 351, 349), telemetry=watts(400)),
        workload("memory.copy", metrics={"bandwidth": metric((1500, 1504, 1497), "GB/s")}),
        workload("conv.fwd", (300, 301, 299)),
        environment={"torch": "2.14.1"},
    )
    return run(), other


def test_a_comparison_in_the_terminal_and_in_markdown() -> None:
    a, b = compared()
    found = compare([("a.json", a), ("b|b.json", b)], [1600, 1000], "EUR")
    out = io.StringIO()
    print_comparison(Console(file=out, width=80, highlight=False), found)
    assert "B is slower than A" in out.getvalue() and "torch: 2.15.0 -> 2.14.1" in out.getvalue()
    assert "TFLOP/s per W" in out.getvalue() and "TFLOP/s per EUR" in out.getvalue()
    assert max(len(line) for line in out.getvalue().splitlines()) <= 80
    page = to_markdown(found)
    assert "| matmul.bf16 | throughput | 700 TFLOP/s | 350 TFLOP/s | 0.50x |" in page
    assert "b\\|b.json" in page and "~~300 TFLOP/s~~" in page and "invalid: in A, the SM clock drifted" in page


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_comparison_shows_every_name_whole(width: int, encoding: str) -> None:
    found = compare([("a.json", result(*GPU_RUN)), ("b.json", result(*GPU_RUN))])
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    print_comparison(Console(file=out, width=width, highlight=False), found)
    out.flush()
    out.seek(0)
    lines = out.read().splitlines()
    assert max(map(len, lines)) <= width
    for one in GPU_RUN:
        for name in one.metrics:
            assert sum(f" {name} " in line for line in lines) == 1, name
    assert any("= (+-" in line for line in lines) is (encoding == "ascii")


# --- the page -------------------------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Checks that elements close in order, collects ids and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br", "img", "input"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_one_file_with_distributions_for_dark_mode_and_print() -> None:
    from envdoctor.report.bench.html import comparison_page, run_page

    a, b = compared()
    for text in (comparison_page(compare([("a", a), ("b<b>", b)]), [a, b]), run_page(a)):
        page = Page(text)
        assert len(page.ids) == len(set(page.ids)), "two plots on one page share an id"
        assert all(address.startswith("#") and address[1:] in page.ids for address in page.addresses)
        assert "prefers-color-scheme: dark" in text and "@media print" in text
        assert text.count("<svg") == 2 and "currentColor" in text and "#010203" not in text
        assert "FillBetweenPolyCollection" in text or "PolyCollection" in text, "distributions, not only points"
        assert "<s>300 TFLOP/s</s>" in text and "b<b>" not in text
        for each in text.split("<table>")[1:]:
            widths = {_columns(row) for row in each.partition("</table>")[0].split("<tr")[1:]}
            assert len(widths) == 1, "a row of another width than its table"
    assert "<pre>pip install x</pre>" in run_page(a)


def _columns(row: str) -> int:
    spans = [int(span) for span in re.findall(r'colspan="(\d+)"', row)]
    return len(re.findall(r"<t[dh][ >]", row)) - len(spans) + sum(spans)


def test_without_matplotlib_a_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from envdoctor.report.bench.html import run_page

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install matplotlib"):
        run_page(run())


def test_a_run_without_figures_has_a_page_too() -> None:
    from envdoctor.report.bench.html import run_page

    Page(run_page(result(partial=True, partial_because="interrupted")))


def test_the_template_is_part_of_the_package() -> None:
    from envdoctor.report.bench.html import PAGE

    assert PAGE.is_file() and Path(PAGE).suffix == ".j2"
