"""No solution is an answer: the derivation, the changes that would make one, and what they buy."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.planning.model import Plan
from envdoctor.planning.target import describe
from envdoctor.planning.unlock import Unlocks, unlocks
from envdoctor.planning.wishes import checked
from tests.as_of import then
from tests.planning.test_targets import planned


def changes(found: Plan) -> list[tuple[str, str]]:
    return [(one.change, f"{one.stack.torch} {one.stack.channel}") for one in found.alternatives if one.stack]


def constraints(found: Plan) -> list[str]:
    return [reason.constraint for reason in found.reasons]


def test_a_plan_is_derived_limit_by_limit() -> None:
    found = planned(gpus="RTX 5090 + RTX 3090", driver="570", os="ubuntu24.04", python="3.12")
    assert constraints(found) == ["platform", "gpu", "gpu", "driver", "python", "preference"]
    driver = found.reasons[3].text
    assert "CUDA 13 needs 580" in driver
    assert "The newest is now torch 2.13.0 with CUDA 12.9" in driver


def test_a_conflict_is_told_by_the_fewest_limits_that_make_it() -> None:
    found = planned(gpus="RTX 4090 + T4", driver="535", os="ubuntu24.04", python="3.12", torch=">=2.15")
    assert constraints(found) == ["driver", "torch", "conclusion"], "neither GPU, system nor Python has a part in it"
    assert "driver 535 and torch >=2.15" in found.reasons[-1].text


def test_a_pin_that_the_gpu_cannot_meet_names_both() -> None:
    found = planned(gpus="V100", driver="580", torch="2.15", cuda="13.2")
    assert constraints(found)[:1] == ["gpu"]
    assert len(found.reasons) == 3


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (
            {"gpus": "RTX 5090 + GTX 1080", "driver": "580"},
            ("Leave the NVIDIA GeForce GTX 1080 out and use the NVIDIA GeForce RTX 5090", "2.15.0 cu132"),
        ),
        (
            {"gpus": "V100", "driver": "580", "torch": "2.15"},
            ("Take torch 2.14.1, the nearest to 2.15 that fits", "2.14.1 cu126"),
        ),
        ({"gpus": "RTX 4090", "driver": "535", "torch": ">=2.15"}, ("Give up the pin torch >=2.15", "2.14.1 cu126")),
        (
            {"gpus": "RTX 4090", "driver": "580", "cuda": "13.4"},
            ("Take CUDA 13.2, the nearest to 13.4 that fits", "2.15.0 cu132"),
        ),
        (
            {"gpus": "RTX 4090", "driver": "580", "python": "3.6"},
            ("Use Python 3.14 (uv and conda bring it)", "2.15.0 cu132"),
        ),
        ({"gpus": "RTX 5090", "driver": "565"}, ("Update to driver 580 or newer", "2.15.0 cu132")),
        ({"gpus": "V100", "driver": "595"}, ("Install driver branch 580, the last that drives V100", "2.14.1 cu126")),
        (
            {"gpus": "Jetson AGX Orin", "os": "ubuntu22.04"},
            ("Install JetPack 7.2 (ubuntu24.04, CUDA 13.2)", "2.15.0 cu132"),
        ),
        ({"gpus": "Tesla K40m", "driver": "470"}, ("Run on the CPU, without the GPU", "2.14.1 cpu")),
    ],
)
def test_the_cheapest_change_comes_first_with_what_it_buys(words: dict[str, Any], first: tuple[str, str]) -> None:
    assert changes(planned(**words))[0] == first


def test_each_driver_that_makes_a_plan_possible_is_offered() -> None:
    found = [(change, buys) for change, buys in changes(planned(gpus="A100", driver="418")) if "driver" in change]
    assert found == [
        ("Update to driver 580 or newer", "2.15.0 cu132"),
        ("Update to driver 525.60.13 or newer (branch 525)", "2.14.1 cu126"),
        ("Update to driver 450.80.02 or newer (branch 450)", "2.7.1 cu118"),
    ]


def test_two_changes_are_offered_where_no_single_one_helps() -> None:
    found = planned(gpus="H100", driver="570", os="alpine", python="3.15")
    assert changes(found)
    assert all(", and " in change or "CPU" in change for change, _ in changes(found))


def test_a_feasible_plan_names_only_what_buys_a_newer_torch() -> None:
    assert changes(planned(gpus="H100", driver="580")) == []
    found = planned(gpus="RTX 3080", driver="535", os="ubuntu18.04")
    assert [one.cost for one in found.alternatives] == ["os"]
    assert "container" in found.alternatives[0].change
    assert changes(found)[0][1] == "2.14.1 cu126"


def test_the_newest_gpu_is_not_given_up_for_a_newer_torch() -> None:
    found = planned(gpus="RTX 5090 + RTX 3090", driver="570")
    assert [change for change, _ in changes(found)] == ["Update to driver 580 or newer"]


def test_hiding_a_gpu_says_how() -> None:
    found = planned(gpus="V100 + H100", driver="580")
    (leave,) = [one for one in found.alternatives if one.change.startswith("Leave")]
    assert leave.commands == ("export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=1",)
    assert leave.stack is not None
    assert leave.stack.environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert [gpu.capability for gpu in leave.stack.gpus] == ["9.0"]


def test_data_center_gpus_may_put_a_newer_libcuda_on_an_old_driver() -> None:
    (compat,) = [one for one in planned(gpus="H100", driver="535").alternatives if "cuda-compat" in one.change]
    assert compat.stack is not None
    assert compat.stack.environment["LD_LIBRARY_PATH"] == "/usr/local/cuda-13.0/compat"
    assert "cuda-compat-13-0" in compat.stack.system_packages
    for gpu, driver in (("RTX 4090", "535"), ("GB300", "570")):
        others = planned(gpus=gpu, driver=driver).alternatives
        assert others
        assert not any("cuda-compat" in one.change for one in others), (
            "GeForce may not; and the kernel must know the GPU"
        )


def test_windows_may_take_the_newer_linux_wheels_under_wsl() -> None:
    (wsl,) = planned(gpus="RTX 5090", driver="581.42", os="windows").alternatives
    assert "WSL 2" in wsl.change
    assert wsl.buys == "torch 2.15.0 with CUDA 13.2 instead of 2.14.1 with CUDA 13.0"


def test_windows_on_arm_has_cpu_wheels_and_wsl() -> None:
    """The CPU index has them for Python 3.11 to 3.13; a release that has none is to be had in WSL."""
    own = planned(gpus="none", os="windows", arch="aarch64")
    assert own.stack is not None
    assert (own.stack.channel, own.stack.python, own.stack.torchvision) == ("cpu", "3.13", None)
    found = planned(gpus="none", os="windows", arch="aarch64", torch="2.6.0")
    assert not found.feasible
    assert any("WSL" in change for change, _ in changes(found))


def ladder(**words: Any) -> Unlocks:
    machine = {name: words.pop(name) for name in ("gpus", "driver", "os") if name in words}
    return unlocks(describe(then(), **machine), checked(then(), **words), then())


def test_unlock_shows_the_whole_ladder_and_where_the_machine_stands() -> None:
    found = ladder(gpus=["RTX 4090"], driver="535.183.01")
    assert [
        (step.min_driver, step.branch, step.stack.torch, step.stack.channel, step.state) for step in found.drivers
    ] == [
        ("520", "520", "2.7.1", "cu118", "past"),
        ("525.60.13", "525", "2.14.1", "cu126", "current"),
        ("580", "580", "2.15.0", "cu132", "ahead"),
    ]


def test_unlock_stops_at_the_last_driver_for_an_old_gpu() -> None:
    assert [step.min_driver for step in ladder(gpus=["V100"]).drivers] == ["450.80.02", "525.60.13"]
    assert [step.min_driver for step in ladder(gpus=["K80"]).drivers] == ["450.80.02"]


def test_a_newer_cuda_for_the_same_torch_is_a_step_too() -> None:
    found = ladder(gpus=["A100"], driver="535", os="ubuntu18.04", python="3.8")
    assert [(step.stack.torch, step.stack.channel, step.state) for step in found.drivers] == [
        ("2.4.1", "cu118", "past"),
        ("2.4.1", "cu121", "current"),
    ]


def test_unlock_without_a_gpu_has_no_drivers() -> None:
    assert ladder(gpus=["none"]).drivers == ()


def test_unlock_shows_what_is_not_the_driver_apart() -> None:
    found = ladder(gpus=["RTX 4090"], driver="535", os="ubuntu18.04", python="3.8")
    assert {one.cost for one in found.others} == {"python"}
