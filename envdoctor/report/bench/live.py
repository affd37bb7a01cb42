"""What is going on while a benchmark runs, on stderr: a few lines that are redrawn on a terminal, a line a workload elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from envdoctor.bench.child import Event
from envdoctor.bench.runner import Launch, Listener
from envdoctor.bench.suites import RunPlan
from envdoctor.console import Console
from envdoctor.report.figures import duration, quantity

PHASES = {"setup": "setting up", "warmup": "warming up", "measure": "measuring", "check": "checking"}


@contextlib.contextmanager
def live(plan: RunPlan) -> Iterator[Listener]:
    """A listener that shows the run's progress while the context is open."""
    console = Console(stderr=True, highlight=False)
    screen = _Screen(plan, console)
    if not console.is_terminal:
        yield screen.hear
        return
    with Live(get_renderable=screen.draw, console=console, refresh_per_second=8, transient=True):
        yield screen.hear
    sys.stderr.flush()


class _Screen:
    def __init__(self, plan: RunPlan, console: Console) -> None:
        self._plan, self._console = plan, console
        self._began = time.monotonic()
        self._launch: Launch | None = None
        self._doing = "starting Python and torch"
        self._workload = ""
        self._done = 0
        self._told: set[tuple[int, str]] = set()

    def hear(self, launch: Launch, event: Event) -> None:
        self._launch = launch
        if event.name == "progress":
            self._workload = str(event.fields.get("workload"))
            self._doing = _doing(event)
        elif event.name == "workload":
            self._workload, self._doing = str(event.fields.get("name")), "setting up"
        for name in (*launch.measured, *launch.failures, *launch.skipped):
            if (launch.number, name) not in self._told:
                self._told.add((launch.number, name))
                self._console.print(self._line(launch, name), soft_wrap=True)

    def _line(self, launch: Launch, name: str) -> Text:
        number = f" {launch.number}/{self._plan.launches}" if self._plan.launches > 1 else ""
        if name in launch.failures:
            return Text.assemble(("failed ", "red"), f"{name}{number}  {launch.failures[name].message}")
        if name in launch.skipped:
            return Text.assemble(("skipped", "dim"), (f" {name}{number}  {launch.skipped[name]}", "dim"))
        measured = launch.measured[name]
        figures = [quantity(m.value, m.unit) for m in measured.metrics.values()][:3]
        state = ("done   ", "green") if not measured.invalid_because else ("invalid", "yellow")
        return Text.assemble(state, f" {name}{number}  {', '.join(figures)}")

    def draw(self) -> Group:
        total = len(self._plan.workloads) * self._plan.launches
        done = len(self._told)
        elapsed = time.monotonic() - self._began
        budget = self._plan.budget * self._plan.launches
        left = max(0.0, budget - elapsed)
        number = f"launch {self._launch.number if self._launch else 1} of {self._plan.launches}, "
        head = Text.assemble(
            number if self._plan.launches > 1 else "",
            f"{done} of {total} done, {duration(elapsed)} gone, about {duration(left)} left",
        )
        bar = ProgressBar(total=max(budget, elapsed, 1.0), completed=elapsed, width=min(40, self._console.width - 2))
        doing = Text.assemble((self._workload or "envdoctor bench", "bold"), "  ", self._doing)
        doing.truncate(self._console.width - 1, overflow="ellipsis")
        return Group(doing, Text.assemble(head), bar)


def _doing(event: Event) -> str:
    fields = event.fields
    words = [PHASES.get(str(fields.get("phase")), str(fields.get("phase")))]
    step, steps = fields.get("step"), fields.get("steps")
    if isinstance(step, int) and step > 0:
        words.append(f"step {step}" + (f" of {steps}" if isinstance(steps, int) else ""))
    figure = fields.get("figure")
    if isinstance(figure, dict) and isinstance(figure.get("value"), (int, float)):
        words.append(quantity(figure["value"], str(figure.get("unit", ""))))
    left = fields.get("remaining_s")
    if isinstance(left, (int, float)):
        words.append(f"{duration(left)} left")
    return ", ".join(words)
