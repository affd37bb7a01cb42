"""Packages beside torch, nightly builds, and questions in the words people use for them."""

from __future__ import annotations

import pytest

from envdoctor.compat import Answer, answer, parse
from envdoctor.knowledge import KnowledgeError, load


def asked(*words: str) -> Answer:
    return answer(load(), parse(words))


def facts(found: Answer) -> dict[str, str]:
    return {fact.label: fact.value for fact in found.facts}


@pytest.mark.parametrize(
    ("words", "package", "release"),
    [
        (("cudnn", "9.10"), "cudnn", "9.10"),
        (("vllm 0.33",), "vllm", "0.33"),
        (("torchaudio",), "torchaudio", None),
        (("torchaudio==2.11.1",), "torchaudio", "2.11.1"),
        (("nightly",), "nightly", None),
        (("onnxruntime",), "onnxruntime-gpu", None),
        (("Triton", "v3.5.1"), "triton", "3.5.1"),
    ],
)
def test_a_package_is_a_subject(words: tuple[str, ...], package: str, release: str | None) -> None:
    question = parse(words)
    assert (question.package, question.release) == (package, release)
    assert question.subjects == ("package",)


def test_which_torch_names_one() -> None:
    found = asked("which torch for RTX 3090 and CUDA 12.4")
    assert found.answer == "yes"
    assert found.build is not None
    assert found.build.name == "2.6.0+cu124"  # the only release line of cu124 after 2.5
    assert asked("RTX 3090 and CUDA 12.4").build is None


@pytest.mark.parametrize("words", ["newest torch for a V100 with driver 570", "what version of pytorch for CUDA 11.8"])
def test_a_torch_is_named_for_other_words_too(words: str) -> None:
    assert asked(words).build is not None


def test_a_companion_says_which_torch_and_which_cuda() -> None:
    audio = facts(asked("torchaudio 2.11.1"))
    assert audio["Needs"] == "torch>=2.11"
    assert "libcudart.so.13" in audio["Loads"]
    codec = facts(asked("torchcodec 0.9"))
    assert codec["Goes with"] == "torch 2.9.0 to 2.9.1"
    vllm = facts(asked("vllm 0.33"))
    assert vllm["Needs"] == "torch==2.14.0"


def test_a_sheet_of_a_package_prints_no_command() -> None:
    """Which index is right depends on a machine of which nothing was said."""
    assert asked("vllm").build is None


def test_a_release_that_is_not_there_is_an_error_with_what_is() -> None:
    with pytest.raises(KnowledgeError, match=r"vllm 0\.99 is not in the table"):
        asked("vllm 0.99")


def test_triton_says_what_it_does_not_compile_for() -> None:
    old, new = facts(asked("triton 3.5")), facts(asked("triton 3.9"))
    assert "12.1" in old["Not for"]
    assert "10.3" in old["Not for"]
    assert "12.1" in new["Compiles for"]


def test_nightly_names_its_index() -> None:
    found = facts(asked("nightly"))
    assert found["Index"].startswith("https://download.pytorch.org/whl/nightly/cu")


def test_a_nightly_version_is_judged_as_the_release_that_it_leads_to() -> None:
    newest = load().torch_releases()[0].version.split(".")
    after = f"{newest[0]}.{int(newest[1]) + 1}.0"
    found = asked(f"torch {after}.dev20301130 gpu H100")
    assert found.question.torch == after
    assert found.answer == "yes"
    assert found.newer_than_table


def test_windows_on_arm_is_a_platform() -> None:
    found = asked("torch 2.10 on windows arm64")
    assert found.question.platform == "windows_arm64"
    assert found.build is not None
    assert found.build.index_url == "https://download.pytorch.org/whl/cpu"


def test_a_jetson_says_which_jetpack_and_which_index() -> None:
    found = facts(asked("gpu", "Jetson Orin Nano"))
    assert "https://pypi.jetson-ai-lab.io/jp6/cu126" in found["JetPack 6"]
    assert "CUDA 13.2" in found["JetPack 7.2"]


def test_a_gpu_that_triton_does_not_compile_for_is_told_so() -> None:
    """Kepler and Pascal have a torch, and no torch.compile (torch/_inductor: GPUTooOldForTriton)."""
    assert "does not compile for 6.1" in facts(asked("gpu", "GTX 1080"))["torch.compile"]
    assert "torch.compile" not in facts(asked("gpu", "H100"))
