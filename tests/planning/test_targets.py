"""What is planned for real machines, Kepler to Blackwell: the torch, its build, and where there is none.

The expected builds were looked up at the source, not taken from the planner: the wheels of each release with their device code
(PyPI, the release branches' build scripts), the cuDNN they pin with the devices it has kernels for, NVIDIA's tables of drivers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from envdoctor.planning.model import Plan
from envdoctor.planning.planner import plan
from envdoctor.planning.target import describe
from envdoctor.planning.wishes import checked
from tests.as_of import then

MACHINE = ("gpus", "driver", "os", "arch")


def planned(**words: Any) -> Plan:
    """The plan for a description in the words of the command line."""
    world = then()
    machine = {name: words.pop(name) for name in MACHINE if name in words}
    if isinstance(gpus := machine.get("gpus"), str):
        machine["gpus"] = [part.strip() for part in gpus.split("+")]
    return plan(describe(world, **machine), checked(world, **words), world)


class Case(NamedTuple):
    words: dict[str, Any]
    torch: str | None
    channel: str | None
    why: str


def case(torch: str | None, channel: str | None, why: str, /, **words: Any) -> Case:
    return Case(words, torch, channel, why)


CASES = [
    # Blackwell
    case("2.15.0", "cu132", "the newest has sm_120", gpus="RTX 5090", driver="580", os="ubuntu24.04"),
    case(
        "2.13.0",
        "cu129",
        "R570 runs CUDA 12 only; sm_120 begins with 12.8; cu129 ended at 2.13",
        gpus="RTX 5090",
        driver="570",
    ),
    case("2.13.0", "cu129", "the same card's driver by its full number", gpus="RTX 5090", driver="570.86.15"),
    case("2.11.0", "cu128", "the last cu128", gpus="RTX 5090", driver="570", cuda="12.8"),
    case(None, None, "R565 does not know Blackwell", gpus="RTX 5090", driver="565"),
    case("2.15.0", "cu132", "sm_100", gpus="8x B200", driver="580.95.05", os="ubuntu22.04"),
    case("2.13.0", "cu129", "sm_100 code runs on 10.3", gpus="GB300", driver="575"),
    case("2.15.0", "cu132", "sm_120 code runs on 12.1; aarch64 wheels", gpus="GB10", driver="580"),
    case("2.15.0", "cu132", "five models, one capability", gpus="RTX PRO 6000", driver="595", os="debian13"),
    case("2.7.1", "cu118", "a wish for CUDA 11.8 ends at 2.7.1", gpus="RTX 4090", driver="580", cuda="11.8"),
    case(None, None, "no CUDA 11.8 knows Blackwell", gpus="RTX 5090", driver="580", cuda="11.8"),
    # Mixed
    case("2.13.0", "cu129", "the 5090 and R570 decide", gpus="RTX 5090 + RTX 3090", driver="570", os="ubuntu24.04"),
    case(None, None, "open modules for one, proprietary for the other", gpus="RTX 5090 + GTX 1080", driver="580"),
    case(
        "2.8.0",
        "cu128",
        "the last Windows build with both sm_120 and sm_61",
        gpus="RTX 5090 + GTX 1080",
        driver="581.42",
        os="windows",
    ),
    case(
        "2.10.0",
        "cu128",
        "the last with sm_70 and sm_120; Windows has one driver",
        gpus="RTX 5090 + TITAN V",
        driver="581.42",
        os="windows",
    ),
    case("2.14.1", "cu126", "Volta ends with cu126", gpus="V100 + H100", driver="580"),
    case(None, None, "a Linux machine has one flavour of kernel modules", gpus="RTX 5090 + V100", driver="580"),
    case("2.3.1", "cu118", "R470 drives both; cuDNN 8.7 is the last for Kepler", gpus="K80 + A100", driver="470"),
    case(None, None, "R470 is Kepler's last, Ada's first is R520", gpus="K80 + RTX 4090"),
    # Hopper, Ada, Ampere, Turing by driver
    case("2.14.1", "cu126", "R535 runs CUDA 12", gpus="8x H100", driver="535.183.01", os="ubuntu22.04"),
    case("2.14.1", "cu126", "525.60.13 is the first for CUDA 12", gpus="RTX 4090", driver="525.60.13"),
    case("2.7.1", "cu118", "525.53 is one short of it", gpus="RTX 4090", driver="525.53"),
    case(None, None, "R510 does not know Hopper", gpus="H100", driver="510"),
    case(
        "2.7.1", "cu118", "R470 runs CUDA 11, whose last torch is 2.7.1", gpus="A100", driver="470.256.02", os="rocky8"
    ),
    case("2.7.1", "cu118", "450.80.02 is the first for CUDA 11.1 and later", gpus="A100", driver="450.80.02"),
    case(None, None, "450.36 ran CUDA 11.0 only", gpus="A100", driver="450.36.06"),
    case("2.15.0", "cu132", "no driver: one is to be installed", gpus="RTX 3090", os="ubuntu22.04"),
    case("2.15.0", "cu132", "Turing is the oldest that CUDA 13 compiles for", gpus="T4", driver="590.44.01"),
    case("2.15.0", "cu132", "a driver newer than every table", gpus="L40S", driver="640.10"),
    # Volta, Pascal, Maxwell, Kepler
    case(
        "2.14.1", "cu126", "cu126 is the last with sm_70, 2.14 its last release", gpus="V100", driver="535", os="rhel9"
    ),
    case(None, None, "R580 is the last driver for Volta", gpus="V100", driver="595"),
    case("2.7.1", "cu118", "Volta on R470", gpus="V100", driver="470"),
    case(None, None, "R418 runs CUDA 10", gpus="V100", driver="418"),
    case("2.14.1", "cu126", "sm_60 code runs on 6.1", gpus="GTX 1080 Ti", driver="580", os="ubuntu24.04"),
    case("2.14.1", "cu126", "sm_50 code runs on 5.2", gpus="GTX 980", driver="550"),
    case("2.14.1", "cu126", "by capability alone", gpus="sm_60", driver="570"),
    case(None, None, "no torch of cu128 and later has sm_50", gpus="GTX 980", driver="580", torch=">=2.15"),
    case(
        "2.3.1",
        "cu118",
        "sm_37 is in cu118 up to 2.7.1, kernels for it in cuDNN 8 only",
        gpus="K80",
        driver="470",
        os="ubuntu20.04",
    ),
    case(None, None, "R535 dropped Kepler", gpus="K80", driver="535"),
    case(None, None, "sm_37 code does not run on 3.5", gpus="Tesla K40m", driver="470"),
    # Jetson and Arm servers
    case("2.15.0", "cu132", "from CUDA 13.2 sm_80 code of servers runs on Orin", gpus="Jetson AGX Orin"),
    case(
        None,
        None,
        "JetPack 6 has CUDA 12.6, for which servers' wheels have no code for 8.7",
        gpus="Jetson AGX Orin",
        os="ubuntu22.04",
    ),
    case(None, None, "the same by its own name", gpus="Jetson AGX Orin", os="jetpack6.2"),
    case("2.15.0", "cu132", "sm_110", gpus="Jetson Thor", os="ubuntu24.04"),
    case(None, None, "aarch64 wheels begin with sm_80", gpus="Jetson Xavier NX 8 GB"),
    case("2.14.1", "cu126", "aarch64 cu126 has sm_90", gpus="GH200", driver="550", os="ubuntu22.04"),
    case("2.15.0", "cu132", "Grace Hopper", gpus="GH200", driver="580", os="rhel9"),
    case(None, None, "aarch64 wheels have no sm_75", gpus="T4", driver="580", arch="aarch64"),
    # Python
    case("2.4.1", "cu121", "the last with cp38", gpus="RTX 4090", driver="580", python="3.8"),
    case("2.8.0", "cu128", "the last with cp39", gpus="RTX 4090", driver="580", python="3.9"),
    case("2.4.1", "cu118", "cp38 and CUDA 11", gpus="A100", driver="470", python="3.8"),
    case("2.14.1", "cu130", "2.15 begins at 3.11", gpus="RTX 4090", driver="580", python="3.10"),
    case("2.12.0", "cu130", "2.12.0 is the last with cp313t", gpus="RTX 4090", driver="580", python="3.13t"),
    case("2.15.0", "cu132", "cp315 begins with 2.15", gpus="RTX 4090", driver="580", python="3.15"),
    case(None, None, "2.15 alone has cp315, and needs R580", gpus="RTX 4090", driver="570", python="3.15"),
    case(None, None, "no wheels that old", gpus="RTX 4090", driver="580", python="3.6"),
    case(
        "2.15.0",
        "cu132",
        "Ubuntu's 3.10 is no constraint: another Python can be had",
        gpus="RTX 4090",
        driver="580",
        os="ubuntu22.04",
    ),
    # C library and system
    case(
        "2.6.0", "cu124", "glibc 2.27: wheels ask for 2.28 from 2.7 on", gpus="RTX 3080", driver="580", os="ubuntu18.04"
    ),
    case("2.0.1", "cu117", "PyTorch 2.0 on it", gpus="RTX 3080", os="ubuntu18.04", torch="2.0"),
    case("2.6.0", "cu124", "glibc 2.17", gpus="A100", driver="550", os="centos7"),
    case("2.6.0", "cu118", "glibc 2.17, and CUDA 11", gpus="A100", driver="470", os="centos7"),
    case(None, None, "musl", gpus="RTX 4090", driver="580", os="alpine3.20"),
    case(
        "2.15.0",
        "cu132",
        "a container has its own C library",
        gpus="RTX 3080",
        driver="580",
        os="ubuntu18.04",
        container=True,
    ),
    case(
        "2.14.1",
        "cu130",
        "Windows' wheels of 2.15 with CUDA were not seen",
        gpus="RTX 4090",
        driver="581.42",
        os="Windows 11",
    ),
    case("2.14.1", "cu126", "572.83 is R570", gpus="RTX 4090", driver="572.83", os="windows"),
    case(
        "2.7.1",
        "cu118",
        "528.24 is short of Windows' 528.33 for CUDA 12",
        gpus="RTX 3060",
        driver="528.24",
        os="windows",
    ),
    case("2.15.0", "cu132", "WSL takes Linux wheels", gpus="RTX 4090", driver="581.42", os="wsl"),
    case(None, None, "no CUDA on a Mac", gpus="RTX 3090", os="macos"),
    case(
        "2.7.1",
        "cu118",
        "under WSL the driver is Windows': 528.24 is short of 528.33",
        gpus="RTX 3060",
        driver="528.24",
        os="wsl",
    ),
    # No GPU
    case("2.14.1", "cpu", "the newest CPU wheel known to be published", gpus="none", os="debian12"),
    case("2.15.0", "cpu", "PyPI's Windows wheel is the CPU's", gpus="none", os="windows"),
    case("2.15.0", "cpu", "macOS", os="macos"),
    case("2.2.2", "cpu", "the last for Intel Macs", os="macos", arch="x86_64"),
    case("2.14.0", "cpu", "the newest CPU wheel known for aarch64", gpus="none", arch="aarch64"),
    case("2.15.0", "cu132", "cp315 is in PyPI's build only, which runs without a GPU", gpus="none", python="3.15"),
    case("2.14.1", "cpu", "the CPU asked for, GPU or not", gpus="RTX 5090", driver="470", cuda="cpu"),
    # Pins
    case("2.14.1", "cu126", "a major", gpus="RTX 4090", driver="580", cuda="12"),
    case(None, None, "torch was never published with 13.4", gpus="RTX 4090", driver="615", cuda="13.4"),
    case(None, None, "R535 and 2.15", gpus="RTX 4090", driver="535", torch="2.15"),
    case("2.6.0", "cu124", "release and build in one", gpus="RTX 4090", driver="580", torch="2.6.0+cu124"),
    case("2.14.0", "cu130", "an old vllm said >=2.0, and knew no 2.15", gpus="H100", driver="580", packages=("vllm",)),
    case("2.5.1", "cu124", "PyPI's own of the newest 2.5", gpus="RTX 4090", driver="580", torch="==2.5.*"),
    case("2.14.0", "cu130", "vllm 0.33.0 pins torch 2.14.0", gpus="H100", driver="580", packages=("vllm>=0.33",)),
    case(
        "2.9.0", "cu128", "xformers 0.0.33 pins torch 2.9.0", gpus="H100", driver="580", packages=("xformers==0.0.33",)
    ),
    case(
        "2.6.0",
        "cu124",
        "torchvision 0.21.0 is torch 2.6.0's",
        gpus="H100",
        driver="580",
        packages=("torchvision==0.21.0",),
    ),
    case("2.14.1", "cu126", "no GPU described: the driver decides", driver="535"),
]


def test_there_are_targets_of_every_kind() -> None:
    assert len(CASES) >= 40
    assert sum(case.torch is None for case in CASES) >= 15


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.words} {case.why}"[:110])
def test_the_newest_that_works_is_planned(case: Case) -> None:
    found = planned(**case.words)
    stack = found.stack
    assert (stack.torch if stack else None, stack.channel if stack else None) == (case.torch, case.channel), case.why
    assert found.feasible is (case.torch is not None)


@pytest.mark.parametrize("case", [c for c in CASES if c.torch is None], ids=lambda case: case.why)
def test_where_there_is_none_a_change_is_named_and_the_derivation_is_short(case: Case) -> None:
    found = planned(**case.words)
    assert 1 <= len(found.reasons) <= 4
    assert found.alternatives, "nothing was offered instead"
    assert all(one.stack is not None for one in found.alternatives)
