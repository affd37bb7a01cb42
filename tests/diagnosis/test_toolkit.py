"""The diagnoses of the CUDA toolkit: they speak only where somebody builds."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import ExtensionBuild
from envdoctor.facts.sections.software import Compiler, Libraries, LibraryFile, Nvcc, Toolkit
from tests.diagnosis.snapshots import commands, finding, found, interpreter, judge, machine, torch

CODES = ("toolkit-mismatch", "toolkit-missing", "toolkit-multiple", "host-compiler-unsupported")
HOME = {"CUDA_HOME": "/usr/local/cuda-11.8"}


def nvcc(version: str, *ways: str) -> Nvcc:
    short = ".".join(version.split(".")[:2])
    return Nvcc(path=f"/usr/local/cuda-{short}/bin/nvcc", version=version, found_by=ways or ("PATH",))


def builder(*compilers: Nvcc, home: str = "", gcc: str = "11.4.0", **sections: Any) -> Snapshot:
    toolkit = Toolkit(
        nvcc=compilers,
        cuda_home=home,
        cuda_home_exists=True if home else None,
        compilers=(Compiler(name="gcc", path="/usr/bin/gcc", version=gcc),),
    )
    own = sections.pop("interpreter", interpreter(torch("2.6.0+cu124", "12.4")))
    return machine(**{"toolkit": toolkit, "interpreter": own, **sections})


# --- toolkit-mismatch --------------------------------------------------------------------------------------------------


def test_cuda_home_of_another_major_is_a_warning_with_the_right_toolkit_as_repair() -> None:
    said = found(
        "toolkit-mismatch", builder(nvcc("11.8.89", "CUDA_HOME"), home="/usr/local/cuda-11.8", environment=HOME)
    )
    assert "11.8.89" in said.summary and "12.4" in said.summary
    assert "cuda-toolkit-12-4" in commands(said)


def test_the_builders_refusal_suffices() -> None:
    line = (
        "RuntimeError: The detected CUDA version (11.8) mismatches the version that was used to compile PyTorch (12.4)."
    )
    assert found("toolkit-mismatch", Snapshot(messages=(line,)))


def test_a_fitting_toolkit_that_is_there_comes_first() -> None:
    said = found(
        "toolkit-mismatch",
        builder(
            nvcc("11.8.89", "CUDA_HOME"), nvcc("12.4.131", "/usr/local"), home="/usr/local/cuda-11.8", environment=HOME
        ),
    )
    assert "CUDA_HOME=/usr/local/cuda-12.4" in "\n".join(said.fixes[0].commands)


def test_an_extension_that_was_built_with_it_is_its_consequence() -> None:
    own = interpreter(
        torch("2.4.1", "12.1"),
        extension_builds=(ExtensionBuild(distribution="detectron2", cuda="11.3", compiler="GCC 9.4"),),
    )
    diagnosed = judge(builder(nvcc("11.3.109", "CUDA_HOME"), home="/usr/local/cuda-11.3", interpreter=own))
    assert diagnosed.primary is not None and diagnosed.primary.code == "toolkit-mismatch"
    assert [f.consequence_of for f in diagnosed.findings if f.code == "extension-abi-mismatch"] == ["toolkit-mismatch"]


@pytest.mark.parametrize(
    "seen",
    [
        builder(nvcc("11.8.89")),
        builder(
            nvcc("12.8.93", "CUDA_HOME"), home="/usr/local/cuda-12.8", environment={"CUDA_HOME": "/usr/local/cuda-12.8"}
        ),
        builder(
            nvcc("11.8.89", "CUDA_HOME"), home="/x", environment=HOME, interpreter=interpreter(torch("2.6.0+cpu", None))
        ),
        Snapshot(
            messages=("The detected CUDA version (12.8) has a minor version mismatch with the version that was used",)
        ),
        builder(),
    ],
    ids=["nobody builds", "another minor", "CPU build", "the builder only warned", "no toolkit"],
)
def test_another_toolkit_alone_hurts_nobody(seen: Snapshot) -> None:
    assert finding("toolkit-mismatch", seen) is None


# --- toolkit-missing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.",
        "FileNotFoundError: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'",
        "/bin/sh: 1: nvcc: not found",
    ],
)
def test_a_build_that_found_no_nvcc(line: str) -> None:
    said = found("toolkit-missing", builder(messages=(line,)))
    assert said.fixes and "12-4" in commands(said)


def test_an_nvcc_that_was_overlooked_is_shown() -> None:
    said = found("toolkit-missing", builder(nvcc("12.4.131", "/usr/local"), messages=("nvcc: command not found",)))
    assert "/usr/local/cuda-12.4/bin/nvcc" in said.summary


def test_a_cuda_home_that_leads_nowhere() -> None:
    gone = Toolkit(nvcc=(), cuda_home="/opt/cuda", cuda_home_exists=False)
    assert "does not exist" in found("toolkit-missing", machine(toolkit=gone)).summary


@pytest.mark.parametrize(
    "seen",
    [builder(), machine(toolkit=None), machine(toolkit=Toolkit(nvcc=None, cuda_home="/opt/cuda"))],
    ids=["nothing needs it", "unknown", "nvcc unknown"],
)
def test_running_torch_needs_no_nvcc(seen: Snapshot) -> None:
    assert finding("toolkit-missing", seen) is None


# --- toolkit-multiple --------------------------------------------------------------------------------------------------


def test_path_and_cuda_home_that_disagree() -> None:
    said = found(
        "toolkit-multiple",
        builder(nvcc("12.4.131"), nvcc("11.8.89", "CUDA_HOME"), home="/usr/local/cuda-11.8", environment=HOME),
    )
    assert "11.8" in said.summary and "CUDA_HOME=/usr/local/cuda-12.4" in commands(said)


def test_a_mismatch_that_comes_from_it_is_folded() -> None:
    seen = builder(nvcc("12.4.131"), nvcc("11.8.89", "CUDA_HOME"), home="/usr/local/cuda-11.8", environment=HOME)
    folded = {f.code: f.consequence_of for f in judge(seen).findings}
    assert folded == {"toolkit-multiple": None, "toolkit-mismatch": "toolkit-multiple"}


def test_the_loader_and_path_that_disagree() -> None:
    runtime = LibraryFile(
        name="libcudart", path="/usr/local/cuda-11.8/lib64/libcudart.so.11.0", version="11.8.89", via="LD_LIBRARY_PATH"
    )
    assert found("toolkit-multiple", builder(nvcc("12.4.131"), libraries=Libraries(files=(runtime,))))


@pytest.mark.parametrize(
    "seen",
    [
        builder(nvcc("12.4.131", "PATH", "/usr/local"), nvcc("11.8.89", "/usr/local")),
        builder(nvcc("12.4.131", "PATH", "CUDA_HOME"), home="/usr/local/cuda-12.4"),
        builder(nvcc("12.4.131"), Nvcc(path="/x/nvcc", found_by=("CUDA_HOME",)), home="/x"),
    ],
    ids=["several in /usr/local", "they agree", "version unknown"],
)
def test_several_toolkits_are_normal(seen: Snapshot) -> None:
    assert finding("toolkit-multiple", seen) is None


# --- host-compiler-unsupported -----------------------------------------------------------------------------------------


def test_a_compiler_that_is_too_new_is_told_where_somebody_builds() -> None:
    said = found(
        "host-compiler-unsupported",
        builder(nvcc("12.4.131"), gcc="15.2.0", environment={"TORCH_CUDA_ARCH_LIST": "8.9"}),
    )
    assert "up to gcc 13" in said.summary and "g++-13" in commands(said)
    assert finding("host-compiler-unsupported", builder(nvcc("12.4.131"), gcc="15.2.0")) is None


def test_nvccs_refusal_names_the_bound() -> None:
    line = "error: #error -- unsupported GNU version! gcc versions later than 12 are not supported!"
    assert "gcc-12" in commands(found("host-compiler-unsupported", machine(messages=(line,))))


@pytest.mark.parametrize(
    "environment",
    [
        {"NVCC_APPEND_FLAGS": "-allow-unsupported-compiler", "CUDA_HOME": "/usr/local/cuda-12.4"},
        {"NVCC_PREPEND_FLAGS": "-ccbin g++-13", "CUDA_HOME": "/usr/local/cuda-12.4"},
        {"NVCC_CCBIN": "g++-13", "CUDA_HOME": "/usr/local/cuda-12.4"},
    ],
)
def test_a_compiler_that_was_chosen_is_left_alone(environment: dict[str, str]) -> None:
    assert (
        finding("host-compiler-unsupported", builder(nvcc("12.4.131"), gcc="15.2.0", environment=environment)) is None
    )


def test_all_of_them_are_warnings_and_silent_on_an_ordinary_machine() -> None:
    ordinary = builder(nvcc("11.8.89"), nvcc("12.8.93", "/usr/local"), gcc="15.2.0")
    assert all(finding(code, ordinary) is None for code in CODES)
    assert found("toolkit-missing", Snapshot(messages=("nvcc: not found",))).severity is Severity.WARNING
