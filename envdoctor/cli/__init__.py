"""The command line. Commands stand in a table and are imported when they are called, so that --help imports none of them."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import TextIO

import click

from envdoctor.cli.output import echo, safe
from envdoctor.errors import EnvdoctorError, InputError
from envdoctor.signals import interrupt

COMMANDS = {
    "up": "All of it in one command: check, make an environment, verify, measure, train; one report.",
    "check": "Find what is wrong with this machine's PyTorch stack, and how to repair it.",
    "explain": "Find the cause of an error message or a log; show a diagnosis's page.",
    "recipe": "Plan the newest stack that really works here, and write it as files that people use.",
    "bench": "Measure what this machine's torch really does, and compare results.",
    "train": "Train, judge, fine-tune and export a small CNN, and keep all of it in a folder.",
    "snapshot": "Write the facts of this machine to a file, without personal data.",
    "diff": "Show what differs between two machines, the telling differences first.",
    "compat": "Answer what goes with what: GPU, driver, CUDA, torch, Python.",
    "completion": "Print the script that completes commands, GPUs and codes in bash, zsh or fish.",
    "help": "Show the help of a command.",
    "version": "Show the version.",
}
INTERNAL_ERROR = 3
INTERRUPTED = 130


class CommandTable(click.Group):
    """A group whose commands live in modules named after them, each holding a click command `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"envdoctor.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"there is no command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from envdoctor import __version__

        echo(f"envdoctor {__version__}")
        ctx.exit()


@click.command(
    cls=CommandTable,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `envdoctor check`. It only looks: nothing is changed, nothing is sent anywhere.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """From a bare NVIDIA machine to proven PyTorch training throughput."""


def main() -> None:
    """The console script: runs a command and turns every way of ending into the documented exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A name that the terminal's encoding lacks (LANG=C) must not end the report.
            stream.reconfigure(errors="backslashreplace")
    threading.excepthook = lambda failed: _tell_defect(failed.exc_value) if failed.exc_value else None
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if processes := sys.modules.get("envdoctor.processes"):
        processes.end_all()
    # Taking the interpreter apart costs a tenth of a short command, and a probe that hangs in the driver may hold it up.
    os._exit(code)


def _open_closed_streams() -> None:
    """A stream that the caller closed (`>&-`) becomes one: empty, refusing every byte of a result, taking every diagnostic.

    Python has None in its place, and the next file that is opened would get its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code: 0 fine, 1 found something, 2 wrong usage or input, 3 a defect of ours."""
    quiet = signal.getsignal(signal.SIGINT)
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # a second one, while the first was being told
        return INTERRUPTED
    finally:
        if callable(quiet):
            signal.signal(signal.SIGINT, quiet)


def _run(arguments: list[str]) -> int:
    try:
        _listen_to_signals()
        code = cli.main(arguments, prog_name="envdoctor", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, SystemExit):  # rich makes the second of the first
        # The reader has gone (`| head`). Python would complain once more when it flushes stdout at exit.
        _discard(sys.stdout)
        return 0
    except OSError as error:
        # What a command reads and writes itself, it deals with itself: this was stdout, closed or on a full disk.
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EDQUOT, errno.EFBIG):
            _discard(sys.stdout)
            _say(f"Error: cannot write to standard output: {error.strerror}")
            return InputError.exit_code
        if isinstance(error, FileNotFoundError) and not _has_working_folder():
            _say("Error: the working folder has been removed; change to one that exists")
            return InputError.exit_code
        return _defect(error)
    except click.ClickException as error:
        error.message = safe(error.message)  # type: ignore[misc] # it is told nowhere else
        with suppress(OSError):
            error.show()
        return error.exit_code
    except EnvdoctorError as error:
        _say(f"Error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted.")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line
        return _defect(error)


def _has_working_folder() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109 - pathlib is not imported for this
    except OSError:
        return False


def _defect(error: Exception) -> int:
    if os.environ.get("ENVDOCTOR_DEBUG"):
        raise error
    _tell_defect(error)
    return INTERNAL_ERROR


def _tell_defect(error: BaseException) -> None:
    _say(
        f"envdoctor has a defect: {type(error).__name__}: {error} ({_where(error)}). "
        "Please report it with this line; ENVDOCTOR_DEBUG=1 shows the whole traceback."
    )


def _listen_to_signals() -> None:
    """Ctrl-C, and a scheduler's or a terminal's end, become a KeyboardInterrupt; what nohup ignores stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def _discard(stream: TextIO) -> None:
    """What is still buffered goes nowhere: Python would try to write it, and complain, once more at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        stream.flush()


def _say(text: str) -> None:
    with suppress(OSError):  # stderr may be closed too
        echo(" ".join(text.split()) if "\n" in text else text, err=True)


def _where(error: BaseException) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "unknown place" if last is None else f"{os.path.basename(last.tb_frame.f_code.co_filename)}:{last.tb_lineno}"  # noqa: PTH119
