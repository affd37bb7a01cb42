"""What a run says while it runs: one JSON object a line for programs, plain lines for a person.

Event names and fields: README.md. Numbers that JSON has no word for (NaN, infinity) are written as null.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any, Dict, Optional, TextIO

SCHEMA = "envdoctor.events/1"


def plain(value: Any) -> Any:
    """The same value in what JSON can say."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


class Events:
    """JSON lines on the stdout that the process was started with."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._start: Optional[float] = None

    @classmethod
    def take_stdout(cls) -> "Events":
        """Claim stdout: what libraries, C code and child processes print there goes to stderr from now on."""
        sys.stdout.flush()
        own = os.dup(1)
        os.set_inheritable(own, False)
        os.dup2(2, 1)
        return cls(os.fdopen(own, "w", encoding="utf-8", newline="\n"))

    def emit(self, event: str, **fields: Any) -> None:
        """Write one event at once; `t` is in seconds since hello. Raises BrokenPipeError where nobody listens any more."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
        line: Dict[str, Any] = {"event": event, "t": round(now - self._start, 6)}
        line.update(fields)
        self._file.write(json.dumps(plain(line), allow_nan=False, separators=(",", ":")) + "\n")
        self._file.flush()


class Lines(Events):
    """The same events for a person: results on stdout, the rest on stderr."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, event: str, **fields: Any) -> None:
        tell = getattr(self, "on_" + event, None)
        if tell is not None:
            tell(fields)

    def on_hello(self, fields: Dict[str, Any]) -> None:
        device = fields["device"]
        print(
            "torch {}, Python {}, {} ({}), {} threads, seed {}".format(
                fields["torch"], fields["python"], device["name"], device["type"], fields["threads"], fields["seed"]
            ),
            file=sys.stderr,
        )

    def on_progress(self, fields: Dict[str, Any]) -> None:
        if not sys.stderr.isatty():
            return
        figure = fields.get("figure")
        text = "{} {} {}".format(
            fields["workload"], fields["phase"], "{:.4g} {}".format(figure["value"], figure["unit"]) if figure else ""
        )
        sys.stderr.write("\r" + text[:78].ljust(78))
        sys.stderr.flush()

    def on_result(self, fields: Dict[str, Any]) -> None:
        self._clear()
        workload = fields["workload"]
        for name, metric in workload["metrics"].items():
            spread = ""
            if metric["n"] > 1 and metric["ci95"]:
                low, high = metric["ci95"]
                spread = "  [{:.4g}, {:.4g}] n={}".format(low, high, metric["n"])
            limit = metric["limit"]
            percent = "  {:.0f} % of {}".format(limit["percent"], limit["what"]) if limit else ""
            value = "no figure" if metric["value"] is None else "{:.4g}".format(metric["value"])
            print("{:<24} {:<22} {:>10} {}{}{}".format(workload["name"], name, value, metric["unit"], spread, percent))
        for reason in workload["invalid_because"]:
            print("{:<24} INVALID: {}".format(workload["name"], reason))
        for text in workload["warnings"]:
            print("{:<24} note: {}".format(workload["name"], text))
        sys.stdout.flush()

    def on_skipped(self, fields: Dict[str, Any]) -> None:
        self._clear()
        print("{:<24} skipped: {}".format(fields["workload"], fields["reason"]), flush=True)

    def on_error(self, fields: Dict[str, Any]) -> None:
        self._clear()
        print("{:<24} FAILED ({}): {}".format(fields["workload"], fields["kind"], fields["message"]), flush=True)

    def on_log(self, fields: Dict[str, Any]) -> None:
        print(fields["text"], file=sys.stderr)

    def on_epoch(self, fields: Dict[str, Any]) -> None:
        self._clear()
        shown = {key: value for key, value in fields.items() if isinstance(value, (int, float))}
        print("  ".join("{} {:.5g}".format(key, value) for key, value in shown.items()), file=sys.stderr)

    @staticmethod
    def _clear() -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r" + " " * 78 + "\r")
            sys.stderr.flush()
