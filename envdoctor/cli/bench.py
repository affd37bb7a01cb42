"""`envdoctor bench`: measure, compare, look back."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.bench.results import BenchResult
    from envdoctor.bench.runner import StartupError
    from envdoctor.facts.host import Machine
    from envdoctor.facts.model import Snapshot

SUITES = ("quick", "standard", "full", "soak")
SHARING = ("mig", "vgpu", "mps")
INTERRUPTED = 130
STYLES = ("text", "json", "html")


class Bench(click.Group):
    """A group that measures where no subcommand is named."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS]")
        formatter.write_usage(ctx.command_path, "compare A B [C...] | show FILE | history | list", prefix="       ")


def _key_value(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if wrong := next((text for text, (key, equals, _) in zip(given, pairs, strict=True) if not (key and equals)), None):
        raise click.BadParameter(f"{wrong!r}: give it as KEY=VALUE")
    return {key: value for key, _, value in pairs}


@click.group("bench", cls=Bench, invoke_without_command=True)
@click.option("--suite", type=click.Choice(SUITES), help="A set of workloads with its budget.  [default: quick]")
@click.option("--workload", "workloads", metavar="NAME", multiple=True, help="A workload or a family; may be repeated.")
@click.option("--device", metavar="DEVICE", help="cpu, cuda or cuda:N.  [default: cuda where torch has it]")
@click.option(
    "--python", metavar="PATH", help="The Python to measure with: an executable, a command or an environment's folder."
)
@click.option("--save", metavar="FILE", help="Write the result to FILE, for `bench compare` and `check --from`.")
@click.option("--launches", type=click.IntRange(1, 100), help="Processes that measure in turn; 3 to compare results.")
@click.option("--budget", type=click.FloatRange(1, 86400), help="Seconds for all of it, instead of the suite's.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of torch.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all random numbers.")
@click.option("--preset", type=click.Choice(("article", "tuned")), help="How training is done.")
@click.option("--data", metavar="PATH", help="Images to train on or to load.")
@click.option(
    "--parameter", metavar="KEY=VALUE", multiple=True, callback=_key_value, help="Change what a workload does."
)
@click.option("--declare", type=click.Choice(SHARING), multiple=True, help="The GPU is shared so, and that is meant.")
@click.option("--hang-after", type=click.FloatRange(1), metavar="SECONDS", help="Silence that counts as a hang.  [180]")
@click.option("--benchmarks", metavar="PATH", help="Other workloads than the bundled ones, of the same protocol.")
@click.option("--no-history", is_flag=True, help="Neither keep the result nor compare it with earlier ones.")
@click.option("--format", "style", type=click.Choice(STYLES), default="text", show_default=True)
@click.pass_context
def command(
    ctx: click.Context,
    suite: str | None,
    workloads: tuple[str, ...],
    device: str | None,
    python: str | None,
    save: str | None,
    launches: int | None,
    budget: float | None,
    threads: int | None,
    seed: int,
    preset: str | None,
    data: str | None,
    parameter: dict[str, str],
    declare: tuple[str, ...],
    hang_after: float | None,
    benchmarks: str | None,
    no_history: bool,
    style: str,
) -> int | None:
    """Measure what this machine's torch really does, and whether the figures can be trusted.

    \b
      envdoctor bench                           a minute: the main figures
      envdoctor bench --suite standard --save today.json
      envdoctor bench --workload matmul.bf16 --device cuda:1
      envdoctor bench compare before.json today.json

    Exit code: 0 all was measured and is valid; 1 something failed or is invalid (shown struck, with its reason); 2 wrong
    usage, or FILE cannot be written; 130 interrupted (what was measured is kept, and marked partial).
    """
    if ctx.invoked_subcommand is not None:
        return None
    import msgspec

    from envdoctor.bench import suites
    from envdoctor.bench.child import SILENCE
    from envdoctor.bench.runner import StartupError
    from envdoctor.bench.session import INTERRUPTED as ENDED_BY_HAND
    from envdoctor.bench.session import measure
    from envdoctor.facts.host import Machine
    from envdoctor.facts.interpreters import choose
    from envdoctor.report.bench_live import live

    target = Path(save) if save else None
    if target is not None:
        _writable(target)
    machine = Machine.here()
    listed = suites.listing(machine, benchmarks)
    plan = suites.plan(listed, suite=suite, workloads=workloads, launches=launches, budget=budget)
    plan = msgspec.structs.replace(
        plan, device=device, threads=threads, seed=seed, preset=preset, data=data, parameters=parameter
    )
    chosen = choose(machine, python)
    if chosen.executable is None:
        raise InputError("there is no Python on PATH to measure with; name one with --python")
    snapshot = _facts(machine, python)
    with ExitStack() as quiet:  # a second Ctrl-C must not cost what the first one kept
        try:
            with live(plan) as listener:
                result = measure(
                    chosen.executable,
                    plan,
                    snapshot,
                    script=benchmarks,
                    silence=hang_after or SILENCE,
                    declared=declare,
                    listener=listener,
                    quiet=quiet,
                )
        except StartupError as error:
            _explain(error, python)
            raise
        if not no_history:
            from envdoctor.bench.trend import remember

            result = remember(result)
        failed = None if target is None else _saved(result, target)
    _show(result, style)
    if target is not None and failed is None:
        click.echo(f"Wrote {save}. Compare it with another: envdoctor bench compare {save} OTHER", err=True)
    if failed is not None:
        raise failed
    if result.partial_because == ENDED_BY_HAND:
        return INTERRUPTED
    return 0 if result.valid else 1


def _facts(machine: Machine, python: str | None) -> Snapshot:
    """The machine's facts, for the file: without private data, for results are made to be shared."""
    from envdoctor.facts.collect import collect
    from envdoctor.facts.redaction import redact

    return redact(collect(machine, python=python, live=False))


def _writable(target: Path) -> None:
    """Raises InputError where a file cannot be put there: better now than after five minutes."""
    import tempfile

    folder = target.absolute().parent
    if not folder.is_dir():
        raise InputError(f"--save {target}: there is no folder {folder}")
    if target.is_dir():
        raise InputError(f"--save {target}: this is a folder; give the name of a file")
    try:  # only a try tells: root may write anywhere but where nobody can
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--save {target}: cannot write in {folder}: {error.strerror or error}") from None


def _saved(result: BenchResult, target: Path) -> InputError | None:
    """Writes the file; returns why it cannot be written (a full disk): what was measured is shown all the same."""
    from envdoctor.bench.results import save

    try:
        save(result, target)
    except InputError as error:
        return error
    return None


def _explain(error: StartupError, python: str | None) -> None:
    """On stderr: why nothing could be measured at all, and the repair, with the facts of a try of torch."""
    from rich.console import Console

    from envdoctor.bench.diagnosing import diagnosed
    from envdoctor.bench.results import Failure
    from envdoctor.cli.gathering import gather
    from envdoctor.report.bench import print_causes

    failure = Failure(kind="crash", message=str(error), log_tail=tuple(error.ending.stderr.splitlines()))
    snapshot = gather(python=python, source=None, live=True)
    print_causes(Console(stderr=True, highlight=False), diagnosed(failure, snapshot, whole_machine=True))


def _show(result: BenchResult, style: str) -> None:
    if style == "json":
        from envdoctor.bench.results import encode

        click.echo(encode(result), nl=False)
        return
    if style == "html":
        from envdoctor.report.bench_html import run_page

        click.echo(run_page(result))
        return
    from rich.console import Console

    from envdoctor.report.bench import print_result

    print_result(Console(highlight=False), result)


@command.command("show")
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
        _show(result, style)
    elif style == "html":
        from envdoctor.report.bench_html import run_page

        _write(run_page(result), output)
    elif style == "json":
        from envdoctor.bench.results import encode

        _write(encode(result), output)
    else:
        import io

        from rich.console import Console

        from envdoctor.report.bench import print_result

        text = io.StringIO()
        print_result(Console(file=text, width=100, highlight=False), result)
        _write(text.getvalue(), output)
    return 0 if result.valid else 1


@command.command("list")
@click.option("--benchmarks", metavar="PATH", help="Other workloads than the bundled ones.")
@click.option("--format", "style", type=click.Choice(("text", "json")), default="text", show_default=True)
def list_workloads(benchmarks: str | None, style: str) -> None:
    """List the workloads, and the suites that they belong to."""
    from envdoctor.bench.suites import listing
    from envdoctor.facts.host import Machine

    listed = listing(Machine.here(), benchmarks)
    if style == "json":
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(listed), indent=2).decode())
        return
    from rich.console import Console

    from envdoctor.report.bench import print_listing

    print_listing(Console(highlight=False), listed)


@command.command("history")
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
        from envdoctor.report.bench_history import to_json

        click.echo(to_json(past, workloads))
        return
    from rich.console import Console

    from envdoctor.report.bench_history import print_history

    print_history(Console(highlight=False), past, workloads, str(history.path()))


@command.command("compare")
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
        from envdoctor.report.bench_html import comparison_page

        _write(comparison_page(found, [result for _, result in named]), output)
    elif style in ("json", "markdown"):
        from envdoctor.report import bench_compare

        _write(bench_compare.to_json(found) + "\n" if style == "json" else bench_compare.to_markdown(found), output)
    else:
        from rich.console import Console

        from envdoctor.report.bench_compare import print_comparison

        if output is None:
            print_comparison(Console(highlight=False), found)
        else:
            import io

            text = io.StringIO()
            print_comparison(Console(file=text, width=100, highlight=False), found)
            _write(text.getvalue(), output)
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


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    from envdoctor.files import write_atomically

    write_atomically(Path(output), text)
    click.echo(f"Wrote {output}.", err=True)
