"""`envdoctor train`: the reference CNN trained, evaluated, fine-tuned and exported, for people to see and to keep."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envdoctor.cli.output import echo
from envdoctor.errors import InputError

if TYPE_CHECKING:
    from envdoctor.facts.model import Snapshot
    from envdoctor.training.result import TrainingResult

BUNDLED = ("digits", "textures", "mnist-5k", "synthetic")
EXIT = {"trained": 0, "invalid": 1, "failed": 1, "stopped": 130}
RARER = (
    "optimiser, schedule, dropout, weight-decay, clip-norm, crop, rotation, flip, test-share, validation-share, workers, "
    "target-accuracy; docs/training.md has them all"
)
AGAIN = ("device", "threads", "precision")
"""Options that a run does not remember: how it is done, not what it is."""


def _settings(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """KEY=VALUE as the words of the child's command line."""
    words: list[str] = []
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals or key.startswith("-"):
            raise click.BadParameter(f"{text!r}: give it as KEY=VALUE")
        words += _words(key.replace("_", "-"), {"true": True, "false": False}.get(value, value))
    return tuple(words)


def _words(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    return [f"--{name}"] if value is True else [f"--{name}={value}"]


@click.command("train")
@click.option("--data", metavar="NAME|PATH", help="digits, textures, mnist-5k, synthetic, or a folder of images.")
@click.option("--epochs", type=click.IntRange(1), help="Times through the images.  [by data: 12 for digits]")
@click.option("--batch", type=click.IntRange(1), help="Images a step.  [64]")
@click.option(
    "--size", type=click.IntRange(4), help="Pixels a side, a multiple of 4.  [32 for digits, 224 for a folder]"
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Learning rate, at its highest.  [0.001]")
@click.option("--preset", type=click.Choice(("article", "tuned")), help="The plain loop, or what pays here.  [tuned]")
@click.option("--patience", type=click.IntRange(1), help="Stop after so many epochs without a better validation loss.")
@click.option("--labels-per-class", type=click.IntRange(1), metavar="N", help="Train on so few images of each class.")
@click.option("--seed", type=int, help="Of all random numbers.  [0]")
@click.option(
    "--setting", "more", metavar="KEY=VALUE", multiple=True, callback=_settings, help=f"A rarer setting: {RARER}."
)
@click.option("--finetune-from", metavar="FILE", help="Begin with the weights of this checkpoint (best.pt, final.pt).")
@click.option("--freeze", is_flag=True, help="Fine-tune the last layer only.")
@click.option("--export", metavar="FILE", help="Write the trained model as ONNX, and compare it with onnxruntime.")
@click.option("-o", "--output", metavar="DIR", help="The run's folder.  [runs/DATA-1, or the next number]")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder of -o, where it was left.")
@click.option("--force", is_flag=True, help="Replace the run that the folder holds.")
@click.option("--device", metavar="DEVICE", help="cpu, cuda or cuda:N.  [cuda where torch has it]")
@click.option("--precision", type=click.Choice(("fp32", "tf32", "bf16", "fp16")), help="Instead of the preset's own.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of torch.")
@click.option(
    "--python", metavar="PATH", help="The Python to train with: an executable, a command or an environment's folder."
)
@click.option("--hang-after", type=click.FloatRange(1), metavar="SECONDS", help="Silence that counts as a hang.  [180]")
@click.option(
    "--trainer", metavar="FILE", hidden=True, help="Another script than the bundled one, of the same protocol."
)
@click.option("--format", "style", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(
    more: tuple[str, ...],
    output: str | None,
    resume: bool,
    force: bool,
    export: str | None,
    python: str | None,
    hang_after: float | None,
    trainer: str | None,
    style: str,
    **options: Any,
) -> int:
    """Train a small image classifier, judge it, and keep all of it in a folder.

    \b
      envdoctor train                              handwritten digits: half a minute on a CPU
      envdoctor train --data photos/               your images, in a folder for each class
      envdoctor train --preset article             the plain loop, to see what tuning buys
      envdoctor train --finetune-from runs/digits-1/final.pt --data photos/
      envdoctor train -o runs/digits-1 --resume    go on after a kill, a full disk or Ctrl-C

    What is trained is the reference CNN of docs/training.md. Needs torch in the Python that it trains with, and nothing
    else for digits and textures.

    Exit code: 0 trained, and every check passed; 1 it failed, or the result must not be trusted; 2 wrong usage or input,
    a full disk; 130 interrupted (what was reached is kept, and can be resumed).
    """
    if resume and force:
        raise InputError("--resume goes on with a run and --force replaces it: give one of them")
    if resume and output is None:
        raise InputError("--resume needs the run's folder: envdoctor train -o DIR --resume")
    if options["freeze"] and not (options["finetune_from"] or resume):
        raise InputError("--freeze needs a trained backbone: name a checkpoint with --finetune-from")
    if export is not None and not Path(export).absolute().parent.is_dir():
        raise InputError(f"--export {export}: there is no folder {Path(export).absolute().parent}")
    if export is not None and Path(export).is_dir():
        raise InputError(f"--export {export} is a folder; name a file in it: {Path(export) / 'model.onnx'}")
    result = train_here(
        options,
        python=python,
        output=output,
        resume=resume,
        force=force,
        export=export,
        more=more,
        trainer=trainer,
        silence=hang_after,
    )
    _show(result, style)
    if result.failure is not None and result.failure.kind == "input":
        return InputError.exit_code
    return EXIT[result.status]


def train_here(
    options: Mapping[str, Any],
    *,
    python: str | None,
    output: str | None,
    resume: bool = False,
    force: bool = False,
    export: str | None = None,
    more: tuple[str, ...] = (),
    trainer: str | None = None,
    silence: float | None = None,
) -> TrainingResult:
    """One run with the command's options, its pictures and its card in its folder. Raises InputError before it begins."""
    from envdoctor.bench.child import SILENCE
    from envdoctor.facts.host import Machine
    from envdoctor.facts.interpreters import choose
    from envdoctor.report.training.live import live
    from envdoctor.resources import resource_folder
    from envdoctor.training import run, run_folder
    from envdoctor.training.conclusion import conclude

    chosen = choose(Machine.here(), python)
    if chosen.executable is None:
        raise InputError("there is no Python on PATH to train with; name one with --python")
    data = options.get("data") or "digits"
    if output is None:
        folder, made = run_folder.make_next(data)
    else:
        folder = Path(output)
        run_folder.prepare(folder, resume=resume, force=force)
        made = run_folder.make(folder)
        data = run_folder.config(folder).get("settings", {}).get("data") or data
    began = time.monotonic()
    try:
        with live(Path(data).name) as listener:
            found = run.train(
                chosen.executable,
                [*_arguments(options), *more, *_words("resume", resume), *_words("export", export)],
                folder,
                script=trainer or resource_folder("benchmarks") / "train.py",
                silence=silence or SILENCE,
                listener=listener,
            )
    finally:
        run_folder.discard(made)
    again = ["envdoctor", "train", "-o", str(folder), "--resume", *_words("python", python)]
    again += [word for name in AGAIN for word in _words(name, options.get(name))]
    result = conclude(
        found,
        resumed=resume,
        python=python,
        again=shlex.join(again),
        export=export,
        began=began,
        facts=lambda tried: _facts(python, tried),
    )
    return _with_pictures(result)


def _arguments(options: Mapping[str, Any]) -> Iterator[str]:
    """What was given, as the child's words. Paths are made absolute: a resumed run may be called from elsewhere."""
    for name, value in options.items():
        path = value is not None and (
            name == "finetune_from" or (name == "data" and value not in BUNDLED and Path(value).expanduser().exists())
        )
        yield from _words(name.replace("_", "-"), Path(value).expanduser().absolute() if path else value)


def _facts(python: str | None, tried: bool) -> Snapshot:
    from envdoctor.cli.gathering import gather

    return gather(python=python, source=None, live=tried)


def _with_pictures(result: TrainingResult) -> TrainingResult:
    """Writes the curves and the model card into the folder; where they cannot be written, the run stands and a note says so."""
    import msgspec

    from envdoctor.files import write_atomically
    from envdoctor.report.training.card import card
    from envdoctor.report.training.curves import curves
    from envdoctor.signals import undisturbed
    from envdoctor.training import run_folder

    if not result.files:
        return result
    folder, notes = Path(result.folder), list(result.notes)
    with undisturbed():
        try:
            for name, text in ((run_folder.CURVES, curves(result)), (run_folder.CARD, card(result))):
                if text:
                    write_atomically(folder / name, text)
        except InputError as error:
            notes.append(str(error))
    return msgspec.structs.replace(result, files=run_folder.files(folder), notes=tuple(notes))


def _show(result: TrainingResult, style: str) -> None:
    if style == "json":
        from envdoctor.training.result import encode

        echo(encode(result))
        return
    from envdoctor.console import Console
    from envdoctor.report.training.text import print_training

    print_training(Console(highlight=False), result)
