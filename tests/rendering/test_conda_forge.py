"""conda-forge's own build is used exactly where it carries out the plan; elsewhere pip's, with the reason in the file."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from envdoctor.knowledge.conda_forge import conda_builds, has_toolkit, newest_conda_torch, table
from envdoctor.knowledge.versions import version
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.conda_choice import choose
from tests.rendering.plans import PLANS

MIXED = PLANS["mixed"]  # torch 2.13.0 for CUDA 12.9, for a driver of branch 525 or newer


def changed(**fields: Any) -> Any:
    return msgspec.structs.replace(MIXED, **fields)


def dependencies(stack: Any) -> list[Any]:
    found: list[Any] = yaml.safe_load(render("conda", stack)[0].text)["dependencies"]
    return found


def test_the_cuda_build_is_pinned_by_release_and_by_cuda() -> None:
    assert dependencies(MIXED) == ["python=3.12", "pytorch-gpu=2.13.0", "cuda-version=12.9", "torchvision=0.28.0"]


def test_a_newer_driver_gets_the_newer_cuda() -> None:
    build = choose(changed(min_driver="580", cuda="13.0", channel="cu130")).build
    assert build is not None
    assert build.cuda == "13.0"


def test_the_build_never_asks_for_a_newer_driver_than_the_plan_does() -> None:
    build = choose(changed(min_driver="525.60.13")).build
    assert build is not None
    assert build.cuda == "12.9"
    assert choose(changed(min_driver="450.80.02")).build is None


def test_a_gpu_that_the_build_has_no_code_for_gets_pips() -> None:
    k80 = PLANS["v100"].gpus[0]
    old = msgspec.structs.replace(k80, capability="3.7")
    choice = choose(changed(gpus=(old,)))
    assert choice.build is None
    assert "fits these GPUs" in (choice.why or "")
    volta = choose(changed(gpus=PLANS["v100"].gpus, min_driver="580"))
    assert volta.build is not None
    assert volta.build.cuda == "12.9"  # CUDA 13 has no code for 7.0


@pytest.mark.parametrize(
    "fields",
    [
        {"python": "3.15"},
        {"python": "3.13t"},
        {"torchvision": "0.28.1"},
        {"torchaudio": "2.11.0", "packages": ("torchaudio==2.11.0",)},
        {"torch": "2.15.0", "requirements": ("torch==2.15.0",)},
        {"glibc": "2.12"},
        {"platform": "macos_arm64", "cuda": None},
    ],
)
def test_what_conda_forge_has_not_comes_from_pip_and_the_file_says_why(fields: dict[str, Any]) -> None:
    stack = changed(**fields)
    text = render("conda", stack)[0].text
    assert "pytorch-gpu" not in text
    assert "# conda-forge" in text or "# no build" in text or "# torchaudio" in text
    pip = yaml.safe_load(text)["dependencies"][-1]["pip"]
    assert f"torch=={stack.torch}" in " ".join(pip)
    assert f"--index-url {stack.index_url}" in pip


def test_a_cpu_plan_gets_the_cpu_build() -> None:
    stack = changed(cuda=None, channel="cpu", min_driver=None, gpus=(), cudnn=None)
    assert dependencies(stack)[1] == "pytorch-cpu=2.13.0"
    assert "CONDA_OVERRIDE_CUDA" not in render("conda", stack)[1].text


def test_packages_take_condas_torch_as_it_is() -> None:
    assert dependencies(changed(packages=("timm",)))[-2:] == ["pip", {"pip": ["torch==2.13.0", "timm"]}]


def test_beside_pypi_the_local_version_tells_the_builds_apart() -> None:
    (pip,) = [entry for entry in dependencies(changed(torch="2.14.1", requirements=("torch==2.14.1",), packages=("timm",)))
              if isinstance(entry, dict)]  # fmt: skip
    assert pip["pip"] == [
        f"--index-url {MIXED.index_url}",
        "--extra-index-url https://pypi.org/simple",
        "torch==2.14.1+cu129",
        "timm",
    ]


def test_verification_expects_the_cuda_of_the_build_that_was_chosen() -> None:
    stack = changed(min_driver="580", cuda="13.2", channel="cu132")
    assert "cuda = '13.0'" in render("conda", stack)[1].text
    assert "cuda = '13.0'" in render("pixi", stack)[1].text


def test_the_toolkit_comes_in_parts_of_the_plans_cuda_where_extensions_are_built() -> None:
    found = dependencies(PLANS["build-extensions"])
    assert "cuda-version=13.2" in found
    assert {"cuda-nvcc", "cxx-compiler", "ninja"} <= {entry for entry in found if isinstance(entry, str)}
    without = dependencies(msgspec.structs.replace(PLANS["build-extensions"], toolkit="13.5"))
    assert "cuda-nvcc" not in without


def test_the_table_is_ordered_and_every_row_says_where_it_was_read() -> None:
    rows = table().builds
    releases = list(dict.fromkeys(row.torch for row in rows))
    assert releases == sorted(releases, key=version, reverse=True)
    assert newest_conda_torch() == releases[0]
    for row in rows:
        assert {source.partition(":")[0] for source in row.source} <= set(table().sources)
        assert bool(row.arch_flags) == (row.cuda is not None)
        assert (row.glibc is None) == (not row.platform.startswith("linux"))
    for release in releases:
        assert [row.cuda for row in conda_builds(release, "linux_x86_64")][-1] is None
    assert has_toolkit("13.2")
    assert not has_toolkit("13.5")
