"""Runs all probes at once, each with its own time limit and its own failure, and puts their facts into one Snapshot."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from envdoctor import __version__
from envdoctor.errors import InputError
from envdoctor.facts.cleaning import clean
from envdoctor.facts.host import Machine
from envdoctor.facts.inspection import torch_timeout
from envdoctor.facts.interpreters import choose
from envdoctor.facts.model import ProbeReport, Snapshot

Progress = Callable[[frozenset[str]], None]
"""Called with the names of the probes that are still running, each time one ends."""

# Section of the Snapshot, module under probes/, seconds before it is given up. The limits are the last resort: probes that
# can hang have tighter ones for their children, and keep what these had already said.
PROBES: tuple[tuple[str, str, float], ...] = (
    ("interpreter", "interpreter", 180.0),
    ("nvml", "gpus", 45.0),
    ("cuda_driver", "cuda_driver", 45.0),
    ("driver", "driver", 15.0),
    ("toolkit", "toolkit", 15.0),
    ("libraries", "libraries", 15.0),
    ("logs", "logs", 10.0),
    ("host", "host", 10.0),
    ("pci", "pci", 10.0),
    ("container", "container", 10.0),
    ("environment", "environment", 10.0),
)


class _Run(threading.Thread):
    """One probe on a thread of its own; a daemon, so that one which hangs does not keep envdoctor from ending."""

    def __init__(self, section: str, limit: float, work: Callable[[], Any], done: Callable[[], None]) -> None:
        super().__init__(name=f"probe {section}", daemon=True)
        self.section, self.limit, self.work, self.done = section, limit, work, done
        self.started = time.monotonic()
        self.value: Any = None
        self.report: ProbeReport | None = None
        self.refusal: InputError | None = None

    def run(self) -> None:
        try:
            self.value = self.work()
            outcome, error = "ok", None
        except InputError as refusal:
            self.refusal = refusal
            outcome, error = "failed", str(refusal)
        except Exception as failure:  # noqa: BLE001 - a defect of one probe costs its own section and is reported there
            outcome, error = "failed", f"{type(failure).__name__}: {failure}"
        self.report = ProbeReport(name=self.section, outcome=outcome, seconds=self.elapsed, error=error)
        self.done()

    @property
    def elapsed(self) -> float:
        return round(time.monotonic() - self.started, 3)

    def outcome(self) -> ProbeReport:
        """Its report; one of our own when it has run out of time."""
        return self.report or ProbeReport(
            name=self.section, outcome="timeout", seconds=self.elapsed, error=f"no answer within {self.limit:g} s"
        )


def collect(
    machine: Machine,
    *,
    python: str | None = None,
    live: bool = True,
    progress: Progress | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Snapshot:
    """The Snapshot of `machine`, with the interpreter that `python` names (a path, a command, an environment's folder).

    `live=False` does not import torch. `meanwhile` is called once, while the probes run. Raises InputError when `python`
    names no Python; whatever else goes wrong is a fact.
    """
    ended = threading.Condition()
    runs = [
        _Run(section, _limit(section, limit, machine), _work(module, machine, python, live), lambda: _notify(ended))
        for section, module, limit in PROBES
    ]
    for run in runs:
        run.start()
    if meanwhile is not None:
        meanwhile()
    with ended:
        while pending := [run for run in runs if run.report is None and run.elapsed < run.limit]:
            _raise_refusal(runs)
            if progress is not None:
                progress(frozenset(run.section for run in pending))
            ended.wait(min(run.limit - run.elapsed for run in pending) + 0.01)
    _raise_refusal(runs)
    reports = tuple(run.outcome() for run in runs)
    sections = {run.section: run.value for run in runs if run.report is not None}
    found = Snapshot(
        envdoctor=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        source="live",
        probes=reports,
        **sections,
    )
    return clean(found)


def _limit(section: str, limit: float, machine: Machine) -> float:
    # Whoever gives torch more time (ENVDOCTOR_TORCH_TIMEOUT) means it; killing it and reading its last words takes a moment.
    return max(limit, torch_timeout(machine) + 30) if section == "interpreter" else limit


def _notify(ended: threading.Condition) -> None:
    with ended:
        ended.notify_all()


def _raise_refusal(runs: Sequence[_Run]) -> None:
    for run in runs:
        if run.refusal is not None:
            raise run.refusal


def _work(module: str, machine: Machine, python: str | None, live: bool) -> Callable[[], Any]:
    def work() -> Any:
        # Choosing asks the interpreter that was named who it is: time for the other probes to use.
        choice = choose(machine, python) if module == "interpreter" else None
        probe = importlib.import_module(f"envdoctor.facts.probes.{module}").probe
        return probe(machine, choice, live=live) if module == "interpreter" else probe(machine)

    return work
