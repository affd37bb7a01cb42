"""What stands around torch in a plan: Python, companions, driver, images, packages, variables."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.knowledge.versions import cuda_key
from envdoctor.planning.model import Stack
from tests.as_of import then
from tests.planning.test_targets import planned


def stack(**words: Any) -> Stack:
    found = planned(**words).stack
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("words", "python"),
    [
        ({"os": "ubuntu24.04"}, "3.12"),  # its own will do
        ({"os": "ubuntu22.04"}, "3.14"),  # 3.10 has no wheel of 2.15
        ({"os": "ubuntu18.04"}, "3.13"),  # 2.6's newest
        ({"os": "ubuntu24.04", "python": "3.11"}, "3.11"),
        ({"os": "ubuntu24.04", "container": True}, "3.14"),  # an image has its own
        ({}, "3.14"),  # 3.15 began with this very release
        ({"torch": "2.0"}, "3.11"),
    ],
)
def test_the_python_that_is_there_stays_where_torch_has_wheels_for_it(words: dict[str, Any], python: str) -> None:
    assert stack(gpus="RTX 3090", driver="580", **words).python == python


def test_a_python_from_elsewhere_is_said_to_be() -> None:
    (note,) = [note for note in stack(gpus="RTX 3080", os="ubuntu18.04", torch="2.0").notes if "Python" in note]
    assert "ubuntu18.04 has Python 3.6" in note
    assert "Python 3.11 comes from uv or conda" in note
    notes = stack(gpus="RTX 3080", os="ubuntu22.04").notes
    assert "With its own Python 3.10 the newest is torch 2.14.1 with CUDA 13.0." in notes


def test_torchaudio_is_that_of_the_build_s_own_cuda_or_the_newest_that_takes_its_major() -> None:
    new, old = stack(gpus="H100"), stack(gpus="H100", torch="2.11")
    assert (new.torchaudio, old.torchaudio) == ("2.11.1", "2.11.0")
    assert old.requirements == ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")


def test_torchaudio_comes_from_the_index_that_torch_comes_from() -> None:
    """PyPI's torchaudio is of CUDA 13: beside a torch of cu126 it does not load."""
    found = stack(gpus="V100")
    assert (found.channel, found.torchaudio) == ("cu126", "2.11.0")
    assert "torchaudio==2.11.0" in found.requirements
    assert found.index_url == "https://download.pytorch.org/whl/cu126"


def test_a_channel_without_torchaudio_is_said_to_have_none() -> None:
    found = stack(gpus="H100", torch="2.14.1", cuda="13.2")
    assert (found.channel, found.torchaudio) == ("cu132", None)
    assert "cu132" in (found.torchaudio_reason or "")
    assert not any(line.startswith("torchaudio") for line in found.requirements)


def test_torch_before_2_3_brings_numpy_1() -> None:
    assert "numpy<2" in stack(gpus="V100", torch="2.2").requirements
    assert "numpy<2" not in stack(gpus="V100", torch="2.3").requirements


def test_versions_of_the_libraries_are_those_that_the_wheel_pins() -> None:
    found = stack(gpus="H100", driver="580")
    assert (found.cudnn, found.nccl, found.triton) == ("9.26.0.51", "2.30.7", "~=3.9.0")
    assert (found.cuda, found.channel, found.index_url) == ("13.2", "cu132", None)
    channel = stack(gpus="V100", driver="535")
    assert (channel.cudnn, channel.index_url) == ("9.10.2.21", "https://download.pytorch.org/whl/cu126")
    assert channel.triton == "~=3.8.0", "one release pins one triton"


@pytest.mark.parametrize(
    ("words", "minimum", "branch", "flavour"),
    [
        ({"gpus": "RTX 5090"}, "580", "580", "open"),
        ({"gpus": "RTX 5090", "driver": "570"}, "570", "580", "open"),
        ({"gpus": "H100"}, "580", "580", "either"),
        ({"gpus": "V100"}, "525.60.13", "580", "proprietary"),
        ({"gpus": "V100 + H100"}, "525.60.13", "580", "proprietary"),
        ({"gpus": "GTX 1080", "os": "windows"}, "528.33", "580", None),
        ({"gpus": "K80"}, "450.80.02", "470", "proprietary"),
        ({"gpus": "GH200"}, "580", "580", "open"),
        ({"gpus": "sm_107"}, "615", "620", None),
        ({"gpus": "Jetson AGX Orin"}, "580", None, None),
        ({"gpus": "none"}, None, None, None),
        ({"gpus": "none", "python": "3.15"}, None, None, None),
    ],
)
def test_the_driver_to_install_follows_from_gpus_and_build(
    words: dict[str, Any], minimum: str | None, branch: str | None, flavour: str | None
) -> None:
    found = stack(**words)
    assert (found.min_driver, found.driver_branch) == (minimum, branch)
    if flavour is not None or not found.gpus:
        assert found.driver_flavour == flavour


def test_building_with_a_new_toolkit_wants_a_driver_of_its_age() -> None:
    built = stack(gpus="H100", purpose="build-extensions")
    branch = then().driver_branch(built.driver_branch or "0")
    assert branch is not None and branch.max_cuda is not None and built.toolkit is not None
    assert cuda_key(branch.max_cuda) >= cuda_key(built.toolkit)
    assert stack(gpus="H100", purpose="run").driver_branch == "580"


def test_a_driver_past_its_end_of_life_is_said_to_be() -> None:
    assert any("past its end of life" in note for note in stack(gpus="K80").notes)


@pytest.mark.parametrize(
    ("words", "base"),
    [
        ({"gpus": "H100", "container": True}, "python:3.14-slim-trixie"),
        ({"gpus": "RTX 3080", "python": "3.8"}, "python:3.8-slim-bookworm"),
        ({"gpus": "H100", "python": "3.14t"}, "debian:trixie-slim"),
        ({"gpus": "RTX 4090", "os": "windows"}, None),
        ({"os": "macos"}, None),
    ],
)
def test_the_image_to_run_in_is_slim_and_exists(words: dict[str, Any], base: str | None) -> None:
    found = stack(**words)
    assert (found.base_image, found.build_image, found.toolkit) == (base, None, None)


@pytest.mark.parametrize(
    ("words", "toolkit", "image", "gcc"),
    [
        ({"gpus": "H100"}, "13.2", "nvidia/cuda:13.2.1-devel-ubuntu24.04", "15"),
        ({"gpus": "V100"}, "12.6", "nvidia/cuda:12.6.3-devel-ubuntu24.04", "13"),
        ({"gpus": "RTX 5090", "driver": "570"}, "12.9", "nvidia/cuda:12.9.1-devel-ubuntu24.04", "14"),
        ({"gpus": "K80"}, "11.8", "nvidia/cuda:11.8.0-devel-ubuntu22.04", "11"),
    ],
)
def test_extensions_are_built_with_torchs_own_cuda(words: dict[str, Any], toolkit: str, image: str, gcc: str) -> None:
    found = stack(purpose="build-extensions", **words)
    assert (found.toolkit, found.build_image, found.host_compiler) == (toolkit, image, gcc)
    assert found.base_image == f"ubuntu:{image.rpartition('ubuntu')[2]}", "what was compiled there runs there"
    assert found.environment["CUDA_HOME"] == f"/usr/local/cuda-{toolkit}"
    assert found.environment["TORCH_CUDA_ARCH_LIST"] == found.arch_list


@pytest.mark.parametrize("purpose", ["run", "train"])
def test_only_building_brings_a_toolkit(purpose: str) -> None:
    found = stack(gpus="H100", purpose=purpose)
    assert found.toolkit is found.build_image is found.host_compiler is None
    assert "CUDA_HOME" not in found.environment


def test_every_image_that_a_plan_may_name_was_seen() -> None:
    world = then()
    known = {image.reference for image in world.cuda_images(flavour="devel")}
    for build in world.torch_builds():
        if build.cuda is not None and build.platform == "linux_x86_64":
            found = stack(torch=build.torch, cuda=build.cuda, purpose="build-extensions")
            assert found.build_image in known
            assert found.toolkit == build.cuda, "an image of torch's own minor is there for all of them"


def test_the_list_of_architectures_is_what_nvcc_can_compile_for() -> None:
    assert stack(gpus="RTX 5090 + RTX 3090", purpose="build-extensions").arch_list == "8.6;12.0"
    # 12.8 knows 12.0 but not 12.1, which runs its code.
    assert stack(gpus="GB10", cuda="12.8", purpose="build-extensions").arch_list == "12.0"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"os": "ubuntu24.04"}, ("python3-venv",)),
        ({"os": "rhel9"}, ()),
        ({"os": "ubuntu24.04", "purpose": "train"}, ("python3-venv", "gcc", "libc6-dev", "python3-dev")),
        ({"os": "rocky9", "purpose": "build-extensions"}, ("gcc", "gcc-c++", "ninja-build")),
        # Ubuntu 24.04 has gcc 13; nvcc 11.8 takes 11 at most.
        (
            {"os": "ubuntu24.04", "purpose": "build-extensions", "cuda": "11.8"},
            ("python3-venv", "gcc-11", "g++-11", "ninja-build", "python3-dev"),
        ),
        ({"os": "rocky9", "purpose": "build-extensions", "container": True}, ("gcc", "g++", "ninja-build")),
        ({}, ()),
    ],
)
def test_system_packages_have_the_names_of_the_system(words: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert stack(gpus="RTX 3090", driver="580", **words).system_packages == expected


def test_mixed_gpus_are_numbered_as_nvidia_smi_does() -> None:
    assert stack(gpus="RTX 5090 + RTX 3090").environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert stack(gpus="8x H100").environment == {}


def test_own_packages_are_pinned_where_left_alone_they_would_move_torch() -> None:
    found = stack(gpus="H100", driver="580", packages=("vllm", "timm>=1", "torchvision"))
    assert found.packages[0].startswith("vllm==")
    assert found.packages[1:] == ("timm>=1",), "torchvision is in the stack already"
    assert any("timm" in note and "not checked" in note for note in found.notes)


def test_a_release_of_a_package_that_is_not_in_the_tables_decides_nothing() -> None:
    found = stack(gpus="H100", driver="580", packages=("vllm==0.0.1",))
    assert (found.torch, found.packages) == ("2.15.0", ("vllm==0.0.1",))
    assert any("vllm==0.0.1" in note and "not checked" in note for note in found.notes)


def test_a_model_that_came_later_than_its_driver_is_mentioned() -> None:
    """By branches: within one, drivers run what they do not list yet (GB10 runs on 580.95.05, RTX 4080 on 525.60.11)."""
    notes = stack(gpus="L40", driver="520.61.05").notes
    assert any("first listed by driver" in note for note in notes)
    for gpu, driver in (("GB10", "580.95.05"), ("RTX 4080", "525.60.13"), ("RTX 5060 Ti", "570")):
        assert not any("first listed" in note for note in stack(gpus=gpu, driver=driver).notes)


def test_what_was_not_read_is_said_with_the_newest_that_was() -> None:
    (note,) = [note for note in stack(gpus="RTX 5090", driver="570").notes if "check it after installing" in note]
    assert "2.13.0+cu129" in note
    assert "2.11.0+cu128 is the newest whose code was read" in note
    assert not any("check it after" in note for note in stack(gpus="RTX 5090", driver="580").notes)


def test_a_plan_says_where_its_facts_come_from() -> None:
    for words in ({"gpus": "H100"}, {"gpus": "V100"}, {"gpus": "none"}):
        assert stack(**words).sources
