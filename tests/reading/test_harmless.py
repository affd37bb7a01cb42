"""Warnings that sound like a cause and are none are named as such, and only where they are none."""

from __future__ import annotations

import io

import pytest

from envdoctor.diagnosis.judging import judge_text
from envdoctor.diagnosis.model import Diagnosed
from envdoctor.knowledge import load
from envdoctor.reading.harmless import Harmless, harmless_in
from envdoctor.report.check.harmless_reasons import REASONS

LINES = {
    Harmless.CAPABILITY: "    Found GPU0 NVIDIA GB10 which is of cuda capability 12.1.",
    Harmless.REGISTERED_TWICE: "E0000 00:00:1729 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting to register"
    " factory for plugin cuDNN when one has already been registered",
    Harmless.IPV6: "[W socket.cpp:697] [c10d] The client socket has failed to connect to [trainer]:29500 (errno: 97 - Address"
    " family not supported by protocol).",
    Harmless.NCCL_PLUGIN: "a:1:9 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so. Using internal network plugin.",
    Harmless.CUDNN_PLAN: "conv.py:456: UserWarning: Plan failed with a cudnnException: CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:"
    " cudnnFinalizeDescriptor Failed cudnn_status: CUDNN_STATUS_NOT_SUPPORTED",
    Harmless.OPTIONAL_TENSORRT: "W tensorflow/compiler/tf2tensorrt/utils/py_utils.cc:38] TF-TRT Warning: Could not find TensorRT",
    Harmless.RDMA_DRIVER: "libibverbs: Warning: couldn't load driver 'libefa-rdmav34.so': libefa-rdmav34.so: cannot open shared"
    " object file: No such file or directory",
    Harmless.NUMA_NODE: "successful NUMA node read from SysFS had negative value (-1), but there must be at least one NUMA node",
}


def judged(text: str) -> Diagnosed:
    return judge_text(io.BytesIO(text.encode()), load())[1]


def test_each_kind_has_a_text_and_a_reason() -> None:
    assert set(LINES) == set(Harmless) == set(REASONS)


@pytest.mark.parametrize("why", LINES)
def test_each_is_known_by_its_words(why: Harmless) -> None:
    (found,) = harmless_in(["epoch 1", LINES[why], "epoch 2"])
    assert (found.why, found.line) == (why, 2)


@pytest.mark.parametrize("why", [why for why in LINES if why is not Harmless.CAPABILITY])
def test_alone_it_is_neither_a_cause_nor_a_failure_that_nobody_understands(why: Harmless) -> None:
    found = judged(f"epoch 1, loss 2.1\n{LINES[why]}\nepoch 2, loss 1.9\n")
    assert found.primary is None and found.not_understood == ()
    assert [warning.why for warning in found.harmless] == [why]


def test_a_capability_that_torch_has_code_for_is_harmless() -> None:
    found = judged(f"torch 2.9.0+cu130\n{LINES[Harmless.CAPABILITY]}\n")
    assert found.primary is None
    assert [warning.why for warning in found.harmless] == [Harmless.CAPABILITY]


@pytest.mark.parametrize("torch", ["torch 2.5.1+cu121", "torch"])
def test_one_that_torch_has_no_code_for_or_may_not_have_is_not(torch: str) -> None:
    text = f"{torch}\nFound GPU0 NVIDIA GeForce RTX 5090 which is of cuda capability 12.0.\n"
    assert judged(text).harmless == ()
