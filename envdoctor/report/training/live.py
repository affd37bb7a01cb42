"""What is going on while a model is trained, on stderr: redrawn on a terminal, a line now and then elsewhere."""

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
from envdoctor.console import Console
from envdoctor.report.check.text import speaks_unicode
from envdoctor.report.figures import course, duration, number, percent
from envdoctor.training.result import Epoch
from envdoctor.training.run import Listener, Training

PHASES = {
    "data": "reading the images",
    "check": "comparing the first step with the CPU's",
    "train": "training",
    "evaluate": "evaluating",
    "export": "exporting to ONNX, and comparing",
}
LINES = 24
"""Lines of epochs at most where they cannot be redrawn: a log of 300 epochs is read by nobody."""
QUIET = 60.0
"""Seconds without a line after which there is one, where lines are all there is."""
KEPT = 2000
"""Losses that are kept to be drawn."""


@contextlib.contextmanager
def live(what: str) -> Iterator[Listener]:
    """A listener that shows a run's progress while the context is open. `what`: the data's name."""
    console = Console(stderr=True, highlight=False)
    screen = _Screen(what, console)
    if not console.is_terminal:
        yield screen.hear
        return
    with Live(get_renderable=screen.draw, console=console, refresh_per_second=8, transient=True):
        yield screen.hear
    sys.stderr.flush()


class _Screen:
    def __init__(self, what: str, console: Console) -> None:
        self._what, self._console = what, console
        self._training: Training | None = None
        self._losses: list[float] = []
        self._spoke = time.monotonic()
        self._share = 0.0
        self._saving = False

    def hear(self, training: Training, event: Event | None) -> None:
        self._training = training
        if event is None:
            self._saving = True
            self._say(Text("Saving, then stopping; another Ctrl-C stops at once.", style="yellow"))
        elif event.name == "run":
            self._say(Text(self._beginning(training)))
        elif event.name == "log":
            self._say(Text(str(event.fields.get("text", ""))))
        elif event.name == "epoch" and training.epochs:
            self._epoch(training, training.epochs[max(training.epochs)])
        elif event.name == "progress":
            self._share = max(self._share, _share(training))
            loss = event.fields.get("loss")
            if isinstance(loss, (int, float)):
                self._losses.append(float(loss))
                del self._losses[:-KEPT]
            if not self._console.is_terminal and time.monotonic() - self._spoke > QUIET:
                self._say(Text(", ".join(_doing(training))))

    def _say(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
        self._spoke = time.monotonic()

    def _beginning(self, training: Training) -> str:
        device = training.hello.device.name if training.hello else None
        torch = f", torch {training.hello.torch}" if training.hello else ""
        return (
            f"Training on {self._what} with {device or 'this machine'}{torch}; everything is kept in {training.folder}"
        )

    def _epoch(self, training: Training, epoch: Epoch) -> None:
        of = _epochs(training)
        each = 1 if self._console.is_terminal else max(1, -(-of // LINES))
        if epoch.epoch % each == 0 or epoch.epoch in (1, of):
            self._say(_line(epoch, of))

    # --- the part that is redrawn ------------------------------------------------------------------------------------

    def draw(self) -> Group:
        training, unicode = self._training, speaks_unicode(self._console)
        parts = ["saving, then stopping"] if self._saving else _doing(training)
        head = Text.assemble((self._what, "bold"), "  ", ", ".join(parts))
        head.truncate(self._console.width - 1, overflow="ellipsis")
        progress = training.progress if training else {}
        drawn: list[Text | ProgressBar] = [head]
        width = min(40, self._console.width - 22)
        if training is not None and progress.get("phase") == "train":
            drawn.append(_figures(progress))
        line = course(self._losses, width) if unicode else ""
        if line:
            drawn.append(Text.assemble((line, "cyan"), ("  loss so far", "dim")))
        drawn.append(ProgressBar(total=1.0, completed=self._share, width=width))
        return Group(*drawn)


def _line(epoch: Epoch, of: int) -> Text:
    validation = "" if epoch.validation_accuracy is None else f"validation {_share_text(epoch.validation_accuracy):>7}"
    speed = "" if epoch.images_per_second is None else f"{number(epoch.images_per_second):>7} img/s"
    width = len(str(of))
    return Text(
        f"epoch {epoch.epoch:>{width}}/{of}   loss {number(epoch.loss):<7} accuracy {_share_text(epoch.accuracy):>7}"
        f"   {validation}  {speed}".rstrip()
    )


def _share_text(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _doing(training: Training | None) -> list[str]:
    if training is None:
        return ["starting Python and torch"]
    progress = training.progress
    phase = str(progress.get("phase", "data"))
    parts = [PHASES.get(phase, phase)]
    if phase == "train":
        parts = [f"epoch {int(progress.get('epoch', 0)) + 1} of {_epochs(training)}"]
    step, steps = progress.get("step"), progress.get("steps")
    if isinstance(step, int) and isinstance(steps, int) and steps > 1 and step:
        parts.append(f"{'step' if phase == 'train' else 'batch' if phase == 'evaluate' else 'image'} {step} of {steps}")
    return parts


def _figures(progress: dict[str, object]) -> Text:
    text = Text()
    for label, key in (("loss", "loss"), ("accuracy", "accuracy")):
        value = progress.get(key)
        if isinstance(value, (int, float)):
            shown = _share_text(value) if key == "accuracy" else number(value)
            text.append(f"{label} ").append(f"{shown:<8}", style="bold")
    speed, left, waited = (progress.get(key) for key in ("images_per_second", "remaining_s", "data_wait"))
    if isinstance(speed, (int, float)):
        text.append(number(speed), style="bold").append(" img/s   ")
    if isinstance(left, (int, float)):
        text.append(f"about {duration(left)} left")
    if isinstance(waited, (int, float)) and waited > 0.1:
        text.append(f"   waiting for images {percent(waited)}", style="yellow")
    return text


def _epochs(training: Training) -> int:
    of = training.settings.get("epochs")
    return of if isinstance(of, int) else max(training.epochs, default=1)


def _share(training: Training) -> float:
    """Of all the run's steps."""
    progress = training.progress
    epoch, step, steps = (progress.get(key) for key in ("epoch", "step", "steps"))
    if not isinstance(epoch, int):
        return 0.0
    within = step / steps if progress.get("phase") == "train" and isinstance(step, int) and steps else 0.0
    return min(1.0, float((epoch + within) / _epochs(training)))
