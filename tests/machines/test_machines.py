"""Whole machines through the real command: the right verdict on the broken ones, none on the healthy ones."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.judging import judge_content, judge_snapshot, judge_text
from envdoctor.diagnosis.model import Severity
from envdoctor.diagnosis.model import Verdict as Judged
from envdoctor.facts.redaction import redact
from envdoctor.knowledge import load
from envdoctor.reading.dumps import read
from envdoctor.report.check.data import to_json
from tests.machines import (
    container,
    driver,
    gpu,
    healthy,
    installs,
    libraries,
    pasted,
    python,
    several,
    shared,
    toolkits,
    unexplained,
)
from tests.machines.dumps import paste
from tests.machines.simulation import Case, Verdict, check, discard_template, usable_processors

CASES = [
    case
    for module in (
        healthy,
        driver,
        gpu,
        container,
        libraries,
        python,
        toolkits,
        shared,
        several,
        pasted,
        installs,
        unexplained,
    )
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
    assert case.text is not None or again["verdict"] == live["verdict"]


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


# What a paste cannot tell apart, by machine: the words are those of the other cause as well, and the facts that decide are not in
# a dump. A machine that leaves this list is a gain; one that joins it is a loss, and needs a reason.
ALIKE = {
    # "No CUDA GPUs are available", and nothing that says why
    "a Pascal card under the open module": "visible-devices-hidden",
    "MIG is on and nothing was made of it": "visible-devices-hidden",
    "a stub of libcuda in LD_LIBRARY_PATH": "visible-devices-hidden",
    "a driver whose card was taken out": "uvm-broken",
    # "No module named 'torch'" comes first; whether one could be installed is not looked for in a text
    "no driver and no torch": "torch-missing",
    "Alpine without torch": "torch-missing",
    "a RISC-V board without torch": "torch-missing",
    "a Python for which there are no wheels yet": "torch-missing",
    # the loader's words, without the path, the sizes and the copies that a live look sees
    "two torches, and the first cannot be imported": "torch-install-corrupt",
    "an install that was cut off": "extension-abi-mismatch",
    "an image that brings libcuda of another driver": "forward-compat-broken",
    "NVML fails, and torch sees no GPU": "container-gpu-detached",
    "an error inside cuDNN": "cudnn-version-mismatch",
    # a card that no torch serves, and words of a missing driver
    "a card too old for any torch in a machine without a driver": "driver-missing",
    # a log that is of another moment
    "a card that was lost and reset since": "gpu-lost",
}


@every_machine
def test_what_a_person_pastes_from_the_machine_has_the_same_cause_or_too_little(
    case: Case, verdict_of: Callable[[Case], Verdict]
) -> None:
    if case.text is not None:
        pytest.skip("a paste itself")
    machine = read(json.dumps(verdict_of(case).report["snapshot"]))
    text = paste(machine).encode()
    _, checked = judge_content(text, load())
    _, explained = judge_text(io.BytesIO(text), load())
    assert [f.code for f in explained.findings] == [f.code for f in checked.findings]
    error = next((f.code for f in checked.findings if f.severity is Severity.ERROR and f.consequence_of is None), None)
    if case.name in ALIKE:
        assert error == ALIKE[case.name]
    elif case.primary is None or case.level != "error":
        assert error is None, (error, text.decode())
    else:
        assert error in (case.primary, None)
        assert checked.verdict is not Judged.HEALTHY, text.decode()


def test_every_diagnosis_is_made_on_a_machine_that_has_its_fault() -> None:
    assert {case.primary for case in CASES} - {None} == {diagnosis.code for diagnosis in all_diagnoses()}


def test_every_diagnosis_is_silent_on_a_machine_that_only_resembles_its_fault() -> None:
    spared = {code for case in CASES if case.primary is None for code in case.near}
    assert spared == {diagnosis.code for diagnosis in all_diagnoses()}


def test_every_machine_has_a_name_of_its_own_and_a_third_of_them_are_healthy() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60
    assert sum(case.primary is None for case in CASES) * 3 >= len(CASES)
