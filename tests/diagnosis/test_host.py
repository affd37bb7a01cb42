"""The diagnoses of the host's platform and C library."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host
from envdoctor.facts.sections.interpreter import Interpreter, TorchRun
from tests.diagnosis.snapshots import UBUNTU, commands, finding, found, interpreter, judge, machine
from tests.diagnosis.snapshots import torch as torch_of

OLD = msgspec.structs.replace(UBUNTU, glibc="2.17", libstdcxx="3.4.19")


def failing(error: str, **host: Any) -> Snapshot:
    run = TorchRun(outcome="import-error", error=error)
    return machine(host=msgspec.structs.replace(OLD, **host), interpreter=interpreter(torch_of(run=run)))


# --- glibc-too-old -----------------------------------------------------------------------------------------------------

GLIBC = "ImportError: /lib64/libc.so.6: version `GLIBC_2.28' not found (required by /x/torch/lib/libtorch_cpu.so)"
GLIBCXX = (
    "ImportError: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.22' not found (required by /x/torch/lib/libtorch.so)"
)


def test_the_loaders_words_name_the_version_and_the_newest_torch_for_this_glibc() -> None:
    seen = failing(GLIBC)
    said = found("glibc-too-old", seen)
    assert "glibc 2.28" in said.summary and "2.17" in said.summary and "pip install torch==" in commands(said)
    primary = judge(seen).primary
    assert primary is not None and primary.code == "glibc-too-old"


def test_a_pasted_error_is_enough() -> None:
    assert found("glibc-too-old", Snapshot(source="collect_env", messages=(GLIBC,)))


def test_the_systems_old_libstdcxx_counts_too() -> None:
    assert "GLIBCXX_3.4.22" in found("glibc-too-old", failing(GLIBCXX)).summary


def test_a_wheels_tag_above_the_systems_glibc_explains_a_failing_import() -> None:
    seen = failing("ImportError: something else")
    assert seen.interpreter is not None and seen.interpreter.distributions is not None
    tagged = msgspec.structs.replace(seen.interpreter.distributions[0], tag="cp312-cp312-manylinux_2_28_x86_64")
    seen = msgspec.structs.replace(seen, interpreter=msgspec.structs.replace(seen.interpreter, distributions=(tagged,)))
    assert found("glibc-too-old", seen).confidence < 1


@pytest.mark.parametrize(
    "seen",
    [
        machine(host=OLD),
        failing(GLIBCXX, libstdcxx="3.4.33"),
        failing(GLIBCXX.replace("/lib64/", "/opt/conda/lib/")),
        failing("ImportError: libcudart.so.12: cannot open shared object file: No such file or directory"),
        failing(GLIBC, glibc=""),
    ],
    ids=["torch works", "system's is new enough", "conda's in front", "another error", "musl"],
)
def test_other_libraries_are_not_the_systems_age(seen: Snapshot) -> None:
    assert finding("glibc-too-old", seen) is None


# --- platform-unsupported ----------------------------------------------------------------------------------------------


def without_torch(host: Host, **more: Any) -> Snapshot:
    python = Interpreter(executable="/usr/bin/python3", version="3.12.3", torch_installed=False, pip=True, **more)
    return machine(host=host, interpreter=python)


def test_musl_is_told_to_use_a_glibc_image() -> None:
    alpine = msgspec.structs.replace(UBUNTU, glibc="", os_name="Alpine Linux v3.22")
    seen = without_torch(alpine)
    assert "musl" in found("platform-unsupported", seen).summary
    primary = judge(seen).primary
    assert primary is not None and primary.code == "platform-unsupported"


def test_a_32_bit_python_needs_a_64_bit_one() -> None:
    said = found("platform-unsupported", without_torch(Host(system="Windows", architecture="AMD64"), bits=32))
    assert "32-bit" in said.summary and "uv python install" in commands(said)


@pytest.mark.parametrize("architecture", ["armv7l", "ppc64le", "riscv64"])
def test_processors_without_wheels_are_named(architecture: str) -> None:
    host = Host(system="Linux", architecture=architecture, glibc="2.39", wsl=0)
    assert architecture in found("platform-unsupported", without_torch(host)).summary


def mac(system: str, release: str, mps: bool | None) -> Snapshot:
    run = TorchRun(outcome="ok", cuda_available=False, mps_available=mps)
    host = Host(system="Darwin", architecture="arm64", os_name=f"macOS {system} (arm64)")
    return machine(
        host=host, pci=(), driver=None, nvml=None, cuda_driver=None, interpreter=interpreter(torch_of(release, None, run=run))
    )  # fmt: skip


def test_a_mac_too_old_for_mps_is_a_warning() -> None:
    said = found("platform-unsupported", mac("13.6", "2.15.0", False))
    assert "14.0" in said.summary and said.severity is Severity.WARNING
    assert "12.3" in found("platform-unsupported", mac("12.2", "1.13.0", False)).summary


@pytest.mark.parametrize(
    "seen",
    [
        without_torch(UBUNTU),
        without_torch(Host(system="Linux", architecture="aarch64", glibc="2.39")),
        without_torch(Host(system="Windows", architecture="AMD64")),
        without_torch(Host(system="Linux")),
        machine(host=Host(system="Linux", architecture="riscv64")),
        mac("13.6", "2.15.0", True),
        mac("13.6", "2.15.0", None),
        mac("15.1", "2.15.0", False),
        mac("13.6", "2.4.1", False),
        machine(host=Host(system="Linux", architecture="riscv64"), interpreter=None),
    ],
    ids=["Linux", "Arm", "Windows", "unknown", "own build", "MPS", "MPS unknown", "new macOS", "old torch", "no Python"],
)  # fmt: skip
def test_supported_and_working_platforms_are_left_alone(seen: Snapshot) -> None:
    assert finding("platform-unsupported", seen) is None
