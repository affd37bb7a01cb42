"""What this machine measured before: SQLite in the user's data folder.

The history is a convenience: whatever is wrong with it (a closed folder, a full disk, a damaged file, a newer envdoctor's schema)
costs the history, with a warning, and never the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from envdoctor.bench.results import BenchResult

PATH_VARIABLE = "ENVDOCTOR_HISTORY"
BUSY_S = 10.0
"""Seconds to wait for another run that is writing."""
# A step a schema version, each run once, in one transaction; never changed once released, only added to.
MIGRATIONS = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        created TEXT NOT NULL,
        machine TEXT NOT NULL,
        device TEXT,
        device_type TEXT,
        suite TEXT,
        torch TEXT,
        cuda TEXT,
        cudnn TEXT,
        driver TEXT,
        threads INTEGER,
        power_limit REAL,
        sm_clock REAL,
        partial INTEGER NOT NULL,
        seconds REAL
    );
    CREATE TABLE figure (
        run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
        workload TEXT NOT NULL,
        metric TEXT NOT NULL,
        unit TEXT NOT NULL,
        better TEXT NOT NULL,
        work_hash TEXT NOT NULL,
        knobs TEXT NOT NULL,
        value REAL NOT NULL,
        launches TEXT NOT NULL,
        valid INTEGER NOT NULL,
        headline INTEGER NOT NULL
    );
    CREATE INDEX run_of_machine ON run(machine, created);
    CREATE INDEX figure_of_run ON figure(run);
    """,
)


NEWER = "it was made by a newer envdoctor (schema {}); update this one"


class HistoryError(Exception):
    """The history cannot be used; its text says why."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the history."""

    id: int
    created: str
    machine: str
    device: str | None
    device_type: str | None
    suite: str | None
    torch: str | None
    cuda: str | None
    cudnn: str | None
    driver: str | None
    threads: int | None
    power_limit: float | None
    sm_clock: float | None
    partial: bool
    seconds: float | None
    figures: tuple[Figure, ...] = ()


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of a run of the history."""

    workload: str
    metric: str
    unit: str
    better: str
    work_hash: str
    knobs: str
    value: float
    launches: tuple[float, ...]
    valid: bool
    headline: bool


def path() -> Path:
    """Where the history lies: ENVDOCTOR_HISTORY, else the user's data folder."""
    named = os.environ.get(PATH_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir("envdoctor", appauthor=False)) / "history.sqlite3"


def machine_of(result: BenchResult) -> str:
    """A digest of what makes figures this machine's own: its device and its host. It tells nobody which machine it is."""
    device, host = result.device, result.snapshot.host
    parts = (
        device.type if device else None,
        (device.uuid or device.name) if device else None,
        host.cpu_model if host else None,
        _machine_id(),
    )
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _machine_id() -> str:
    for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            return Path(name).read_text().strip()
    return os.uname().nodename if hasattr(os, "uname") else ""


@contextlib.contextmanager
def _store(file: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """The open database, at the newest schema. Raises HistoryError for whatever is wrong with it."""
    try:
        if write:
            file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)
        else:
            connection = _reader(file)
        with contextlib.closing(connection):
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
            if write:
                connection.execute("PRAGMA foreign_keys = ON")
                _migrate(connection)
            elif (version := _version(connection)) > len(MIGRATIONS):
                raise sqlite3.DatabaseError(NEWER.format(version))
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(f"{file}: {error}") from error


def _reader(file: Path) -> sqlite3.Connection:
    """Opens it to read. In a closed folder SQLite cannot make the files that it shares with writers; nobody writes there."""
    address = f"{file.absolute().as_uri()}?mode=ro"
    for more in ("", "&immutable=1"):
        connection = sqlite3.connect(address + more, uri=True, timeout=BUSY_S, isolation_level=None)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            connection.close()
            if more:
                raise
        else:
            return connection
    raise AssertionError("unreachable")


def _migrate(connection: sqlite3.Connection) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(NEWER.format(version))
    if version == len(MIGRATIONS):
        return
    # Readers go on while one writes. A file system without shared memory (NFS) keeps its own mode, which is slower and safe.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        # Another run may have got here first.
        for step in range(_version(connection), len(MIGRATIONS)):
            for statement in MIGRATIONS[step].split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {step + 1}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def past_of(result: BenchResult) -> Past:
    """The run as the history keeps it, without a number yet."""
    software, device = result.environment, result.device
    clocks = [w.telemetry.sm_clock[1] for w in result.workloads if w.telemetry and w.telemetry.sm_clock]
    return Past(
        id=0,
        created=result.created or "",
        machine=machine_of(result),
        device=device.name if device else None,
        device_type=device.type if device else None,
        suite=result.suite,
        torch=software.torch,
        cuda=software.cuda,
        cudnn=None if software.cudnn is None else str(software.cudnn),
        driver=software.driver,
        threads=software.threads,
        power_limit=software.power_limit,
        sm_clock=sorted(clocks)[len(clocks) // 2] if clocks else None,
        partial=result.partial,
        seconds=result.seconds,
        figures=tuple(_figures(result)),
    )


def add(past: Past, file: Path | None = None) -> int:
    """Keeps a run; returns its number. Raises HistoryError."""
    run = {name: value for name, value in msgspec.to_builtins(past).items() if name not in ("id", "figures")}
    with _store(file or path(), write=True) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            number = connection.execute(_insert("run", run), run).lastrowid
            for figure in past.figures:
                row = {
                    **msgspec.to_builtins(figure),
                    "run": number,
                    "launches": msgspec.json.encode(figure.launches).decode(),
                }
                connection.execute(_insert("figure", row), row)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    assert number is not None
    return number


def _insert(table: str, row: dict[str, Any]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})"  # noqa: S608 - our own names


def _figures(result: BenchResult) -> Iterator[Figure]:
    for workload in result.workloads:
        headline = workload.headline[0] if workload.headline else None
        for name, metric in workload.metrics.items():
            if metric.value is not None:
                yield Figure(
                    workload=workload.name,
                    metric=name,
                    unit=metric.unit,
                    better=metric.better,
                    work_hash=workload.work_hash or "",
                    knobs=msgspec.json.encode(workload.knobs, order="sorted").decode(),
                    value=metric.value,
                    launches=metric.launches or (metric.value,),
                    valid=workload.valid,
                    headline=name == headline,
                )


def runs(machine: str | None = None, limit: int = 20, file: Path | None = None) -> list[Past]:
    """The newest runs, newest first, of one machine or of all. [] where there is no history yet. Raises HistoryError."""
    file = file or path()
    try:
        if not file.exists():
            return []
    except OSError as error:
        raise HistoryError(f"{file}: {error.strerror}") from error
    with _store(file, write=False) as connection:
        connection.row_factory = sqlite3.Row
        if _version(connection) == 0:
            return []
        rows = connection.execute(
            "SELECT * FROM run WHERE machine = coalesce(?, machine) ORDER BY created DESC, id DESC LIMIT ?",
            (machine, limit),
        ).fetchall()
        return [_past(dict(row), _of_run(connection, row["id"])) for row in rows]


def _of_run(connection: sqlite3.Connection, number: int) -> Sequence[dict[str, Any]]:
    return [dict(row) for row in connection.execute("SELECT * FROM figure WHERE run = ? ORDER BY rowid", (number,))]


def _past(run: dict[str, Any], figures: Sequence[dict[str, Any]]) -> Past:
    try:
        kept = tuple(
            msgspec.convert({**row, "launches": msgspec.json.decode(row["launches"])}, Figure, strict=False)
            for row in figures
        )
        return msgspec.structs.replace(msgspec.convert(run, Past, strict=False), figures=kept)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise sqlite3.DatabaseError(f"run {run.get('id')} cannot be read: {error}") from error
