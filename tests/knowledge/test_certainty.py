"""What is not in the tables is not always absent: look-ups answer True, False, or None where nobody knows."""

from __future__ import annotations

import pytest

from envdoctor.knowledge import Knowledge, TorchBuild, load
from envdoctor.knowledge.channels import is_nightly

LINUX, WINDOWS = "linux_x86_64", "windows_amd64"


@pytest.fixture(scope="module")
def world() -> Knowledge:
    return load()


def build(world: Knowledge, name: str, platform: str) -> TorchBuild:
    torch, _, variant = name.partition("+")
    (found,) = [b for b in world.torch_builds(torch) if (b.variant, b.platform) == (variant, platform)]
    return found


@pytest.mark.parametrize(
    ("name", "platform", "capability", "served"),
    [
        # get_arch_list() on Windows, where the build scripts say otherwise
        ("2.7.1+cu128", WINDOWS, "6.1", True),  # GTX 1080
        ("2.7.0+cu128", WINDOWS, "5.2", True),
        ("2.8.0+cu128", WINDOWS, "6.1", True),
        ("2.8.0+cu126", WINDOWS, "5.2", False),  # GTX 980: the list starts at sm_61
        ("2.8.0+cu126", WINDOWS, "6.1", True),
        ("2.8.0+cu128", LINUX, "6.1", False),  # read out of the wheel
        ("2.10.0+cu128", LINUX, "7.0", True),
        # a build script's list: what it names is there, what it does not name may be
        ("2.14.1+cu126", LINUX, "7.0", True),
        ("2.9.1+cu130", WINDOWS, "8.9", True),
        ("2.14.1+cu132", LINUX, "7.5", True),
        ("2.6.0+cu118", WINDOWS, "5.2", True),
        # not read, and yet certain: no such code can be compiled by that CUDA
        ("2.14.1+cu126", LINUX, "12.0", False),
        ("2.14.1+cu130", WINDOWS, "7.0", False),
        ("2.9.1+cu129", LINUX, "3.5", False),
        # not read, and possible
        ("2.9.1+cu129", LINUX, "7.0", None),
        ("2.9.1+cu129", LINUX, "12.0", None),
        ("2.8.0+cu129", WINDOWS, "6.1", None),
        ("2.15.0+cpu", WINDOWS, "9.0", False),
    ],
)
def test_whether_a_build_serves_a_gpu(
    world: Knowledge, name: str, platform: str, capability: str, served: bool | None
) -> None:
    assert world.serves(build(world, name, platform), capability) is served


@pytest.mark.parametrize(
    ("torch", "variant", "platform", "published"),
    [
        ("2.9.1", "cu129", LINUX, True),
        ("2.9.0", "cu129", LINUX, True),
        ("2.10.0", "cu129", LINUX, True),
        ("2.12.1", "cu129", WINDOWS, None),  # that channel was never listed whole
        ("2.14.1", "cu129", LINUX, None),
        ("2.15.0", "cu130", LINUX, None),
        ("2.15.0", "cu126", LINUX, False),  # dropped before
        ("2.9.1", "cu124", LINUX, False),  # not in RELEASE.md's matrix
        ("2.6.0", "cu130", LINUX, False),
        ("2.6.0", "cu134", LINUX, False),  # CUDA 13.4 came later
        ("2.15.0", "cpu", LINUX, None),
        ("2.14.1", "rocm7.2", LINUX, True),
        ("2.14.1", "rocm6.0", LINUX, None),
        ("2.14.1", "xpu", LINUX, None),
        ("2.10.0", "cpu", "windows_arm64", True),
        ("9.9.9", "cu130", LINUX, None),
    ],
)
def test_whether_a_wheel_was_published(
    world: Knowledge, torch: str, variant: str, platform: str, published: bool | None
) -> None:
    assert world.wheel_published(torch, variant, platform) is published


@pytest.mark.parametrize(
    ("variant", "index"),
    [
        ("cu126", "https://download.pytorch.org/whl/cu126"),
        ("rocm7.2", "https://download.pytorch.org/whl/rocm7.2"),
        ("xpu", "https://download.pytorch.org/whl/xpu"),
        ("cpu", "https://download.pytorch.org/whl/cpu"),
        ("nightly/cu132", "https://download.pytorch.org/whl/nightly/cu132"),
        ("nightly/rocm7.2", "https://download.pytorch.org/whl/nightly/rocm7.2"),
    ],
)
def test_the_index_of_a_channel(world: Knowledge, variant: str, index: str) -> None:
    channel = world.channel(variant)
    assert channel is not None
    assert channel.index == index
    assert channel.source


def test_every_build_off_pypi_is_in_a_channel_that_serves_its_platform(world: Knowledge) -> None:
    for one in world.torch_builds():
        if one.index_url is not None:
            channel = world.channel(one.variant)
            assert channel is not None, one.name
            assert channel.index == one.index_url
            assert one.platform in channel.platforms, (one.name, one.platform)


@pytest.mark.parametrize(
    ("jetpack", "name"), [("6.2", "jetpack6"), ("5.1.2", "jetpack5"), ("7.0", "jetpack7"), ("7.2", "jetpack7.2")]
)
def test_the_index_of_a_jetson(world: Knowledge, jetpack: str, name: str) -> None:
    channel = world.jetson_channel(jetpack)
    assert channel is not None
    assert channel.name == name
    assert world.jetson_channel("3.3") is None


def test_a_nightly_is_known_by_its_version() -> None:
    assert is_nightly("2.16.0.dev20261130+cu132")
    assert is_nightly("2.16.0.dev20261130")
    assert not is_nightly("2.15.0+cu132")
    assert not is_nightly("2.15.0a0+gitabc")
