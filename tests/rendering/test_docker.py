"""The docker recipe: hadolint, base images that exist, the driver's guard, values that stay values."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.planning.model import Stack, TargetGpu
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.containers import (
    UV_IMAGE,
    driver_requirement,
    guard,
    health,
    image_name,
    proof,
    quoted,
    service_name,
)
from envdoctor.rendering.model import Options
from tests import real_torch
from tests.rendering.plans import plans
from tests.rendering.tools import check_with

LINUX = {name: stack for name, stack in plans().items() if stack.platform.startswith("linux")}
MORE: dict[str, dict[str, Any]] = {
    "python-3.9": {"python": "3.9", "base_image": "python:3.9-slim-bookworm"},
    "free-threaded": {"python": "3.14t", "base_image": "debian:trixie-slim"},
    "building-other-python": {
        "python": "3.13",
        "purpose": "build-extensions",
        "build_image": "nvidia/cuda:13.2.1-devel-ubuntu24.04",
        "base_image": "ubuntu:24.04",
        "packages": ("flash-attn==2.8.3",),
    },
    "no-base": {"base_image": None},
}
STACKS = {**LINUX, **{name: msgspec.structs.replace(plans()["rtx5090"], **more) for name, more in MORE.items()}}


def dockerfile(stack: Stack, **options: Any) -> str:
    return render("docker", stack, Options(**options))[0].text


def instructions(text: str) -> str:
    """Without comments."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def test_every_dockerfile_passes_hadolint(tmp_path: Path) -> None:
    files = []
    for recipe in ("docker", "compose", "devcontainer"):
        for name, stack in STACKS.items():
            (text,) = [file.text for file in render(recipe, stack) if file.path.endswith("Dockerfile")]
            files.append(tmp_path / f"{recipe}-{name}.Dockerfile")
            files[-1].write_text(text)
    check_with("hadolint", files=files)


@pytest.mark.parametrize("name", STACKS)
def test_a_rule_that_is_ignored_is_ignored_for_a_reason(name: str) -> None:
    lines = dockerfile(STACKS[name]).splitlines()
    for number, line in enumerate(lines):
        if "hadolint ignore=" in line:
            assert lines[number - 1].startswith("# "), line
            assert len(lines[number - 1]) > 20


@pytest.mark.parametrize("name", STACKS)
def test_the_directive_comes_first_and_the_header_says_what_it_is(name: str) -> None:
    stack = STACKS[name]
    text = dockerfile(stack, arguments=("--gpu", "RTX 5090"))
    assert text.startswith("# syntax=docker/dockerfile:1\n# An image with torch ")
    assert "# Made by: envdoctor recipe docker --gpu 'RTX 5090'\n" in text
    assert text == dockerfile(stack, arguments=("--gpu", "RTX 5090")), "the same plan gives the same bytes"


@pytest.mark.parametrize("name", LINUX)
def test_base_images_exist(name: str) -> None:
    bases = re.findall(r"^FROM (\S+)", dockerfile(LINUX[name]), re.MULTILINE)
    known = {image.reference for image in load().cuda_images()}
    for base in bases:
        repository, _, tag = base.partition(":")
        if repository == "nvidia/cuda":
            assert base in known
        elif repository == "python":
            python, suite = re.fullmatch(r"([\d.]+)-slim-(\w+)", tag).groups()  # type: ignore[union-attr]
            image = load().python_image(python)
            assert image is not None
            assert suite in image.suites
        else:
            assert base == "ubuntu:24.04"


def test_wheels_go_on_a_slim_base_and_their_pins_are_exact() -> None:
    stack = LINUX["rtx5090"]
    text = dockerfile(stack)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == [f"python:{stack.python}-slim-bookworm"]
    assert f"pip install torch=={stack.torch} torchvision=={stack.torchvision} \\" in text
    assert "--mount=type=cache,target=/root/.cache/pip" in text


def test_an_index_of_its_own_is_named() -> None:
    stack = LINUX["v100"]
    assert f"--index-url {stack.index_url} \\" in dockerfile(stack)


def test_extensions_are_built_in_a_stage_that_is_left_behind() -> None:
    stack = msgspec.structs.replace(LINUX["build-extensions"], packages=("flash-attn",))
    build, _, run = dockerfile(stack).partition(f"FROM {stack.base_image}\n")
    assert f"FROM {stack.build_image} AS build\n" in build
    assert "pip install --no-build-isolation flash-attn" in build
    assert 'TORCH_CUDA_ARCH_LIST="12.0"' in build
    assert "build-essential" in build
    assert "COPY --from=build /opt/venv /opt/venv" in run
    assert "CUDA_HOME" not in run
    assert "build-essential" not in run
    assert "userdel --remove ubuntu" in run, "Ubuntu's image has a user of UID 1000"


def test_a_python_that_the_system_lacks_comes_with_uv_and_goes_along() -> None:
    build, _, run = dockerfile(STACKS["building-other-python"]).partition("FROM ubuntu:24.04\n")
    assert f"--mount=type=bind,from={UV_IMAGE},source=/uv" in build
    assert "--python 3.13 /opt/venv" in build
    assert "COPY --from=build /opt/python /opt/python" in run


def test_the_image_is_not_root_and_watches_itself() -> None:
    text = dockerfile(LINUX["h100x8"])
    tail = text[text.rindex("USER ") :]
    assert tail.startswith("USER $UID:$GID\n")
    assert "ARG UID=1000\nARG GID=1000\n" in text
    assert re.search(r'^HEALTHCHECK .* CMD \["nvidia-smi"\]$', tail, re.MULTILINE)
    command = f"CMD {json.dumps(proof(LINUX['h100x8']))}\n"
    assert tail.endswith(f'ENTRYPOINT ["require-driver"]\n{command}')


def test_no_image_asks_for_what_it_may_not_have() -> None:
    assert health(LINUX["no-gpu"]) == ()
    jetson = TargetGpu(name="Orin", capability="8.7")
    assert health(msgspec.structs.replace(LINUX["rtx5090"], gpus=(jetson,))) == ()


def test_the_dockerfile_takes_nothing_from_the_folder_beside_it() -> None:
    """`recipe docker > Dockerfile` builds."""
    for stack in STACKS.values():
        assert not re.search(r"^(COPY|ADD) (?!--from=)|type=bind(?!,from=)", dockerfile(stack), re.MULTILINE)


@pytest.mark.torch
def test_the_images_own_command_passes_where_torch_is_right() -> None:
    done = subprocess.run(
        [real_torch.environment().python, *proof(LINUX["no-gpu"])[1:]],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[1:]) == (0, ["computes", "correctly", "on", "the", "CPU"]), done.stderr


def test_labels_say_the_plan_and_the_minimum_driver() -> None:
    stack = LINUX["gtx1080"]
    text = dockerfile(stack)
    assert f'envdoctor.min-driver="{stack.min_driver}"' in text
    assert f'envdoctor.torch="{stack.torch}+cu126"' in text
    assert 'envdoctor.gpus="NVIDIA GeForce GTX 1080 (6.1)"' in text


def test_nothing_of_nvidia_is_in_an_image_for_the_cpu() -> None:
    text = instructions(dockerfile(LINUX["no-gpu"]))
    assert "NVIDIA" not in text
    assert "require-driver" not in text
    assert "gcc" not in text


def test_users_packages_come_under_the_plans_constraints() -> None:
    text = dockerfile(LINUX["packages"])
    before, _, after = text.partition("ENV PIP_CONSTRAINT=/opt/venv/constraints.txt\n")
    assert f"torch=={LINUX['packages'].torch}" in before
    assert """pip install 'numpy>=2' 'requests[socks]; sys_platform == "linux"' timm \\\n    && pip check""" in after


def test_pinned_packages_need_no_ignored_rule() -> None:
    stack = msgspec.structs.replace(LINUX["packages"], packages=("timm==1.0.20",))
    assert "DL3013" in dockerfile(LINUX["packages"])
    assert "DL3013" not in dockerfile(stack)


def test_a_plan_for_windows_is_refused_with_what_to_do() -> None:
    for recipe in ("docker", "compose", "devcontainer", "apptainer", "kubernetes"):
        with pytest.raises(InputError, match=f"envdoctor recipe {recipe} --os ubuntu24.04"):
            render(recipe, plans()["windows"])


def test_large_files_and_secrets_stay_out_of_the_build() -> None:
    ignored = render("docker", LINUX["rtx5090"])[1]
    assert ignored.path == ".dockerignore"
    assert {".git", ".venv", "**/*.safetensors"} <= set(ignored.text.splitlines())


@pytest.mark.parametrize(
    ("value", "written"),
    [("plain", '"plain"'), ('say "hi"', r'"say \"hi\""'), ("$HOME", r'"\$HOME"'), ("a\\b", r'"a\\b"')],
)
def test_values_are_not_expanded(value: str, written: str) -> None:
    assert quoted(value) == written


@pytest.mark.parametrize(
    ("name", "service"),
    [("My Stack", "my-stack"), ("torch_stack", "torch-stack"), ("-", "torch-stack"), ("Ü", "torch-stack")],
)
def test_any_name_becomes_one_that_engines_take(name: str, service: str) -> None:
    assert service_name(Options(name=name)) == service
    assert image_name(LINUX["no-gpu"], Options(name=name)).startswith(f"{service}:")


# --- The host's driver ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "wanted"),
    [
        ("580.65.06", "cuda>=13.0"),
        ("580", "cuda>=13.0"),
        ("570.26", "cuda>=12.8"),
        ("525.60.13", "cuda>=12.0"),
        (None, None),
    ],
)
def test_the_driver_is_required_by_the_cuda_that_it_reports(driver: str | None, wanted: str | None) -> None:
    assert driver_requirement(msgspec.structs.replace(LINUX["rtx5090"], min_driver=driver)) == wanted


def test_a_driver_that_suffices_is_never_refused() -> None:
    """Minor-version compatibility: CUDA 12.9's wheels run on a driver of CUDA 12.0, which `cuda>=12.9` would refuse."""
    for toolkit in load().toolkits():
        needed = load().minimum_driver(toolkit)
        if needed is None:
            continue
        branch = load().driver_branch(needed)
        wanted = driver_requirement(msgspec.structs.replace(LINUX["rtx5090"], min_driver=needed))
        assert wanted is not None
        if branch is not None and branch.max_cuda is not None:
            assert wanted == f"cuda>={branch.max_cuda}", toolkit
        else:
            assert wanted == f"driver>={needed}", toolkit


NVRM = "NVRM version: NVIDIA UNIX {kind}  {version}  Release Build  (dvs-builder@U16)  Fri Sep  5 09:12:34 UTC 2026\n"
OPEN, CLOSED = "Open Kernel Module for x86_64", "x86_64 Kernel Module"


class Host:
    """A host with or without a GPU in the container, and its /proc/driver/nvidia/version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = folder / "version"
        self.device = folder / "nvidiactl"

    def start(self, minimum: str, **environment: str) -> subprocess.CompletedProcess[str]:
        lines = "\n".join(guard(msgspec.structs.replace(LINUX["rtx5090"], min_driver=minimum)))
        assert lines.count("/proc/driver/nvidia/version") == lines.count("/dev/nvidiactl") == 1
        script = self.folder / "require-driver"
        script.write_text(
            lines.replace("/proc/driver/nvidia/version", str(self.version)).replace("/dev/nvidiactl", str(self.device))
        )
        return subprocess.run(
            ["sh", script, "echo", "started", "a  b"],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
            env={**os.environ, **environment},
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.device.touch()
    return made


@pytest.mark.parametrize(
    ("minimum", "kind", "version"),
    [
        ("580.65.06", OPEN, "580.65.06"),
        ("580.65.06", OPEN, "580.126.09"),
        ("580.65.06", CLOSED, "1000.10"),
        ("580", OPEN, "580.65.06"),
        ("525.60.13", CLOSED, "535.183.01"),
    ],
)
def test_a_container_starts_on_a_driver_that_suffices(host: Host, minimum: str, kind: str, version: str) -> None:
    host.version.write_text(NVRM.format(kind=kind, version=version))
    done = host.start(minimum)
    assert (done.returncode, done.stdout, done.stderr) == (0, "started a  b\n", "")


@pytest.mark.parametrize(("kind", "version"), [(OPEN, "570.195.03"), (CLOSED, "535.183.01"), (CLOSED, "580.65.05")])
def test_a_container_refuses_an_older_driver_and_names_both(host: Host, kind: str, version: str) -> None:
    host.version.write_text(NVRM.format(kind=kind, version=version))
    done = host.start("580.65.06")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"needs NVIDIA driver 580.65.06 or newer, and this host has {version}" in done.stderr
    assert f"envdoctor recipe plan --driver {version}" in done.stderr


def test_the_refusal_can_be_switched_off_as_nvidias_own(host: Host) -> None:
    host.version.write_text(NVRM.format(kind=OPEN, version="535.183.01"))
    assert host.start("580.65.06", NVIDIA_DISABLE_REQUIRE="true").returncode == 0
    assert host.start("580.65.06", NVIDIA_DISABLE_REQUIRE="0").returncode == 1


def test_a_container_without_a_gpu_starts_whatever_the_hosts_driver(host: Host) -> None:
    host.version.write_text(NVRM.format(kind=OPEN, version="470.256.02"))
    host.device.unlink()
    assert host.start("580.65.06").returncode == 0


def test_a_driver_that_says_nothing_is_not_refused(host: Host) -> None:
    assert host.start("580.65.06").returncode == 0


def test_the_guard_passes_shellcheck(tmp_path: Path) -> None:
    script = tmp_path / "require-driver"
    script.write_text("\n".join(guard(LINUX["rtx5090"])) + "\n")
    check_with("shellcheck", files=[script])


def test_mixed_gpus_are_all_named() -> None:
    stack = msgspec.structs.replace(
        LINUX["mixed"], gpus=(TargetGpu(name='A "$B" \\ C', capability="9.0"), *LINUX["mixed"].gpus)
    )
    assert r"""envdoctor.gpus="A \"\$B\" \\ C (9.0), NVIDIA GeForce RTX 5090 (12.0)""" in dockerfile(stack)
