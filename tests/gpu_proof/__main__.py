"""Runs the blocks: `python -m tests.gpu_proof [a|b|c ...] --out FOLDER`, in a Python that has torch and what envdoctor needs.

A step that has ended is not run again, so whatever stops a block, the same command goes on; --again STEP repeats one. What each
step says is in FOLDER/STEP.log, and how it ended in FOLDER/steps.jsonl. No step stops a block. Nothing on the card is changed.

Exit code: 0 every step of these blocks has ended with 0; 1 one has not; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.gpu_proof.steps import BLOCK_S, Place, Step, blocks

ROOT = Path(__file__).parents[2]
GRACE_S = 5.0
BESIDE_S = 6.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="python -m tests.gpu_proof", description=__doc__.splitlines()[0])
    options.add_argument("blocks", nargs="*", metavar="a|b|c", help="which ones, in their order (default: all)")
    options.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where results go, and are found again"
    )
    options.add_argument("--device", default="cuda")
    options.add_argument("--python", default=sys.executable, help="the Python that has torch (default: this one)")
    options.add_argument("--only", action="append", default=[], metavar="STEP", help="of the blocks; repeatable")
    options.add_argument(
        "--again", action="append", default=[], metavar="STEP", help="though it has ended before; repeatable"
    )
    options.add_argument(
        "--rehearse", action="store_true", help="what can be run without a GPU, on the CPU and briefly"
    )
    given = options.parse_args(arguments)
    out = given.out.absolute()
    (out / "home").mkdir(parents=True, exist_ok=True)
    at = Place(given.python, out, "cpu" if given.rehearse else given.device, given.rehearse)
    table = blocks(at)
    if unknown := [name for name in given.blocks if name not in table]:
        options.error(f"no block {unknown[0]!r}: there are {', '.join(table)}")
    steps = [step for name in given.blocks or table for step in table[name]]
    names = [step.name for step in steps]
    if unknown := [name for name in [*given.only, *given.again] if name not in names]:
        options.error(f"no step {unknown[0]!r}: there are {', '.join(names)}")
    done = ended(out)
    for step in steps:
        if (given.only and step.name not in given.only) or (step.only_on_gpu and given.rehearse):
            continue
        if step.name in done and step.name not in given.again:
            say(f"{step.name}: done before, exit code {done[step.name]}")
            continue
        done[step.name] = run(step, out)
    wanted = [name for name in names if name in done and (not given.only or name in given.only)]
    return int(any(done[name] != 0 for name in wanted))


def ended(out: Path) -> dict[str, int | None]:
    """Exit codes of the steps that have come to an end, by name; None: it was ended for its time. The last one counts."""
    file = out / "steps.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return {line["step"]: line["exit_code"] for line in map(json.loads, lines)}


def run(step: Step, out: Path) -> int | None:
    """Runs it in a process group of its own, which is ended with all that is in it. An interrupt leaves it to be run again."""
    say(f"{step.name}: at most {step.seconds:g} s")
    began = time.monotonic()
    with (out / f"{step.name}.log").open("w") as log:
        first = start(step.command, out, log)
        second = None
        try:
            if step.also:
                time.sleep(BESIDE_S)
                second = start(step.also, out, log)
            code: int | None = first.wait(step.seconds - (time.monotonic() - began))
            if second is not None:
                second.wait(max(GRACE_S, step.seconds - (time.monotonic() - began)))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            for process in (first, second):
                end(process)
    took = round(time.monotonic() - began, 1)
    with (out / "steps.jsonl").open("a") as file:
        file.write(json.dumps({"step": step.name, "exit_code": code, "seconds": took, "command": step.command}) + "\n")
    say(f"{step.name}: {'ended for its time' if code is None else f'exit code {code}'} after {took:g} s")
    return code


def start(command: Sequence[str], out: Path, log: IO[str]) -> subprocess.Popen[bytes]:
    home = out / "home"
    own = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "PYTHONUNBUFFERED": "1", "COLUMNS": "150"}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True, env={**os.environ, **own, "PYTHONPATH": path}
    )


def end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            return


def say(text: str) -> None:
    sys.stderr.write(f"gpu-proof {text}\n")


if __name__ == "__main__":
    sys.exit(main())

__all__ = ["BLOCK_S", "ended", "main", "run"]
