"""What `envdoctor up` leaves: one page, made of the other reports, and its summary."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from rich.text import Text

from envdoctor.bench.results import BenchResult
from envdoctor.console import Console
from envdoctor.diagnosis.model import Diagnosed, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.planning.model import Plan
from envdoctor.report.bench import result_text
from envdoctor.report.check import headline, text
from envdoctor.report.plan import text as plan_text
from envdoctor.report.training import text as training_text
from envdoctor.training.result import TrainingResult

WIDTH = 100
"""Columns of the page."""
_TONES = {"good": ("good", "bold green"), "bad": ("bad", "bold red")}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>envdoctor up</title>
<style>
{stylesheet}
body {{ color: {foreground}; background: {background}; margin: 1em; }}
pre {{ font-family: monospace; overflow-x: auto; }}
</style>
</head>
<body>
<pre><code>{code}</code></pre>
</body>
</html>
"""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, step by step; None where a step was left out.

    `python`: the environment, as it was named. `said`: what its torch said when it was verified against the plan.
    """

    python: str
    snapshot: Snapshot
    diagnosed: Diagnosed
    plan: Plan | None = None
    said: str | None = None
    bench: BenchResult | None = None
    training: TrainingResult | None = None

    @property
    def ok(self) -> bool:
        """Whether each step that was done came out well."""
        bench = self.bench is None or self.bench.valid
        training = self.training is None or self.training.ok
        return bench and training and not self.diagnosed.has(Severity.ERROR)


def print_summary(console: Console, proof: Proof, page: Path) -> None:
    """One line for each step, where the page is, and what to do next."""
    for line in _lines(console, proof):
        text.hanging(console, line, 0)
    console.print()
    text.hanging(console, Text(f"The whole report: {page}"), 0)
    console.print("Next")
    for command in _next(proof):
        console.print(Text(f"  {command}"), soft_wrap=True)


def page(proof: Proof) -> str:
    """The page, as HTML."""
    console = Console(record=True, file=io.StringIO(), width=WIDTH, force_terminal=True, highlight=False)
    _print_page(console, proof)
    return console.export_html(code_format=_PAGE)


def page_text(proof: Proof) -> str:
    """The page, as plain text."""
    file = io.StringIO()
    _print_page(Console(file=file, width=WIDTH, highlight=False, color_system=None), proof)
    return file.getvalue()


def _print_page(console: Console, proof: Proof) -> None:
    for line in _lines(console, proof):
        text.hanging(console, line, 0)
    for title, show in _sections(console, proof):
        console.print()
        console.rule(Text(title), align="left")
        console.print()
        show()
    console.print()
    console.rule(Text("What to do next"), align="left")
    console.print()
    for command in _next(proof):
        console.print(Text(f"  {command}"), soft_wrap=True)


def _sections(console: Console, proof: Proof) -> Iterator[tuple[str, Callable[[], None]]]:
    plan, bench, training = proof.plan, proof.bench, proof.training
    yield "What was found", lambda: text.print_report(console, proof.snapshot, proof.diagnosed)
    if plan is not None:
        yield "What was installed, and why", lambda: plan_text.print_plan(console, plan)
    if bench is not None:
        yield "How fast it is, and against which limit", lambda: result_text.print_result(console, bench)
    if training is not None:
        yield "Whether it trains rightly", lambda: training_text.print_training(console, training)


def _lines(console: Console, proof: Proof) -> Iterator[Text]:
    unicode = text.speaks_unicode(console)
    good, bad = ("✓ ", "✗ ") if unicode else ("ok: ", "error: ")
    if proof.said is not None:
        yield Text(f"{good}{proof.said}", style="bold green")
    found = headline.headline(proof.snapshot, proof.diagnosed)
    mark, style = _TONES.get(found.tone, ("! " if unicode else "warning: ", "bold yellow"))
    yield Text({"good": good, "bad": bad}.get(mark, mark) + found.text, style=style)
    if proof.bench is not None:
        yield result_text.headline(proof.bench, unicode=unicode)
    if proof.training is not None:
        yield training_text.headline(proof.training, unicode=unicode)


def _next(proof: Proof) -> Iterator[str]:
    if proof.diagnosed.has(Severity.ERROR):
        yield shlex.join(["envdoctor", "check", "--python", proof.python])
    prefix = Path(proof.python)
    if proof.plan is not None and os.name != "nt":
        yield f"source {shlex.quote(str(prefix / 'bin' / 'activate'))}"
    yield shlex.join(["envdoctor", "bench", "--suite", "standard", "--python", proof.python])
    yield shlex.join(["envdoctor", "train", "--data", "photos/", "--python", proof.python])
