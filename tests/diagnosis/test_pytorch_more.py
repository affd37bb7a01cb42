"""The diagnoses of broken torch installs and of what is built against torch."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.diagnosis.companions import BuiltFor, built_for
from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host
from envdoctor.facts.sections.interpreter import (
    BrokenPin,
    CondaPackage,
    Duplicate,
    ExtensionBuild,
    Interpreter,
    Torch,
    TorchDevice,
    TorchRun,
)
from envdoctor.facts.sections.interpreter import Distribution as Installed
from tests.diagnosis.snapshots import (
    FLAGS_2_15,
    commands,
    finding,
    found,
    gpu,
    interpreter,
    judge,
    machine,
    nvml,
    torch,
)

OK = TorchRun(outcome="ok", cuda_available=True, computation="ok")
WHEEL = "cp312-cp312-manylinux_2_28_x86_64"
CODES = (
    "torch-install-corrupt", "torch-duplicate-install", "torchaudio-mismatch", "triton-problem", "extension-abi-mismatch",
    "extension-arch-missing",
)  # fmt: skip


def env(
    *installed: Installed,
    run: TorchRun | None = OK,
    version: str = "2.6.0+cu124",
    cuda: str | None = "12.4",
    **more: Any,
) -> Snapshot:
    messages = more.pop("messages", ())
    host = {"host": more.pop("host")} if "host" in more else {}
    facts = torch(version, cuda, "sm_80 sm_86 sm_90", run=run, cxx11_abi=more.pop("abi", None))
    return machine(interpreter=interpreter(facts, *installed, **more), messages=messages, **host)


def failed(error: str) -> TorchRun:
    return TorchRun(outcome="import-error", error=error)


# --- torch-install-corrupt ---------------------------------------------------------------------------------------------


def hollow(run: TorchRun | None, *files: str) -> Snapshot:
    own = Installed(name="torch", version="2.6.0", missing_files=files, installer="pip")
    return machine(
        interpreter=Interpreter(
            version="3.12", distributions=(own,), torch=torch("2.6.0+cu124", "12.4", run=run), torch_installed=True
        )
    )


def test_a_library_that_is_gone() -> None:
    error = failed("ImportError: libtorch_cpu.so: cannot open shared object file: No such file or directory")
    said = found("torch-install-corrupt", hollow(error, "torch/lib/libtorch_cpu.so"))
    assert "libtorch_cpu.so" in said.summary and "uninstall" in commands(said)


@pytest.mark.parametrize(
    "error",
    [
        "ModuleNotFoundError: No module named 'torch._C'",
        "OSError: /v/torch/lib/libtorch_cuda.so: file too short",
        "ImportError: /v/torch/lib/libtorch_python.so: undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jRKSs",
        "OSError: /e/lib/python3.8/site-packages/torch/lib/../../../../libcufft.so.10: invalid ELF header",
    ],
)
def test_the_loaders_word_on_torchs_own_files(error: str) -> None:
    assert judge(env(run=failed(error))).primary.code == "torch-install-corrupt"  # type: ignore[union-attr]


def test_files_that_were_taken_out_on_purpose_are_not_missed() -> None:
    assert finding("torch-install-corrupt", hollow(OK, "torch/lib/libtorch_cuda_linalg.so")) is None
    assert (
        finding(
            "torch-install-corrupt", hollow(None, "torch/test/x.py", "torch/bin/protoc", "torch/testing/__init__.py")
        )
        is None
    )


def test_two_sets_of_metadata_in_one_folder() -> None:
    two = (Duplicate(name="torch", versions=("2.6.0", "2.5.1"), locations=("/v/site-packages", "/v/site-packages")),)
    assert found("torch-install-corrupt", env(run=None, duplicates=two))
    assert finding("torch-duplicate-install", env(run=None, duplicates=two)) is None
    assert finding("torch-install-corrupt", env(duplicates=two)) is None


# --- torch-duplicate-install -------------------------------------------------------------------------------------------


def twice(first: str, second: str, run: TorchRun | None, **more: Any) -> Snapshot:
    two = (Duplicate(name="torch", versions=(first, second), locations=("/home/ada/.local/lib", "/v/site-packages")),)
    return env(run=run, duplicates=two, user_site="/home/ada/.local/lib", **more)


def test_two_torches_are_an_error_unless_the_first_is_seen_to_work() -> None:
    assert found("torch-duplicate-install", twice("2.4.0", "2.6.0", None)).severity is Severity.ERROR
    assert found("torch-duplicate-install", twice("2.4.0", "2.6.0", failed("x"))).severity is Severity.ERROR
    said = found("torch-duplicate-install", twice("2.4.0", "2.6.0", OK))
    assert said.severity is Severity.WARNING and "PYTHONNOUSERSITE" in commands(said)
    assert finding("torch-duplicate-install", twice("2.6.0", "2.6.0", OK)) is None
    busy = TorchRun(outcome="ok", computation="CUDA error: out of memory")
    assert finding("torch-duplicate-install", twice("2.6.0", "2.6.0", busy)) is None


def test_pip_over_conda() -> None:
    conda = (CondaPackage(name="pytorch", version="2.3.0", channel="pytorch"),)
    assert "conda remove" in commands(found("torch-duplicate-install", env(run=None, conda_packages=conda)))


@pytest.mark.parametrize(
    "package",
    [CondaPackage(name="pytorch", version="2.6.0", channel="pypi"), CondaPackage(name="numpy", version="1.26.4")],
    ids=["pip's own, listed by conda", "no torch of conda's"],
)
def test_one_install_that_two_tools_list(package: CondaPackage) -> None:
    assert finding("torch-duplicate-install", env(run=None, conda_packages=(package,))) is None


# --- torchaudio-mismatch -----------------------------------------------------------------------------------------------


def audio(
    version: str, torch_version: str = "2.6.0+cu124", pins: tuple[BrokenPin, ...] | None = (), **more: Any
) -> Snapshot:
    return env(Installed(name="torchaudio", version=version), version=torch_version, broken_pins=pins, **more)


def test_torchaudios_own_pin_decides() -> None:
    pin = BrokenPin(distribution="torchaudio", requirement="torch==2.5.1", installed="2.6.0+cu124")
    said = found("torchaudio-mismatch", audio("2.5.1", pins=(pin,)))
    assert "--no-deps torchaudio==2.6.0" in commands(said)


@pytest.mark.parametrize(("version", "torch_version", "fires"), [
    ("2.5.1", "2.6.0+cu124", True), ("2.6.0", "2.6.0+cu124", False), ("2.11.0", "2.15.0+cu132", False),
    ("2.11.0", "2.12.0+cu130", False),
    ("2.8.0", "2.15.0+cu132", True), ("9.9.9", "2.6.0+cu124", False), ("2.6.0a0+1234", "2.7.0a0+gitabc", False),
])  # fmt: skip
def test_the_table_decides_where_pins_are_not_known(version: str, torch_version: str, fires: bool) -> None:
    assert (finding("torchaudio-mismatch", audio(version, torch_version, None)) is not None) is fires


def test_variants_for_other_devices() -> None:
    assert found("torchaudio-mismatch", audio("2.6.0+cpu"))
    assert finding("torchaudio-mismatch", audio("2.6.0+cu126")) is None


def test_its_library_that_does_not_load() -> None:
    line = "OSError: /v/torchaudio/lib/libtorchaudio.so: undefined symbol: _ZN3c104impl3cow11cow_deleterEPv"
    assert found("torchaudio-mismatch", env(messages=(line,)))
    assert finding("extension-abi-mismatch", env(messages=(line,))) is None
    healthy = '  File "/v/site-packages/torchaudio/functional/functional.py", line 95, in spectrogram'
    assert finding("torchaudio-mismatch", env(messages=(healthy,))) is None


# --- triton-problem ----------------------------------------------------------------------------------------------------


def triton(installed: str | None, run: TorchRun | None = None, **more: Any) -> Snapshot:
    return env(
        run=run,
        broken_pins=(BrokenPin(distribution="torch", requirement="triton==3.2.0", installed=installed),),
        **more,
    )


def test_a_triton_of_another_release() -> None:
    said = found("triton-problem", triton("3.0.0"))
    assert said.severity is Severity.ERROR and "triton==3.2.0" in commands(said)
    assert found("triton-problem", triton("3.3.1", OK)).severity is Severity.WARNING
    assert finding("triton-problem", triton("3.2.1")) is None


def test_a_missing_triton_is_a_warning_until_something_asks_for_it() -> None:
    assert found("triton-problem", triton(None)).severity is Severity.WARNING
    asked = found(
        "triton-problem", triton(None, OK, messages=("RuntimeError: Cannot find a working triton installation.",))
    )
    assert asked.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("RuntimeError: Failed to find C compiler. Please specify via CC environment variable.", "build-essential"),
        ("/tmp/tmp1/main.c:5:10: fatal error: Python.h: No such file or directory", "python3.12-dev"),
        ("/usr/bin/ld: cannot find -lcuda: No such file or directory", "ldconfig"),
    ],
)
def test_what_triton_needs_to_compile(line: str, command: str) -> None:
    assert command in commands(found("triton-problem", env(messages=(line,))))


def test_triton_is_not_missed_where_torch_does_not_ask_for_it() -> None:
    mac = env(version="2.15.0", cuda=None, host=Host(system="Darwin", architecture="arm64"), broken_pins=())
    assert finding("triton-problem", mac) is None
    rocm = Torch(version="2.9.0+rocm6.4", build="rocm", run=OK)
    assert (
        finding(
            "triton-problem",
            machine(interpreter=interpreter(rocm, Installed(name="pytorch-triton-rocm", version="3.5.0"))),
        )
        is None
    )


# --- extension-abi-mismatch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "expected"), [
    ("2.7.4.post1+cu12torch2.6cxx11abiFALSE", BuiltFor(torch=(2, 6), cuda=12, cxx11_abi=False)),
    ("2.1.2+pt26cu124", BuiltFor(torch=(2, 6), cuda=12)),
    ("2.1.2+pt211cu130", BuiltFor(torch=(2, 11), cuda=13)),
    ("1.6.3+pt113cpu", BuiltFor(torch=(1, 13), cuda=0)),
    ("0.1.6+cu121torch2.4", BuiltFor(torch=(2, 4), cuda=12)),
    ("0.0.28.post1+cu118", BuiltFor(cuda=11)),
    ("0.4.20+cuda12.cudnn89", BuiltFor()), ("1.0+gitabc1234", BuiltFor()), ("1.0", BuiltFor()), (None, BuiltFor()),
])  # fmt: skip
def test_what_a_version_says_of_its_build(version: str | None, expected: BuiltFor) -> None:
    assert built_for(version) == expected


@pytest.mark.parametrize(("version", "fires"), [
    ("2.7.4+cu12torch2.6cxx11abiFALSE", False), ("2.7.4+cu12torch2.5cxx11abiFALSE", True), ("2.7.4+cu11torch2.6", True),
    ("2.7.4+cu12torch2.6cxx11abiTRUE", True), ("2.1.2+pt26cpu", True), ("2.1.2+pt26cu121", False),
    ("2.7.4.post1", False), ("1.0+cu118", True),
])  # fmt: skip
def test_an_extension_is_judged_by_what_its_publisher_wrote(version: str, fires: bool) -> None:
    seen = env(Installed(name="flash-attn", version=version, requires=("torch",)), abi=False)
    assert (finding("extension-abi-mismatch", seen) is not None) is fires


def test_the_name_of_its_file_tells_as_well() -> None:
    url = "https://example.org/flash_attn-2.7.4.post1%2Bcu12torch2.5cxx11abiFALSE-cp312-cp312-linux_x86_64.whl"
    assert (
        "torch 2.5"
        in found("extension-abi-mismatch", env(Installed(name="flash-attn", version="2.7.4.post1", origin=url))).summary
    )


def pinned(requirement: str, tag: str | None = WHEEL, **more: Any) -> Snapshot:
    pin = BrokenPin(distribution="vllm", requirement=requirement, installed="2.6.0+cu124")
    return env(Installed(name="vllm", version="0.6.5", tag=tag, requires=(requirement,), **more), broken_pins=(pin,))


def test_a_compiled_wheel_with_a_pin_on_another_torch() -> None:
    said = found("extension-abi-mismatch", pinned("torch==2.5.1"))
    assert "vllm was built for torch 2.5.1" in said.summary and said.severity is Severity.ERROR
    assert found("extension-abi-mismatch", pinned("torch<2.6,>=2.5")).severity is Severity.WARNING


@pytest.mark.parametrize(
    "seen",
    [
        pinned("torch==2.6.1"),
        pinned("torch==2.5.1", "py3-none-any"),
        pinned("torch==2.5.1", None),
        pinned("torch==2.5.1", "cp312-cp312-linux_x86_64"),
        pinned("torch==2.5.1", editable=True),
        env(Installed(name="jaxlib", version="0.4.20+cuda11.cudnn86")),
        env(Installed(name="dgl", version="2.1.0+cu118")),
    ],
    ids=[
        "a patch release",
        "pure Python",
        "not known",
        "compiled here",
        "in place",
        "another framework",
        "does not need torch",
    ],
)
def test_what_is_not_built_for_another_torch(seen: Snapshot) -> None:
    assert finding("extension-abi-mismatch", seen) is None


def test_the_loaders_error_names_the_extension() -> None:
    line = (
        "ImportError: /v/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so: undefined symbol: _ZN3c104cuda9SetDeviceEi"
    )
    said = found("extension-abi-mismatch", env(Installed(name="flash-attn", version="2.7.4"), messages=(line,)))
    assert "flash_attn_2_cuda" in said.summary and "--no-binary=flash-attn" in commands(said)


@pytest.mark.parametrize(("line", "fires"), [
    ("ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory", True),
    ("ImportError: libcudart.so.12: cannot open shared object file: No such file or directory", False),
    ("ImportError: libtorch_cuda_cu.so: cannot open shared object file: No such file or directory", True),
    ("ImportError: /v/torchvision/_C.so: undefined symbol: _ZN5torch3jit17parseSchemaOrName", False),
    ("ImportError: /v/x.so: undefined symbol: _ZNSt7__cxx1112basic_string", False),
])  # fmt: skip
def test_which_refusals_are_of_an_extension(line: str, fires: bool) -> None:
    assert (finding("extension-abi-mismatch", env(messages=(line,))) is not None) is fires


# --- extension-arch-missing --------------------------------------------------------------------------------------------


def detectron(flags: str | None, *names: str, messages: tuple[str, ...] = ()) -> Snapshot:
    devices = tuple(TorchDevice(index=i, name=name) for i, name in enumerate(names))
    facts = Torch(version="1.4.0", build="cuda", run=TorchRun(outcome="ok", cuda_available=True, devices=devices))
    build = ExtensionBuild(distribution="detectron2", cuda="10.0", arch_flags=tuple(flags.split()) if flags else None)
    return Snapshot(
        source="collect_env", interpreter=Interpreter(torch=facts, extension_builds=(build,)), messages=messages
    )


def test_an_extension_without_code_for_one_of_the_cards() -> None:
    said = found("extension-arch-missing", detectron("sm_75", "GeForce RTX 2080", "GeForce GTX 1070"))
    assert "GTX 1070" in said.summary and said.severity is Severity.WARNING
    assert 'TORCH_CUDA_ARCH_LIST="6.1;7.5"' in commands(said)
    assert found("extension-arch-missing", detectron("sm_75", "GeForce GTX 1070")).severity is Severity.ERROR


@pytest.mark.parametrize(
    "seen",
    [
        detectron("sm_61 sm_75", "GeForce RTX 2080", "GeForce GTX 1070"),
        detectron("sm_50 compute_50", "GeForce RTX 2080"),
        detectron(
            None, "GeForce RTX 2080", messages=("CUDA error: no kernel image is available for execution on the device",)
        ),
        detectron("sm_75", "Some Card"),
    ],
    ids=["it has both", "PTX", "torch's own code is not known", "card not known"],
)
def test_an_extension_with_code_or_unknown_is_not_accused(seen: Snapshot) -> None:
    assert finding("extension-arch-missing", seen) is None


def test_a_missing_image_where_torch_itself_computes() -> None:
    line = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    assert found("extension-arch-missing", env(messages=(line,)))
    old = machine(
        nvml=nvml(gpu("Tesla V100-SXM2-32GB", "7.0")),
        interpreter=interpreter(torch(flags=FLAGS_2_15)),
        messages=(line,),
    )
    assert finding("extension-arch-missing", old) is None


# --- the whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seen", [Snapshot(), machine(), env(), env(run=None)], ids=["nothing known", "healthy", "2.6", "not imported"]
)
def test_none_of_them_speaks_of_a_healthy_or_unknown_machine(seen: Snapshot) -> None:
    assert [code for code in CODES if finding(code, seen) is not None] == []
