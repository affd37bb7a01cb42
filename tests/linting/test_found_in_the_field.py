"""Mistakes that people's files really have, and forms that look like mistakes and are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.diagnosis.model import Severity
from tests.linting.files import NOBODY, card, findings, found

BLACKWELL = card("NVIDIA GeForce RTX 5090", "12.0", driver="570.133.07")
TURING = card("Tesla T4", "7.5")
OLD_IMAGE = "FROM pytorch/pytorch:2.4.1-cuda12.1-cudnn9-runtime\n"
TOO_NEW = "gpu-arch-too-new-for-torch"


@pytest.mark.parametrize(
    ("rest", "severity"),
    [
        ("", Severity.ERROR),
        ("RUN pip install transformers\n", Severity.ERROR),
        ("RUN pip install torch\n", Severity.ERROR),  # is there already
        # What was not read may bring another torch.
        ("COPY requirements.txt .\nRUN pip install -r requirements.txt\n", Severity.WARNING),
        ("RUN uv sync\n", Severity.WARNING),
        ("RUN pip install .[train]\n", Severity.WARNING),
    ],
)
def test_the_torch_in_a_pytorch_image_is_held_against_the_gpu(rest: str, severity: Severity, tmp_path: Path) -> None:
    (finding,) = findings("Dockerfile", OLD_IMAGE + rest, BLACKWELL, tmp_path)
    assert (finding.code, finding.line, finding.severity) == (TOO_NEW, 1, severity)


@pytest.mark.parametrize(
    "rest",
    [
        "RUN pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cu129\n",
        "RUN pip install --upgrade torch --index-url https://download.pytorch.org/whl/cu129\n",
    ],
)
def test_a_torch_that_is_put_over_the_image_s_own_is_the_one_that_counts(rest: str) -> None:
    assert found("Dockerfile", OLD_IMAGE + rest, BLACKWELL) == []


def test_an_image_whose_torch_runs_there_is_left_in_peace() -> None:
    assert found("Dockerfile", OLD_IMAGE, TURING) == []
    assert found("Dockerfile", OLD_IMAGE, NOBODY) == []
    assert found("Dockerfile", "FROM nvcr.io/nvidia/pytorch:22.03-py3\n", TURING) == []


def test_nvidia_s_image_of_a_month_is_judged_by_the_cuda_of_the_months_around_it() -> None:
    assert found("Dockerfile", "FROM nvcr.io/nvidia/pytorch:22.03-py3\n", BLACKWELL) == [(TOO_NEW, 1)]
    assert found("Dockerfile", "FROM nvcr.io/nvidia/pytorch:24.08-py3\n", BLACKWELL) == []


def test_a_service_s_image_is_judged_too() -> None:
    text = "services:\n  train:\n    image: pytorch/pytorch:2.4.1-cuda12.1-cudnn9-runtime\n    gpus: all\n"
    assert found("compose.yaml", text, BLACKWELL) == [(TOO_NEW, 3)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torch==2.0.1+cu118\n", [("platform-unsupported", 1)]),
        ("--extra-index-url https://download.pytorch.org/whl/cu118\ntorch==2.0.1+cu118\n", []),
        ("--extra-index-url https://mirror.example/simple\ntorch==2.0.1+cu118\n", []),
        ("torch==2.4.0\nxformers==0.0.33.post2\n", [("extension-abi-mismatch", 2)]),
        ("torch==2.5.1\nxformers>=0.0.30\n", [("extension-abi-mismatch", 2)]),
        ("torch==2.5.1\nxformers\n", []),  # pip takes an older one
        ("torch>=2.4\nxformers==0.0.33.post2\n", []),
        ("torch==2.9.1\nxformers==0.0.33.post2\n", []),
        ("torch==2.4.0\nvllm>=0.5,<0.7\n", []),  # not every patch release is known
        # Builds for other makers' GPUs are not judged.
        ("--index-url https://download.pytorch.org/whl/xpu\ntorch==2.6.0\n", []),
        ("torch==2.5.1+rocm6.2\n--extra-index-url https://download.pytorch.org/whl/rocm6.2\n", []),
        ("torch==2.5.1+rocm\n--extra-index-url https://download.pytorch.org/whl/rocm6.2\n", []),
    ],
)
def test_requirements_of_the_field(text: str, expected: list[tuple[str, int]]) -> None:
    assert found("requirements.txt", text, NOBODY) == expected


def test_a_build_named_without_its_index_fails_a_docker_build() -> None:
    (finding,) = findings("Dockerfile", "FROM python:3.11-slim\nRUN pip install torch==2.2.2+cu118\n", NOBODY)
    assert (finding.code, finding.line, finding.severity) == ("platform-unsupported", 2, Severity.ERROR)


def test_a_project_s_index_under_a_marker_is_an_index() -> None:
    text = """[project]
name = "p"
version = "1"
requires-python = ">=3.9"
[project.optional-dependencies]
gpu = ["torch==2.5.1+cu124"]
[tool.uv.sources]
torch = [{ index = "pytorch-cu124", marker = "extra == 'gpu'" }]
[[tool.uv.index]]
name = "pytorch-cu124"
url = "https://download.pytorch.org/whl/cu124"
explicit = true
"""
    assert found("pyproject.toml", text, NOBODY) == []


def test_an_image_whose_own_list_of_drivers_was_not_read_is_not_said_to_refuse_one_that_its_neighbours_take() -> None:
    volta = card("Tesla V100-SXM2-32GB", "7.0", driver="535.183.01")
    old = card("Tesla V100-SXM2-32GB", "7.0", driver="510.108.03")
    text = "FROM nvidia/cuda:12.3.2-base-ubuntu22.04\n"
    assert found("Dockerfile", text, volta) == []
    assert found("Dockerfile", text, old) == [("driver-too-old", 1)]
