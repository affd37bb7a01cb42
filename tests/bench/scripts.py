"""Children that speak the protocol of benchmarks/, or fail at it, written as small scripts and really run."""

from __future__ import annotations

from pathlib import Path

PRELUDE = """
import json, os, signal, sys, time
start = time.monotonic()
def emit(event, **fields):
    print(json.dumps({"event": event, "t": round(time.monotonic() - start, 6), **fields}), flush=True)
def option(name, default=None):
    values = [sys.argv[i + 1] for i, word in enumerate(sys.argv[:-1]) if word == name]
    return values[-1] if values else default
def options(name):
    return [sys.argv[i + 1] for i, word in enumerate(sys.argv[:-1]) if word == name]
"""


def script(folder: Path, body: str, name: str = "child.py") -> Path:
    """A script with `emit`, `option` and `options` at hand."""
    path = folder / name
    path.write_text(PRELUDE + body)
    return path
