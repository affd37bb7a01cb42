"""Which of its own requirements an environment does not meet, as pip would judge."""

from __future__ import annotations

import pytest

from envdoctor.facts.pins import judge_pins

LINUX = {"sys_platform": "linux", "platform_system": "Linux", "python_version": "3.12", "python_full_version": "3.12.3"}


def judge(
    *lines: str, extras: tuple[str, ...] = (), **installed: str | None
) -> tuple[list[str], list[tuple[str, str | None]]]:
    versions = {name.replace("_", "-"): version for name, version in installed.items()}
    pins = judge_pins("torch", lines, versions, LINUX, extras)
    assert {pin.distribution for pin in pins.broken} <= {"torch"}
    return list(pins.applying), [(pin.requirement, pin.installed) for pin in pins.broken]


def test_a_wheel_of_another_version() -> None:
    assert judge("nvidia-nccl-cu13==2.30.7", nvidia_nccl_cu13="2.27.3") == (
        ["nvidia-nccl-cu13==2.30.7"],
        [("nvidia-nccl-cu13==2.30.7", "2.27.3")],
    )


def test_a_wheel_that_is_not_there() -> None:
    assert judge("nvidia-nccl-cu13==2.30.7")[1] == [("nvidia-nccl-cu13==2.30.7", None)]


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("torch==2.15.0", "2.15.0+cu132"),  # a local version meets the public one
        ("torch (>=2.14.0)", "2.15.0"),  # the parentheses of old metadata
        ("torch>=2.5", "2.6.0.dev20241201"),  # a nightly
        ("nvidia-cublas==13.4.1.3.*", "13.4.1.3"),
        ("nvidia-nvjitlink<14,>=13.2.86", "13.5.37"),
        ("Torch", "2.15.0"),
    ],
)
def test_what_is_met(line: str, version: str) -> None:
    assert judge(line, torch=version, nvidia_cublas=version, nvidia_nvjitlink=version)[1] == []


def test_markers_are_the_targets_and_extras_count_when_asked_for() -> None:
    lines = (
        "nvidia-cudnn-cu13==9.26.0.51; sys_platform == 'win32'",
        "triton~=3.9.0; platform_system == 'Linux' and python_version < '3.16'",
        "nvidia-cufft==12.*; extra == 'cufft'",
        "optree>=0.13; extra == 'optree'",
    )
    assert judge(*lines, extras=("cufft",))[0] == ["triton~=3.9.0", "nvidia-cufft==12.*"]


def test_what_cannot_be_parsed_or_compared_is_not_broken() -> None:
    assert judge("torch ==", "numpy>=1", "triton>=3", numpy="1.x-local!", triton=None)[1] == []


def test_a_requirement_of_two_extras_is_told_once() -> None:
    lines = ("nvidia-cublas==13.*; extra == 'cublas'", "nvidia-cublas==13.*; extra == 'cusolver'")
    assert judge(*lines, extras=("cublas", "cusolver")) == (["nvidia-cublas==13.*"], [("nvidia-cublas==13.*", None)])
