"""Runs parts of the inspector in a foreign interpreter and reads what they answered, however they ended."""

from __future__ import annotations

import functools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envdoctor.errors import InputError
from envdoctor.facts.cleaning import fits
from envdoctor.facts.host import Machine
from envdoctor.processes import Completed

HERE = Path(__file__).parent
OLDEST = (3, 8)
"""The oldest Python that the parts run on; inspect_target.py holds the same number."""
TORCH_TIMEOUT = 120.0
"""Seconds for importing torch and computing: a cold import from a network disk takes a minute and more."""
TIMEOUT_VARIABLE = "ENVDOCTOR_TORCH_TIMEOUT"
# The inspector, given by -c, its parts, and Python's import machinery.
OUR_FRAMES = ('  File "<string>"', '  File "<envdoctor>"', '  File "<frozen ')
QUESTION = "What runs first in the interpreter"
"""How inspect_target.py begins."""
MOST_LINES, MOST_FRAMES, MOST_CHARACTERS = 12, 6, 4000


def torch_timeout(machine: Machine) -> float:
    """Seconds that torch may take. Raises InputError where ENVDOCTOR_TORCH_TIMEOUT is not a positive number."""
    words = machine.variable(TIMEOUT_VARIABLE)
    if not words:
        return TORCH_TIMEOUT
    # No float(): it takes 'nan' and 'inf', and a time limit is to end.
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", words) or float(words) == 0:
        raise InputError(f"{TIMEOUT_VARIABLE}={words}: give seconds, such as 300")
    return float(words)


_TEXT, _BOOLEAN, _NUMBER = str | None, bool | None, int | None
TYPES: dict[str, Any] = {
    **dict.fromkeys(
        ("python", "stage", "version", "file", "error", "error_type", "missing", "warning", "failed"), _TEXT
    ),
    **dict.fromkeys(("cuda", "hip", "xpu", "git_version", "cudnn_built", "nccl_version", "cudnn_wheel"), _TEXT),
    **dict.fromkeys(("cuda_error", "cudnn_error", "computation", "cudnn_convolution", "numpy", "torchvision"), _TEXT),
    **dict.fromkeys(
        ("debug", "cxx11_abi", "cuda_available", "xpu_available", "mps_available", "cudnn_available"), _BOOLEAN
    ),
    **dict.fromkeys(("device_count", "device", "cudnn_version", "torchvision_cuda"), _NUMBER),
    "seconds": float | None,
    "arch_flags": list[str] | None,
    "mapped": list[str] | None,
    "devices": list[dict[str, Any]] | None,
    "modules": dict[str, dict[str, Any]] | None,
}
"""What an answer must be. torch and its neighbours are foreign code: what they say of another type is not known."""


@dataclass(frozen=True)
class Answers:
    """The answers of one child, in their order, and how it ended."""

    records: tuple[dict[str, Any], ...]
    completed: Completed

    @classmethod
    def of(cls, machine: Machine, executable: str, *parts: str, timeout: float) -> Answers:
        """Runs inspect_target.py in `executable`, and in it the parts of these file names."""
        # A new word every time: nothing that is printed in between can be taken for an answer.
        word = os.urandom(8).hex()
        completed = machine.run(
            [executable, "-c", _source("inspect_target.py"), word, f"{timeout:g}"],
            timeout=timeout,
            stdin="\0".join(map(_source, parts)),
            answers=f"<{word}>",
        )
        return cls(tuple(_records(completed.stdout, f"<{word}>")), completed)

    def all(self, key: str) -> list[Any]:
        return [record[key] for record in self.records if key in record]

    def last(self, key: str) -> Any:
        """The last answer to that name; None where there is none."""
        return next(reversed(self.all(key)), None)

    @property
    def python(self) -> str | None:
        """The version of Python that it is; None where it did not answer as one."""
        version = self.last("python")
        return version if isinstance(version, str) else None

    @property
    def too_old(self) -> bool:
        return self.python is not None and tuple(map(int, self.python.split(".")[:2])) < OLDEST

    @property
    def finished(self) -> bool:
        return any("end" in record for record in self.records)

    @property
    def ending(self) -> str:
        """How the child ended, in one line: 'exit code 2, ...', 'SIGSEGV', 'no answer within 20 s'."""
        if self.completed.error is not None:
            return self.completed.error
        lines = [line.strip() for line in self.completed.stderr.splitlines() if line.strip()] or [""]
        # A traceback ends with its point; other programs begin with it, but for a Python that does not find its library.
        said = lines[-1] if "Traceback" in self.completed.stderr else lines[0]
        said = next((line for line in lines if line.startswith("Fatal Python error")), said)
        if QUESTION in said:  # `ls` complains of a file of that name
            said = ""
        said = "".join(character if character.isprintable() else "?" for character in said[:200])
        how = self.completed.signal or f"exit code {self.completed.code}"
        return f"{how}, {said}" if said else how

    @property
    def last_words(self) -> str | None:
        """The end of stderr, and where in Python it crashed or hung as faulthandler saw it; None where it is empty."""
        lines = self.completed.stderr.splitlines()
        start = next((n for n, line in enumerate(lines) if _is_dump(line)), len(lines))
        words = [line for line in lines[:start] if line.strip()][-MOST_LINES:]
        if start < len(lines) and lines[start].startswith("Fatal"):
            words.append(lines[start])
        words += _frames(lines[start + 1 :])
        return "\n".join(words)[-MOST_CHARACTERS:] or None


@functools.cache
def _source(name: str) -> str:
    return (HERE / name).read_text("ascii")


def _records(stdout: str, mark: str) -> list[dict[str, Any]]:
    records = []
    for line in stdout.splitlines():
        if not line.startswith(mark):
            continue
        try:
            record = json.loads(line[len(mark) :])
        except ValueError:
            continue  # half a line, of a child that was killed
        if isinstance(record, dict):
            records.append({key: value for key, value in record.items() if fits(value, TYPES.get(key, Any))})
    return records


def _is_dump(line: str) -> bool:
    return line.startswith(("Fatal Python error:", "Timeout (")) and line.endswith(
        ("!", *"abcdefghijklmnopqrstuvwxyz)")
    )


def _frames(dump: list[str]) -> list[str]:
    """The frames of the thread that crashed, or of the main thread in a dump of all, the innermost last."""
    threads: list[list[str]] = []
    crashed: list[str] | None = None
    for line in dump:
        if line.startswith(("Thread 0x", "Current thread 0x")):
            threads.append([])
            if line.startswith("Current"):
                crashed = threads[-1]
        elif threads and line.startswith('  File "') and not line.startswith(OUR_FRAMES):
            threads[-1].append(line.strip())
        elif not line.strip() and crashed:
            break  # the extension modules and the C stack follow
    frames = crashed if crashed is not None else next(reversed(threads), [])
    return frames[:MOST_FRAMES][::-1]
