"""One launch: a process that measures every workload once, and another for the rest where one is lost on the way.

A workload whose process crashes, hangs or does not come to an end is given up with the reason, and a fresh process goes on
with those that are left. What was measured before is kept.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from envdoctor.bench.child import SILENCE, STARTUP, Child, Ending, Event
from envdoctor.bench.protocol import Hello, Measured, offset, placed
from envdoctor.bench.results import WorkloadFailure
from envdoctor.bench.suites import RunPlan
from envdoctor.errors import EnvdoctorError, InputError
from envdoctor.signals import deferred

# A workload may take this many times its budget, and so many seconds more (compiling, autotuning), before it is given up.
OVERRUN_FACTOR, OVERRUN_S = 3.0, 180.0
LEAST_BUDGET = 5.0
"""Seconds for a workload that a fresh process has to measure when the launch's time is spent."""
LOG_TAIL = 40
WHOLE_WORDS = 4000
"""Characters of a traceback that are kept."""


class StartupError(EnvdoctorError):
    """The child did not come as far as its first event: `ending` tells why."""

    exit_code = 1

    def __init__(self, message: str, ending: Ending) -> None:
        super().__init__(message)
        self.ending = ending


@dataclass
class Launch:
    """What has come of a launch so far; it is complete at any moment, for it may be interrupted at any."""

    number: int
    hello: Hello | None = None
    measured: dict[str, Measured] = field(default_factory=dict)
    failures: dict[str, WorkloadFailure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    garbage: int = 0
    garbage_lines: list[str] = field(default_factory=list)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    """From the announcement of each workload to its result, in time.monotonic(): set-up and checks are in it."""
    current: str | None = None
    """The workload under way."""
    begun: float = 0.0
    """When it was announced."""
    restarts: int = 0
    complete: bool = False

    def settled(self, name: str) -> bool:
        return name in self.measured or name in self.failures or name in self.skipped


Listener = Callable[[Launch, Event], None]
"""Called with every event, after the launch has taken it in."""


class Runner:
    """Runs launches in one interpreter. `started`: called with each child before it is listened to, and with its hello after."""

    def __init__(
        self,
        python: str | Path,
        plan: RunPlan,
        *,
        environment: Mapping[str, str] | None = None,
        script: str | Path | None = None,
        silence: float = SILENCE,
        startup: float = STARTUP,
        listener: Listener = lambda _launch, _event: None,
        spawned: Callable[[int], None] = lambda _pid: None,
    ) -> None:
        self.python, self.plan = python, plan
        self._environment, self._script = environment, script
        self._silence, self._startup = silence, startup
        self._listener, self._spawned = listener, spawned

    def run(self, launch: Launch) -> None:
        """Fills the launch. Raises StartupError or InputError where the very first process does not start at all."""
        until = time.monotonic() + self.plan.budget
        while remaining := [name for name in self.plan.workloads if not launch.settled(name)]:
            ending = self._child(launch, remaining, max(until - time.monotonic(), LEAST_BUDGET))
            self._take_ending(launch, ending)
            left = [name for name in remaining if not launch.settled(name)]
            if ending.kind == "finished" or not left:
                launch.skipped.update(dict.fromkeys(left, "its process ended before it was measured"))
                break
            if len(left) == len(remaining):
                reason = f"its process {ending.words} before it began"
                failure = WorkloadFailure(
                    kind="crash", message=reason, launch=launch.number, log_tail=_tail(ending.stderr)
                )
                launch.failures.update(dict.fromkeys(left, failure))
                break
            launch.restarts += 1
        launch.complete = True

    def _child(self, launch: Launch, names: list[str], budget: float) -> Ending:
        """One process for these workloads; returns how it ended."""
        arguments = self.plan.arguments(launch.number, names, budget)
        heard = False
        with contextlib.ExitStack() as stack:
            # An interrupt waits until leaving this block would stop the child.
            with deferred():
                child = stack.enter_context(
                    Child(
                        self.python,
                        arguments,
                        self._environment,
                        script=self._script,
                        silence=self._silence,
                        startup=self._startup,
                    )
                )
            if child.pid is not None:
                self._spawned(child.pid)
            try:
                for event in child:
                    heard = heard or event.name == "hello"
                    self._take(launch, child, event)
                    self._listener(launch, event)
            except KeyboardInterrupt:
                child.stop(grace=1.0)
                for event in child.rest():  # a result that was on its way counts as measured
                    self._take(launch, child, event)
                raise
            finally:
                launch.garbage += child.garbage
                launch.garbage_lines += child.garbage_lines
        assert child.ending is not None
        if not heard and launch.hello is None:
            raise startup_error(str(self.python), child.ending)
        return child.ending

    def _take(self, launch: Launch, child: Child, event: Event) -> None:
        name = event.fields.get("workload")
        try:
            if event.name == "hello":
                hello = msgspec.convert(event.fields, Hello, strict=False)
                launch.hello = launch.hello or hello
                self._offset = offset(hello, event)
            elif event.name == "workload":
                name = event.fields.get("name")
                launch.current, launch.begun = str(name), event.arrived
                budget = float(event.fields.get("budget_s") or 0.0)
                child.deadline = time.monotonic() + OVERRUN_FACTOR * budget + OVERRUN_S
            elif event.name == "progress":
                launch.current = str(name)
            elif event.name == "result":
                measured = msgspec.convert(event.fields["workload"], Measured, strict=False)
                launch.measured[measured.name] = placed(measured, self._offset)
                if launch.current == measured.name:
                    launch.spans.setdefault(measured.name, (launch.begun, event.arrived))
                self._settle(launch, child)
            elif event.name == "skipped":
                launch.skipped[str(name)] = str(event.fields.get("reason", ""))
                self._settle(launch, child)
            elif event.name == "error":
                self._fail(launch, str(name), event.fields)
                self._settle(launch, child)
            elif event.name == "log":
                launch.notes.append(str(event.fields["text"]))
        except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
            launch.notes.append(f"an event '{event.name}' of the benchmark process cannot be read: {error}")

    _offset = 0.0

    @staticmethod
    def _settle(launch: Launch, child: Child) -> None:
        launch.current, child.deadline = None, None

    @staticmethod
    def _fail(launch: Launch, name: str, fields: Mapping[str, Any]) -> None:
        if name in launch.measured:  # it asked for more samples, and what it had measured before stands
            launch.notes.append(f"{name} failed when it was given more time: {fields.get('message')}")
            return
        launch.failures[name] = WorkloadFailure(
            kind=str(fields.get("kind", "exception")),
            message=str(fields.get("message", "")),
            launch=launch.number,
            traceback=str(fields.get("traceback") or "")[-WHOLE_WORDS:] or None,
            log_tail=tuple(str(line) for line in fields.get("log_tail") or ())[-LOG_TAIL:],
        )

    @staticmethod
    def _take_ending(launch: Launch, ending: Ending) -> None:
        """The workload that was under way when the process was lost is lost with it."""
        name, launch.current = launch.current, None
        if name is None or ending.kind == "finished":
            return
        if name in launch.measured:
            launch.notes.append(f"the process {ending.words} while {name} was given more time")
            return
        kind = ending.kind if ending.kind in ("hang", "overran") else "crash"
        launch.failures.setdefault(
            name,
            WorkloadFailure(
                kind=kind,
                message=f"its process {ending.words}",
                launch=launch.number,
                log_tail=_tail(ending.stderr),
            ),
        )


def _tail(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines()[-LOG_TAIL:])


def startup_error(python: str, ending: Ending, doing: tuple[str, str] = ("measure", "measured")) -> EnvdoctorError:
    """What to raise where a child ended before its hello: InputError (exit code 2) where the user can name something else."""
    lines = [line.strip() for line in ending.stderr.strip().splitlines() if line.strip()]
    last = lines[-1] if lines else ending.words
    if re.search(r"No module named ['\"]?torch['\"]?(\W|$)", ending.stderr):
        return InputError(
            f"{python} has no torch, so there is nothing to {doing[0]} with. Name an environment that has it "
            "(--python ENV), or make one: envdoctor recipe venv --apply DIR"
        )
    named_wrongly = last.startswith("benchmarks: ") and "torch" not in last and "no CUDA device" not in last
    if ending.kind == "failed" and ending.code == 2 and named_wrongly:
        return InputError(last.removeprefix("benchmarks: "))
    what = last.removeprefix("benchmarks: ") if ending.kind == "failed" else f"the process {ending.words}"
    return StartupError(
        f"nothing could be {doing[1]} with {python}: {what}. Find out why: envdoctor check --python {python}", ending
    )
