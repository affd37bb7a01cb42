"""Each rule is data with a page: it fires on its first example, is silent on its second, and ends in a diagnosis that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.linting import pages
from envdoctor.linting.rules.catalogue import RULES, LintRule
from tests.linting.files import described_findings

CODES = {diagnosis.code for diagnosis in all_diagnoses()}
DOCS = Path(__file__).parents[2] / pages.FOLDER


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_a_rule_fires_on_one_example_and_is_silent_on_the_other(rule: LintRule) -> None:
    fired = [f for f in described_findings(rule.file, rule.fires, rule.gpu, rule.driver) if f.rule == rule.id]
    assert fired
    assert {f.code for f in fired} <= set(rule.codes) <= CODES
    assert rule.id not in {f.rule for f in described_findings(rule.file, rule.silent, rule.gpu, rule.driver)}


def test_ids_are_unique() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_the_pages_are_as_the_data_says() -> None:
    assert pages.stale(DOCS) == {}
