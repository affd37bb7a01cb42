"""What a newer driver would buy, as a table for a person at a terminal."""

from __future__ import annotations

from rich.text import Text

from envdoctor.console import Console
from envdoctor.planning.unlock import DriverStep, Unlocks
from envdoctor.report.lines import wrapped
from envdoctor.report.plan.text import headline, machine, print_alternative

_STYLES = {"past": "dim", "current": "bold green", "ahead": ""}


def print_unlocks(console: Console, found: Unlocks) -> None:
    """What runs as things are, the ladder of drivers, then the other changes."""
    plan = found.plan
    if plan.stack is None:
        wrapped(console, Text(f"As things are there is no stack for {machine(plan.target)}.", style="bold red"))
        for reason in plan.reasons:
            wrapped(console, Text(reason.text), lead="  - ")
    else:
        wrapped(console, Text(f"{headline(plan.stack)} for {machine(plan.target)}, as things are.", style="bold"))
    console.print()
    if found.drivers:
        _ladder(console, found)
    else:
        console.print(Text("No driver decides here."))
    if found.others:
        console.print()
        console.print(Text("Other changes", style="bold"))
        for alternative in found.others:
            print_alternative(console, alternative)


def _ladder(console: Console, found: Unlocks) -> None:
    rows = [("driver from", "torch", "CUDA", "channel", ""), *(_row(step, found) for step in found.drivers)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for place, row in enumerate(rows):
        style = "bold" if place == 0 else _STYLES[found.drivers[place - 1].state]
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False))
        console.print(Text(f"  {cells}  {row[4]}".rstrip(), style=style), soft_wrap=True)


def _row(step: DriverStep, found: Unlocks) -> tuple[str, str, str, str, str]:
    driver = found.plan.target.driver
    remark = f"driver {driver} is here" if step.state == "current" else ""
    return step.min_driver, step.stack.torch, step.stack.cuda or "", step.stack.channel, remark
