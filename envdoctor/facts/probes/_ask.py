"""Runs a child script of a driver probe and keeps what it said, even when it hung or crashed halfway."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envdoctor.facts.driver_libraries import is_not_found
from envdoctor.facts.host import Machine

PACKAGE_FOLDER = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class ChildAnswer:
    """The records of a child in their order, and how it ended."""

    records: tuple[dict[str, Any], ...]
    outcome: str
    """'ok', 'timeout', 'crash' (the driver's code ended it) or 'failed' (it could not run, or its Python raised)."""
    message: str | None = None
    """Unless ok: the call that it was in, and what happened."""

    def collected(self, key: str) -> dict[str, Any]:
        """All records' objects under a key, merged."""
        merged: dict[str, Any] = {}
        for record in self.records:
            merged |= record.get(key) or {}
        return merged

    def last(self, key: str) -> Any:
        """The last value said for a key, or None."""
        return next((record[key] for record in reversed(self.records) if key in record), None)

    def library(self, machine: Machine) -> str | None:
        """The library that was loaded, by the machine's own name for the file."""
        mapped = self.last("library")
        if mapped is None or not machine.simulated:
            return mapped and str(mapped)
        # The loader's map has links followed, those on the way to the root too.
        real_root = Path(os.path.realpath(machine.root))
        path = Path(mapped)
        return machine.name(machine.root / path.relative_to(real_root) if path.is_relative_to(real_root) else path)

    def load_error(self) -> tuple[str | None, bool]:
        """The loader's words where nothing was loaded, and whether they say no more than that there is no such library."""
        unusable, nowhere = [], []
        for record in self.records:
            if "load_error" in record:
                name, words = record["load_name"], record["load_error"]
                if not is_not_found(name, words):
                    unusable.append(words)
                elif "/" in name and os.path.exists(name):  # noqa: PTH110 - Path.exists raises for a closed folder
                    # glibc's way of passing over a library for another processor
                    unusable.append(f"{words} (the file is there, but it is not for this processor)")
                else:
                    nowhere.append(words)
        if unusable:
            return unusable[0], False
        return (nowhere[0], True) if nowhere else (None, False)


def ask_child(
    machine: Machine, script: str, *arguments: str, folders: Sequence[Path] = (), timeout: float
) -> ChildAnswer:
    """Runs the script beside this file; `folders` end its sys.path, before the one that holds envdoctor."""
    search = os.pathsep.join(map(str, (*folders, PACKAGE_FOLDER)))
    completed = machine.run_own(Path(__file__).with_name(script), search, *arguments, timeout=timeout)
    records = tuple(_records(completed.stdout))
    if any("done" in record for record in records):
        return ChildAnswer(records, "ok")
    where = _where(records)
    if completed.timed_out:
        return ChildAnswer(records, "timeout", f"{where} did not answer within {timeout:g} s")
    words = completed.error or next(iter(reversed(completed.stderr.strip().splitlines())), "")
    if completed.code is None or "Traceback" in completed.stderr:
        return ChildAnswer(records, "failed", words)
    # Windows has no signals: there the exit code is the exception's number (0xC0000005).
    ending = completed.signal or f"exit code {completed.code:#x}"
    return ChildAnswer(records, "crash", f"{where} ended its process with {ending}" + (f": {words}" if words else ""))


def _records(stdout: str) -> list[dict[str, Any]]:
    records = []
    for line in stdout.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # a library's own chatter, or the half line that a killed child left
        if isinstance(record, dict):
            records.append(record)
    return records


def _where(records: Sequence[dict[str, Any]]) -> str:
    for record in reversed(records):
        if "call" in record:
            gpu = record.get("of")
            return str(record["call"]) if gpu is None else f"{record['call']} of GPU {gpu}"
    return "the child process"
