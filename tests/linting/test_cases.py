"""Small files after shapes that people publish, each with an expert's verdict for three machines.

none; an RTX 5090 with driver 580; an A100 with driver 535. `cases/*.yaml` holds them: the verdict, then each finding as its code,
! (error) or ? (milder), and its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.linting import readers
from envdoctor.linting.linter import lint
from envdoctor.planning.model import Target
from envdoctor.planning.target import describe
from tests.as_of import then

MACHINES = {"none": None, "rtx5090": ("RTX 5090", "580"), "a100": ("A100", "535")}
CASES: list[dict[str, Any]] = [
    case
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]


def target_of(machine: str) -> Target | None:
    described = MACHINES[machine]
    return describe(then(), gpus=[described[0]], driver=described[1]) if described else None


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("case", CASES, ids=[f"{case['file']}-{case['id']}" for case in CASES])
def test_the_verdict_is_an_expert_s(case: dict[str, Any], machine: str, tmp_path: Path) -> None:
    for name, text in case.get("beside", {}).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    described = readers.parse(str(tmp_path / case["file"]), case["text"])
    diagnosed = lint([described], Snapshot(), then(), target=target_of(machine))
    marks = (f"{f.code}{'!' if f.severity is Severity.ERROR else '?'}@{f.line}" for f in diagnosed.findings)
    assert " ".join([diagnosed.verdict.value, *sorted(set(marks))]) == case[machine]


def test_nothing_is_called_sound_whose_torch_was_not_found_out() -> None:
    for case in CASES:
        described = readers.parse(case["file"], case["text"])
        for machine in MACHINES:
            diagnosed = lint([described], Snapshot(), then(), target=target_of(machine))
            if diagnosed.accounts[0].not_judged:
                assert diagnosed.verdict.value != "healthy"
