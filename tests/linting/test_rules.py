"""What is found in files that describe environments, with the line where it stands, and what is left in peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host
from tests.diagnosis.snapshots import interpreter, machine
from tests.linting.files import NOBODY, WORKSTATION, card, findings, found

PASCAL = card("NVIDIA GeForce GTX 1080", "6.1")
BLACKWELL = card("NVIDIA GeForce RTX 5090", "12.0")
OLD_DRIVER = card("NVIDIA GeForce RTX 4090", "8.9", driver="535.183.01")
OLD_PYTHON = card("NVIDIA GeForce RTX 4090", "8.9", python="3.9.18")
CU126 = "--index-url https://download.pytorch.org/whl/cu126\n"
Expected = list[tuple[str, int]]

REQUIREMENTS: list[tuple[str, Snapshot, Expected]] = [
    ("torch\ntorchvision\n", WORKSTATION, []),
    ("numpy\nrequests\n", OLD_DRIVER, []),
    # Unpinned: PyPI's newest wants CUDA 13's driver.
    ("numpy\ntorch\n", OLD_DRIVER, [("driver-too-old", 2)]),
    ("torch>=2.4 # newest\n", OLD_DRIVER, [("driver-too-old", 1)]),
    ("torch==2.8.0\n", OLD_DRIVER, []),
    (CU126 + "torch\n", OLD_DRIVER, []),
    # An extra index holds nothing back: PyPI's newer release wins.
    (
        "--extra-index-url https://download.pytorch.org/whl/cu126\ntorch\n",
        OLD_DRIVER,
        [("wheel-index-missing", 1), ("driver-too-old", 2)],
    ),
    ("--extra-index-url https://download.pytorch.org/whl/cu126\ntorch==2.14.1\n", OLD_DRIVER, []),
    # The oldest and the newest GPUs.
    ("torch\n", PASCAL, [("gpu-arch-too-old-for-torch", 1)]),
    (CU126 + "torch==2.14.1\n", PASCAL, []),
    ("torch==2.6.0\n", BLACKWELL, [("gpu-arch-too-new-for-torch", 1)]),
    ("torch==2.15.0\n", BLACKWELL, []),
    ("--index-url https://download.pytorch.org/whl/cpu\ntorch==2.14.1\n", WORKSTATION, [("torch-cpu-only", 2)]),
    ("--index-url https://download.pytorch.org/whl/cpu\ntorch==2.14.1\n", NOBODY, []),
    # Pythons.
    ("torch==2.15.0\n", OLD_PYTHON, [("python-unsupported", 1)]),
    ("torch\n", OLD_PYTHON, []),
    ("torch==2.3.1\n", card("NVIDIA GeForce RTX 4090", "8.9", python="3.14.0"), [("python-unsupported", 1)]),
    # Channels that have no such wheel.
    (CU126 + "torch==2.15.0\n", WORKSTATION, [("platform-unsupported", 2)]),
    ("--index-url https://download.pytorch.org/whl/cu118\ntorch==2.9.1\n", WORKSTATION, [("platform-unsupported", 2)]),
    ("torch==2.6.0+cu118\n-f https://download.pytorch.org/whl/torch_stable.html\n", WORKSTATION, []),
    (
        "torch==2.9.1+cu118\n-f https://download.pytorch.org/whl/torch_stable.html\n",
        WORKSTATION,
        [("platform-unsupported", 1)],
    ),
    ("torch==2.14.1+cu130\n-f ./wheels\n", OLD_DRIVER, [("driver-too-old", 1)]),
    ("--index-url https://pypi.company.example/simple\ntorch\n", OLD_DRIVER, []),
    ("--index-url https://download.pytorch.org/whl/nightly/cu132\n--pre\ntorch\n", OLD_DRIVER, []),
    # A release that nobody has heard of yet is not judged.
    ("torch==3.0.0\n", WORKSTATION, []),
    # Siblings.
    ("torch==2.6.0\ntorchvision==0.20.1\n", WORKSTATION, [("torchvision-mismatch", 2)]),
    ("torch==2.6.0\ntorchvision==0.21.0\ntorchaudio==2.6.0\n", WORKSTATION, []),
    ("torch==2.6.0\ntorchaudio==2.5.1\n", WORKSTATION, [("torchaudio-mismatch", 2)]),
    ("torch==2.15.0\ntorchaudio==2.11.0\n", WORKSTATION, []),
    ("torchvision==0.15.2\ntorch>=2.0,<2.1\nnumpy<2\n", card("NVIDIA GeForce RTX 4090", "8.9", python="3.10.12"), []),
    # torchvision's own pin decides where torch is left open.
    ("torch\ntorchvision==0.22.1\n", OLD_DRIVER, []),
    ("torch\ntorchvision==0.22.1\n", BLACKWELL, [("gpu-arch-too-new-for-torch", 1)]),
    # NVIDIA's libraries by hand.
    ("torch==2.8.0\nnvidia-cudnn-cu12==9.1.0.70\n", WORKSTATION, [("nvidia-wheels-mismatch", 2)]),
    # Wheels by URL, and other systems' lines, say nothing.
    ("torch @ https://example.com/torch-2.15.0-cp312-cp312-linux_x86_64.whl\n", OLD_DRIVER, []),
    ("torch; sys_platform == 'darwin'\n", OLD_DRIVER, []),
]


@pytest.mark.parametrize(("text", "snapshot", "expected"), REQUIREMENTS)
def test_requirements(text: str, snapshot: Snapshot, expected: Expected) -> None:
    assert found("requirements.txt", text, snapshot) == expected


DOCKERFILES: list[tuple[str, Snapshot, Expected]] = [
    ("FROM python:3.12-slim-bookworm\nRUN pip install torch==2.15.0 torchvision==0.29.2\n", WORKSTATION, []),
    ("FROM python:3.12-slim-bookworm\nRUN pip install torch\n", OLD_DRIVER, [("driver-too-old", 2)]),
    ("FROM python:3.9-slim\nRUN pip install \\\n    numpy \\\n    torch==2.15.0\n", NOBODY, [("python-unsupported", 4)]),
    ("FROM python:3.12-alpine\nRUN pip install torch\n", NOBODY, [("platform-unsupported", 2)]),
    ("FROM ubuntu:18.04\nRUN apt-get install -y python3.8 && python3.8 -m pip install torch==2.4.1\n", NOBODY, []),
    ("FROM ubuntu:18.04\nRUN pip install uv && uv venv --python 3.12 && uv pip install torch==2.15.0\n", NOBODY,
     [("glibc-too-old", 2)]),
    # The shell takes an unquoted > for a redirection: what pip sees is unpinned.
    ("FROM python:3.12-slim\nRUN pip install torch<2.9\n", OLD_DRIVER, [("driver-too-old", 2), ("torch-too-old-for-package", 2)]),
    ("FROM python:3.12-slim\nRUN pip install 'torch<2.9'\n", OLD_DRIVER, []),
    # Images.
    ("FROM nvidia/cuda:latest\n", NOBODY, [("platform-unsupported", 1)]),
    ("FROM nvidia/cuda:12.4.1\n", NOBODY, [("platform-unsupported", 1)]),
    ("FROM nvidia/cuda:11.2.0-runtime-ubuntu20.04\n", NOBODY, [("platform-unsupported", 1)]),
    ("FROM nvidia/cuda:12.4.1-base-ubuntu22.04\n", NOBODY, []),
    ("FROM nvidia/cuda:12.4.0-base-ubuntu22.04\n", NOBODY, [("platform-unsupported", 1)]),
    ("FROM nvidia/cuda:99.1.0-base-ubuntu30.04\n", NOBODY, []),
    ("FROM nvidia/cuda@sha256:0123456789\n", NOBODY, []),
    ("ARG CUDA=11.2.0\nFROM nvidia/cuda:${CUDA}-runtime-ubuntu20.04\n", NOBODY, [("platform-unsupported", 2)]),
    ("ARG CUDA\nFROM nvidia/cuda:${CUDA}-runtime-ubuntu20.04\n", NOBODY, []),
    # The host's driver and the image's CUDA.
    ("FROM nvidia/cuda:13.0.1-base-ubuntu24.04\n", card("NVIDIA GeForce RTX 4090", "8.9", driver="560.35.03"),
     [("driver-too-old", 1)]),
    ("FROM nvidia/cuda:12.4.1-base-ubuntu22.04\n", OLD_DRIVER, []),
    # CUDA twice, and the wrong one.
    ("FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04\nRUN apt-get install python3.11 && python3.11 -m pip install torch==2.15.0\n",
     WORKSTATION, [("toolkit-multiple", 1)]),
    ("FROM nvidia/cuda:12.4.1-base-ubuntu22.04\nRUN apt-get install -y python3.11 && python3.11 -m pip install torch==2.15.0\n",
     WORKSTATION, []),
    (("FROM nvidia/cuda:12.4.1-devel-ubuntu22.04\nRUN uv pip install --python 3.12 torch==2.15.0\n"
     "RUN pip install mine --no-build-isolation\n"), WORKSTATION, [("toolkit-mismatch", 1)]),
    ("FROM nvidia/cuda:12.4.1-devel-ubuntu22.04\nRUN pip install torch==2.6.0\nRUN pip install flash-attn\n", WORKSTATION, []),
    # A stage that is only copied from: nothing of it is kept or started, but its compiler's CUDA counts.
    (("FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS build\nRUN python3 -m venv /v && /v/bin/pip install torch==2.6.0\n"
      "RUN apt-get install -y libnvidia-compute-580\nFROM ubuntu:24.04\nCOPY --from=build /v /v\n"), OLD_DRIVER, []),
    (("FROM nvidia/cuda:12.6.3-devel-ubuntu24.04 AS build\nRUN uv pip install --python 3.12 torch==2.15.0\n"
      "RUN pip install mine --no-build-isolation\n"
      "FROM ubuntu:24.04\nRUN --mount=type=bind,from=Build,target=/v cp -r /v /w\n"),
     WORKSTATION, [("toolkit-mismatch", 1)]),
    # What the last stage starts from is kept; what nobody copies from is built for itself.
    (("FROM nvidia/cuda:12.6.3-runtime-ubuntu24.04 AS base\nRUN python3 -m venv /v && /v/bin/pip install torch==2.6.0\n"
      "FROM base\nCOPY --from=base /v /w\n"), WORKSTATION, [("toolkit-multiple", 1)]),
    (("FROM nvidia/cuda:12.6.3-runtime-ubuntu24.04 AS dev\nRUN python3 -m venv /v && /v/bin/pip install torch==2.6.0\n"
      "FROM python:3.12-slim\nCOPY --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/\n"), WORKSTATION, [("toolkit-multiple", 1)]),
    # Where torch may be in the image already, pip leaves it; a pin replaces it.
    ("FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime\nRUN pip install torch timm\n", OLD_DRIVER, []),
    ("FROM company/base:1\nRUN pip install torch\n", OLD_DRIVER, []),
    ("FROM company/base:1\nRUN pip install torch==2.15.0\n", OLD_DRIVER, [("driver-too-old", 2)]),
    # A variable of the shell may name the index.
    ("FROM ubuntu:22.04\nRUN pip install $INDEX torch\n", OLD_DRIVER, []),
    ("FROM ubuntu:22.04\nRUN pip install $INDEX torch==2.6.0 torchvision==0.20.1\n", OLD_DRIVER, [("torchvision-mismatch", 2)]),
    ("FROM ubuntu:22.04\nARG TORCH=2.15.0\nRUN python3.12 -m pip install torch==${TORCH}\n", OLD_DRIVER, [("driver-too-old", 3)]),
    # A driver in the image.
    ("FROM ubuntu:24.04\nRUN apt-get update && apt-get install -y --no-install-recommends \\\n  curl \\\n  nvidia-driver-580\n",
     NOBODY, [("driver-library-mismatch", 4)]),
    ("FROM ubuntu:24.04\nRUN apt-get install -y cuda\n", NOBODY, [("driver-library-mismatch", 2)]),
    ("FROM ubuntu:24.04\nRUN apt-get install -y cuda-toolkit-13-2 libnccl2\n", NOBODY, []),
    # What hides the GPU.
    ("FROM python:3.12-slim\nENV NVIDIA_DRIVER_CAPABILITIES=utility,video\n", NOBODY, [("container-no-gpu", 2)]),
    ("FROM python:3.12-slim\nENV CUDA_VISIBLE_DEVICES=-1\n", NOBODY, [("visible-devices-hidden", 2)]),
    # A stage's findings are said once, though its child has them too.
    ("FROM python:3.12-slim AS base\nRUN pip install torch\nFROM base AS dev\nRUN pip install pytest\n", OLD_DRIVER,
     [("driver-too-old", 2)]),
    ("FROM python:3.12-slim\nENV PIP_INDEX_URL=https://download.pytorch.org/whl/cu126\nRUN pip install torch\n", OLD_DRIVER, []),
    ("FROM python:3.12-slim\nRUN <<EOF\npip install --no-cache-dir numpy\npip install torch\nEOF\n", OLD_DRIVER,
     [("driver-too-old", 4)]),
    ("FROM python:3.12-slim\nRUN uv pip install --torch-backend=cu126 torch\n", OLD_DRIVER, []),
    ('FROM python:3.12-slim\nRUN ["pip", "install", "torch"]\n', OLD_DRIVER, [("driver-too-old", 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "snapshot", "expected"), DOCKERFILES)
def test_dockerfiles(text: str, snapshot: Snapshot, expected: Expected) -> None:
    assert found("Dockerfile", text, snapshot) == expected


COMPOSE: list[tuple[str, Expected]] = [
    ("services:\n  web:\n    image: nginx\n", []),
    ("services:\n  train:\n    image: pytorch/pytorch:2.14.1-cuda13.2-cudnn9-runtime\n", [("container-no-gpu", 2)]),
    ("services:\n  train:\n    image: nvidia/cuda:12.4.1-base-ubuntu22.04\n    gpus: all\n", []),
    ("services:\n  train:\n    image: nvidia/cuda:12.4.1-base-ubuntu22.04\n    runtime: nvidia\n", []),
    (
        (
            "services:\n  train:\n    build: .\n    environment:\n      NVIDIA_VISIBLE_DEVICES: all\n    deploy:\n"
            "      resources:\n        reservations:\n          devices:\n"
            "            - driver: nvidia\n              capabilities: [gpu]\n"
        ),
        [],
    ),
    (
        "services:\n  train:\n    build: .\n    environment:\n      - NVIDIA_VISIBLE_DEVICES=all\n",
        [("container-no-gpu", 2)],
    ),
    (
        "x-gpu: &gpu\n  gpus: all\nservices:\n  train:\n    <<: *gpu\n    image: nvidia/cuda:12.4.1-base-ubuntu22.04\n",
        [],
    ),
    (
        "services:\n  train:\n    image: nvidia/cuda:11.2.0-runtime-ubuntu20.04\n    gpus: all\n",
        [("platform-unsupported", 3)],
    ),
    (
        "services:\n  train:\n    gpus: all\n    build: .\n    environment:\n      NVIDIA_DRIVER_CAPABILITIES: graphics\n",
        [("container-no-gpu", 6)],
    ),
]


@pytest.mark.parametrize(("text", "expected"), COMPOSE)
def test_compose_files(text: str, expected: Expected) -> None:
    assert found("compose.yaml", text) == expected


CONDA: list[tuple[str, Expected]] = [
    ("channels: [conda-forge]\ndependencies:\n  - python=3.12\n  - pytorch-gpu=2.9\n", []),
    ("channels: [pytorch, nvidia]\ndependencies:\n  - python=3.12\n  - pytorch=2.8\n", [("platform-unsupported", 4)]),
    ("channels: [pytorch, nvidia]\ndependencies:\n  - pytorch=2.5.1\n  - pytorch-cuda=12.4\n", []),
    ("channels: [pytorch]\ndependencies:\n  - pytorch\n  - cpuonly\n", [("torch-cpu-only", 4)]),
    (
        "dependencies:\n  - python=3.9\n  - pip\n  - pip:\n      - torch==2.15.0\n",
        [("python-unsupported", 5)],
    ),
    ("dependencies:\n  - pytorch=2.5\n  - pip:\n    - torch\n", [("torch-duplicate-install", 4)]),
]


@pytest.mark.parametrize(("text", "expected"), CONDA)
def test_conda_environments(text: str, expected: Expected) -> None:
    assert found("environment.yml", text) == expected


PYPROJECT: list[tuple[str, Snapshot, Expected]] = [
    ('[project]\nname = "x"\nrequires-python = ">=3.11"\ndependencies = [\n  "torch>=2.4",\n]\n', WORKSTATION, []),
    ('[project]\nname = "x"\nrequires-python = ">=3.11"\ndependencies = [\n  "torch>=2.4",\n]\n', OLD_DRIVER,
     [("driver-too-old", 5)]),
    ('[project]\nname = "x"\nrequires-python = "<3.11"\ndependencies = ["torch==2.15.0"]\n', WORKSTATION,
     [("python-unsupported", 4)]),
    (('[project]\nname = "x"\ndependencies = ["torch"]\n[tool.uv.sources]\ntorch = {index = "t"}\n[[tool.uv.index]]\nname = "t"\n'
     'url = "https://download.pytorch.org/whl/cu126"\nexplicit = true\n'), OLD_DRIVER, []),
    ('[project]\nname = "x"\n[project.optional-dependencies]\ngpu = ["torch==2.6.0", "torchvision==0.20.1"]\n', WORKSTATION,
     [("torchvision-mismatch", 4)]),
    ('[tool.poetry.dependencies]\npython = "^3.12"\ntorch = "^2.4"\n', OLD_DRIVER, [("driver-too-old", 3)]),
    ('[build-system]\nrequires = ["hatchling"]\n', OLD_DRIVER, []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "snapshot", "expected"), PYPROJECT)
def test_pyproject(text: str, snapshot: Snapshot, expected: Expected) -> None:
    assert found("pyproject.toml", text, snapshot) == expected


def test_a_requirements_file_is_followed_from_the_dockerfile_and_from_another_one(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r more.txt\nnumpy\n")
    (tmp_path / "more.txt").write_text("scipy\ntorch\n")
    text = "FROM python:3.12-slim\nCOPY requirements.txt /app/\nRUN pip install -r /app/requirements.txt\n"
    (finding,) = findings("Dockerfile", text, OLD_DRIVER, tmp_path)
    assert (finding.code, finding.file, finding.line) == ("driver-too-old", str(tmp_path / "more.txt"), 2)


def test_requirements_that_include_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r a.txt\ntorch==2.6.0\n")
    assert {code for code, _ in found("a.txt", "-r b.txt\n", BLACKWELL, tmp_path)} == {"gpu-arch-too-new-for-torch"}


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("--index-url https://download.pytorch.org/whl/cpu\ntorch\n", Severity.WARNING),
        ("--extra-index-url https://download.pytorch.org/whl/cpu\ntorch==2.14.1+cpu\n", Severity.WARNING),
    ],
)
def test_who_names_the_cpu_build_may_mean_it(text: str, severity: Severity) -> None:
    (finding,) = findings("requirements.txt", text)
    assert (finding.code, finding.severity) == ("torch-cpu-only", severity)


def test_on_windows_pypi_has_the_cpu_build_which_nobody_asked_for() -> None:
    windows = machine(host=Host(system="Windows", architecture="x86_64"), interpreter=interpreter())
    (finding,) = findings("requirements.txt", "torch\n", windows)
    assert (finding.code, finding.severity) == ("torch-cpu-only", Severity.ERROR)


def test_what_is_written_instead_runs_here() -> None:
    (finding,) = findings("requirements.txt", "torch\n", PASCAL)
    assert finding.fixes[0].note is not None
    written = [line[2:] for line in finding.fixes[0].note.splitlines() if line.startswith("+ ")]
    assert written
    assert findings("requirements.txt", "\n".join(written) + "\n", PASCAL) == ()
