"""The command line of a training run: options to settings, events out, errors in one line."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Dict, List, Optional

from benchmarks.harness.events import Events, Lines

USAGE, FAILED, STOPPED = 2, 1, 130


class TrainLines(Lines):
    """What a training run says, for a person."""

    def on_epoch(self, fields: Dict[str, Any]) -> None:
        print(
            "epoch {epoch:3d}  loss {loss:.4f}  accuracy {accuracy:.2%}  validation {validation_accuracy:.2%}  "
            "{images_per_second:,.0f} img/s".format(
                **dict(fields, images_per_second=fields["images_per_second"] or 0.0)
            ),
            file=sys.stderr,
        )

    def on_progress(self, fields: Dict[str, Any]) -> None:
        """Epochs are enough for somebody who runs this by hand."""

    def on_log(self, fields: Dict[str, Any]) -> None:
        print(fields["text"], file=sys.stderr)

    def on_finished(self, fields: Dict[str, Any]) -> None:
        print(
            "test: accuracy {accuracy:.2%}, precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f} "
            "({images} images)".format(**fields["test"])
        )
        if fields.get("export"):
            print("exported, onnxruntime agrees: relative L2 {relative:.2g}".format(**fields["export"]))

    def on_error(self, fields: Dict[str, Any]) -> None:
        print("train: {}".format(fields["message"]), file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """One option for each setting, and where and how to run."""
    from benchmarks.pipeline.settings import Settings

    options = argparse.ArgumentParser(
        prog="python -m benchmarks.train",
        description="Train, evaluate, fine-tune and export the reference CNN.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for field in fields(Settings):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            options.add_argument(flag, action="store_true", dest="setting_" + field.name)
        else:
            options.add_argument(
                flag, type=type(field.default), dest="setting_" + field.name, metavar=str(field.default) or "PATH"
            )
    options.add_argument("-o", "--run-folder", required=True, metavar="FOLDER", help="made if it is not there")
    options.add_argument("--resume", action="store_true", default=False, help="go on where the run in FOLDER was left")
    options.add_argument("--export", metavar="FILE", default=None, help="write the trained model as ONNX and check it")
    options.add_argument("--device", default=None, help="cpu, cuda or cuda:N (default: cuda where torch has it)")
    options.add_argument("--threads", type=int, default=None, help="CPU threads of torch")
    options.add_argument("--precision", default=None, help="fp32, tf32, bf16 or fp16 in place of the preset's own")
    options.add_argument("--compile", dest="compiled", action="store_true", default=None)
    options.add_argument("--no-compile", dest="compiled", action="store_false")
    options.add_argument("--save-every", type=int, default=0, metavar="STEPS", help="checkpoints by steps, not by time")
    options.add_argument("--no-check", action="store_true", default=False, help="leave out the first step's comparison")
    options.add_argument("--events", action="store_true", default=False, help="JSON lines on stdout")
    return options


def main(arguments: Optional[List[str]] = None) -> int:
    options = parser().parse_args(arguments)
    events: Events = Events.take_stdout() if options.events else TrainLines()
    if options.threads is not None:
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(max(1, options.threads))
    try:
        import torch
    except ImportError as error:
        return _fail(events, "input", "{} cannot import torch: {}".format(sys.executable, error), USAGE)
    from benchmarks.harness.failures import describe
    from benchmarks.pipeline.errors import PipelineError, ValidationError
    from benchmarks.pipeline.training import Stopped

    if options.threads is not None:
        torch.set_num_threads(max(1, options.threads))
    given = {name[8:]: value for name, value in vars(options).items() if name.startswith("setting_")}
    session = None
    try:
        from benchmarks.pipeline.session import Session

        session = Session(options, given, events)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: session.ask_to_stop(signal.Signals(number).name))
        session.run()
        return 0
    except PipelineError as error:
        return _fail(events, "input", str(error), USAGE)
    except ValidationError as error:
        return _fail(events, "validation", str(error), FAILED)
    except Stopped as error:
        events.emit("stopped", reason=str(error), folder=str(Path(options.run_folder).absolute()))
        return STOPPED
    except BrokenPipeError:
        # Nobody listens any more: keep what was learnt, and end. Python would complain when it flushes stdout at exit.
        with contextlib.suppress(PipelineError):
            if session is not None:
                session.save()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    # The one place where a run may fail in any way: the error becomes an event with its text.
    except Exception as error:  # noqa: BLE001
        found = describe(error)
        if found["kind"] == "out-of-memory":
            found["message"] += ". A smaller --batch or --size needs less memory"
        events.emit("error", **found)
        return FAILED


def _fail(events: Events, kind: str, message: str, code: int) -> int:
    events.emit("error", kind=kind, message=message, traceback=None)
    return code
