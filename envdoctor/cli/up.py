"""`envdoctor up`: check, plan, make, verify, measure, train: the other commands' own functions, one after the other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envdoctor.cli.output import echo
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.bench.results import BenchResult
    from envdoctor.console import Console
    from envdoctor.diagnosis.model import Diagnosed
    from envdoctor.facts.model import Snapshot
    from envdoctor.planning.model import Plan, Wishes
    from envdoctor.rendering.apply import Applied
    from envdoctor.report.up import Proof
    from envdoctor.training.result import TrainingResult

STEPS = ("check", "bench", "train")
ENVIRONMENT, PLAN, BENCH, RUN = ".venv", "plan.json", "bench.json", "digits"
PAGE, PAGE_TEXT = "report.html", "report.txt"
INTERRUPTED = 130


@click.command("up")
@click.argument("folder", metavar="[DIR]", default="envdoctor-up")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before the environment is made.")
@click.option("--skip", type=click.Choice(STEPS), multiple=True, help="Leave a step out; may be repeated.")
@click.option("--python", metavar="PATH", help="Prove this environment instead of making one.")
@click.option("--torch", metavar="SPEC", help="Insist on this torch: 2.6, '>=2.6', 2.6.0+cu124.")
@click.option("--cuda", metavar="VERSION", help="Insist on builds with this CUDA: 12.8, 12, cpu.")
@click.option("--budget", type=click.FloatRange(1, 86400), help="Seconds for the bench, instead of the quick suite's.")
def command(
    folder: str,
    yes: bool,
    skip: tuple[str, ...],
    python: str | None,
    torch: str | None,
    cuda: str | None,
    budget: float | None,
) -> int:
    """From this machine to proven training throughput: check it, make an environment in DIR, verify, measure, train.

    \b
      envdoctor up                        everything, in ./envdoctor-up
      envdoctor up ~/torch --yes          without a question
      envdoctor up ~/torch --skip bench   without measuring
      envdoctor up --python ~/venvs/train  an environment that is there

    What needs root or a reboot is printed, with its commands, and ends it; nothing is changed outside DIR. Called again with
    the same DIR it goes on: what is there and whole is not made or measured again. DIR/report.html and report.txt say what
    was found, what was installed and why, whether it computes rightly, how fast, and what to do next.

    Exit code: 0 proven; 1 something stands in the way, or a step failed; 2 wrong usage or input; 130 interrupted.
    """
    from envdoctor.report.up import Proof

    directory = Path(folder).expanduser()
    if python is not None and (torch or cuda):
        raise click.UsageError(
            "--torch and --cuda are about an environment to make, and --python names one that is there"
        )
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; name a folder")

    if "check" not in skip and (stopped := _check(again=_again(directory))):
        return stopped
    if python is None:
        made = _environment(directory, _wishes(torch, cuda), yes=yes)
        if made is None:
            return 1
        planned, applied = made
        inside = str(applied.directory)
        proof = Proof(
            python=inside, snapshot=applied.snapshot, diagnosed=applied.diagnosed, plan=planned, said=applied.proof
        )
    else:
        snapshot, diagnosed = _looked_at(python)
        inside, proof = python, Proof(python=python, snapshot=snapshot, diagnosed=diagnosed)
    _make(directory)
    return _prove(proof, inside, directory, skip, budget)


def _prove(proof: Proof, python: str, directory: Path, skip: Sequence[str], budget: float | None) -> int:
    """Measures and trains, writes the page, says what came of it. Returns the exit code."""
    import msgspec

    from envdoctor.bench.session import INTERRUPTED as ENDED_BY_HAND

    stopped = False
    if "bench" not in skip:
        _step("Measure")
        result = _bench(python, directory / BENCH, budget)
        stopped = result.partial_because == ENDED_BY_HAND
        proof = msgspec.structs.replace(proof, bench=result)
    if "train" not in skip and not stopped:
        _step("Train")
        run = _train(python, directory / RUN)
        stopped = run.status == "stopped"
        proof = msgspec.structs.replace(proof, training=run)
    _write_page(proof, directory)
    from envdoctor.report.up import print_summary

    print_summary(_console(), proof, directory / PAGE)
    if stopped:
        echo(f"Interrupted. Go on with: {_again(directory)}", err=True)
        return INTERRUPTED
    return 0 if proof.ok else 1


def _again(directory: Path) -> str:
    return shlex.join(["envdoctor", "up", str(directory)])


def _step(words: str) -> None:
    echo(f"== {words}", err=True)


def _console(*, err: bool = False) -> Console:
    from envdoctor.console import Console

    return Console(stderr=err, highlight=False)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {directory}: {error.strerror or error}") from error


def _check(*, again: str) -> int:
    """What is wrong with the machine, whichever Python it is used from: 1, with the repair printed, where something is."""
    from envdoctor.cli.gathering import gather
    from envdoctor.diagnosis.judging import judge_without_python
    from envdoctor.diagnosis.model import Severity
    from envdoctor.knowledge import load
    from envdoctor.report.check.text import print_report

    _step("Check this machine")
    snapshot = gather(python=None, source=None, live=False)
    diagnosed = judge_without_python(snapshot, load())
    if not diagnosed.has(Severity.ERROR):
        return 0
    print_report(_console(), snapshot, diagnosed)
    echo(f"\nRepair this first; then: {again}")
    return 1


def _wishes(torch: str | None, cuda: str | None) -> Wishes:
    from envdoctor.knowledge import load
    from envdoctor.planning.wishes import checked

    return checked(load(), torch=torch, cuda=cuda)


def _environment(directory: Path, wishes: Wishes, *, yes: bool) -> tuple[Plan, Applied] | None:
    """The plan and its environment in `directory`: made, or the one that is there verified; None where there is no plan."""
    from envdoctor.rendering.apply import apply, prove

    prefix = directory / ENVIRONMENT
    if (kept := _kept_plan(directory)) is not None and kept.stack is not None and prefix.is_dir():
        if wishes not in (kept.wishes, _wishes(None, None)):
            raise InputError(f"{prefix} was made with other wishes; remove it, or name another folder")
        _step(f"Verify {prefix}, which is there")
        return kept, prove(kept.stack, prefix, _console(err=True))
    planned = _planned(wishes)
    if planned.stack is None:
        return None
    if not yes:
        _ask(prefix, planned.stack.requirements)
    _step(f"Make {prefix}")
    _make(directory)
    from envdoctor.files import write_atomically
    from envdoctor.report.plan.data import plan_json

    write_atomically(directory / PLAN, plan_json(planned) + "\n")
    return planned, apply(planned.stack, prefix, _console(err=True))


def _planned(wishes: Wishes) -> Plan:
    """The plan for this machine, with a Python that is here; printed on stderr."""
    import msgspec

    from envdoctor.cli.gathering import gather
    from envdoctor.cli.recipe_files import with_a_python_that_is_here
    from envdoctor.knowledge import load
    from envdoctor.planning.planner import plan
    from envdoctor.planning.target import from_snapshot
    from envdoctor.report.plan.text import print_plan

    _step("Plan")
    world = load()
    planned = plan(from_snapshot(gather(python=None, source=None, live=False), world), wishes, world)
    if planned.stack is not None and (stack := with_a_python_that_is_here(planned)) != planned.stack:
        narrower = msgspec.structs.replace(wishes, python=stack.python)
        planned = msgspec.structs.replace(plan(planned.target, narrower, world), wishes=wishes)
    print_plan(_console(err=planned.feasible), planned)
    return planned


def _kept_plan(directory: Path) -> Plan | None:
    import msgspec

    from envdoctor.planning.model import Plan

    path = directory / PLAN
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _ask(prefix: Path, requirements: Sequence[str]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"nobody is there to be asked: --yes makes {prefix}")
    click.confirm(f"Make {prefix} and install {' '.join(requirements)} into it?", abort=True, default=True, err=True)


def _looked_at(python: str) -> tuple[Snapshot, Diagnosed]:
    from envdoctor.cli.gathering import gather
    from envdoctor.diagnosis.judging import judge_machine
    from envdoctor.knowledge import load

    _step(f"Try {python}")
    snapshot = gather(python=python, source=None, live=True)
    return snapshot, judge_machine(snapshot, load())


def _bench(python: str, path: Path, budget: float | None) -> BenchResult:
    from envdoctor.bench import suites
    from envdoctor.bench.results import load
    from envdoctor.cli.bench import measure_here
    from envdoctor.facts.host import Machine

    if path.exists() and (kept := load(path)).valid:
        echo(f"{path} is there: not measured again", err=True)
        return kept
    plan = suites.plan(suites.listing(Machine.here(), None), suite="quick", budget=budget)
    result, failed = measure_here(plan, python=python, target=path)
    if failed is not None:
        raise failed
    return result


def _train(python: str, folder: Path) -> TrainingResult:
    from envdoctor.cli.train import train_here
    from envdoctor.training import run_folder

    begun = (folder / run_folder.CONFIG).exists()
    return train_here({"data": "digits"}, python=python, output=str(folder), resume=begun)


def _write_page(proof: Proof, directory: Path) -> None:
    from envdoctor.cli.output import safe
    from envdoctor.files import write_atomically
    from envdoctor.report.up import page, page_text

    write_atomically(directory / PAGE, page(proof))
    write_atomically(directory / PAGE_TEXT, safe(page_text(proof)))
