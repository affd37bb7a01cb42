"""A training run for a person: how good the model is, how fast it was trained, what the run's folder holds, what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from envdoctor.console import Console
from envdoctor.report.bench.result_text import MARKS, PLAIN_MARKS, rows
from envdoctor.report.bench.table import span
from envdoctor.report.check.headline import SEPARATOR, gibibytes
from envdoctor.report.check.text import hanging, speaks_unicode
from envdoctor.report.figures import course, duration, number, percent
from envdoctor.training.interpretation import SYNTHETIC, learnt_nothing, read
from envdoctor.training.result import TrainingResult
from envdoctor.training.run_folder import CURVES

HOLDS = {
    "final.pt": "the weights that were judged",
    "best.pt": "the weights with the lowest validation loss",
    "last.pt": "everything that --resume goes on from",
    "metrics.csv": "loss, accuracy and speed by epoch (metrics.jsonl too)",
    "config.json": "settings, device, data and its digest",
    "result.json": "scores, confusion matrix, digest of the weights",
    CURVES: "loss and accuracy over the epochs",
    "MODEL_CARD.md": "what the model is, how it was made, how to load it",
}
LABEL, VALUE = 11, 12


def print_training(console: Console, result: TrainingResult) -> None:
    """Verdict, what went wrong, machine, scores, what they mean, the folder, what next."""
    unicode = speaks_unicode(console)
    console.print(headline(result, unicode=unicode))
    _failure(console, result)
    console.print()
    rows(console, [(label, (SEPARATOR if unicode else ", ").join(parts)) for label, parts in about(result)])
    if result.epochs or result.outcome:
        console.print()
        _scores(console, result)
    said = read(result)
    if said:
        console.print()
    for statement in said:
        mark, style = MARKS[statement.tone]
        hanging(
            console, Text(statement.text), 2, Text(f"{mark if unicode else PLAIN_MARKS[statement.tone]} ", style=style)
        )
    if result.notes:
        console.print()
        for note in result.notes:
            hanging(console, Text(note, style="dim"), 2, Text("! " if not unicode else "· ", style="dim"))
    _folder(console, result)
    _next(console, result)


def headline(result: TrainingResult, *, unicode: bool = True) -> Text:
    """What came of it, in one line."""
    name, took = _name(result), duration(result.seconds or 0.0)
    outcome = result.outcome
    if result.status == "trained" and outcome is not None:
        mark, style = ("✓ " if unicode else "ok: "), "bold green"
        if result.settings.get("data") != SYNTHETIC and learnt_nothing(outcome):
            mark, style = ("! " if unicode else "warning: "), "bold yellow"
        if result.settings.get("data") == SYNTHETIC:
            words = f"{name}: trained at {number(outcome.images_per_second)} images a second"
        else:
            # Of a resumed run, only the last process's time is known.
            within = "" if result.resumed else f" in {took}"
            words = f"{name}: trained{within} to {_percent(outcome.test.accuracy)} accuracy on the test images"
    elif result.status == "stopped":
        mark, style = ("! " if unicode else "warning: "), "bold yellow"
        words = f"{name}: stopped after {_progress(result)}"
    elif result.status == "invalid":
        mark, style = ("✗ " if unicode else "error: "), "bold red"
        words = f"{name}: this result must not be trusted"
    else:
        mark, style = ("✗ " if unicode else "error: "), "bold red"
        words = f"{name}: training failed after {_progress(result)}"
    return Text(mark + words, style=style)


def _progress(result: TrainingResult) -> str:
    of = result.settings.get("epochs")
    done = len(result.epochs)
    return f"{done} of {of} epochs" if isinstance(of, int) else "no epoch" if not done else f"{done} epochs"


def _name(result: TrainingResult) -> str:
    return Path(str(result.data.get("name") or result.settings.get("data") or "training")).name


def about(result: TrainingResult) -> Iterator[tuple[str, list[str]]]:
    """(label, parts): device, software, model, data, how."""
    device, software, settings = result.device, result.environment, result.settings
    if device is not None:
        threads = None
        if device.type == "cpu" and software.threads:
            threads = "1 thread" if software.threads == 1 else f"{software.threads} threads"
        memory = gibibytes(device.memory_bytes) if device.memory_bytes else None
        yield "Device", [part for part in (device.name, device.type, device.capability, memory, threads) if part]
        versions = (("torch", software.torch), ("cuDNN", software.cudnn), ("Python", software.python))
        yield "Software", [f"{label} {version}" for label, version in versions if version]
    size, data = settings.get("size"), result.data
    if result.parameters:
        classes = len(data.get("classes") or ())
        parts = [f"{size}x{size} pixels", f"{classes} classes", f"{result.parameters:,} parameters"]
        yield "Model", ["SimpleCNN", *parts]
    images = data.get("images") or {}
    if images:
        words = {"train": "to train on", "validation": "to watch", "test": "to judge by"}
        yield "Images", [f"{count:,} {words.get(part, part)}" for part, count in images.items()]
    if settings:
        yield "How", list(_how(result))


def _how(result: TrainingResult) -> Iterator[str]:
    settings, knobs = result.settings, result.knobs
    yield f"preset {settings.get('preset')}"
    if settings.get("finetune_from"):
        layers = "head only" if settings.get("freeze") else "all layers"
        yield f"fine-tuned from {Path(str(settings['finetune_from'])).name}, {layers}"
    precision = str(knobs.get("precision", ""))
    if precision not in ("", "default"):
        yield f"{precision} autocast" if precision in ("bf16", "fp16") else precision
    yield from (name for name in ("channels_last", "compiled") if knobs.get(name))
    optimiser = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}.get(str(settings.get("optimiser")), "")
    yield f"{'fused ' if knobs.get('fused') else ''}{optimiser}".strip()
    yield f"batch {settings.get('batch')}"


def _scores(console: Console, result: TrainingResult) -> None:
    found: list[tuple[str, str, str]] = []
    outcome = result.outcome
    if outcome is not None and result.settings.get("data") != SYNTHETIC:
        test = outcome.test
        low, high = test.interval
        between = f"{100 * low:.1f} to {100 * high:.1f} %: {test.images:,} test images say no more"
        found = [
            ("accuracy", _percent(test.accuracy), between),
            ("precision", _percent(test.precision), "of what was called a class, the share that is it"),
            ("recall", _percent(test.recall), "of what is a class, the share that was called it"),
            ("F1", _percent(test.f1), "their harmonic mean; all three: mean of the classes"),
        ]
    speed = outcome.images_per_second if outcome else _speed(result)
    if speed is not None:
        waited = outcome.data_wait if outcome else result.epochs[-1].data_wait
        text = "" if waited is None else f"{percent(waited)} of the time waiting for images"
        power = result.telemetry.power if result.telemetry else None
        if power:
            text += f"; {power:.0f} W, {number(power / speed)} J an image"
        found.append(("throughput", f"{number(speed)} img/s", text))
    struck = result.status == "invalid"
    for label, value, meaning in found:
        console.print(
            Text.assemble(
                f"{label:<{LABEL}}{' ' * (VALUE - len(value))}",
                (value, "strike dim" if struck else "bold"),
                # Where nothing can be struck through, a word says it.
                ("   invalid" if struck else f"   {meaning}".rstrip(), "dim"),
            ),
            soft_wrap=True,
        )
    _courses(console, result)


def _courses(console: Console, result: TrainingResult) -> None:
    """Loss and accuracy over the epochs, as lines of blocks."""
    losses = [epoch.loss for epoch in result.epochs if epoch.loss is not None]
    accuracies = [epoch.validation_accuracy for epoch in result.epochs if epoch.validation_accuracy is not None]
    for label, values, shown in (
        ("loss", losses, [number(value) for value in losses]),
        ("validation", accuracies, [_percent(value) for value in accuracies]),
    ):
        if len(values) < 2:
            continue
        line = f"{course(values)}  " if speaks_unicode(console) else ""
        words = f"{span(shown[0], shown[-1])} in {len(values)} epochs"
        console.print(Text.assemble(f"{label:<{LABEL}} ", (line, "cyan"), (words, "dim")), soft_wrap=True)


def _speed(result: TrainingResult) -> float | None:
    speeds = sorted(epoch.images_per_second for epoch in result.epochs if epoch.images_per_second)
    return speeds[len(speeds) // 2] if speeds else None


def _failure(console: Console, result: TrainingResult) -> None:
    """Why, what is known of the cause, and the repair."""
    failure = result.failure
    if failure is None:
        return
    console.print()
    # The names of Python's errors are left as they are.
    ours = failure.kind in ("validation", "crash", "hang", "input")
    message = failure.message[:1].upper() + failure.message[1:] if ours else failure.message
    hanging(console, Text(message, style="bold"), 0)
    for found in failure.diagnosed:
        words = found.summary if found.summary.startswith(found.title) else f"{found.title}. {found.summary}"
        hanging(console, Text.assemble((found.code, "bold red"), f": {words}"), 3)
        if found.fix:
            hanging(console, Text(f"Fix: {found.fix}", style="bold green"), 3)
        for line in found.commands:
            console.print(Text(f"     {line}", style="cyan"), soft_wrap=True)
    if failure.diagnosed or failure.kind == "input":
        return
    hanging(console, Text("No known fault of the environment explains this."), 3)
    said = (failure.traceback or "").strip().splitlines() or failure.log_tail
    if failure.kind in ("crash", "hang", "exception") and said:
        console.print(Text("   The last that it said:", style="dim"))
        for line in said[-4:]:
            console.print(Text(f"     {line}", style="dim"), soft_wrap=True)


def _folder(console: Console, result: TrainingResult) -> None:
    if not result.files:
        return
    console.print()
    total = sum(result.files.values())
    console.print(Text.assemble((f"{result.folder}", "bold"), f" holds {_size(total)}"), soft_wrap=True)
    shown = [(name, what) for name, what in HOLDS.items() if name in result.files]
    width = max((len(name) for name, _ in shown), default=0)
    for name, what in shown:
        hanging(console, Text(what, style="dim"), width + 4, Text(f"  {name:<{width}}  "))
    exported = result.outcome.export if result.outcome else None
    if exported is not None:
        console.print(Text.assemble("Exported ", (str(exported.get("path")), "bold")), soft_wrap=True)


def _next(console: Console, result: TrainingResult) -> None:
    """The command that goes on from here."""
    lines = list(_commands(result))
    if not lines:
        return
    console.print()
    for what, command in lines:
        # Never wrapped by us: a command must come out of the terminal in one piece.
        console.print(Text.assemble((f"{what}: ", "dim"), (command, "cyan")), soft_wrap=True)


def _commands(result: TrainingResult) -> Iterator[tuple[str, str]]:
    failure = result.failure
    if failure is not None and failure.kind == "out-of-memory":
        smaller = max(1, int(result.settings.get("batch") or 2) // 2)
        yield "It would need as much again; begin anew with the same command and", f"--force --batch {smaller}"
    elif result.resumable and result.status != "invalid":
        yield "Resume with", result.resume
    elif result.status == "invalid" and not (failure and failure.diagnosed):
        device = f"--device={result.device.type} " if result.device else ""
        yield "Check the arithmetic", f"envdoctor bench {device}{_python(result)}--workload numerics"
    outcome = result.outcome
    if result.status == "trained" and outcome is not None and result.settings.get("data") != SYNTHETIC:
        if outcome.export is None:
            yield "Export it", f"{result.resume} --export model.onnx"
        weights = Path(result.folder) / "final.pt"
        command = f"envdoctor train {_python(result)}--finetune-from {shlex.quote(str(weights))} --data YOUR_IMAGES"
        yield "Fine-tune it", command


def _python(result: TrainingResult) -> str:
    return f"--python={shlex.quote(result.python)} " if result.python else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{number(count / size)} {unit}"
    return f"{count} bytes"
