"""What a machine's facts rule out of an error's possible causes, and what they leave open."""

from __future__ import annotations

from msgspec.structs import replace

from envdoctor.diagnosis.model import Finding, MachineSays
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import CudaDriver
from envdoctor.facts.sections.interpreter import TorchRun
from tests.diagnosis.snapshots import NOT_A_CONTAINER, RTX_4090, UBUNTU, interpreter, module, nvml, torch
from tests.diagnosis.texts import judged

WORKING = Snapshot(
    host=UBUNTU,
    pci=(RTX_4090,),
    driver=module(),
    nvml=nvml(),
    cuda_driver=CudaDriver(init_code=0, device_count=1),
    container=NOT_A_CONTAINER,
    interpreter=interpreter(torch()),
)


def candidates(text: str, machine: Snapshot | None, *, own: bool = True) -> dict[str, Finding]:
    return {finding.code: finding for finding in judged(text, machine, own=own).findings}


def test_a_machine_on_which_cuda_starts_has_a_driver() -> None:
    found = candidates("RuntimeError: Found no NVIDIA driver on your system.", WORKING)
    assert found["driver-missing"].machine is MachineSays.RULES_OUT
    assert found["driver-missing"].machine_reason == "CUDA starts on this machine"


def test_a_driver_that_is_new_enough_is_not_too_old() -> None:
    broken = replace(WORKING, cuda_driver=None)
    found = candidates("The NVIDIA driver on your system is too old (found version 11040).", broken)
    assert found["driver-too-old"].machine is MachineSays.RULES_OUT
    assert "580.159.04 is new enough for CUDA 13.2" in (found["driver-too-old"].machine_reason or "")


def test_unknown_facts_rule_nothing_out() -> None:
    for text in ("Found no NVIDIA driver on your system", "No module named 'torch'", "CUDNN_STATUS_NOT_INITIALIZED"):
        alone = candidates(text, None)
        with_nothing = candidates(text, Snapshot())
        assert {code: c.confidence for code, c in alone.items()} == {
            code: c.confidence for code, c in with_nothing.items()
        }
        assert all(c.machine is None for c in with_nothing.values())


def test_what_the_facts_rule_out_falls_behind_what_they_leave_open() -> None:
    text = "RuntimeError: No CUDA GPUs are available"
    assert next(iter(candidates(text, None))) == "visible-devices-hidden"
    outside = candidates(text, replace(WORKING, cuda_driver=None))
    assert outside["container-no-gpu"].machine_reason == "this is no container"
    hidden = replace(WORKING, cuda_driver=None, environment={"CUDA_VISIBLE_DEVICES": "7"})
    confirmed = candidates(text, hidden)
    assert next(iter(confirmed)) == "visible-devices-hidden"
    assert confirmed["visible-devices-hidden"].machine is MachineSays.CONFIRMS
    assert "'7'" in confirmed["visible-devices-hidden"].summary


def test_a_torch_that_computes_has_code_for_its_gpu_and_a_whole_install() -> None:
    run = TorchRun(outcome="ok", computation="ok", cudnn_convolution="ok", torchvision="ok", cuda_available=True)
    machine = replace(WORKING, interpreter=interpreter(torch(run=run)))
    for text, code in (
        ("no kernel image is available for execution on the device", "gpu-arch-too-new-for-torch"),
        ("operator torchvision::nms does not exist", "torchvision-mismatch"),
        ("CUDNN_STATUS_NOT_INITIALIZED", "cudnn-version-mismatch"),
        ("No module named 'torch._C'", "torch-install-corrupt"),
        ("Torch not compiled with CUDA enabled", "torch-cpu-only"),
        ("ModuleNotFoundError: No module named 'torch'", "torch-missing"),
    ):
        assert candidates(text, machine)[code].machine is MachineSays.RULES_OUT, code


def test_another_machine_than_the_texts_decides_little() -> None:
    text = "RuntimeError: Found no NVIDIA driver on your system."
    alone = candidates(text, None)["driver-missing"].confidence
    here = candidates(text, WORKING, own=False)["driver-missing"].confidence
    given = candidates(text, WORKING)["driver-missing"].confidence
    assert given < here < alone
