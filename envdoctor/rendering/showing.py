"""The steps of a long piece of work, on a terminal with bars, elsewhere a line each."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import ProgressColumn, TaskID

    from envdoctor.console import Console


class Steps:
    """A context manager that shows steps on `console`: begin, show (any number of times), done."""

    def __init__(self, console: Console, count: int) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn

        self._console, self._count, self._number = console, count + 1, 0
        self._began = 0.0
        self._said = ""
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *_columns(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._progress.add_task("", total=1, known=False)

    def __enter__(self) -> Steps:
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, text: str) -> None:
        """Starts the next step."""
        self._number += 1
        self._began = time.monotonic()
        self._console.print(f"{self._number}/{self._count}  {text}", markup=False, highlight=False, soft_wrap=True)
        self._progress.reset(self._task, description="working", total=1, known=False)

    def show(self, what: str, done: int, total: int) -> None:
        """Says what the step is at; `done` of `total` bytes, 0 of 0 where that cannot be told."""
        if not self._console.is_terminal and what != self._said:
            self._console.print(f"     {what}", markup=False, highlight=False, soft_wrap=True)
        self._said = what
        # In rich a total of None leaves the one before.
        self._progress.update(self._task, description=what[:38], completed=done, total=total or 1, known=total > 0)

    def done(self, result: str = "") -> None:
        """Ends the step with what came of it, and how long it took where that was long."""
        seconds = time.monotonic() - self._began
        took = f"{seconds:.0f} s" if seconds >= 1 else ""
        text = "  ".join(part for part in (result, took) if part)
        if text:
            self._console.print(f"     {text}", style="dim", markup=False, highlight=False, soft_wrap=True)


def _columns() -> tuple[ProgressColumn, ...]:
    """A bar with bytes where it is known how many there will be; the time that the step has taken, always."""
    from rich.progress import BarColumn, DownloadColumn, ProgressColumn, Task, TimeElapsedColumn
    from rich.text import Text

    class WhereKnown(ProgressColumn):
        def __init__(self, column: ProgressColumn) -> None:
            super().__init__()
            self.column = column

        def render(self, task: Task) -> RenderableType:
            return self.column.render(task) if task.fields["known"] else Text("")

    return WhereKnown(BarColumn(bar_width=16)), WhereKnown(DownloadColumn()), TimeElapsedColumn()
