"""The history warns when a machine gets worse beyond chance, and never stands in the way of a run."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from envdoctor.bench import history
from envdoctor.bench.history import HistoryError, add, past_of, runs
from envdoctor.bench.results import BenchResult
from envdoctor.bench.trend import remember
from tests.bench.made import result, watts, workload


@pytest.fixture(autouse=True)
def _own_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(history.PATH_VARIABLE, str(tmp_path / "data" / "history.sqlite3"))


def day(number: int, rate: float, **more: Any) -> BenchResult:
    return result(
        workload("matmul.bf16", (rate, rate * 1.001, rate * 0.999)),
        created=f"2026-11-{number:02d}T10:00:00+00:00",
        **more,
    )


def kept(rates: list[float]) -> None:
    for number, rate in enumerate(rates, 1):
        remember(day(number, rate))


def test_runs_come_back_as_they_were_newest_first() -> None:
    kept([700, 702])
    newest, oldest = runs()
    assert newest.created > oldest.created and newest.torch == "2.15.0" and newest.device == "NVIDIA H100 80GB HBM3"
    assert newest.figures == past_of(day(2, 702)).figures
    assert len(runs(limit=1)) == 1


def test_a_loss_beyond_the_scatter_of_earlier_runs_is_told_with_what_changed() -> None:
    kept([700, 703, 698, 701, 702])
    found = remember(day(9, 640, environment={"driver": "590.10", "power_limit": 500.0}))
    assert "8.7 % worse than usual" in found.notes[0] and "5 earlier runs" in found.notes[0]
    assert found.notes[1] == "changed since the run of 2026-11-05 10:00: driver 580.159.04 -> 590.10"


def test_changed_clocks_are_named() -> None:
    for number, rate in enumerate([700, 701, 699], 1):
        remember(
            result(
                workload("x", (rate,) * 3, telemetry=watts(600, sm_clock=(1980, 1980, 1980))),
                created=f"2026-11-0{number}",
            )
        )
    slow = result(workload("x", (500,) * 3, telemetry=watts(600, sm_clock=(1400, 1400, 1400))), created="2026-11-09")
    assert "sm clock 1980 MHz -> 1400 MHz" in remember(slow).notes[1]


@pytest.mark.parametrize(
    ("before", "today"),
    [([700, 650, 720, 680, 710], 655), ([700, 701], 500), ([700, 701, 702], 760), ([700, 700.1, 700.2, 699.9], 696)],
    ids=["within the scatter", "too few runs", "better", "too small to matter"],
)
def test_no_alarm_without_a_reason(before: list[float], today: float) -> None:
    kept(before)
    assert remember(day(20, today)).notes == ()


def test_equal_machines_raise_few_alarms() -> None:
    """Runs of a machine that does not change: at most one warning in twenty."""
    import random

    from envdoctor.bench.trend import worse

    rng = random.Random(4)
    alarms = 0
    for _ in range(400):
        values = [[100 * rng.lognormvariate(0, 0.02) for _ in range(6)] for _ in range(8)]
        past = [past_of(result(*(workload(f"w{i}", (v[k],) * 3) for i, v in enumerate(values)))) for k in range(6)]
        alarms += bool(worse(past[0], past[1:]))
    assert alarms / 400 <= 0.075  # one in twenty, and twice the scatter of such a count


def test_other_work_another_machine_and_invalid_or_partial_runs_are_not_the_past() -> None:
    kept([700, 701, 702, 699])
    assert remember(result(workload("matmul.bf16", (10, 10, 10), work_hash="other"), created="2026-11-20")).notes == ()
    assert remember(result(workload("matmul.bf16", (10, 10, 10)), device="Tesla T4", created="2026-11-21")).notes == ()
    assert (
        remember(result(workload("matmul.bf16", (10, 10, 10), invalid_because=("busy",)), created="2026-11-22")).notes
        == ()
    )
    remember(result(workload("matmul.bf16", (10, 10, 10)), partial=True, created="2026-11-23"))
    assert "worse than usual" in remember(day(24, 600)).notes[0]


# --- whatever is wrong with the store -------------------------------------------------------------------------------------


def test_a_corrupt_store_costs_the_history_and_stays_as_it_is() -> None:
    file = history.path()
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not a database, but somebody's file\n" * 100)
    (note,) = remember(day(1, 700)).notes
    assert "the history is not kept" in note and "not a database" in note
    assert file.read_bytes().startswith(b"not a database")


def test_a_damaged_page_is_an_error_in_words() -> None:
    kept([700, 701, 702])
    file = history.path()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    file.write_bytes(bytes(data))
    assert "the history is not kept" in remember(day(9, 100)).notes[0]


def test_a_folder_in_its_place_and_a_file_in_its_folders_place() -> None:
    history.path().mkdir(parents=True)
    assert "the history is not kept" in remember(day(1, 700)).notes[0]
    history.path().rmdir()
    history.path().parent.rmdir()
    history.path().parent.write_text("")
    assert "the history is not kept" in remember(day(1, 700)).notes[0]


def test_a_newer_schema_is_left_alone() -> None:
    kept([700])
    connection = sqlite3.connect(history.path())
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(HistoryError, match="newer envdoctor"):
        add(past_of(day(2, 700)))
    with pytest.raises(HistoryError, match="newer envdoctor"):
        runs()


def test_a_store_without_any_table_yet_is_migrated() -> None:
    history.path().parent.mkdir(parents=True)
    sqlite3.connect(history.path()).close()
    assert runs() == []
    kept([700])
    assert len(runs()) == 1


def test_no_history_yet_is_an_empty_one() -> None:
    assert runs() == []
    assert not history.path().exists()


def test_a_folder_that_may_only_be_read_can_still_be_read() -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes into closed folders")
    kept([700])
    history.path().parent.chmod(0o500)
    try:
        assert len(runs()) == 1
    finally:
        history.path().parent.chmod(0o700)


def test_two_runs_at_once_both_keep_their_figures() -> None:
    writer = (
        "from tests.bench.test_history import day\n"
        "from envdoctor.bench.history import add, past_of\n"
        "import sys\n"
        "for number in range(1, 11): add(past_of(day(number, 100.0 * int(sys.argv[1]))))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", writer, str(i)], stderr=subprocess.PIPE) for i in (1, 2, 3)]
    threads = [threading.Thread(target=lambda: [add(past_of(day(n, 50.0))) for n in range(1, 11)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error.decode()
    found = runs(limit=1000)
    assert len(found) == 50 and all(len(run.figures) == 1 for run in found)
    assert len({run.id for run in found}) == 50


def test_the_identity_of_a_machine_tells_nothing_of_it() -> None:
    machine = history.machine_of(day(1, 700))
    assert len(machine) == 16 and int(machine, 16) >= 0
    assert machine == history.machine_of(day(2, 100)) != history.machine_of(result(device="Tesla T4"))


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_pipe_in_the_historys_place_costs_the_history_and_no_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HistoryError, match="no file"):
        runs(file=tmp_path / "pipe")
    with pytest.raises(HistoryError, match="no file"):
        add(past_of(day(1, 700)), tmp_path / "pipe")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE figure SET launches = '[]'", "UPDATE figure SET launches = '[1e999]'", "UPDATE figure SET launches = '{'",
        "UPDATE figure SET value = 9e999", "UPDATE figure SET value = 'x'", "UPDATE figure SET workload = x'ff00'",
        "UPDATE run SET created = x'ff'", "UPDATE run SET threads = 1e300", "UPDATE run SET partial = 'maybe'",
        "UPDATE run SET created = CAST(x'ff' AS TEXT)", "DROP TABLE figure", "ALTER TABLE run DROP COLUMN suite",
        "ALTER TABLE figure RENAME COLUMN value TO worth", "PRAGMA user_version = 99", "PRAGMA user_version = -1",
    ],
)  # fmt: skip
def test_a_damaged_history_is_one_note_and_never_the_end_of_a_run(damage: str) -> None:
    kept([700, 703, 698])
    connection = sqlite3.connect(history.path())
    connection.execute(damage)
    connection.commit()
    connection.close()
    found = remember(day(9, 640))
    assert len([note for note in found.notes if "history" in note]) <= 1


def test_random_damage_to_the_file_is_never_more_than_a_note() -> None:
    import random

    kept([700, 703, 698])
    whole = history.path().read_bytes()
    draw = random.Random(7)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 10, 500))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        history.path().write_bytes(data[: draw.choice((len(data), len(data) // 2, 100))])
        for sidecar in ("-wal", "-shm"):
            Path(f"{history.path()}{sidecar}").unlink(missing_ok=True)
        remember(day(9, 640))
