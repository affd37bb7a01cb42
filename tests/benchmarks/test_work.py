"""What makes two results comparable: the work, all of it, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import benchmarks
from benchmarks.harness.work import canonical, work_hash

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of the machine, which may be loaded
@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_the_order_of_parameters_does_not_matter(parameters: dict[str, object]) -> None:
    backwards = dict(reversed(list(parameters.items())))
    assert work_hash("matmul.bf16", 1, parameters) == work_hash("matmul.bf16", 1, backwards)


@pytest.mark.parametrize(
    ("name", "version", "parameters"),
    [
        ("matmul.fp16", 1, {"tier": "gpu", "n": 8192}),
        ("matmul.bf16", 2, {"tier": "gpu", "n": 8192}),
        ("matmul.bf16", 1, {"tier": "cpu", "n": 8192}),
        ("matmul.bf16", 1, {"tier": "gpu", "n": 4096}),
        ("matmul.bf16", 1, {"tier": "gpu"}),
    ],
)
def test_other_work_has_another_hash(name: str, version: int, parameters: dict[str, object]) -> None:
    assert work_hash(name, version, parameters) != work_hash("matmul.bf16", 1, {"tier": "gpu", "n": 8192})


def test_the_suites_version_is_part_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    before = work_hash("matmul.bf16", 1, {})
    monkeypatch.setattr("benchmarks.harness.work.SUITE_VERSION", benchmarks.SUITE_VERSION + 1)
    assert work_hash("matmul.bf16", 1, {}) != before


def test_the_hash_is_stable_over_releases() -> None:
    # Stored results carry it: a change here would make them incomparable without a word.
    assert canonical({"b": [1, 2.5, None], "a": "\u00e9"}) == '{"a":"\\u00e9","b":[1,2.5,null]}'
    assert work_hash("memory.copy", 1, {"tier": "cpu"}).startswith("8db6cc96f37062d1")


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"lr": float("nan")})
    with pytest.raises(TypeError):
        canonical({"device": object()})
