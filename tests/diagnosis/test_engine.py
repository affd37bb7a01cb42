"""How findings are folded and ordered."""

from __future__ import annotations

import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses, select
from envdoctor.diagnosis.engine import diagnose
from envdoctor.diagnosis.model import Diagnosis, Finding, Layer, Severity
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Distribution as Installed
from envdoctor.facts.sections.interpreter import Interpreter, TorchRun
from envdoctor.knowledge import load
from tests.diagnosis.snapshots import FLAGS_2_15, judge, machine, torch


def says(code: str, severity: Severity = Severity.ERROR, follows: tuple[str, ...] = (), **finding: object) -> Diagnosis:
    return Diagnosis(
        code=code,
        layer=Layer.HOST,
        severity=severity,
        title=code,
        page=code,
        follows_from=follows,
        check=lambda snapshot, world: Finding(summary=code, **finding),  # type: ignore[arg-type]
    )


def told(*diagnoses: Diagnosis) -> list[tuple[str, str | None]]:
    return [(f.code, f.consequence_of) for f in diagnose(Snapshot(), load(), diagnoses).findings]


def test_errors_come_before_warnings_and_then_the_catalogue_decides() -> None:
    assert [code for code, _ in told(says("a", Severity.WARNING), says("b"), says("c", Severity.INFO), says("d"))] == [
        "b",
        "d",
        "a",
        "c",
    ]


def test_a_consequence_is_folded_under_its_root_and_comes_last() -> None:
    assert told(says("late", follows=("root",)), says("root")) == [("root", None), ("late", "root")]


def test_a_consequence_of_a_consequence_belongs_to_the_root() -> None:
    chain = told(says("root"), says("middle", follows=("root",)), says("end", follows=("middle",)))
    assert chain == [("root", None), ("middle", "root"), ("end", "root")]


def test_a_warning_never_hides_an_error() -> None:
    assert told(says("mild", Severity.WARNING), says("bad", follows=("mild",))) == [("bad", None), ("mild", None)]


def test_a_finding_may_be_milder_than_its_code() -> None:
    (finding,) = diagnose(Snapshot(), load(), [says("a", severity=Severity.ERROR)]).findings
    assert finding.severity is Severity.ERROR
    milder = Diagnosis(
        code="a",
        layer=Layer.HOST,
        severity=Severity.ERROR,
        title="a",
        page="a",
        follows_from=(),
        check=lambda snapshot, world: Finding(summary="a", severity=Severity.WARNING),
    )
    diagnosed = diagnose(Snapshot(), load(), [milder])
    assert not diagnosed.has(Severity.ERROR) and diagnosed.has(Severity.WARNING)


def test_information_alone_is_no_primary_finding() -> None:
    diagnosed = diagnose(Snapshot(), load(), [says("note", Severity.INFO)])
    assert diagnosed.primary is None and not diagnosed.has(Severity.WARNING)


def test_the_star_follows_any_other_error_but_no_warning() -> None:
    assert told(says("any", follows=("*",)), says("warning", Severity.WARNING)) == [("any", None), ("warning", None)]
    assert told(says("any", follows=("*",)), says("error")) == [("error", None), ("any", "error")]


def test_codes_are_unique_and_every_page_explains_itself() -> None:
    codes = [d.code for d in all_diagnoses()]
    assert len(codes) == len(set(codes))
    for diagnosis in all_diagnoses():
        for heading in ("What it is", "Told apart by", "Repair", "Sources"):
            assert heading in diagnosis.page, (diagnosis.code, heading)
        assert set(diagnosis.follows_from) <= {*codes, "*"}, diagnosis.code


def test_a_misspelt_code_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match="driver-missing"):
        select(("driver-mising",))


def test_selecting_keeps_the_order_of_the_catalogue() -> None:
    assert [d.code for d in select(("torch-missing", "driver-missing"))] == ["driver-missing", "torch-missing"]


def test_a_garbled_requirement_costs_the_diagnoses_that_read_it_and_no_other() -> None:
    garbled = Installed(name="torch", version="2.15.0+cu132", requires=("nvidia-cudnn-cu13==~=9",))
    run = TorchRun(outcome="import-error", error="ImportError: libcudnn.so.9: cannot open shared object file")
    own = torch(flags=FLAGS_2_15, run=run)
    python = Interpreter(version="3.12.3", torch=own, torch_installed=True, distributions=(garbled,), broken_pins=())
    diagnosed = judge(machine(interpreter=python))
    assert diagnosed.unjudged and "torch-failure-unexplained" in diagnosed.ran
