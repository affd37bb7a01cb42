"""Every workload says what it measures, and what it then reports is what it said."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

import pytest

from benchmarks.workloads import WORKLOADS
from tests.benchmarks.target import ROOT, bench, events, results

MODULES = sorted({entry.module for entry in WORKLOADS.values()})
# What the other tests do not run, and no more of it than a minute allows.
RUN = (
    "memory.triad", "memory.rmw", "transfer", "launch", "conv.dgrad", "transformer.train", "refcnn.train", "loader.uint8",
    "loader.feed", "soak",
)  # fmt: skip


def documented(module: str) -> dict[str, str]:
    """The sections of a workload's docstring."""
    source = (ROOT / "benchmarks" / "workloads" / f"{module}.py").read_text()
    text = ast.get_docstring(ast.parse(source)) or ""
    return dict(re.findall(r"^([A-Z]\w+|fp8)  +((?:.*\n?)(?:^ {12}.*\n?)*)", text, re.MULTILINE))


@pytest.mark.parametrize("module", MODULES)
def test_a_workload_says_what_it_measures_how_in_what_unit_and_from_where(module: str) -> None:
    sections = documented(module)
    assert {"Measures", "Unit", "Source"} <= set(sections)
    assert sections.keys() & {"Formula", "Gate"}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Any]]:
    done = bench("--device=cpu", "--events", "--budget=20", *(f"--workload={name}" for name in RUN), torchvision=True)
    assert done.returncode == 0, [e for e in events(done) if e["event"] == "error"]
    return results(done)


@pytest.mark.torch
def test_figures_come_in_the_units_that_were_promised(measured: dict[str, dict[str, Any]]) -> None:
    assert len(measured) == 10  # of transfer and launch, the CPU's part
    for name, workload in measured.items():
        units = documented(WORKLOADS[name].module)["Unit"]
        for metric in workload["metrics"].values():
            assert re.search(rf"(?<![\w/]){re.escape(metric['unit'])}(?![\w/])", units), (name, metric["unit"], units)


@pytest.mark.torch
def test_figures_are_numbers_and_below_their_limits(measured: dict[str, dict[str, Any]]) -> None:
    for name, workload in measured.items():
        for key, metric in workload["metrics"].items():
            assert metric["value"] is not None and math.isfinite(metric["value"]), (name, key)
            assert metric["p10"] <= metric["value"] <= metric["p90"]
            assert metric["better"] in ("higher", "lower")
            # A single sample on a loaded machine may be anything; a limit that a median passes by a third is a wrong one.
            assert metric["limit"] is None or 0 < metric["limit"]["percent"] < 133, (name, key, metric["limit"])


@pytest.mark.torch
def test_equal_computations_give_equal_bits(measured: dict[str, dict[str, Any]]) -> None:
    assert measured["soak"]["metrics"]["different"]["value"] == 0
    assert measured["soak"]["valid"]


@pytest.mark.torch
def test_a_ratio_of_two_timings_is_theirs(measured: dict[str, dict[str, Any]]) -> None:
    found = measured["refcnn.train"]["metrics"]
    ratio = found["article_step"]["value"] / found["step"]["value"]
    assert found["speedup"]["value"] == pytest.approx(ratio, rel=1e-6)
    if found["speedup"]["ci95"]:
        low, high = found["speedup"]["ci95"]
        assert low < ratio < high
