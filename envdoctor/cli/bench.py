"""`envdoctor bench`: measure, compare, look back."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envdoctor.cli.bench_results import STYLES, compare_results, list_workloads, show, show_history, show_result
from envdoctor.cli.completions import workloads as names
from envdoctor.cli.output import echo
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.bench.results import BenchResult
    from envdoctor.bench.runner import StartupError
    from envdoctor.bench.suites import RunPlan
    from envdoctor.facts.host import Machine
    from envdoctor.facts.model import Snapshot

SUITES = ("quick", "standard", "full", "soak")
SHARING = ("mig", "vgpu", "mps")
INTERRUPTED = 130


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
@click.option(
    "--workload",
    "workloads",
    metavar="NAME",
    multiple=True,
    shell_complete=names,
    help="A workload or a family; may be repeated.",
)
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
    from envdoctor.bench.session import INTERRUPTED as ENDED_BY_HAND
    from envdoctor.facts.host import Machine

    target = Path(save) if save else None
    if target is not None:
        _writable(target)
    listed = suites.listing(Machine.here(), benchmarks)
    plan = suites.plan(listed, suite=suite, workloads=workloads, launches=launches, budget=budget)
    plan = msgspec.structs.replace(
        plan, device=device, threads=threads, seed=seed, preset=preset, data=data, parameters=parameter
    )
    result, failed = measure_here(
        plan,
        python=python,
        script=benchmarks,
        silence=hang_after,
        declared=declare,
        history=not no_history,
        target=target,
    )
    show(result, style)
    if target is not None and failed is None:
        echo(f"Wrote {save}. Compare it with another: envdoctor bench compare {save} OTHER", err=True)
    if failed is not None:
        raise failed
    if result.partial_because == ENDED_BY_HAND:
        return INTERRUPTED
    return 0 if result.valid else 1


def measure_here(
    plan: RunPlan,
    *,
    python: str | None,
    script: str | None = None,
    silence: float | None = None,
    declared: tuple[str, ...] = (),
    history: bool = True,
    target: Path | None = None,
) -> tuple[BenchResult, InputError | None]:
    """Measures, with a line that moves, and keeps the result: in the history, and in `target`.

    Returns the result, and why `target` cannot be written (a full disk). Raises StartupError, after the cause has been told,
    where nothing could be measured, and InputError where there is no Python.
    """
    from envdoctor.bench.child import SILENCE
    from envdoctor.bench.runner import StartupError
    from envdoctor.bench.session import measure
    from envdoctor.facts.host import Machine
    from envdoctor.facts.interpreters import choose
    from envdoctor.report.bench.live import live

    machine = Machine.here()
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
                    script=script,
                    silence=silence or SILENCE,
                    declared=declared,
                    listener=listener,
                    quiet=quiet,
                )
        except StartupError as error:
            _explain(error, python)
            raise
        if history:
            from envdoctor.bench.trend import remember

            result = remember(result)
        failed = None if target is None else _saved(result, target)
    return result, failed


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
    from envdoctor.bench.diagnosing import diagnosed, errors_of
    from envdoctor.bench.results import WorkloadFailure
    from envdoctor.cli.gathering import gather
    from envdoctor.console import Console
    from envdoctor.report.bench.result_text import print_causes

    failure = WorkloadFailure(kind="crash", message=str(error), log_tail=tuple(error.ending.stderr.splitlines()))
    snapshot = gather(python=python, source=None, live=True)
    print_causes(Console(stderr=True, highlight=False), diagnosed(failure, snapshot, errors_of(snapshot)))


for each in (compare_results, list_workloads, show_history, show_result):
    command.add_command(each)
