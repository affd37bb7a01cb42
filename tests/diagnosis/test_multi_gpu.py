"""The diagnoses of several GPUs working together."""

from __future__ import annotations

import pytest

from envdoctor.diagnosis.model import Severity
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import Driver, FabricManager, KernelModule
from envdoctor.facts.sections.gpu import Gpu, NvLink
from tests.diagnosis.snapshots import commands, finding, found, gpu, machine, nvml


def pasted(*lines: str) -> Snapshot:
    return Snapshot(source="collect_env", messages=lines)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("node1: bootstrap.cc NCCL WARN Bootstrap : no socket interface found", "NCCL_SOCKET_IFNAME"),
        ("NCCL WARN Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 65000", "torchrun"),
        ("torch.distributed.DistBackendError: NCCL error, unhandled system error", "NCCL_DEBUG=INFO"),
        ("ncclInternalError: Internal check failed.", "NCCL_P2P_DISABLE=1"),
    ],
    ids=["interface", "same GPU", "system", "other"],
)
def test_nccls_words_lead_to_the_setting_that_helps(line: str, words: str) -> None:
    assert words in commands(found("nccl-problem", pasted(line)))


def test_an_undecided_failure_is_half_sure() -> None:
    assert found("nccl-problem", pasted("NCCL error: unhandled system error")).confidence == 0.5


def switched(*gpus: Gpu, needed: bool | None = True) -> Snapshot:
    manager = FabricManager(needed=needed, installed=True, running=True)
    return machine(driver=Driver(module=KernelModule(loaded=True), fabric_manager=manager), nvml=nvml(*gpus))


def linked(index: int, *active: bool) -> Gpu:
    links = tuple(NvLink(link=i, active=state) for i, state in enumerate(active))
    return gpu("NVIDIA H100 80GB HBM3", "9.0", index=index, nvlinks=links, mig_enabled=False)


def test_a_gpu_whose_links_are_down_on_an_nvswitch_machine_is_a_warning() -> None:
    said = found("nccl-problem", switched(linked(0, True, True), linked(1, False, False)))
    assert "GPU 1" in said.summary and said.severity is Severity.WARNING


@pytest.mark.parametrize(
    "seen",
    [
        machine(),
        pasted("connection to the database failed: call to connect returned Connection refused"),
        switched(linked(0, True, True), linked(1, True, True)),
        switched(linked(0, False, False), linked(1, False, False)),
        switched(linked(0, True), linked(1, False), needed=False),
        switched(linked(0, True), linked(1, False), needed=None),
    ],
    ids=["one GPU", "no NCCL", "all up", "all down", "no switch", "unknown"],
)
def test_machines_without_nccls_complaint_are_left_alone(seen: Snapshot) -> None:
    assert finding("nccl-problem", seen) is None
