"""Real error texts, where this checkout lies beside them: the cause is named first, or among the first three."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.diagnosis.texts import codes

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "dev.jsonl"


@pytest.mark.skipif(not CASES.is_file(), reason="the collected cases are not beside this checkout")
def test_real_errors_are_explained() -> None:
    cases = [
        case for line in CASES.read_text(encoding="utf-8").splitlines() if (case := json.loads(line))["kind"] == "error"
    ]
    wrong, unnamed = [], []
    for case in cases:
        named = codes(case["text"])
        if not named or named[0] not in case["accept"]:
            wrong.append((case["id"], named[:3]))
        if not set(named[:3]) & set(case["accept"]):
            unnamed.append((case["id"], named[:3]))
    assert len(wrong) <= 0.05 * len(cases), wrong
    assert len(unnamed) <= 0.01 * len(cases), unnamed
