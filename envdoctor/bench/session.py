"""A whole run: the launches one after another, the machine watched meanwhile, and one result at the end.

Whatever ends it early (Ctrl-C, SIGTERM of a scheduler, a child that cannot go on), what was measured is put together and marked
partial.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from envdoctor import __version__
from envdoctor.bench import merging
from envdoctor.bench.child import SILENCE, Event
from envdoctor.bench.diagnosing import diagnosed, errors_of
from envdoctor.bench.energy import with_energy
from envdoctor.bench.peaks import with_peaks
from envdoctor.bench.protocol import Hello
from envdoctor.bench.results import BenchResult, Environment, ErrorDiagnosis, Skipped, Telemetry, WorkloadResult
from envdoctor.bench.runner import Launch, Listener, Runner
from envdoctor.bench.suites import RunPlan
from envdoctor.bench.telemetry import Watch
from envdoctor.bench.validity import judged
from envdoctor.facts.model import Snapshot
from envdoctor.signals import terminable, undisturbed

INTERRUPTED = "interrupted"


def measure(
    python: str | Path,
    plan: RunPlan,
    snapshot: Snapshot,
    *,
    script: str | Path | None = None,
    silence: float = SILENCE,
    declared: Sequence[str] = (),
    listener: Listener = lambda _launch, _event: None,
    quiet: contextlib.ExitStack | None = None,
) -> BenchResult:
    """Runs the plan. `snapshot`: the machine's facts, gathered before; `declared`: ways of sharing the GPU that are known and
    accepted (mig, vgpu, mps); `quiet`: from the end of the measuring until it is closed, interrupts are ignored, and so are
    those after the first, so that the result can be written.

    Raises InputError or StartupError where nothing could be measured at all. An interrupt ends it early and is not raised: the
    result is partial, because it was interrupted.
    """
    began, created = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    launches: list[Launch] = []
    watch = Watch()
    stopped = None

    def listen(launch: Launch, event: Event) -> None:
        if event.name == "hello" and launch.hello is not None:
            watch.start(launch.hello.device)
        listener(launch, event)

    runner = Runner(python, plan, script=script, silence=silence, listener=listen, spawned=watch.own)
    with contextlib.ExitStack() as own:
        whole = own if quiet is None else quiet
        whole.enter_context(terminable(once=True))
        try:
            watch.prepare()
            for number in range(1, plan.launches + 1):
                launches.append(Launch(number))
                runner.run(launches[-1])
            whole.enter_context(undisturbed())
        except KeyboardInterrupt:
            stopped = INTERRUPTED
        watch.stop()
        return _result(plan, launches, watch, snapshot, stopped, created, time.monotonic() - began, tuple(declared))


def _result(
    plan: RunPlan,
    launches: Sequence[Launch],
    watch: Watch,
    snapshot: Snapshot,
    stopped: str | None,
    created: str,
    seconds: float,
    declared: tuple[str, ...],
) -> BenchResult:
    hello = next((launch.hello for launch in launches if launch.hello is not None), None)
    workloads = []
    for name in merging.names(launches):
        merged = with_energy(merging.merge(name, launches), launches, watch.during)
        windows = merging.windows(name, launches)
        seen = watch.during(windows)
        around = None if windows else watch.during(merging.spans(name, launches))
        workloads.append(
            judged(
                msgspec.structs.replace(merged, telemetry=seen),
                declared,
                watch.sharing,
                around,
                _timings(name, launches, watch),
            )
        )
    on_gpu = hello is not None and hello.device.type == "cuda"
    # The whole machine is judged once, however many workloads were wrong.
    causes = errors_of(snapshot) if on_gpu and any(workload.wrong for workload in workloads) else ()
    workloads = [_diagnosed(workload, snapshot, causes if workload.wrong else ()) for workload in workloads]
    done = {workload.name for workload in workloads}
    skipped = {name: reason for launch in launches for name, reason in launch.skipped.items() if name not in done}
    missing = [name for name in plan.workloads if name not in done and name not in skipped]
    if stopped is None and missing:
        stopped = f"not measured: {', '.join(missing)}"
    result = BenchResult(
        snapshot=snapshot,
        workloads=tuple(workloads),
        envdoctor=__version__,
        created=created,
        seconds=round(seconds, 3),
        suite=plan.suite,
        launches=plan.launches,
        device=hello.device if hello else None,
        environment=_environment(hello, watch, snapshot),
        skipped=tuple(Skipped(name, reason) for name, reason in skipped.items()),
        partial=stopped is not None,
        partial_because=stopped,
        notes=tuple(dict.fromkeys(_notes(launches, watch))),
    )
    return with_peaks(result)


def _timings(name: str, launches: Sequence[Launch], watch: Watch) -> list[tuple[str, Telemetry]] | None:
    """What was seen in each timing in which the device computed; None where the child does not tell its timings."""
    if not any(launch.measured[name].timed for launch in launches if name in launch.measured):
        return None
    seen = [(key, watch.during(windows)) for key, windows in merging.timings(name, launches)]
    return [(key, one) for key, one in seen if one is not None]


def _diagnosed(workload: WorkloadResult, snapshot: Snapshot, causes: tuple[ErrorDiagnosis, ...]) -> WorkloadResult:
    if workload.failure is None:
        return msgspec.structs.replace(workload, diagnosed=causes)
    failure = msgspec.structs.replace(workload.failure, diagnosed=diagnosed(workload.failure, snapshot, causes))
    return msgspec.structs.replace(workload, failure=failure)


def _environment(hello: Hello | None, watch: Watch, snapshot: Snapshot) -> Environment:
    if hello is None:
        return Environment(driver=snapshot.driver_version)
    return Environment(
        python=hello.python,
        torch=hello.torch,
        torchvision=hello.torchvision,
        cuda=hello.cuda,
        cudnn=hello.cudnn,
        driver=snapshot.driver_version,
        threads=hello.threads,
        precision=hello.precision,
        power_limit=watch.power_limit,
        seed=hello.seed,
    )


def _notes(launches: Sequence[Launch], watch: Watch) -> Iterator[str]:
    for launch in launches:
        yield from launch.notes
    garbage = sum(launch.garbage for launch in launches)
    if garbage:
        first = next(line for launch in launches for line in launch.garbage_lines)
        lines = "line" if garbage == 1 else "lines"
        yield f"{garbage} {lines} on the benchmark's stdout were no events, the first: {first[:80]!r}"
    yield from watch.notes
