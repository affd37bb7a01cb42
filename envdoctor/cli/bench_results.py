"""`envdoctor bench show`, `list`, `history`, `compare`: what looks at results and measures nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envdoctor.cli.output import echo, safe
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.bench.results import BenchResult
    from envdoctor.console import Console

STYLES = ("text", "json", "html")


def show(result: BenchResult, style: str) -> None:
    """The result on stdout."""
    if style == "json":
        from envdoctor.bench.results import encode

        echo(encode(result), nl=False)
        return
    if style == "html":
        from envdoctor.report.bench.html import run_page

        echo(run_page(result))
        return
    from envdoctor.console import Console
    from envdoctor.report.bench.result_text import print_result

    print_result(Console(highlight=False), result)


@click.command("show")
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option("--format", "style", type=click.Choice(STYLES), default="text", show_default=True)
def show_result(file: str, output: str | None, style: str) -> int:
    """Show a saved result again (FILE, or @NAME of a reference result): as text, as JSON, or as a page with plots.

    Exit code: as when it was measured: 0 all valid, 1 something is invalid, failed or missing.
    """
    from envdoctor.bench.references import find

    result = find(file)[1]
    if output is None:
        show(result, style)
    elif style == "html":
        from envdoctor.report.bench.html import run_page

        _write(run_page(result), output)
    elif style == "json":
        from envdoctor.bench.results import encode

        _write(encode(result), output)
    else:
        from envdoctor.report.bench.result_text import print_result

        _write(_plain(lambda console: print_result(console, result)), output)
    return 0 if result.valid else 1


@click.command("list")
@click.option("--benchmarks", metavar="PATH", help="Other workloads than the bundled ones.")
@click.option("--format", "style", type=click.Choice(("text", "json")), default="text", show_default=True)
def list_workloads(benchmarks: str | None, style: str) -> None:
    """List the workloads, and the suites that they belong to."""
    from envdoctor.bench.suites import listing
    from envdoctor.facts.host import Machine

    listed = listing(Machine.here(), benchmarks)
    if style == "json":
        import msgspec

        echo(msgspec.json.format(msgspec.json.encode(listed), indent=2).decode())
        return
    from envdoctor.console import Console
    from envdoctor.report.bench.result_text import print_listing

    print_listing(Console(highlight=False), listed)


@click.command("history")
@click.option(
    "--workload", "workloads", metavar="NAME", multiple=True, help="Show the figures of these workloads or families."
)
@click.option(
    "--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="How many runs, newest first."
)
@click.option("--format", "style", type=click.Choice(("text", "json")), default="text", show_default=True)
def show_history(workloads: tuple[str, ...], limit: int, style: str) -> None:
    """Show what was measured before on this machine, newest first."""
    from envdoctor.bench import history

    try:
        past = history.runs(None, limit)
    except history.HistoryError as error:
        raise InputError(f"the history cannot be read: {error}") from None
    if style == "json":
        from envdoctor.report.bench.history import to_json

        echo(to_json(past, workloads))
        return
    from envdoctor.console import Console
    from envdoctor.report.bench.history import print_history

    print_history(Console(highlight=False), past, workloads, str(history.path()))


@click.command("compare")
@click.argument("results", nargs=-1, required=True, metavar="A B [C...]")
@click.option(
    "--price", "prices", metavar="AMOUNT", multiple=True, help="What each costs, in their order: 1600EUR, $2.49/h."
)
@click.option("--include-invalid", is_flag=True, help="Judge figures that were found invalid as well.")
@click.option("--fail-slower", is_flag=True, help="Exit with 1 where something is surely slower than in A.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option(
    "--format", "style", type=click.Choice(("text", "json", "markdown", "html")), default="text", show_default=True
)
def compare_results(
    results: tuple[str, ...],
    prices: tuple[str, ...],
    include_invalid: bool,
    fail_slower: bool,
    output: str | None,
    style: str,
) -> int:
    """Compare results: A is the baseline, each other is held against it.

    A result is a file of `bench --save`, or @NAME for one of the reference results (`@h100`). A verdict needs three launches a
    side; figures of different work are not compared.

    Exit code: 0 compared, 1 something is surely slower (with --fail-slower), 2 the results cannot be compared.
    """
    from envdoctor.bench.compare import compare
    from envdoctor.bench.references import find

    if len(results) < 2:
        raise InputError("a comparison needs two results or more: envdoctor bench compare A.json B.json")
    named = [find(name) for name in results]
    amounts, currency = _prices(prices)
    found = compare(named, amounts, currency, invalid=include_invalid)
    if style == "html":
        from envdoctor.report.bench.html import comparison_page

        _write(comparison_page(found, [result for _, result in named]), output)
    elif style in ("json", "markdown"):
        from envdoctor.report.bench import comparison_text

        _write(comparison_text.to_json(found) + "\n" if style == "json" else comparison_text.to_markdown(found), output)
    else:
        from envdoctor.console import Console
        from envdoctor.report.bench.comparison_text import print_comparison

        if output is None:
            print_comparison(Console(highlight=False), found)
        else:
            _write(_plain(lambda console: print_comparison(console, found)), output)
    return int(fail_slower and found.slower)


def _prices(given: tuple[str, ...]) -> tuple[list[float], str]:
    """Amounts and their one currency ('EUR', '$/h')."""
    import re

    amounts, currencies = [], set()
    for text in given:
        match = re.fullmatch(r"\s*(\D*?)\s*(\d[\d,]*(?:\.\d+)?)\s*(\D*?)\s*", text)
        amount = float(match[2].replace(",", "")) if match else 0.0
        if match is None or amount <= 0:
            raise InputError(f"--price {text}: give an amount, such as 1600EUR or $2.49/h")
        amounts.append(amount)
        currencies.add(match[1] + match[3])
    if len(currencies) > 1:
        raise InputError(f"--price: these are different currencies: {', '.join(sorted(currencies))}")
    return amounts, next(iter(currencies), "") or "unit of money"


def _plain(prints: Callable[[Console], None]) -> str:
    """What is printed, for a file."""
    import io

    from envdoctor.console import Console

    text = io.StringIO()
    prints(Console(file=text, width=100, highlight=False))
    return text.getvalue()


def _write(text: str, output: str | None) -> None:
    if output is None:
        echo(text, nl=False)
        return
    from envdoctor.files import write_atomically

    write_atomically(Path(output), safe(text))
    echo(f"Wrote {output}.", err=True)
