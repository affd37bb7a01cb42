"""What a card's datasheet and its link allow, and where they allow nothing."""

from __future__ import annotations

import pytest

from envdoctor.bench.peaks import with_peaks
from envdoctor.bench.results import PhysicalLimit, Telemetry, WorkloadResult
from tests.bench.made import metric, result, workload


def limit(found: WorkloadResult, device: str) -> PhysicalLimit | None:
    (judged,) = with_peaks(result(found, device=device)).workloads
    return judged.headline[1].limit if judged.headline else None


def test_a_card_that_boosts_past_its_datasheets_clock_is_held_against_the_clock_that_it_held() -> None:
    def at(clock: float) -> PhysicalLimit | None:
        seen = Telemetry(samples=50, sm_clock=(clock, clock, clock))
        return limit(workload("matmul.bf16", (170, 170, 170), telemetry=seen), "NVIDIA GeForce RTX 4090")

    sheet, boosted, held = at(2520), at(2775), at(2000)
    assert sheet and boosted and held
    assert boosted.value == pytest.approx(sheet.value * 2775 / 2520, rel=0.01) and "2775 MHz" in boosted.what
    assert held.value == sheet.value, "a clock that is held down is what the figure tells"


def test_a_part_of_a_card_is_not_held_against_the_whole() -> None:
    assert limit(workload("matmul.bf16"), "NVIDIA H100 80GB HBM3") is not None
    assert limit(workload("matmul.bf16"), "NVIDIA H100 80GB HBM3 MIG 1g.10gb") is None


def test_a_chip_to_chip_link_is_not_held_against_pcie() -> None:
    seen = Telemetry(samples=50, pcie_generation=5, pcie_width=16)
    copied = WorkloadResult(
        name="transfer.h2d.pinned", metrics={"bandwidth": metric((55, 55, 55), "GB/s")}, telemetry=seen
    )
    assert limit(copied, "NVIDIA H100 80GB HBM3") is not None
    assert limit(copied, "NVIDIA GH200 480GB") is None
