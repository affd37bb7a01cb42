"""The result of a benchmark run: the types of the file `envdoctor.bench/1`, read and written.

A *launch* is one process that measured everything once. What differs between launches of the same work on the same machine
(memory layout, clocks, which cores) is larger than what differs between the steps of one launch, so figures are kept by
launch, and intervals and comparisons rest on the launches' medians.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from envdoctor.credentials import without_credentials
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot

SCHEMA = "envdoctor.bench/1"


class PhysicalLimit(msgspec.Struct, frozen=True, kw_only=True):
    """The physical limit that a figure is held against: `value` in the metric's unit, `percent` of it that was reached."""

    value: float
    percent: float
    what: str = ""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its distribution. `value`: the geometric mean of the launches' medians (None: there was no number).

    `samples`: all launches', in order; of very many, evenly spaced ones. `ci95`: from the launches where there are two or
    more (Student's t on the logarithms of their medians), else from the steps of the one. `n`, `outliers`: over all launches.
    `rcv` (robust coefficient of variation) and `drift` are ratios: the median and the worst of the launches'.
    """

    value: float | None
    unit: str
    better: Literal["higher", "lower"] = "higher"
    samples: tuple[float, ...] = ()
    p10: float | None = None
    p90: float | None = None
    ci95: tuple[float, float] | None = None
    n: int = 0
    rcv: float | None = None
    drift: float | None = None
    outliers: int = 0
    limit: PhysicalLimit | None = None
    launches: tuple[float, ...] = ()
    """The median of each launch."""


class ErrorDiagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What envdoctor makes of an error: a diagnosis, and its first repair."""

    code: str
    title: str
    summary: str = ""
    fix: str | None = None
    commands: tuple[str, ...] = ()
    note: str | None = None


class WorkloadFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a workload gave no figures. `kind`: out-of-memory, cuda, numerics, exception (the child said so itself), crash, hang,
    overran (its process was lost)."""

    kind: str
    message: str
    launch: int = 1
    traceback: str | None = None
    log_tail: tuple[str, ...] = ()
    diagnosed: tuple[ErrorDiagnosis, ...] = ()


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of the device during the measuring windows of one workload; None: not known.

    Clocks MHz, power W, temperature C. `throttled`: share of the samples by reason (0-1).
    """

    samples: int = 0
    seconds: float = 0.0
    sm_clock: tuple[float, float, float] | None = None
    """p10, median, p90."""
    sm_clock_drift: float | None = None
    """Median of the last third of the samples over that of the first, less 1."""
    memory_clock: float | None = None
    power: float | None = None
    """Mean over the windows, from the energy counter where they are 2 s or longer, else from samples."""
    power_source: Literal["energy counter", "samples"] | None = None
    power_limit: float | None = None
    energy: float | None = None
    """J over the windows."""
    temperature: float | None = None
    """The highest."""
    throttled: dict[str, float] = {}
    pcie_generation: int | None = None
    """The highest seen: a link sleeps when nothing is sent."""
    pcie_width: int | None = None
    foreign: tuple[str, ...] = ()
    """Compute processes of others on the GPU."""
    xids: tuple[int, ...] = ()
    lost: bool = False
    """The GPU fell off its bus before the last window ended."""
    ecc: tuple[str, ...] = ()
    """ECC counters that rose, in words."""
    others_cpu: float | None = None
    """Share of the usable CPUs' time that processes outside of this run took (0-1)."""


class WorkloadResult(msgspec.Struct, frozen=True, kw_only=True):
    """One workload over all launches. Invalid figures are kept: they are shown struck, with the reasons."""

    name: str
    version: int = 1
    parameters: dict[str, Any] = {}
    work_hash: str | None = None
    knobs: dict[str, Any] = {}
    metrics: dict[str, Metric] = {}
    valid: bool = True
    invalid_because: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    launches: int = 1
    """How many launches gave figures."""
    failure: WorkloadFailure | None = None
    diagnosed: tuple[ErrorDiagnosis, ...] = ()
    """Of a workload whose arithmetic was wrong on a GPU: what `envdoctor check` calls an error there."""
    telemetry: Telemetry | None = None
    details: dict[str, Any] = {}

    @property
    def wrong(self) -> bool:
        """Whether the device computed wrongly: the benchmarks begin such a reason with this word."""
        if self.failure is not None and self.failure.kind == "numerics":
            return True
        return any("numerics: " in reason for reason in self.invalid_because)

    @property
    def headline(self) -> tuple[str, Metric] | None:
        """Name and metric of the figure that stands for the workload: `throughput`, else the first; None where there is none."""
        known = [(name, metric) for name, metric in self.metrics.items() if metric.value is not None]
        return next((pair for pair in known if pair[0] == "throughput"), known[0] if known else None)


class Skipped(msgspec.Struct, frozen=True):
    """A workload that cannot run on this device, or for which no time was left."""

    name: str
    reason: str


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """The device under test, as torch names it."""

    type: str
    index: int | None = None
    name: str | None = None
    capability: str | None = None
    memory_bytes: int | None = None
    uuid: str | None = None
    pci: str | None = None
    """'00000000:3b:00.0'."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The software that measured, and the settings that a comparison has to know of."""

    python: str | None = None
    torch: str | None = None
    torchvision: str | None = None
    cuda: str | None = None
    cudnn: int | str | None = None
    driver: str | None = None
    threads: int | None = None
    precision: dict[str, Any] = {}
    power_limit: float | None = None
    """W, enforced."""
    seed: int | None = None


class BenchResult(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """A run: what was measured, on what, with what."""

    snapshot: Snapshot
    workloads: tuple[WorkloadResult, ...]
    envdoctor: str | None = None
    created: str | None = None
    """UTC, ISO 8601: when the run began."""
    seconds: float | None = None
    suite: str | None = None
    launches: int = 1
    """Launches that were asked for."""
    device: Device | None = None
    environment: Environment = Environment()
    skipped: tuple[Skipped, ...] = ()
    partial: bool = False
    """Not all that was asked for was measured: the run was interrupted, or its child could not go on."""
    partial_because: str | None = None
    notes: tuple[str, ...] = ()
    """What a reader should know of the whole run."""
    label: str | None = None
    """A name that people gave this result, in a collection of them."""

    @property
    def valid(self) -> bool:
        """Whether every workload gave valid figures, and nothing was cut short."""
        return not self.partial and bool(self.workloads) and all(w.valid for w in self.workloads)

    def workload(self, name: str) -> WorkloadResult | None:
        return next((w for w in self.workloads if w.name == name), None)


def encode(result: BenchResult) -> str:
    """The file's text. The distributions make up most of it, so numbers stand in lines, not one a line."""
    return without_credentials(msgspec.json.format(msgspec.json.encode(result), indent=1).decode()) + "\n"


def save(result: BenchResult, path: Path) -> None:
    """Writes the file in one step. Raises InputError with the reason."""
    from envdoctor.files import write_atomically

    write_atomically(path, encode(result))


def load(path: Path) -> BenchResult:
    """Reads a file. Raises InputError, in one line, where it cannot be read or is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return msgspec.json.decode(data, type=BenchResult)
    except msgspec.ValidationError as error:
        schema = _schema(data)
        if schema != SCHEMA:
            what = f"a file of schema {schema}" if schema else "no file of `envdoctor bench --save`"
            raise InputError(f"{path}: {what}; results have the schema {SCHEMA}") from error
        raise InputError(f"{path}: not a result that can be read: {error}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON that can be read: {error}") from error


class _Head(msgspec.Struct):
    schema: object = None


def _schema(data: bytes) -> str | None:
    try:
        schema = msgspec.json.decode(data, type=_Head).schema
    except (msgspec.DecodeError, RecursionError):
        return None
    return str(schema) if schema else None
