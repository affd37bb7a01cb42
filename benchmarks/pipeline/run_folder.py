"""The folder of a run. Every file in it is whole at any moment.

config.json      what the run is, with what and on what it was run
metrics.jsonl    one line an epoch; metrics.csv has the same
last.pt          everything that the rest of the run depends on
best.pt          the weights with the lowest validation loss
final.pt         the weights that were judged
result.json      the scores on the test images, the confusion matrix, digests
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from pathlib import Path
from typing import IO, Any, Dict, List, Mapping, Optional

from benchmarks.harness.events import plain
from benchmarks.pipeline import checkpoint
from benchmarks.pipeline.errors import PipelineError

SCHEMA = "envdoctor.run/1"


class RunFolder:
    """One run's files. Raises PipelineError with the reason where one cannot be written or read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Optional[IO[str]] = None
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PipelineError(checkpoint.cannot_write(path, error)) from error

    @property
    def last(self) -> Path:
        return self.path / "last.pt"

    @property
    def finished(self) -> bool:
        return (self.path / "result.json").exists()

    @property
    def begun(self) -> bool:
        return (self.path / "config.json").exists()

    def claim(self) -> None:
        """Keep a second process out for as long as this one lives. Raises PipelineError where one is there."""
        try:
            import fcntl
        except ImportError:  # Windows has other locks; two runs in one folder are the user's own doing there
            return
        try:
            self._lock = (self.path / ".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(
                "another process is training in {}; let it end, or name another folder".format(self.path)
            ) from None
        except OSError as error:
            raise PipelineError(checkpoint.cannot_write(self.path, error)) from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(plain(dict(content)), indent=2) + "\n")

    def read_json(self, name: str) -> Dict[str, Any]:
        path = self.path / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise PipelineError("cannot read {}: {}".format(path, error.strerror or error)) from error
        except ValueError as error:
            raise PipelineError("{} is damaged: {}".format(path, error)) from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise PipelineError("{} was not written by a run of this version".format(path))
        return found

    def write_metrics(self, history: List[Dict[str, Any]]) -> None:
        """All epochs so far. They come from the run's own state, so a resumed run leaves no line twice."""
        self._write("metrics.jsonl", "".join(json.dumps(plain(line)) + "\n" for line in history))
        table = io.StringIO()
        if history:
            writer = csv.DictWriter(table, list(history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(history)
        self._write("metrics.csv", table.getvalue())

    def _write(self, name: str, text: str) -> None:
        path = self.path / name
        temporary = path.with_name(name + ".writing")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise PipelineError(checkpoint.cannot_write(path, error)) from error
