"""Whole machines through the real command: the right verdict on the broken ones, none on the healthy ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.judging import judge_snapshot
from envdoctor.facts.redaction import redact
from envdoctor.knowledge import load
from envdoctor.reading.dumps import read
from envdoctor.report.check.data import to_json
from tests.fakes.machine import needs_compiler
from tests.machines import container, driver, gpu, healthy, libraries, pasted, python, several, shared, toolkits, unexplained
from tests.machines.simulation import Case, Verdict, check, discard_template, usable_processors

pytestmark = needs_compiler

CASES = [
    case
    for module in (healthy, driver, gpu, container, libraries, python, toolkits, shared, several, pasted, unexplained)
    for case in module.CASES
]
every_machine = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def verdict_of(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[Case], Verdict]]:
    """The verdict on a machine. Each is built and checked once, ahead of the tests that ask, on all processors."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function) and hasattr(item, "callspec"))
    chosen: dict[str, Case] = {}
    for item in items:
        case = item.callspec.params.get("case")
        if isinstance(case, Case):
            chosen[case.name] = case
    with ThreadPoolExecutor(usable_processors()) as pool:
        verdicts: dict[str, Future[Verdict]] = {
            name: pool.submit(check, case, tmp_path_factory.mktemp("machine")) for name, case in chosen.items()
        }
        yield lambda case: verdicts[case.name].result()
        pool.shutdown(cancel_futures=True)
    discard_template()


@every_machine
def test_the_verdict_is_right(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    verdict = verdict_of(case)
    broken = case.primary is not None and case.level == "error"
    assert verdict.report["primary"] == case.primary, (verdict.codes, verdict.stderr)
    assert verdict.code == int(broken)
    assert verdict.report["ok"] is not broken
    if case.text is None:
        assert verdict.report["verdict"] == ("broken" if broken else "unknown" if case.unknown else "healthy")
    assert not set(verdict.codes) & {*case.near, *case.never}, verdict.codes
    assert [p for p in verdict.report["snapshot"].get("probes", []) if p["outcome"] != "ok"] == []
    assert verdict.stderr == ""


@every_machine
def test_only_the_planted_fault_is_found(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    findings = verdict_of(case).report["findings"]
    roots = [(f["code"], f["severity"]) for f in findings if f["consequence_of"] is None and f["severity"] != "info"]
    planted = [] if case.primary is None else [(case.primary, case.level)]
    assert roots[: len(planted)] == planted
    assert tuple(code for code, _ in roots[len(planted) :]) == case.also


@every_machine
def test_a_snapshot_gives_the_same_findings_as_the_machine(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    live = verdict_of(case).report
    snapshot = read(json.dumps(live["snapshot"]))
    again = json.loads(to_json(snapshot, judge_snapshot(snapshot, load())))
    assert [_judged(f) for f in again["findings"]] == [_judged(f) for f in live["findings"]]


def _judged(finding: dict[str, Any]) -> dict[str, Any]:
    """A finding without its place in the text: a snapshot keeps the telling lines of a text and not their numbers."""
    return {key: finding[key] for key in ("code", "severity", "summary", "evidence", "fixes", "consequence_of")}


@every_machine
def test_a_redacted_snapshot_gives_the_same_verdict(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    live = verdict_of(case).report
    snapshot = redact(read(json.dumps(live["snapshot"])))
    again = json.loads(to_json(snapshot, judge_snapshot(snapshot, load())))
    assert (again["ok"], again["primary"]) == (live["ok"], live["primary"])
    assert [f["code"] for f in again["findings"]] == [f["code"] for f in live["findings"]]


def test_every_diagnosis_is_made_on_a_machine_that_has_its_fault() -> None:
    assert {case.primary for case in CASES} - {None} == {diagnosis.code for diagnosis in all_diagnoses()}


def test_every_diagnosis_is_silent_on_a_machine_that_only_resembles_its_fault() -> None:
    spared = {code for case in CASES if case.primary is None for code in case.near}
    assert spared == {diagnosis.code for diagnosis in all_diagnoses()}


def test_every_machine_has_a_name_of_its_own_and_a_third_of_them_are_healthy() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60
    assert sum(case.primary is None for case in CASES) * 3 >= len(CASES)
