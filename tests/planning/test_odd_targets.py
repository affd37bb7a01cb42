"""Machines off the beaten path: numbers of other drivers, drivers at a boundary, old systems and Pythons, names as people write.

Each answer was worked out by hand from the wheels' own metadata and NVIDIA's tables, not taken from the planner.
"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.errors import InputError
from tests.planning.test_targets import planned

NEWEST = ("2.15.0", "cu132")
LAST_CUDA_12 = ("2.14.1", "cu126")

FEASIBLE: list[tuple[dict[str, Any], tuple[str, str]]] = [
    # At the boundary of CUDA 13, 12 and 11.
    ({"gpus": "A100-SXM4-80GB", "driver": "580.65.06"}, NEWEST),
    ({"gpus": "A100-SXM4-80GB", "driver": "575.57.08"}, LAST_CUDA_12),
    ({"gpus": "Tesla T4", "driver": "525.60.13"}, LAST_CUDA_12),
    ({"gpus": "Tesla T4", "driver": "525.60.11"}, ("2.7.1", "cu118")),
    ({"gpus": "T4G", "driver": "580", "arch": "x86_64"}, NEWEST),
    # Windows and WSL count in Windows' numbers.
    ({"gpus": "RTX 4090", "driver": "576.88", "os": "windows"}, LAST_CUDA_12),
    ({"gpus": "RTX 3060", "driver": "528.24", "os": "windows"}, ("2.7.1", "cu118")),
    ({"gpus": "RTX 5080", "driver": "572.83", "os": "windows"}, ("2.11.0", "cu128")),
    ({"gpus": "RTX 5090", "driver": "572.83", "os": "wsl"}, ("2.13.0", "cu129")),
    ({"gpus": "RTX 3070", "driver": "527.41", "os": "wsl2"}, ("2.7.1", "cu118")),
    # Servers and boards.
    ({"gpus": "gh200", "driver": "550"}, LAST_CUDA_12),
    ({"gpus": "DGX A100", "driver": "535.183.01"}, LAST_CUDA_12),
    ({"gpus": "Jetson AGX Orin", "os": "ubuntu24.04"}, NEWEST),
    ({"gpus": "GB10", "driver": "580.95.05", "python": "3.14t"}, NEWEST),
    ({"gpus": "A100-SXM4-40GB MIG 1g.5gb", "driver": "470.57"}, ("2.7.1", "cu118")),
    # Mixed.
    ({"gpus": "K80 + P100"}, ("2.3.1", "cu118")),
    ({"gpus": "T4 + RTX 5060", "driver": "570"}, ("2.13.0", "cu129")),
    ({"gpus": "GTX 1080 + RTX 4090", "driver": "580"}, LAST_CUDA_12),
    # Old Pythons, and one that came and went.
    ({"gpus": "RTX 4090", "driver": "580", "python": "3.13t"}, ("2.12.0", "cu130")),
    ({"gpus": "RTX 5090", "driver": "570", "torch": "<2.8"}, ("2.7.1", "cu128")),
    ({"gpus": "RTX 4090", "driver": "550", "torch": "2.6.0+cu124"}, ("2.6.0", "cu124")),
    ({"gpus": "V100", "driver": "580", "cuda": "12.8"}, ("2.10.0", "cu128")),
    ({"gpus": "H100", "driver": "520.61.05"}, ("2.7.1", "cu118")),
]


@pytest.mark.parametrize(("words", "expected"), FEASIBLE)
def test_an_odd_machine_gets_the_newest_that_runs_there(words: dict[str, Any], expected: tuple[str, str]) -> None:
    stack = planned(**words).stack
    assert stack is not None
    assert (stack.torch, stack.channel) == expected


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ({"gpus": "GT 730", "driver": "470"}, "Run on the CPU"),
        ({"gpus": "GRID K520"}, "Run on the CPU"),
        ({"gpus": "GTX 1060", "driver": "595.45.04"}, "Install driver branch 580"),
        ({"gpus": "RTX 3060", "driver": "452.39", "os": "windows"}, "Update to driver 528.33"),
        ({"gpus": "Jetson AGX Orin", "os": "ubuntu22.04"}, "Install JetPack 7"),
        ({"gpus": "B300", "driver": "570"}, "Update to driver 580"),
        ({"gpus": "RTX 5090", "driver": "580", "os": "ubuntu18.04"}, "Run it in a container"),
        ({"gpus": "RTX 4090", "driver": "580", "python": "2.7"}, "Use Python 3"),
        ({"gpus": "RTX 5090", "driver": "580", "torch": "<2.7"}, "Give up the pin"),
    ],
)
def test_where_nothing_runs_the_cheapest_change_comes_first(words: dict[str, Any], change: str) -> None:
    answer = planned(**words)
    assert not answer.feasible
    assert answer.alternatives[0].change.startswith(change)


def test_a_card_of_another_maker_is_told_what_runs_beside_it() -> None:
    with pytest.raises(InputError, match=r"is no NVIDIA GPU\..*--gpu none"):
        planned(gpus="Radeon RX 7900 XTX")
