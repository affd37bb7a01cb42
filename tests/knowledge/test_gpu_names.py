"""GPUs found by the names that people, clouds and other machines' makers write."""

from __future__ import annotations

import pytest

from envdoctor.knowledge import UnknownGpu, load


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("GT 710", "3.5"),
        ("GeForce GT 730", "3.5"),
        ("GT 740", "3.0"),
        ("GRID K520", "3.0"),
        ("Tesla M10", "5.0"),
        ("GeForce 840M", "5.0"),
        ("Quadro K420", "3.0"),
        ("T4G", "7.5"),
        ("A100X", "8.0"),
        ("CMP 170HX", "8.0"),
        ("DGX A100", "8.0"),
        ("DGX H100", "9.0"),
        ("nvidia-h100-mega-80gb", "9.0"),
        ("GB10 Superchip", "12.1"),
        ("Jetson TX2 NX", "6.2"),
        ("A6000 Ada", "8.9"),
        ("nvidia-tesla-k80", "3.7"),
    ],
)
def test_a_gpu_is_found_by_the_name_that_people_write(name: str, capability: str) -> None:
    assert load().gpu(name).capability == capability


@pytest.mark.parametrize(
    "name", ["Radeon RX 7900 XTX", "RX 6800", "MI300X", "Arc A770", "Apple M2 Max", "Intel UHD 630"]
)
def test_a_gpu_of_another_maker_is_called_one(name: str) -> None:
    with pytest.raises(UnknownGpu, match="is no NVIDIA GPU"):
        load().gpu(name)


@pytest.mark.parametrize("name", ["Blackwell", "Ampere", "NVIDIA Ada Lovelace"])
def test_an_architecture_alone_names_no_gpu(name: str) -> None:
    with pytest.raises(UnknownGpu):
        load().gpu(name)


@pytest.mark.parametrize("name", ["M4", "M10", "M40", "M2000", "Quadro M6000"])
def test_nvidia_s_own_m_cards_are_not_taken_for_apple_s_chips(name: str) -> None:
    try:
        load().gpu(name)
    except UnknownGpu as error:
        assert not error.other_maker
