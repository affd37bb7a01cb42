"""The diagnoses of the libraries that torch loads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import CudaDriver
from envdoctor.facts.sections.host import Host
from envdoctor.facts.sections.interpreter import BrokenPin, CondaPackage, MappedLibrary, Torch, TorchRun
from envdoctor.facts.sections.interpreter import Distribution as Installed
from envdoctor.facts.sections.software import Libraries, LibraryFile
from tests.diagnosis.snapshots import commands, finding, found, gpu, interpreter, judge, machine, nvml, torch

SITE = "/home/ada/venv/lib/python3.12/site-packages"
CUDNN = Installed(name="nvidia-cudnn-cu12", version="9.1.0.70")
REQUIRES = ("nvidia-cudnn-cu12==9.1.0.70", "nvidia-nccl-cu12==2.21.5", "nvidia-cublas-cu12==12.4.5.8", "triton==3.2.0")
CODES = (
    "cudnn-shadowed", "cudnn-missing", "cudnn-version-mismatch", "nvidia-wheels-mismatch", "library-path-conflict",
    "mkl-mismatch", "openmp-duplicate", "windows-dll-missing",
)  # fmt: skip


def stack(run: TorchRun | None, *installed: Installed, **more: Any) -> Snapshot:
    """torch 2.6 of PyPI with its wheels; `pins` are those that are broken."""
    own = Installed(name="torch", version="2.6.0+cu124", installer="pip", requires=REQUIRES, location=SITE)
    pins = more.pop("pins", ())
    facts = torch(
        "2.6.0+cu124", "12.4", "sm_80 sm_90", run=run, location=f"{SITE}/torch", cudnn_built=more.pop("built", "9.1.0")
    )
    env = interpreter(facts, broken_pins=pins, prefix="/home/ada/venv", conda_packages=more.pop("conda", None))
    env = msgspec.structs.replace(env, distributions=(own, *installed))
    return machine(interpreter=env, **more)


def failed(error: str, **more: Any) -> TorchRun:
    return TorchRun(outcome="import-error", error=f"Traceback\nImportError: {error}", **more)


def mapped(name: str, path: str, version: str | None = None, **more: Any) -> TorchRun:
    return TorchRun(
        outcome="ok", cuda_available=True, mapped=(MappedLibrary(name=name, path=path, version=version),), **more
    )


OK = TorchRun(outcome="ok", cuda_available=True, computation="ok", cudnn_convolution="ok")
PATH = Libraries(ld_library_path=("/usr/local/cuda-12.1/lib64",), files=())
NO_PATH = Libraries(ld_library_path=(), files=())


def pin(requirement: str, installed: str | None) -> tuple[BrokenPin, ...]:
    return (BrokenPin(distribution="torch", requirement=requirement, installed=installed),)


# --- cudnn-shadowed ----------------------------------------------------------------------------------------------------

SYSTEM_CUDNN = "/usr/lib/x86_64-linux-gnu/libcudnn.so.9"


def test_an_older_system_cudnn_that_is_really_loaded() -> None:
    said = found("cudnn-shadowed", stack(mapped("libcudnn", SYSTEM_CUDNN, cudnn_version=90000), CUDNN))
    assert SYSTEM_CUDNN in said.summary and "unset LD_LIBRARY_PATH" in commands(said)


def test_it_explains_the_version_mismatch_and_the_failing_convolution() -> None:
    run = mapped(
        "libcudnn", SYSTEM_CUDNN, cudnn_version=90000, computation="ok", cudnn_convolution="RuntimeError: cuDNN error"
    )
    diagnosed = judge(stack(run, CUDNN))
    assert diagnosed.primary is not None and diagnosed.primary.code == "cudnn-shadowed"
    assert all(f.consequence_of for f in diagnosed.findings[1:])


def test_the_loaders_word_with_a_path_set_is_enough() -> None:
    error = f"{SITE}/torch/lib/libtorch_cuda.so: undefined symbol: cudnnSetConvolutionGroupCount, version libcudnn.so.9"
    assert judge(stack(failed(error), CUDNN, libraries=PATH)).primary.code == "cudnn-shadowed"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "seen",
    [
        stack(mapped("libcudnn", f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9", cudnn_version=90100), CUDNN),
        stack(mapped("libcudnn", SYSTEM_CUDNN, cudnn_version=90100), CUDNN),
        stack(mapped("libcudnn", SYSTEM_CUDNN, cudnn_version=92600, cudnn_convolution="ok"), CUDNN),
        stack(
            OK,
            CUDNN,
            libraries=Libraries(
                files=(LibraryFile(name="libcudnn", path=SYSTEM_CUDNN, version="8.9.7", via="ld.so.cache"),)
            ),
        ),
        stack(
            None,
            CUDNN,
            libraries=Libraries(
                files=(LibraryFile(name="libcudnn", path=SYSTEM_CUDNN, version="8.9.7", via="ld.so.cache"),)
            ),
        ),
    ],
    ids=["its own", "the same version", "a newer one that works", "not loaded", "not in front"],
)
def test_a_foreign_cudnn_that_fits_or_is_not_loaded_is_harmless(seen: Snapshot) -> None:
    assert finding("cudnn-shadowed", seen) is None


def test_without_an_import_an_unfit_one_in_front_is_a_risk_only() -> None:
    def front(version: str) -> Libraries:
        return Libraries(
            files=(LibraryFile(name="libcudnn", path="/opt/c/libcudnn.so.9", version=version, via="LD_LIBRARY_PATH"),)
        )

    said = found("cudnn-shadowed", stack(None, CUDNN, libraries=front("9.0.0")))
    assert said.severity is Severity.WARNING and said.confidence == 0.5
    # cuDNN 8 has other file names, and a newer 9 is accepted.
    assert finding("cudnn-shadowed", stack(None, CUDNN, libraries=front("8.9.7"))) is None
    assert finding("cudnn-shadowed", stack(None, CUDNN, libraries=front("9.5.0"))) is None


# --- cudnn-missing -----------------------------------------------------------------------------------------------------


def test_the_import_names_the_missing_library_and_the_pinned_wheel_is_installed() -> None:
    said = found(
        "cudnn-missing", stack(failed("libcudnn.so.9: cannot open shared object file: No such file or directory"))
    )
    assert "nvidia-cudnn-cu12==9.1.0.70" in commands(said)


def test_a_program_that_wants_another_major_gets_its_own() -> None:
    line = "Unable to load any of {libcudnn_ops.so.8.9.7, libcudnn_ops.so.8}"
    said = found("cudnn-missing", stack(OK, CUDNN, messages=(line,)))
    assert "cuDNN 8" in said.summary and "nvidia-cudnn-cu12==8.*" in commands(said)


def test_a_pin_without_a_wheel_counts_until_torch_is_seen_to_work() -> None:
    absent = pin("nvidia-cudnn-cu12==9.1.0.70", None)
    assert found("cudnn-missing", stack(None, pins=absent))
    assert finding("cudnn-missing", stack(TorchRun(outcome="ok"), pins=absent)) is None
    assert finding("nvidia-wheels-mismatch", stack(None, pins=absent)) is None


def test_files_that_are_gone_from_the_wheel() -> None:
    hollow = Installed(
        name="nvidia-cudnn-cu12", version="9.1.0.70", missing_files=("nvidia/cudnn/lib/libcudnn_ops.so.9",)
    )
    assert "libcudnn_ops" in found("cudnn-missing", stack(None, hollow)).summary
    assert finding("cudnn-missing", stack(OK, hollow)) is None


# --- cudnn-version-mismatch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "built", "fires"), [
    (8600, "8.7.0", True), (8907, "9.1.0", True), (90000, "9.1.0", True),
    (8907, "8.7.0", False), (90100, "9.1.0", False), (92600, "9.1.0", False), (None, "9.1.0", False), (8600, None, False),
])  # fmt: skip
def test_torchs_own_rule_on_versions(number: int | None, built: str | None, fires: bool) -> None:
    seen = stack(TorchRun(outcome="ok", cudnn_version=number), built=built)
    if built is None:
        seen = machine(
            interpreter=interpreter(torch("2.0.1+cu118", "11.8", run=TorchRun(outcome="ok", cudnn_version=number)))
        )
    assert (finding("cudnn-version-mismatch", seen) is not None) is fires


def test_a_cudnn_that_dropped_the_gpu() -> None:
    seen = stack(TorchRun(outcome="ok", cudnn_version=91200), nvml=nvml(gpu("Tesla V100-SXM2-16GB", "7.0")))
    said = found("cudnn-version-mismatch", seen)
    assert "V100" in said.summary and "nvidia-cudnn-cu12==9.1.0.70" in commands(said)


def test_a_convolution_that_came_out_right_overrules_versions() -> None:
    run = TorchRun(outcome="ok", cudnn_version=8600, cudnn_convolution="ok")
    assert finding("cudnn-version-mismatch", stack(run, built="8.7.0")) is None


# --- nvidia-wheels-mismatch --------------------------------------------------------------------------------------------

NCCL = f"{SITE}/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommRegister"


def test_an_old_nccl_wheel_with_the_symbol_that_it_lacks() -> None:
    said = found("nvidia-wheels-mismatch", stack(failed(NCCL), pins=pin("nvidia-nccl-cu12==2.21.5", "2.18.1")))
    assert said.severity is Severity.ERROR and "nvidia-nccl-cu12==2.21.5" in commands(said) and said.confidence == 1.0


def test_wheels_that_work_are_left_in_peace_or_mildly_noted() -> None:
    newer, older = pin("nvidia-nccl-cu12==2.21.5", "2.27.3"), pin("nvidia-nccl-cu12==2.21.5", "2.18.1")
    assert found("nvidia-wheels-mismatch", stack(OK, pins=older)).severity is Severity.WARNING
    assert finding("nvidia-wheels-mismatch", stack(OK, pins=newer)) is None
    assert finding("nvidia-wheels-mismatch", stack(None, pins=newer)) is None
    assert finding("nvidia-wheels-mismatch", stack(TorchRun(outcome="ok"), pins=newer)) is None
    assert found("nvidia-wheels-mismatch", stack(TorchRun(outcome="ok"), pins=older)).severity is Severity.WARNING
    assert found("nvidia-wheels-mismatch", stack(None, pins=older)).severity is Severity.ERROR


@pytest.mark.parametrize(
    ("installed", "fires"), [("8.9.2.26", True), ("9.0.0.312", True), ("9.1.1.17", False), ("9.26.0.51", False)]
)
def test_a_cudnn_wheel_is_judged_by_cudnns_own_rule(installed: str, fires: bool) -> None:
    seen = stack(TorchRun(outcome="ok", computation="ok"), pins=pin("nvidia-cudnn-cu12==9.1.0.70", installed))
    assert (finding("nvidia-wheels-mismatch", seen) is not None) is fires


def test_a_wheel_that_overwrote_anothers_file_is_seen_by_its_size() -> None:
    overwritten = Installed(
        name="nvidia-nccl-cu12",
        version="2.21.5",
        damaged_files=("nvidia/nccl/lib/libnccl.so.2 (1 bytes, 2 by RECORD)",),
    )
    assert "nvidia-nccl-cu12==2.21.5" in commands(found("nvidia-wheels-mismatch", stack(failed(NCCL), overwritten)))
    assert finding("nvidia-wheels-mismatch", stack(OK, overwritten)) is None


def test_leftover_wheels_of_another_cuda_are_untidy_and_no_finding() -> None:
    assert judge(stack(OK, CUDNN, Installed(name="nvidia-cudnn-cu11", version="8.9.2.26"))).findings == ()


def test_a_symbol_without_a_wrong_wheel_is_said_with_half_confidence() -> None:
    said = found("nvidia-wheels-mismatch", stack(failed(NCCL)))
    assert said.confidence == 0.5 and "LD_LIBRARY_PATH" in commands(said)


# --- library-path-conflict ---------------------------------------------------------------------------------------------

JITLINK = f"{SITE}/torch/lib/../../nvidia/cusparse/lib/libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4"


def test_a_wheel_that_gets_another_nvjitlink_through_the_path() -> None:
    diagnosed = judge(stack(failed(JITLINK), libraries=PATH))
    assert diagnosed.primary is not None and diagnosed.primary.code == "library-path-conflict"
    assert "unset LD_LIBRARY_PATH" in commands(diagnosed.primary)
    assert "nvidia-wheels-mismatch" not in [f.code for f in diagnosed.findings]


def test_the_same_symbol_without_any_path_is_the_wheels_fault() -> None:
    diagnosed = judge(stack(failed(JITLINK), libraries=NO_PATH))
    assert diagnosed.primary is not None and diagnosed.primary.code == "nvidia-wheels-mismatch"


def test_a_stub_in_place_of_the_driver() -> None:
    stub = CudaDriver(outcome="ok", init_code=34, library="/usr/local/cuda/lib64/stubs/libcuda.so")
    assert "stub" in found("library-path-conflict", machine(cuda_driver=stub)).summary


def test_a_foreign_cublas_counts_only_when_its_work_fails() -> None:
    path, wheel = "/usr/local/cuda-12.1/lib64/libcublas.so.12", Installed(name="nvidia-cublas-cu12", version="12.4.5.8")
    bad = mapped("libcublas", path, computation="RuntimeError: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED")
    assert path in found("library-path-conflict", stack(bad, wheel, libraries=PATH)).summary
    for said in ("ok", "torch.OutOfMemoryError: CUDA out of memory", "CUDA error: no kernel image is available"):
        assert finding("library-path-conflict", stack(mapped("libcublas", path, computation=said), wheel)) is None
    assert finding("library-path-conflict", stack(bad)) is None


def test_an_old_libstdcxx_of_conda_in_place_of_a_newer_one() -> None:
    line = "/opt/conda/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /home/ada/x.so)"
    assert "conda install" in commands(found("library-path-conflict", machine(messages=(line,))))
    system = "/lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /home/ada/x.so)"
    assert finding("library-path-conflict", machine(messages=(system,))) is None


# --- mkl, OpenMP, Windows ----------------------------------------------------------------------------------------------


def test_an_mkl_that_lost_a_symbol() -> None:
    conda = (
        CondaPackage(name="pytorch", version="2.0.1", channel="pytorch"),
        CondaPackage(name="mkl", version="2024.2.0"),
    )
    said = found("mkl-mismatch", stack(failed("libtorch_cpu.so: undefined symbol: iJIT_NotifyEvent"), conda=conda))
    assert "mkl=2024.0" in commands(said) and "2024.2.0" in said.summary
    assert finding("mkl-mismatch", stack(OK, conda=conda)) is None


def openmp(*paths: str) -> Snapshot:
    libraries = tuple(MappedLibrary(name=path.rpartition("/")[2].partition(".so")[0], path=path) for path in paths)
    return stack(TorchRun(outcome="ok", mapped=libraries))


def test_two_openmp_runtimes_of_one_family() -> None:
    assert found("openmp-duplicate", openmp("/e/lib/libiomp5.so", "/e/lib/libomp.so")).severity is Severity.WARNING
    assert found("openmp-duplicate", openmp("/e/lib/libiomp5.so", "/e/x/libiomp5.so"))
    assert found("openmp-duplicate", Snapshot(messages=("OMP: Error #15: Initializing libiomp5md.dll, but found",)))


@pytest.mark.parametrize(
    "paths",
    [
        ("/e/torch/lib/libgomp.so.1", "/e/lib/libiomp5.so"),
        ("/e/torch/lib/libgomp.so.1", "/u/libgomp.so.1"),
        ("/e/lib/libomp.so", "/e/lib/libomp.so"),
    ],
    ids=["libgomp beside MKL's", "copies of libgomp", "conda's links to one file"],
)
def test_openmp_runtimes_that_live_together(paths: tuple[str, ...]) -> None:
    assert finding("openmp-duplicate", openmp(*paths)) is None


@pytest.mark.parametrize(
    "line",
    [
        'OSError: [WinError 126] The specified module could not be found. Error loading "C:\\torch\\lib\\fbgemm.dll" or one of',
        'OSError: [WinError 1114] Eine DLL-Initialisierungsroutine ist fehlgeschlagen. Error loading "C:\\torch\\lib\\c10.dll"',
        "ImportError: DLL load failed while importing _C: The specified module could not be found.",
    ],
)
def test_a_missing_dll_asks_for_the_runtime(line: str) -> None:
    said = found("windows-dll-missing", Snapshot(host=Host(system="Windows", architecture="AMD64"), messages=(line,)))
    assert "VCRedist" in commands(said)
    assert finding("windows-dll-missing", machine(messages=(line,))) is None


# --- the whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seen",
    [
        Snapshot(),
        machine(),
        stack(OK, CUDNN, libraries=PATH),
        stack(None),
        machine(interpreter=interpreter(Torch(version="2.6.0"))),
    ],
    ids=["nothing known", "healthy", "healthy with LD_LIBRARY_PATH", "not imported", "a dump"],
)
def test_none_of_them_speaks_of_a_healthy_or_unknown_machine(seen: Snapshot) -> None:
    assert [code for code in CODES if finding(code, seen) is not None] == []
