"""A machine is held against the GPUs that are expected of it."""

from __future__ import annotations

import pytest

from envdoctor.diagnosis.expectation import held_against
from envdoctor.diagnosis.model import Diagnosed, Severity, Verdict
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import load
from envdoctor.planning.gpu_list import parse_gpus
from tests.diagnosis.snapshots import gpu, machine, nvml

HEALTHY = Diagnosed(findings=(), ran=(), verdict=Verdict.HEALTHY)


def node(count: int, name: str = "NVIDIA H100 80GB HBM3", capability: str = "9.0") -> Snapshot:
    return machine(pci=None, nvml=nvml(*(gpu(name, capability, index=i) for i in range(count))))


def held(expected: str, there: Snapshot) -> Diagnosed:
    return held_against(parse_gpus((expected,), load())[0], HEALTHY, there, load())


@pytest.mark.parametrize(
    ("expected", "there"),
    [
        ("8x H100", node(8)),
        ("7x H100", node(8)),
        ("8x sm_90", node(8)),
        ("T4", node(1, "Tesla T4", "7.5")),
        ("none", node(2)),
    ],
)
def test_a_machine_that_has_them_keeps_its_verdict(expected: str, there: Snapshot) -> None:
    assert held(expected, there) == HEALTHY


@pytest.mark.parametrize(
    ("expected", "there", "missing"),
    [
        ("8x H100", node(7), "missing NVIDIA H100"),
        ("8x H100", node(0), "missing 8x NVIDIA H100"),
        ("2x A100", node(2), "missing 2x A100"),
        ("RTX 4090", node(1, "NVIDIA GeForce RTX 4080", "8.9"), "missing NVIDIA GeForce RTX 4090"),
    ],
)
def test_one_that_lacks_one_is_broken(expected: str, there: Snapshot, missing: str) -> None:
    found = held(expected, there)
    assert found.verdict is Verdict.BROKEN and found.primary is not None
    assert found.primary.severity is Severity.ERROR and missing in found.primary.summary
    assert found.primary.fixes
