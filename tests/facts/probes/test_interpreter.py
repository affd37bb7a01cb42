"""Looking into real interpreters: real children, real files, a torch that works or fails in every way that torch does."""

from __future__ import annotations

import ctypes
import importlib.machinery
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envdoctor.errors import InputError
from envdoctor.facts.host import Machine
from envdoctor.facts.interpreters import ChosenInterpreter
from envdoctor.facts.probes.interpreter import probe
from envdoctor.facts.sections.interpreter import Interpreter, Torch, TorchRun
from tests import real_torch
from tests.fakes import FakeDriver, FakeGpu
from tests.targets import (
    H100,
    Target,
    bare_environment,
    install_stub_torch,
    installed_pythons,
    stub_torch_environment,
)

posix = pytest.mark.skipif(os.name == "nt", reason="signals and shell scripts")


def machine(**environment: str) -> Machine:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ENVDOCTOR_"))}
    return Machine(environment={**kept, **environment})


def look(target: Target | Path, *, live: bool = True, **environment: str) -> Interpreter:
    python = target.python if isinstance(target, Target) else target
    return probe(machine(**environment), ChosenInterpreter(str(python), "--python"), live=live)


def torch_of(found: Interpreter) -> Torch:
    assert found.torch_installed
    assert found.torch is not None
    return found.torch


def run_of(found: Interpreter) -> TorchRun:
    run = torch_of(found).run
    assert run is not None
    return run


# --- the interpreter itself --------------------------------------------------------------------------------------------


def test_an_environment_without_torch(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    found = look(target)
    assert (found.torch_installed, found.torch, found.error) == (False, None, None)
    assert found.executable == str(target.python)
    assert found.chosen_by == "--python"
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert (found.environment, found.prefix, found.pip) == ("venv", str(target.prefix), False)
    assert found.externally_managed is False
    assert found.distributions == ()
    assert (found.broken_pins, found.duplicates, found.shadowed, found.leftovers) == ((), (), (), ())
    assert found.sys_path is not None
    assert str(target.site) in found.sys_path


@pytest.mark.parametrize("release", [f"3.{minor}" for minor in range(8, 16)])
def test_every_python_from_3_8_on_is_looked_into(tmp_path: Path, release: str) -> None:
    python = installed_pythons().get(release)
    if python is None:
        pytest.skip(f"no Python {release} on this machine")
    target = stub_torch_environment(tmp_path / "env", gpus=[H100], python=python)
    found = look(target)
    assert found.error is None
    assert found.version is not None
    assert found.version.startswith(f"{release}.")
    run = run_of(found)
    assert (run.outcome, run.error, run.computation, run.cudnn_convolution) == ("ok", None, "ok", "ok")


@pytest.mark.parametrize("release", ["2.7", "3.6", "3.7"])
def test_a_python_that_is_too_old_says_so(release: str) -> None:
    python = installed_pythons().get(release)
    if python is None:
        pytest.skip(f"no Python {release} on this machine")
    found = look(python)
    assert found.version is not None
    assert found.version.startswith(f"{release}.")
    assert found.error == f"Python {found.version} is too old to be looked into: envdoctor needs 3.8 or newer"
    assert (found.torch, found.torch_installed) == (None, None)


@posix
def test_an_interpreter_that_prints_garbage_is_a_fact(tmp_path: Path) -> None:
    script = tmp_path / "python3"
    script.write_text('#!/bin/sh\necho \'{"python": "3.12.0"}\'\necho no such thing >&2\nexit 3\n')
    script.chmod(0o755)
    found = probe(machine(), ChosenInterpreter(str(script), "PATH"))
    assert found.error == "it does not answer as a Python: exit code 3, no such thing"
    assert (found.version, found.torch_installed, found.distributions) == (None, None, None)


def test_no_interpreter_at_all_is_a_fact() -> None:
    found = probe(machine(), ChosenInterpreter(None, "PATH"))
    assert found.error == "there is no python3 and no python on PATH"
    assert found.torch_installed is None


# --- torch as it is imported -------------------------------------------------------------------------------------------


def test_a_torch_that_works(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env", gpus=[H100, H100], arch_flags="sm_80 sm_90 compute_90")
    torch = torch_of(look(target))
    assert (torch.version, torch.release, torch.build, torch.cuda) == ("2.15.0+cu132", "2.15.0", "cuda", "13.2")
    assert torch.location == str(target.site / "torch")
    assert torch.arch_flags == ("sm_80", "sm_90", "compute_90")
    assert (torch.debug, torch.cxx11_abi) == (False, True)
    run = torch.run
    assert run is not None
    assert (run.outcome, run.stage, run.error, run.signal, run.exit_code) == ("ok", None, None, None, None)
    assert (run.cuda_available, run.device_count) == (True, 2)
    assert run.devices is not None
    device = run.devices[1]
    assert (device.index, device.name, device.compute_capability) == (1, "NVIDIA H100 80GB HBM3", "9.0")
    assert device.memory_total == 80 << 30
    assert (run.computation, run.cudnn_convolution) == ("ok", "ok")
    assert (run.cudnn_version, run.nccl_version) == (92600, "2.30.7")
    assert run.seconds is not None
    assert 0 < run.seconds < 60


def test_without_the_import_the_files_still_tell_torch(tmp_path: Path) -> None:
    torch = torch_of(look(stub_torch_environment(tmp_path / "env", importing="crash"), live=False))
    assert (torch.version, torch.build, torch.cuda, torch.run) == ("2.15.0+cu132", "cuda", "13.2", None)


def test_a_cpu_build_has_no_gpu_code(tmp_path: Path) -> None:
    torch = torch_of(look(stub_torch_environment(tmp_path / "env", "2.13.0+cpu", None, old=True)))
    assert (torch.build, torch.cuda, torch.arch_flags) == ("cpu", None, ())
    assert torch.run is not None
    assert (torch.run.cuda_available, torch.run.nccl_version, torch.run.cudnn_version) == (False, None, None)


def test_a_rocm_build(tmp_path: Path) -> None:
    target = stub_torch_environment(
        tmp_path / "env", "2.9.0+rocm6.4", None, hip="6.4.43482", gpus=[H100], cudnn_version=3004000
    )
    torch = torch_of(look(target))
    assert (torch.build, torch.hip, torch.cuda) == ("rocm", "6.4.43482", None)
    assert torch.run is not None
    assert (torch.run.computation, torch.run.cudnn_version) == ("ok", None)


def test_an_old_torch_that_lacks_what_newer_ones_have(tmp_path: Path) -> None:
    torch = torch_of(look(stub_torch_environment(tmp_path / "env", "1.2.0", "10.0.130", old=True, gpus=[H100])))
    assert torch.run is not None
    assert (torch.run.outcome, torch.run.computation) == ("ok", "ok")
    assert (torch.arch_flags, torch.cxx11_abi, torch.run.mps_available) == (None, None, None)


def test_the_text_of_an_import_error(tmp_path: Path) -> None:
    text = "libcudart.so.13: cannot open shared object file: No such file or directory"
    run = run_of(look(stub_torch_environment(tmp_path / "env", importing=f"raise {text}")))
    assert (run.outcome, run.error_type, run.stage) == ("import-error", "ImportError", "import")
    assert run.error is not None
    assert run.error.splitlines()[-1] == f"ImportError: {text}"
    assert "torch/__init__.py" in run.error


@posix
def test_a_segmentation_fault_is_told_with_its_place(tmp_path: Path) -> None:
    run = run_of(look(stub_torch_environment(tmp_path / "env", importing="crash")))
    assert (run.outcome, run.signal, run.stage, run.exit_code) == ("crash", "SIGSEGV", "import", None)
    assert run.error is not None
    assert "Segmentation fault" in run.error
    assert run.error.splitlines()[-1].endswith("in _misbehave")
    assert "envdoctor" not in run.error.replace(str(tmp_path), "")


@posix
def test_an_abort_keeps_the_librarys_own_words(tmp_path: Path) -> None:
    words = "OMP: Error #15: Initializing libiomp5.so, but found libgomp.so.1 already initialized."
    run = run_of(look(stub_torch_environment(tmp_path / "env", importing=f"abort {words}")))
    assert (run.outcome, run.signal) == ("crash", "SIGABRT")
    assert run.error is not None
    assert run.error.startswith(words)


def test_a_torch_that_ends_the_process(tmp_path: Path) -> None:
    run = run_of(look(stub_torch_environment(tmp_path / "env", importing="exit 3")))
    assert (run.outcome, run.exit_code, run.signal, run.stage) == ("crash", 3, None, "import")


def test_a_torch_that_calls_sys_exit(tmp_path: Path) -> None:
    run = run_of(look(stub_torch_environment(tmp_path / "env", importing="sys.exit no licence")))
    assert (run.outcome, run.error_type) == ("import-error", "SystemExit")
    assert run.error is not None
    assert run.error.endswith("SystemExit: no licence")


def test_an_import_that_hangs_ends_at_the_limit_and_says_where(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env", importing="hang")
    started = time.monotonic()
    found = look(target, ENVDOCTOR_TORCH_TIMEOUT="4")
    assert time.monotonic() - started < 8
    run = run_of(found)
    assert (run.outcome, run.stage, run.signal) == ("timeout", "import", None)
    assert run.error is not None
    assert run.error.splitlines()[0] == "no answer within 4 s"
    assert run.error.splitlines()[-1].endswith("in _misbehave")
    assert found.torch is not None
    assert found.torch.version == "2.15.0+cu132"  # from the files


def test_a_hang_in_a_later_stage_keeps_what_came_before(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env", is_available="hang", arch_flags="sm_90")
    torch = torch_of(look(target, ENVDOCTOR_TORCH_TIMEOUT="4"))
    assert torch.run is not None
    assert (torch.run.outcome, torch.run.stage, torch.run.cuda_available) == ("timeout", "is_available", None)
    assert (torch.arch_flags, torch.run.nccl_version) == (("sm_90",), "2.30.7")


@posix
def test_a_crash_in_the_computation_names_the_gpu(tmp_path: Path) -> None:
    run = run_of(look(stub_torch_environment(tmp_path / "env", gpus=[H100, H100], to_cuda_1="crash")))
    assert (run.outcome, run.signal, run.stage) == ("crash", "SIGSEGV", "computation")
    assert run.error is not None
    assert "cuda:1" in run.error
    assert run.devices is not None
    assert len(run.devices) == 2


def test_the_error_of_a_computation_is_a_fact_and_not_the_end(tmp_path: Path) -> None:
    text = "CUDA error: no kernel image is available for execution on the device"
    run = run_of(look(stub_torch_environment(tmp_path / "env", gpus=[H100], mm=f"raise {text}")))
    assert (run.outcome, run.computation) == ("ok", f"RuntimeError: {text}")
    assert run.cudnn_convolution == "ok"


def test_one_bad_gpu_of_two_is_named(tmp_path: Path) -> None:
    run = run_of(look(stub_torch_environment(tmp_path / "env", gpus=[H100, H100], to_cuda_1="raise CUDA error: 719")))
    assert run.computation == "cuda:1: RuntimeError: CUDA error: 719"


@pytest.mark.parametrize(("where", "field"), [("mm", "computation"), ("conv2d", "cudnn_convolution")])
def test_wrong_numbers_are_noticed(tmp_path: Path, where: str, field: str) -> None:
    run = run_of(look(stub_torch_environment(tmp_path / "env", gpus=[H100], **{where: "wrong"})))
    others = {"computation", "cudnn_convolution"} - {field}
    assert getattr(run, field) == "wrong"
    assert {getattr(run, other) for other in others} == {"ok"}


def test_the_warning_of_is_available_is_kept(tmp_path: Path) -> None:
    text = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
    run = run_of(look(stub_torch_environment(tmp_path / "env", is_available=f"warn {text}"), PYTHONWARNINGS="ignore"))
    assert run.warnings == (text,)
    assert run.cuda_available is False


def test_why_cuda_is_not_available(tmp_path: Path) -> None:
    run = run_of(look(stub_torch_environment(tmp_path / "env", init="raise No CUDA GPUs are available")))
    assert (run.outcome, run.cuda_error) == ("ok", "RuntimeError: No CUDA GPUs are available")


def test_another_cudnn_than_torch_was_compiled_with(tmp_path: Path) -> None:
    text = "cuDNN version incompatibility: PyTorch was compiled against (9, 26, 0) but found runtime version (9, 1, 0)."
    run = run_of(look(stub_torch_environment(tmp_path / "env", gpus=[H100], cudnn=f"raise {text}")))
    assert (run.cudnn_version, run.cudnn_error) == (None, f"RuntimeError: {text}")


def test_a_numpy_that_torch_was_not_built_for(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env", numpy="raise Numpy is not available")
    assert run_of(look(target)).numpy is None  # there is none
    target.install("numpy", "2.4.6", files={"numpy/__init__.py": ""})
    run = run_of(look(target))
    assert (run.outcome, run.numpy) == ("ok", "RuntimeError: Numpy is not available")


def test_a_numpy_that_cannot_be_imported(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env")
    target.install("numpy", "2.4.6", files={"numpy/__init__.py": "raise ImportError('numpy.core.multiarray failed')"})
    assert run_of(look(target)).numpy == "ImportError: numpy.core.multiarray failed"


@pytest.mark.parametrize(
    ("file", "name", "version"),
    [
        ("libcudart.so.12.4.127", "libcudart", "12.4.127"),
        ("libcudart.so.11.0", "libcudart", None),  # the ABI's number: 11.8 has it too
        ("libcudart-e409450e.so.11.0", "libcudart", None),
        ("libgomp.d22c30c5.so.1.0.0", "libgomp", "1.0.0"),
        ("libcuda.so.535.54", "libcuda", "535.54"),
        ("libcudnn.so", "libcudnn", None),
    ],
)
def test_libraries_that_are_mapped(tmp_path: Path, file: str, name: str, version: str | None) -> None:
    borrowed = next((Path(path) for path in _mapped_here() if "libgcc_s" in path or "libz" in path), None)
    if borrowed is None:
        pytest.skip("no library to borrow")
    target = stub_torch_environment(tmp_path / "env", loads=[f"/torch/lib/{file}"])
    target.write(f"torch/lib/{file}", borrowed.read_bytes())
    path = str(target.site / "torch/lib" / file)
    (library,) = [library for library in run_of(look(target)).mapped or () if library.path == path]
    assert (library.name, library.version, library.distribution) == (name, version, None)


def _mapped_here() -> list[str]:
    ctypes.CDLL("libgcc_s.so.1")
    return [
        line.split(maxsplit=5)[5].strip() for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line
    ]


def test_torchvisions_operators_are_loaded_into_this_torch(tmp_path: Path) -> None:
    library = importlib.machinery.PathFinder.find_spec("_json")
    if library is None or library.origin is None or not library.origin.endswith(".so"):
        pytest.skip("this Python has no shared library to borrow")
    target = stub_torch_environment(tmp_path / "env", vision_cuda=12080)
    target.install("torchvision", "0.30.0", files={"torchvision/__init__.py": ""})
    target.write("torchvision/_C.so", Path(library.origin).read_bytes())
    found = look(target)
    assert run_of(found).torchvision == "ok"
    assert [(build.distribution, build.cuda) for build in found.extension_builds or ()] == [("torchvision", "12.8")]


def test_torchvisions_operators_that_do_not_load(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env")
    target.install("torchvision", "0.30.0", files={"torchvision/__init__.py": "", "torchvision/_C.so": b"\x7fELF"})
    found = look(target)
    run = run_of(found)
    assert (run.outcome, run.stage, found.extension_builds) == ("ok", None, ())
    assert run.torchvision is not None
    assert run.torchvision.startswith(f"OSError: {target.site}/torchvision/_C.so: ")


@posix
def test_torchvisions_crash_is_not_torchs(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env", load="crash")
    target.install("torchvision", "0.30.0", files={"torchvision/__init__.py": "", "torchvision/_C.so": ""})
    run = run_of(look(target))
    assert (run.outcome, run.signal, run.cuda_available) == ("ok", None, False)
    assert run.torchvision is not None
    assert run.torchvision.splitlines()[0] == "SIGSEGV"


def test_a_folder_that_was_left_of_torch_is_no_torch(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    target.write("torch/lib/libtorch_cuda.so", "x")
    found = look(target)
    assert (found.torch, found.torch_installed) == (None, False)


def test_torch_whose_files_are_gone_but_whose_metadata_is_there(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env")
    for file in (target.site / "torch").iterdir():
        file.unlink()
    found = look(target)
    assert (torch_of(found).version, run_of(found).outcome) == ("2.15.0", "import-error")
    torch = found.distribution("torch")
    assert torch is not None
    assert "torch/__init__.py" in torch.missing_files


# --- hostile surroundings ----------------------------------------------------------------------------------------------


def test_noise_on_stdout_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    target = stub_torch_environment(
        tmp_path / "env", gpus=[H100], importing='print \x00\xff{"end":true}\n<x>{"python":"1.2.3"}'
    )
    target.at_start("import sys\nprint('{\"python\": \"1.2.3\"}', end='')\nsys.stderr.write('hello\\n')\n")
    found = look(target)
    assert found.error is None
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    run = run_of(found)
    assert (run.outcome, run.computation) == ("ok", "ok")
    assert run.stderr == "hello"


def test_code_at_the_start_of_python_that_fails_or_redirects_stdout(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env")
    target.at_start("import os, sys\nsys.stdout = open(os.devnull, 'w')\nraise RuntimeError('mine')\n")
    assert run_of(look(target)).outcome == "ok"


def test_files_of_the_current_folder_break_nothing_and_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = stub_torch_environment(tmp_path / "env", gpus=[H100])
    for name in ("random.py", "json.py", "os.py", "_json.py", "faulthandler.py", "torch/__init__.py", "queue/readme"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    found = look(target)
    assert found.error is None
    assert run_of(found).computation == "ok"
    assert found.shadowed is not None
    # os is loaded before any program starts, and a folder without __init__.py yields to the real module.
    assert [(s.module, s.path) for s in found.shadowed] == [
        (name, str(tmp_path / file))
        for name, file in (("json", "json.py"), ("random", "random.py"), ("torch", "torch"))
    ]


def test_a_module_that_pythonpath_hides_breaks_torch_but_not_the_inspection(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "json.py").write_text("this = is not python\n")
    found = look(target, PYTHONPATH=str(tmp_path / "mine"))
    assert found.error is None
    run = run_of(found)
    assert (run.outcome, run.error_type) == ("import-error", "SyntaxError")
    assert found.shadowed is not None
    assert [s.module for s in found.shadowed] == ["json"]


def test_torch_of_pythonpath_is_the_one_that_is_imported(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env")
    other = stub_torch_environment(tmp_path / "other", "2.9.0+cu128", "12.8")
    found = look(target, PYTHONPATH=str(other.site))
    assert torch_of(found).version == "2.9.0+cu128"
    assert torch_of(found).location == str(other.site / "torch")
    assert found.duplicates is not None
    (twice,) = found.duplicates
    assert (twice.name, twice.versions) == ("torch", ("2.9.0", "2.15.0"))
    assert twice.locations == (str(other.site), str(target.site))
    assert found.shadowed == ()  # two installs, not a stray file


def test_a_folder_that_no_longer_exists_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = stub_torch_environment(tmp_path / "env")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = look(target)
    assert found.error is None
    assert run_of(found).outcome == "ok"


def test_the_time_limit_must_be_a_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ENVDOCTOR_TORCH_TIMEOUT=soon: give seconds, such as 300"):
        look(bare_environment(tmp_path / "env"), ENVDOCTOR_TORCH_TIMEOUT="soon")


# --- what is installed -------------------------------------------------------------------------------------------------


def test_torchs_family_and_its_companions_are_listed(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    install_stub_torch(target)
    target.install(
        "torchvision",
        "0.30.0",
        "torch==2.15.0",
        files={"torchvision/__init__.py": "", "torchvision/version.py": "__version__ = '0.30.0+cu132'\n"},
    )
    target.install(
        "numpy", "2.4.6", installer="uv", WHEEL="Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_27_x86_64\n"
    )
    target.install("Flash.Attn", "2.9.1", "torch", "einops")
    target.install("accelerator", "1.0", 'torch; extra == "torch"')
    target.install(
        "my-model",
        "0.1",
        "Torch >= 2",
        direct_url_json='{"url": "file:///home/ada/model", "dir_info": {"editable": true}}',
    )
    target.write("apex.egg-info/PKG-INFO", "Name: apex\nVersion: 0.1\n")
    target.write("old_ext-1.0-py3.11.egg-info/PKG-INFO", "Name: old-ext\nVersion: 1.0\n")
    target.write("old_ext-1.0-py3.11.egg-info/requires.txt", "torch>=1.0\n\n[dev]\npytest\n")
    found = look(target, live=False)
    names = {d.name for d in found.distributions or ()}
    assert names == {"torch", "torchvision", "numpy", "flash-attn", "my-model", "apex", "old-ext"}
    numpy, mine, vision = (found.distribution(name) for name in ("numpy", "my-model", "torchvision"))
    assert numpy is not None
    assert (numpy.version, numpy.installer, numpy.tag) == ("2.4.6", "uv", "cp311-cp311-manylinux_2_27_x86_64")
    assert numpy.location == str(target.site)
    assert mine is not None
    assert (mine.origin, mine.editable, mine.requires) == ("file:///home/ada/model", True, ("Torch>=2",))
    assert vision is not None
    assert (vision.version, vision.build) == ("0.30.0", "0.30.0+cu132")


def test_pins_that_the_environment_does_not_meet(tmp_path: Path) -> None:
    target = stub_torch_environment(
        tmp_path / "env",
        requires=(
            "nvidia-cudnn-cu13==9.26.0.51; sys_platform == 'linux'",
            "nvidia-nccl-cu13==2.30.7",
            "cuda-toolkit[cublas]==13.2.2",
            "triton~=3.9.0",
            "typing-extensions>=4.13",
            "nvidia-other==1; sys_platform == 'win32'",
            "optree; extra == 'optree'",
        ),
    )
    target.install("nvidia-cudnn-cu13", "9.1.0.70")
    target.install("nvidia-nccl-cu13", "2.30.7")
    target.install(
        "cuda-toolkit",
        "13.2.2",
        "nvidia-cublas==13.4.1.3.*; sys_platform == 'linux' and extra == 'cublas'",
        "nvidia-cufft==12.*; extra == 'cufft'",
    )
    target.install("nvidia-cublas", "12.8.4.1")
    target.install("triton", "3.9.1")
    found = look(target, live=False)
    assert found.broken_pins is not None
    if sys.platform == "linux":
        assert [(p.distribution, p.requirement, p.installed) for p in found.broken_pins] == [
            ("cuda-toolkit", "nvidia-cublas==13.4.1.3.*", "12.8.4.1"),
            ("torch", "nvidia-cudnn-cu13==9.26.0.51", "9.1.0.70"),
            ("torch", "typing-extensions>=4.13", None),
        ]
    torch = found.distribution("torch")
    assert torch is not None
    assert "nvidia-nccl-cu13==2.30.7" in torch.requires
    assert not any("optree" in line or "nvidia-other" in line for line in torch.requires)
    assert torch_of(found).cudnn_built == ("9.26.0.51" if sys.platform == "linux" else None)


def test_two_versions_in_one_folder_and_what_an_interrupted_pip_left(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "env")
    target.install("torch", "2.9.0")
    target.write("~orch/lib/libc10.so", "x")
    (target.site / "torch-1.0.dist-info").mkdir()
    found = look(target, live=False)
    assert found.duplicates is not None
    assert [(d.name, sorted(d.versions)) for d in found.duplicates] == [("torch", ["2.15.0", "2.9.0"])]
    assert found.leftovers == (str(target.site / "torch-1.0.dist-info"), str(target.site / "~orch"))


def test_an_editable_install_is_one_install(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    install_stub_torch(target)
    (tmp_path / "source/flash_attn.egg-info").mkdir(parents=True)
    (tmp_path / "source/flash_attn.egg-info/PKG-INFO").write_text("Name: flash-attn\nVersion: 2.9.1\n")
    target.write("__editable__.pth", f"{tmp_path}/source\n")
    target.install(
        "flash-attn", "2.9.1", "torch", direct_url_json='{"dir_info": {"editable": true}, "url": "file:///x"}'
    )
    assert look(target, live=False).duplicates == ()


def test_the_current_folders_version_py_is_not_torchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = bare_environment(tmp_path / "env")
    target.install("torch", "2.15.0")  # its metadata alone
    (tmp_path / "version.py").write_text("__version__ = '9.9'\ncuda = '9.9'\n")
    monkeypatch.chdir(tmp_path)
    torch = torch_of(look(target, live=False))
    assert (torch.version, torch.cuda, torch.build, torch.location) == ("2.15.0", None, None, None)


def test_missing_and_truncated_libraries(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    files = {
        f"nvidia/cudnn/lib/{name}": b"\x7fELF" * 100
        for name in ("libcudnn.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9")
    }
    target.install("nvidia-cudnn-cu13", "9.26.0.51", files=files)
    (target.site / "nvidia/cudnn/lib/libcudnn_ops.so.9").unlink()
    (target.site / "nvidia/cudnn/lib/libcudnn_cnn.so.9").write_bytes(b"")
    found = look(target, live=False).distribution("nvidia-cudnn-cu13")
    assert found is not None
    assert found.missing_files == ("nvidia/cudnn/lib/libcudnn_ops.so.9",)
    assert found.damaged_files == ("nvidia/cudnn/lib/libcudnn_cnn.so.9 (0 bytes, 400 by RECORD)",)


def test_packages_of_a_conda_environment(tmp_path: Path) -> None:
    target = bare_environment(tmp_path / "env")
    meta = target.prefix / "conda-meta"
    meta.mkdir()
    (meta / "history").write_text("")
    for name, channel in (
        ("pytorch-2.5.1-py3.12_cuda12.4_cudnn9.1.0_0", "https://conda.anaconda.org/pytorch/linux-64"),
        ("pytorch-cuda-12.4-hc786d27_7", "pytorch"),
        ("requests-2.32.3-py312h06a4308_0", "defaults"),
        ("python-dateutil-2.9.0-pyhd8ed1ab_0", "conda-forge"),
    ):
        (meta / f"{name}.json").write_text(f'{{\n  "build": "x",\n  "channel": "{channel}",\n  "files": []\n}}\n')
    found = look(target, live=False).conda_packages
    assert found is not None
    assert [(p.name, p.version, p.build, p.channel) for p in found] == [
        ("pytorch", "2.5.1", "py3.12_cuda12.4_cudnn9.1.0_0", "https://conda.anaconda.org/pytorch/linux-64"),
        ("pytorch-cuda", "12.4", "hc786d27_7", "pytorch"),
    ]


def test_file_names_that_are_no_utf_8(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("such names exist on Linux")
    target = bare_environment(tmp_path / "env")
    Path(os.fsdecode(os.fsencode(target.site) + b"/~\xfforch")).mkdir()
    found = look(target, live=False)
    assert found.leftovers == (f"{target.site}/~\ufffdorch",)


# --- the real torch ----------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_a_real_cuda_build() -> None:
    target = real_torch.environment(torchvision=True)
    found = look(target)
    torch = torch_of(found)
    assert (torch.version, torch.build, torch.cuda) == ("2.15.0+cu132", "cuda", "13.2")
    assert torch.arch_flags == ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
    assert (torch.cudnn_built, torch.cxx11_abi) == ("9.26.0.51", True)
    run = run_of(found)
    assert (run.outcome, run.cudnn_version, run.nccl_version, run.warnings) == ("ok", 92600, "2.30.7", ())
    if not run.cuda_available:
        assert run.cuda_error
    mapped = {library.name: library for library in run.mapped or ()}
    for name, owner in (
        ("libcudart", "nvidia-cuda-runtime"),
        ("libcudnn", "nvidia-cudnn-cu13"),
        ("libnccl", "nvidia-nccl-cu13"),
    ):
        owned = found.distribution(owner)
        assert owned is not None
        assert (mapped[name].distribution, mapped[name].version) == (owner, owned.version)
        assert Path(mapped[name].path).is_relative_to(target.prefix)
    assert mapped["libgomp"].distribution == "torch"
    assert (run.numpy, run.torchvision) == ("ok", "ok")
    assert [(build.distribution, build.cuda) for build in found.extension_builds or ()] == [("torchvision", "13.2")]
    assert (found.broken_pins, found.duplicates, found.shadowed, found.leftovers) == ((), (), (), ())
    assert not [d.name for d in found.distributions or () if d.missing_files or d.damaged_files]
    vision = found.distribution("torchvision")
    assert vision is not None
    assert vision.build is not None
    assert vision.build.endswith("+cu132")


@pytest.mark.torch
def test_the_cudnn_version_of_the_files_is_the_one_that_cudnn_gives() -> None:
    target = real_torch.environment()
    asked = subprocess.run(
        [target.python, "-c", "import torch; print(torch.backends.cudnn.version())"],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run_of(look(target)).cudnn_version == int(asked.stdout)


@pytest.mark.torch
def test_a_real_torch_with_nothing_beside_it() -> None:
    found = look(real_torch.environment())
    run = run_of(found)
    assert (run.outcome, run.numpy, run.torchvision, found.extension_builds) == ("ok", None, None, ())


@pytest.mark.torch
def test_a_torchvision_of_another_build() -> None:
    run = run_of(look(real_torch.environment("--no-deps torchvision==0.26.0")))
    assert run.outcome == "ok"
    assert run.torchvision is not None
    assert "torchvision/_C.so: undefined symbol" in run.torchvision


@pytest.mark.torch
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (802, "Error 802: system not yet initialized"),
        (803, "Error 803: system has unsupported display driver / cuda driver combination"),
        (999, "CUDA unknown error - this may be due to an incorrectly set up environment"),
    ],
)
def test_what_a_real_torch_says_of_a_driver_that_fails(tmp_path: Path, error: int, words: str) -> None:
    driver = FakeDriver(driver="580.159.04", cuda="13.2", gpus=[FakeGpu(H100["name"])], errors={"cuInit": error})
    folder = driver.install(tmp_path / "driver")
    run = run_of(look(real_torch.environment(torchvision=True), LD_LIBRARY_PATH=str(folder)))
    # torch counts devices by NVML, which the fault leaves alone.
    assert (run.outcome, run.cuda_available, run.device_count) == ("ok", False, 1)
    (warning,) = run.warnings
    assert words in warning
    assert run.cuda_error is not None
    assert words in run.cuda_error
    (libcuda,) = [library for library in run.mapped or () if library.name == "libcuda"]
    assert (libcuda.path, libcuda.version) == (str(folder / "libcuda.so.580.159.04"), "580.159.04")


@pytest.mark.torch
def test_a_driver_that_crashes_under_a_real_torch(tmp_path: Path) -> None:
    driver = FakeDriver(driver="580.159.04", cuda="13.2", gpus=[FakeGpu(H100["name"])], errors={"cuInit": "crash"})
    found = look(real_torch.environment(), LD_LIBRARY_PATH=str(driver.install(tmp_path / "driver")))
    run = run_of(found)
    assert (run.outcome, run.signal, run.stage) == ("crash", "SIGSEGV", "is_available")
    assert run.error is not None
    assert run.error.splitlines()[-1].endswith("in is_available")
    assert torch_of(found).arch_flags
    assert [library.path for library in run.mapped or () if library.name == "libcudart"]


@pytest.mark.torch
def test_looking_takes_the_time_of_the_import() -> None:
    target = real_torch.environment()

    def importing() -> float:
        started = time.perf_counter()
        code = "import torch; torch.cuda.is_available()"
        subprocess.run([target.python, "-c", code], check=True, capture_output=True, timeout=120)
        return time.perf_counter() - started

    def looking() -> float:
        started = time.perf_counter()
        assert run_of(look(target)).outcome == "ok"
        return time.perf_counter() - started

    importing()
    ratios = []
    for _ in range(3):  # one after the other, for other work on the machine comes and goes
        alone = importing()
        ratios.append(looking() / alone)
    # 1.10 on a quiet machine; a busy one makes single runs differ by more than that.
    assert min(ratios) < 1.10, ratios
