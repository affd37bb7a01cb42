"""The diagnoses of torch and its family, and of hidden devices."""

from __future__ import annotations

import shlex

import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import CudaDriver, Nvml
from envdoctor.facts.sections.host import Host
from envdoctor.facts.sections.interpreter import BrokenPin, CondaPackage, Interpreter, TorchRun
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

NO_GPU = {"pci": (), "driver": None, "nvml": Nvml(status="LIBRARY_NOT_FOUND"), "cuda_driver": None}


# --- torch-missing -----------------------------------------------------------------------------------------------------


def test_without_torch_the_newest_that_fits_is_offered() -> None:
    said = found("torch-missing", machine(interpreter=interpreter()))
    assert "/home/ada/venv/bin/python -m pip install torch==" in commands(said)


def test_without_torch_and_without_a_gpu_the_cpu_build_is_offered() -> None:
    assert "/whl/cpu" in commands(found("torch-missing", machine(interpreter=interpreter(), **NO_GPU)))


def test_an_environment_without_pip_is_served_by_uv() -> None:
    assert "uv pip install --python" in commands(found("torch-missing", machine(interpreter=interpreter(pip=False))))


def test_the_systems_own_python_gets_a_virtual_environment() -> None:
    own = Interpreter(
        executable="/usr/bin/python3",
        version="3.12.3",
        environment="system",
        externally_managed=True,
        torch_installed=False,
        pip=True,
        distributions=(),
    )
    said = found("torch-missing", machine(interpreter=own))
    assert "-m venv" in commands(said)


@pytest.mark.parametrize("known", [None, Interpreter(), Interpreter(torch_installed=None, error="it hung")])
def test_torch_is_not_said_to_be_missing_where_that_is_not_known(known: Interpreter | None) -> None:
    assert finding("torch-missing", machine(interpreter=known)) is None


def test_paths_with_spaces_are_quoted() -> None:
    odd = Interpreter(executable="/home/ada/my env/bin/python", version="3.12", torch_installed=False, pip=True)
    first = commands(found("torch-missing", machine(interpreter=odd))).splitlines()[0]
    assert shlex.split(first)[:3] == ["/home/ada/my env/bin/python", "-m", "pip"]


# --- torch-cpu-only ----------------------------------------------------------------------------------------------------


def cpu_only(**sections: object) -> Snapshot:
    return machine(**{"interpreter": interpreter(torch("2.14.1+cpu", None)), **sections})


def test_a_cpu_build_beside_a_gpu_is_replaced_by_the_same_release_with_cuda() -> None:
    said = found("torch-cpu-only", cpu_only())
    assert "uninstall -y torch" in commands(said) and "torch==2.14.1" in commands(said)
    assert "RTX 4090" in said.summary


def test_the_replacement_runs_on_the_driver_that_is_there() -> None:
    said = found("torch-cpu-only", cpu_only(driver=None, nvml=nvml(driver="535.183.01")))
    assert "cu13" not in commands(said)


@pytest.mark.parametrize(
    "sections",
    [
        NO_GPU,
        {"nvml": None},
        {"environment": {"CUDA_VISIBLE_DEVICES": ""}},
        {"environment": {"CUDA_VISIBLE_DEVICES": "-1"}},
        {"host": Host(system="Darwin", architecture="arm64")},
        {"nvml": nvml(gpu("GeForce GTX 580", "2.0"))},
    ],
    ids=["no GPU", "GPU unknown", "hidden on purpose", "hidden by -1", "macOS", "a card that no torch supports"],
)
def test_a_cpu_build_is_right_where_no_gpu_is_usable(sections: dict[str, object]) -> None:
    assert finding("torch-cpu-only", cpu_only(**sections)) is None


@pytest.mark.parametrize("build", ["rocm", "xpu", None])
def test_other_builds_are_not_cpu_builds(build: str | None) -> None:
    from envdoctor.facts.sections.interpreter import Torch

    assert finding("torch-cpu-only", machine(interpreter=interpreter(Torch(version="2.9.0", build=build)))) is None


# --- architectures -----------------------------------------------------------------------------------------------------


def arch(
    capability: str,
    flags: str | None,
    version: str = "2.15.0+cu132",
    cuda: str = "13.2",
    name: str = "NVIDIA Test GPU",
    **more: object,
) -> Snapshot:
    return machine(nvml=nvml(gpu(name, capability)), interpreter=interpreter(torch(version, cuda, flags), **more))


@pytest.mark.parametrize(
    ("capability", "flags"),
    [
        ("8.9", "sm_80 sm_86"),
        ("12.1", "sm_90 sm_120"),
        ("10.3", "sm_100"),
        ("12.0", "sm_80 sm_90 compute_90"),
        ("9.0", "sm_50 sm_60 sm_70 sm_80 sm_90"),
    ],
)
def test_code_of_the_same_major_or_ptx_runs(capability: str, flags: str) -> None:
    assert finding("gpu-arch-too-new-for-torch", arch(capability, flags)) is None
    assert finding("gpu-arch-too-old-for-torch", arch(capability, flags)) is None


def test_a_blackwell_card_on_torch_2_6_gets_a_newer_torch() -> None:
    said = found(
        "gpu-arch-too-new-for-torch", arch("12.0", "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "2.6.0+cu124", "12.4")
    )
    assert "(12.0)" in said.summary and "torch==2.15.0" in commands(said)
    assert finding("gpu-arch-too-old-for-torch", arch("12.0", "sm_50 sm_90")) is None


def test_a_volta_card_on_torch_2_15_gets_the_last_torch_for_it_and_no_driver() -> None:
    said = found("gpu-arch-too-old-for-torch", arch("7.0", FLAGS_2_15, name="Tesla V100-SXM2-32GB"))
    assert "torch==2.14.1" in commands(said) and "/whl/cu126" in commands(said)
    assert not any(fix.needs_root for fix in said.fixes)
    assert finding("gpu-arch-too-new-for-torch", arch("7.0", FLAGS_2_15)) is None


def test_flags_of_a_published_wheel_are_looked_up_when_torch_did_not_say_them() -> None:
    said = found("gpu-arch-too-old-for-torch", arch("7.0", None, "2.15.0", "13.2"))
    assert said.confidence < 1


@pytest.mark.parametrize("version", ["2.8.0a0+5228986c39.nv25.06", "2.11.0.dev20260101+cu128", "2.11.0+gitabc"])
def test_builds_that_nobody_published_are_not_accused_from_a_table(version: str) -> None:
    assert finding("gpu-arch-too-old-for-torch", arch("7.0", None, version, "12.8")) is None


def test_code_that_the_toolkit_can_no_longer_make_is_in_no_build() -> None:
    said = found("gpu-arch-too-old-for-torch", arch("7.0", None, "2.15.0+gitabc", "13.2"))
    assert said.confidence < 1 and "CUDA 13.2" in said.summary


def test_a_conda_build_is_not_accused_from_the_table_of_wheels() -> None:
    conda = (CondaPackage(name="pytorch", version="2.11.0"),)
    assert finding("gpu-arch-too-old-for-torch", arch("7.0", None, "2.11.0", "12.8", conda_packages=conda)) is None


def test_an_old_display_card_beside_a_good_one_is_only_a_warning() -> None:
    both = nvml(gpu(), gpu("NVIDIA GeForce GTX 1050", "6.1", index=1))
    said = found("gpu-arch-too-old-for-torch", machine(nvml=both, interpreter=interpreter(torch(flags=FLAGS_2_15))))
    assert said.severity is Severity.WARNING


def test_a_card_that_is_hidden_is_not_judged() -> None:
    both = nvml(gpu(), gpu("NVIDIA GeForce GTX 1050", "6.1", index=1))
    hidden = machine(
        nvml=both, interpreter=interpreter(torch(flags=FLAGS_2_15)), environment={"CUDA_VISIBLE_DEVICES": "0"}
    )
    assert finding("gpu-arch-too-old-for-torch", hidden) is None


def test_a_computation_that_came_out_right_overrules_every_table() -> None:
    run = TorchRun(outcome="ok", cuda_available=True, computation="ok")
    proven = machine(nvml=nvml(gpu("NVIDIA Next", "13.0")), interpreter=interpreter(torch(flags="sm_90", run=run)))
    assert judge(proven).findings == ()


# --- torchvision-mismatch ----------------------------------------------------------------------------------------------


def with_vision(version: str, torch_version: str = "2.15.0+cu132", pins: tuple[BrokenPin, ...] | None = ()) -> Snapshot:
    vision = Installed(name="torchvision", version=version, installer="pip")
    cuda = "13.2" if "cpu" not in torch_version else None
    return machine(interpreter=interpreter(torch(torch_version, cuda, FLAGS_2_15), vision, broken_pins=pins))


def test_torchvisions_own_pin_decides() -> None:
    pin = BrokenPin(distribution="torchvision", requirement="torch==2.14.0", installed="2.15.0+cu132")
    said = found("torchvision-mismatch", with_vision("0.29.0", pins=(pin,)))
    assert ("2.14.0" in said.summary and "torchvision==0.30" in commands(said)) or "torchvision==" in commands(said)
    assert "--no-deps" in commands(said)


def test_the_table_decides_where_no_pin_was_read() -> None:
    assert found("torchvision-mismatch", with_vision("0.16.2", "2.15.0+cu132", None))


@pytest.mark.parametrize(
    ("vision", "torch_version"), [("0.29.2+cpu", "2.15.0+cu132"), ("0.29.2+cu126", "2.15.0+cu132")]
)
def test_another_cuda_major_or_a_cpu_torchvision_is_a_mismatch(vision: str, torch_version: str) -> None:
    assert found("torchvision-mismatch", with_vision(vision, torch_version))


@pytest.mark.parametrize("vision", ["0.29.2", "0.29.2+cu132", "0.29.2+cu130"])
def test_a_matching_torchvision_is_silent(vision: str) -> None:
    assert finding("torchvision-mismatch", with_vision(vision)) is None


def test_a_vendors_alpha_pair_is_not_judged_by_the_table() -> None:
    assert finding("torchvision-mismatch", with_vision("0.22.0a0", "2.8.0a0+5228986c39.nv25.06", None)) is None


# --- visible-devices-hidden --------------------------------------------------------------------------------------------


def hidden(value: str, gpus: int = 2, seen: int | None = 0) -> Snapshot:
    cards = [gpu(index=i, uuid=f"GPU-{i}aaaaaaa-0000-0000-0000-000000000000") for i in range(gpus)]
    return machine(
        nvml=nvml(*cards),
        environment={"CUDA_VISIBLE_DEVICES": value},
        cuda_driver=CudaDriver(outcome="ok", init_code=100, device_count=seen),
    )


@pytest.mark.parametrize("value", ["", "-1", "7", "NoDevFiles", "GPU-deadbeef"])
def test_a_value_that_leaves_no_gpu_is_an_error(value: str) -> None:
    said = found("visible-devices-hidden", hidden(value))
    assert said.severity is Severity.ERROR and "unset CUDA_VISIBLE_DEVICES" in commands(said)


@pytest.mark.parametrize("value", ["0", "1", "1,0", "GPU-0aaa", "GPU-1aaaaaaa-0000-0000-0000-000000000000"])
def test_a_choice_of_gpus_is_no_finding(value: str) -> None:
    assert finding("visible-devices-hidden", hidden(value, seen=1)) is None


def test_gpus_lost_behind_an_invalid_entry_are_a_warning() -> None:
    assert found("visible-devices-hidden", hidden("0,5,1", seen=1)).severity is Severity.WARNING


def test_mig_names_are_left_to_their_own_diagnosis() -> None:
    assert finding("visible-devices-hidden", hidden("MIG-c7384736-a75d-5afc-978f-d2f1294409fd")) is None


# --- folding -----------------------------------------------------------------------------------------------------------


def test_a_failure_that_nothing_explains_is_never_healthy() -> None:
    run = TorchRun(outcome="crash", signal="SIGSEGV", stage="import")
    diagnosed = judge(machine(interpreter=interpreter(torch(flags=FLAGS_2_15, run=run))))
    assert diagnosed.primary is not None and diagnosed.primary.code == "torch-failure-unexplained"


def test_one_card_of_two_without_code_is_a_warning_and_no_failure_that_nothing_explains() -> None:
    run = TorchRun(
        outcome="ok",
        cuda_available=True,
        device_count=2,
        computation="cuda:1: RuntimeError: CUDA error: no kernel image is available for execution on the device",
        cudnn_version=92600,
        cudnn_convolution="cuda:1: RuntimeError: CUDA error: no kernel image is available for execution on the device",
    )
    cards = nvml(gpu(), gpu("Tesla V100-PCIE-16GB", "7.0", 1))
    diagnosed = judge(machine(nvml=cards, interpreter=interpreter(torch(flags=FLAGS_2_15, run=run))))
    assert [(f.code, f.severity) for f in diagnosed.findings] == [("gpu-arch-too-old-for-torch", Severity.WARNING)]


def test_a_failure_with_a_known_cause_is_folded_under_it() -> None:
    run = TorchRun(outcome="import-error", error="ImportError: undefined symbol")
    vision = Installed(name="torchvision", version="0.29.2+cpu")
    diagnosed = judge(machine(interpreter=interpreter(torch(flags=FLAGS_2_15, run=run), vision)))
    assert diagnosed.primary is not None and diagnosed.primary.code == "torchvision-mismatch"
    assert [f.consequence_of for f in diagnosed.findings] == [None, "torchvision-mismatch"]
