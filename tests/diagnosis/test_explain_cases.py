"""Real error texts, where this checkout lies beside them: the cause is named first, or among the first three."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from envdoctor.diagnosis.explaining import explain
from envdoctor.knowledge import load

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "dev.jsonl"


@pytest.mark.skipif(not CASES.is_file(), reason="the collected cases are not beside this checkout")
def test_real_errors_are_explained() -> None:
    world = load()
    cases = [
        case for line in CASES.read_text(encoding="utf-8").splitlines() if (case := json.loads(line))["kind"] == "error"
    ]
    wrong, unnamed = [], []
    for case in cases:
        codes = [c.code for c in explain(io.BytesIO(case["text"].encode()), world).candidates]
        if not codes or codes[0] not in case["accept"]:
            wrong.append((case["id"], codes[:3]))
        if not set(codes[:3]) & set(case["accept"]):
            unnamed.append((case["id"], codes[:3]))
    assert len(wrong) <= 0.05 * len(cases), wrong
    assert len(unnamed) <= 0.01 * len(cases), unnamed
