"""A failure that was seen is a finding, whoever can explain it, and green needs proof: every fault on every kind of machine."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from envdoctor.diagnosis.catalogue import select
from envdoctor.diagnosis.judging import judge_content, judge_machine
from envdoctor.diagnosis.model import Severity, Verdict
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import load
from envdoctor.report.check.data import to_json
from envdoctor.report.check.headline import headline
from tests.cli.test_errors import run
from tests.machines.fault_matrix import Fault, broken, faults
from tests.machines.near_misses import near_misses

WORLD = load()
BROKEN = list(broken())
SOUND = near_misses()


@pytest.mark.parametrize("fault", [f.name for f in faults()])
def test_no_machine_with_a_fault_is_called_healthy(fault: str) -> None:
    for name, machine, of in (case for case in BROKEN if case[2].name == fault):
        _not_green(name, machine, of)


def _not_green(name: str, machine: Snapshot, fault: Fault) -> None:
    judged = judge_machine(machine, WORLD)
    line = headline(machine, judged)
    assert judged.verdict is not Verdict.HEALTHY, (name, line.text)
    assert line.tone != "good" and "works, but" not in line.text and "None" not in line.text, (name, line.text)
    if fault.seen:
        assert judged.verdict is Verdict.BROKEN and judged.has(Severity.ERROR), (name, line.text)
        assert judged.primary is not None and judged.primary.evidence, name
    report = json.loads(to_json(machine, judged))
    assert report["verdict"] == judged.verdict.value
    assert report["ok"] is not judged.has(Severity.ERROR)


def test_there_are_hundreds_of_broken_machines_and_dozens_of_sound_ones() -> None:
    assert len(BROKEN) > 800 and len({name for name, _, _ in BROKEN}) == len(BROKEN)
    assert len(SOUND) > 30


@pytest.mark.parametrize("name", SOUND)
def test_no_sound_machine_raises_an_alarm(name: str) -> None:
    judged = judge_machine(SOUND[name], WORLD)
    assert [(f.code, f.summary) for f in judged.findings if f.severity is not Severity.INFO] == []
    line = headline(SOUND[name], judged)
    assert judged.verdict is Verdict.HEALTHY and line.tone == "good" and "None" not in line.text


def test_a_cause_that_was_not_asked_for_makes_no_machine_healthy() -> None:
    """`--only` leaves causes out; what failed was seen all the same."""
    chosen = select(("shm-too-small",))
    green = [
        name
        for name, machine, fault in BROKEN
        if fault.seen
        and fault.name != "a card without a driver"
        and judge_machine(machine, WORLD, chosen).verdict is Verdict.HEALTHY
    ]
    assert green == []


def test_an_empty_snapshot_is_not_healthy() -> None:
    _, judged = judge_content(b'{"schema": "envdoctor.snapshot/1"}', WORLD)
    assert judged.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("name", "verdict", "code"),
    [
        ("workstation: convolution: wrong", "broken", 1),
        ("8x H100: cuInit answers 3, --fast", "broken", 1),
        ("workstation: NVML and cuInit out of time, --fast", "unknown", 0),
        ("workstation: nothing known", "unknown", 0),
        ("workstation", "healthy", 0),
        ("8x H100, --fast", "healthy", 0),
        ("a CUDA build and no GPU", "healthy", 0),
    ],
)
def test_a_snapshots_verdict_and_exit_code_are_the_machines(name: str, verdict: str, code: int, tmp_path: Path) -> None:
    machine = SOUND[name] if name in SOUND else next(m for n, m, _ in BROKEN if n == name)
    file = tmp_path / "snapshot.json"
    file.write_bytes(msgspec.json.encode(machine))
    done, stdout, stderr = run("check", "--from", file, "--format", "json")
    report = json.loads(stdout)
    assert (done, report["verdict"], report["ok"], stderr) == (code, verdict, code == 0, "")
    assert report["verdict"] == judge_machine(machine, WORLD).verdict.value
    assert (report["primary"] is not None) is (verdict == "broken")


def test_a_warning_under_wsl_1_does_not_claim_that_all_works() -> None:
    """'It works, but: CUDA does not work' contradicts itself."""
    machine = SOUND["WSL without an NVIDIA GPU"]
    assert machine.host
    first = msgspec.structs.replace(machine, host=msgspec.structs.replace(machine.host, wsl=1))
    judged = judge_machine(first, WORLD)
    assert [f.code for f in judged.findings] == ["wsl-driver-problem"]
    assert "works, but" not in headline(first, judged).text
