"""Real combinations of torch with its companions: what goes together was read out of the wheels on PyPI that the tables name."""

from __future__ import annotations

import pytest

from envdoctor.knowledge import Knowledge, TorchBuild, load

LINUX, ARM, WINDOWS = "linux_x86_64", "linux_aarch64", "windows_amd64"


@pytest.fixture(scope="module")
def world() -> Knowledge:
    return load()


def build(world: Knowledge, name: str, platform: str) -> TorchBuild:
    torch, _, variant = name.partition("+")
    (found,) = [b for b in world.torch_builds(torch) if (b.variant, b.platform) == (variant, platform)]
    return found


@pytest.mark.parametrize(
    ("package", "release", "name", "platform", "fits"),
    [
        # torchcodec: the torch of its README, the CUDA of its own version
        ("torchcodec", "0.16.0", "2.15.0+cu132", LINUX, True),
        ("torchcodec", "0.16.0", "2.14.1+cu130", LINUX, True),
        ("torchcodec", "0.16.0", "2.14.1+cu126", LINUX, False),  # libcudart.so.13
        ("torchcodec", "0.14.0", "2.13.0+cu129", LINUX, False),
        ("torchcodec", "0.13.0", "2.14.1+cu126", LINUX, True),  # a CPU build: goes with any CUDA
        ("torchcodec", "0.11.0", "2.11.0+cu130", LINUX, True),
        ("torchcodec", "0.11.0", "2.12.0+cu130", LINUX, False),
        ("torchcodec", "0.9.1", "2.9.1+cu128", LINUX, True),
        ("torchcodec", "0.9.1", "2.10.0+cu128", LINUX, False),
        ("torchcodec", "0.7.0", "2.8.0+cu126", LINUX, True),
        ("torchcodec", "0.7.0", "2.9.0+cu126", LINUX, False),
        ("torchcodec", "0.17.0", "2.15.0+cu132", LINUX, None),  # its README stops before it
        # vllm pins torch exactly
        ("vllm", "0.33.0", "2.14.0+cu130", LINUX, True),
        ("vllm", "0.33.0", "2.14.0+cu126", LINUX, False),
        ("vllm", "0.33.0", "2.15.0+cu132", LINUX, False),
        ("vllm", "0.28.0", "2.13.0+cu130", LINUX, True),
        ("vllm", "0.28.0", "2.13.0+cu129", LINUX, False),
        ("vllm", "0.19.1", "2.10.0+cu128", LINUX, True),
        ("vllm", "0.19.1", "2.10.0+cu130", LINUX, False),
        ("vllm", "0.20.2", "2.11.0+cu130", LINUX, True),
        ("vllm", "0.20.2", "2.11.0+cu128", LINUX, False),
        ("vllm", "0.10.2", "2.8.0+cu128", LINUX, True),
        ("vllm", "0.7.3", "2.5.1+cu124", LINUX, True),
        # xformers
        ("xformers", "0.0.35", "2.10.0+cu128", LINUX, True),
        ("xformers", "0.0.35", "2.15.0+cu132", LINUX, False),  # libcudart.so.12
        ("xformers", "0.0.35", "2.9.1+cu128", LINUX, False),
        ("xformers", "0.0.33", "2.9.0+cu130", LINUX, True),
        ("xformers", "0.0.33", "2.9.0+cu128", LINUX, False),  # the one of CUDA 13, replaced by post1
        ("xformers", "0.0.33.post1", "2.9.0+cu128", LINUX, True),
        ("xformers", "0.0.32.post2", "2.8.0+cu129", LINUX, True),
        ("xformers", "0.0.28", "2.4.1+cu118", LINUX, False),
        # torchaudio and torchvision
        ("torchaudio", "2.11.1", "2.15.0+cu132", LINUX, True),
        ("torchaudio", "2.11.1", "2.14.1+cu126", LINUX, False),
        ("torchaudio", "2.11.1", "2.13.0+cu130", ARM, True),
        ("torchaudio", "2.11.1", "2.14.1+cu126", WINDOWS, True),  # PyPI's is a CPU build there
        ("torchaudio", "2.10.0", "2.10.0+cu128", LINUX, True),
        ("torchaudio", "2.10.0", "2.11.0+cu130", LINUX, False),
        ("torchvision", "0.29.2", "2.15.0+cu132", LINUX, True),
        ("torchvision", "0.29.2", "2.14.1+cu126", LINUX, False),
        ("torchvision", "0.24.1", "2.9.1+cu128", LINUX, True),
        ("torchvision", "0.24.1", "2.9.1+cu130", LINUX, False),
        ("torchvision", "0.24.1", "2.9.0+cu128", LINUX, False),
        # packages that leave torch alone, and share its CUDA libraries
        ("onnxruntime-gpu", "1.31.1", "2.15.0+cu132", LINUX, True),
        ("onnxruntime-gpu", "1.31.1", "2.14.1+cu126", LINUX, False),
        ("onnxruntime-gpu", "1.26.0", "2.14.1+cu126", LINUX, True),
        ("onnxruntime-gpu", "1.26.0", "2.15.0+cu132", LINUX, False),
        ("onnxruntime-gpu", "1.22.0", "2.7.1+cu126", LINUX, True),
        ("onnxruntime-gpu", "1.20.2", "2.6.0+cu124", LINUX, None),
        ("ctranslate2", "4.8.5", "2.14.1+cu126", LINUX, True),
        ("ctranslate2", "4.8.5", "2.15.0+cu132", LINUX, False),  # opens libcublas.so.12
        ("bitsandbytes", "0.50.2", "2.15.0+cu132", LINUX, True),
        ("bitsandbytes", "0.50.2", "2.14.1+cu126", LINUX, True),
        ("bitsandbytes", "0.47.0", "2.14.1+cu130", LINUX, False),
        ("bitsandbytes", "0.48.2", "2.9.1+cu130", LINUX, True),
        # nothing was read
        ("flash-attn", "2.8.3", "2.8.0+cu128", LINUX, None),
        ("deepspeed", "0.18.0", "2.8.0+cu128", LINUX, None),
        ("vllm", "0.33.0", "2.14.0+cpu", LINUX, False),
        ("onnxruntime-gpu", "1.31.1", "2.15.0+cpu", WINDOWS, None),
    ],
)
def test_whether_a_companion_fits_a_build(
    world: Knowledge, package: str, release: str, name: str, platform: str, fits: bool | None
) -> None:
    assert world.companion_fits(package, release, build(world, name, platform)) is fits


@pytest.mark.parametrize(
    ("package", "release", "major"),
    [
        ("onnxruntime-gpu", "1.31.1", 9),
        ("ctranslate2", "4.5.0", 9),
        ("ctranslate2", "4.4.0", 8),
        ("vllm", "0.33.0", None),
    ],
)
def test_the_cudnn_that_a_companion_asks_for(world: Knowledge, package: str, release: str, major: int | None) -> None:
    wheel = world.companion_wheel(package, release)
    assert wheel is not None
    assert wheel.cudnn_major == major


def test_the_torchaudio_of_a_build_fits_it(world: Knowledge) -> None:
    """What a plan would install together, from PyPI, loads together."""
    for one in world.torch_builds():
        if (
            one.index_url is None
            and one.torchaudio is not None
            and world.companion_wheel("torchaudio", one.torchaudio, one.platform)
        ):
            assert world.companion_fits("torchaudio", one.torchaudio, one) is True, (one.name, one.platform)
