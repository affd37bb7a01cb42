"""Images built for real, from the docker recipe and envdoctor's own: what they hold, who they are, what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from envdoctor.knowledge import load
from tests import real_torch
from tests.real_torch import TORCH
from tests.rendering.building import Builder
from tests.rendering.pip_inside import (
    ROOT,
    configuration_of_this_machine,
    download,
    wheels_alone,
)
from tests.rendering.stand_ins import PYTHON, extension, torch_for_cuda

pytestmark = [pytest.mark.system, pytest.mark.timeout(2400)]
NEW = ("2.15.0", "0.29.2", "2.11.1", "13.2")
"""torch, torchvision, torchaudio and CUDA of the stand-ins."""
NEW_TORCH = NEW[0]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    made = Builder(tmp_path_factory.mktemp("buildah") / "images")
    yield made
    made.clean()


@pytest.fixture(scope="module")
def wheels(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all images need but torch."""
    folder = tmp_path_factory.mktemp("wheels")
    download(folder, "six", "ninja", "packaging", "setuptools", "wheel")
    return folder


def recipe(folder: Path, *arguments: str) -> Path:
    """A build context as the user has it: what `envdoctor recipe docker -o` writes."""
    command = [sys.executable, "-m", "envdoctor", "recipe", "docker", *arguments, "-o", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder


def built(builder: Builder, context: Path, wheels: Sequence[Path], name: str, *arguments: str) -> dict[str, Any]:
    pip = context.parent / "pip.conf"
    return builder.build(context, name, *arguments, pip=pip, mounts=wheels_alone(pip, *wheels))


def report(builder: Builder, container: str, *command: str) -> dict[str, Any]:
    done = builder.run(container, *command, "--format", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "exit code": done.returncode}


@pytest.mark.torch
def test_an_image_with_the_real_torch_is_built_and_checks_itself(
    builder: Builder, wheels: Path, tmp_path: Path
) -> None:
    plan = ("--gpu", "none", "--os", "debian12", "--python", PYTHON, "--torch", TORCH, "--with", "six")
    context = recipe(tmp_path / "context", *plan)
    # The plan names the torchaudio that goes with this torch; it asks for nothing but torch.
    audio = tmp_path / "audio"
    download(audio, "--no-deps", f"torchaudio=={load().torchaudio_for(TORCH)}")
    folders = (wheels, real_torch.wheels(), audio)
    configuration = built(builder, context, folders, "cpu", "--build-arg", "UID=1234")
    assert configuration["User"] == "1234:1000"
    assert not configuration.get("Healthcheck"), "a container for the CPU has nothing to lose"
    label = configuration["Labels"]["envdoctor.torch"]
    assert label.partition("+")[0] == TORCH

    container = builder.container("cpu")
    said = builder.run(container, *configuration["Cmd"])
    assert (said.returncode, said.stdout) == (0, f"{label} computes correctly on the CPU\n"), said.stderr

    assert builder.run(container, "id", "-u").stdout.strip() == "1234"
    assert builder.run(container, "touch", "/workspace/file", "/home/app/.cache/file").returncode == 0
    refused = builder.run(container, "touch", "/opt/venv/file")
    assert "Permission denied" in refused.stderr, "the environment is not the user's to change"
    left = builder.run(container, "find", "/root/.cache", "/context", "/wheels", "/etc/pip.conf", "-type", "f")
    assert left.stdout == "", "caches, secrets and the context are the builder's"


def test_an_image_for_a_gpu_is_built_on_a_slim_base(builder: Builder, wheels: Path, tmp_path: Path) -> None:
    torch_for_cuda(wheels, *NEW)
    gpu = ("--gpu", "RTX 5090", "--driver", "580.95.05", "--os", "debian12", "--torch", NEW_TORCH)
    plan = (*gpu, "--python", PYTHON, "--with", "six")
    configuration = built(builder, recipe(tmp_path / "context", *plan), [wheels], "gpu")
    environment = dict(entry.split("=", 1) for entry in configuration["Env"])
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert environment["NVIDIA_REQUIRE_CUDA"] == "cuda>=13.0"
    assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert configuration["Labels"]["envdoctor.min-driver"].startswith("580")
    assert configuration["Labels"]["envdoctor.gpus"] == "NVIDIA GeForce RTX 5090 (12.0)"

    container = builder.container("gpu")
    assert configuration["Healthcheck"]["Test"] == ["CMD", "nvidia-smi"]
    program = ("python", "-c", "import torch; print(torch.__version__)")
    started = builder.run(container, *configuration["Entrypoint"], *program)
    assert (started.returncode, started.stdout) == (0, f"{NEW_TORCH}+cu132\n"), started.stderr
    moved = builder.run(container, "pip", "install", "--dry-run", "--no-index", "nvidia-standin>=2")
    assert "constraint" in moved.stdout + moved.stderr, "no package moves CUDA's libraries"


def test_an_extension_is_compiled_in_a_stage_that_is_left_behind(
    builder: Builder, wheels: Path, tmp_path: Path
) -> None:
    torch_for_cuda(wheels, *NEW)
    extension(wheels)
    gpu = ("--gpu", "RTX 5090", "--driver", "580", "--os", "ubuntu24.04", "--python", "3.12", "--torch", NEW_TORCH)
    context = recipe(tmp_path / "context", *gpu, "--purpose", "build-extensions", "--with", "envdoctor-probe==1.0")
    configuration = built(builder, context, [wheels], "extension")
    assert configuration["Entrypoint"] == ["require-driver"]
    assert not [entry for entry in configuration["Env"] if entry.startswith(("CUDA_HOME", "TORCH_CUDA_ARCH_LIST"))]

    container = builder.container("extension")
    asked = ("python", "-c", "import probe; print(probe.arch_list)")
    started = builder.run(container, *configuration["Entrypoint"], *asked)
    assert (started.returncode, started.stdout) == (0, "12.0\n"), started.stderr
    for name in ("g++", "git", "nvcc"):
        assert builder.run(container, "sh", "-c", f"command -v {name}").stdout == "", "compilers stay behind"
    assert builder.run(container, "sh", "-c", "command -v gcc").returncode == 0, "but for triton's"


def test_envdoctors_own_image_is_built_and_checks(builder: Builder, tmp_path: Path) -> None:
    pip = tmp_path / "pip.conf"
    configuration = builder.build(ROOT, "own", pip=pip, mounts=configuration_of_this_machine(pip))
    container = builder.container("own")
    said = report(builder, container, *configuration["Entrypoint"], *configuration["Cmd"])
    assert said["primary"] == "torch-missing"
    assert builder.run(container, "id", "-u").stdout.strip() == "1000"
    assert "Usage: envdoctor" in builder.run(container, *configuration["Entrypoint"], "--help").stdout
    for listing in (("recipe", "--list"), ("bench", "list")):
        assert builder.run(container, "envdoctor", *listing).returncode == 0, "its templates and workloads are inside"
    assert builder.run(container, "find", "/src", "/root/.cache", "/etc/pip.conf", "-type", "f").stdout == ""
