"""A failed workload is judged by the same engine as a text, with the facts of the machine that it ran on."""

from __future__ import annotations

import io

import pytest

from envdoctor.bench.diagnosing import MOST, diagnosed, errors_of, explained
from envdoctor.bench.results import WorkloadFailure
from envdoctor.diagnosis.judging import judge_text
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import load
from tests.machines.fault_matrix import INTERNAL, kinds, run
from tests.machines.near_misses import near_misses

MACHINES = kinds()
STATION = MACHINES["workstation"]
NO_KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
LOST = "NVRM: Xid (PCI:0000:01:00): 79, pid=4242, name=python3, GPU has fallen off the bus."


def failure(message: str, kind: str = "exception", *log: str) -> WorkloadFailure:
    trace = f'Traceback (most recent call last):\n  File "workload.py", line 8, in step\n{message}'
    return WorkloadFailure(kind=kind, message=message, traceback=trace, log_tail=log)


def codes(message: str, machine: Snapshot, *log: str) -> list[str]:
    return [cause.code for cause in explained(failure(message, "exception", *log), machine)]


def test_the_machines_facts_choose_between_the_causes_of_a_message() -> None:
    """On a V100 the newest torch is too new for the card; the text alone could mean the opposite."""
    old = MACHINES["V100"]
    assert old.interpreter and old.interpreter.torch
    from msgspec.structs import replace

    newer = replace(old.interpreter.torch, version="2.15.0+cu132", cuda="13.2", arch_flags=("sm_75", "sm_80"), run=None)
    machine = replace(old, interpreter=replace(old.interpreter, torch=newer))
    assert codes(NO_KERNEL, machine)[:1] == ["gpu-arch-too-old-for-torch"]


def test_a_gpu_that_is_lost_while_a_workload_runs_is_named_though_cuda_started_before() -> None:
    assert codes("RuntimeError: CUDA error: unspecified launch failure", STATION, LOST)[:1] == ["gpu-lost"]


@pytest.mark.parametrize(
    "message",
    [
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x8 and 4x8)",
        "ValueError: the loss is nan",
        "KeyError: 'x'",
    ],
)
def test_a_failure_of_the_workload_itself_is_no_cause_in_the_environment(message: str) -> None:
    assert codes(message, STATION) == []


def test_what_the_machine_rules_out_is_not_named() -> None:
    assert "driver-missing" not in codes("RuntimeError: Found no NVIDIA driver on your system", STATION)


def test_the_causes_are_those_of_the_engine() -> None:
    message = "OSError: libcudnn.so.9: cannot open shared object file: No such file or directory"
    said = failure(message)
    text = "\n".join((said.message, said.traceback or ""))
    _, judged = judge_text(io.BytesIO(text.encode()), load(), STATION)
    assert judged.findings
    assert set(codes(message, STATION)) <= {f.code for f in judged.findings if f.consequence_of is None}


def test_a_machine_that_was_seen_to_fail_is_named_for_a_wrong_result() -> None:
    """Wrong numbers are no text; only the machine can say why."""
    for machine in (run(cudnn_convolution="wrong")(STATION), run(cudnn_convolution=INTERNAL)(STATION)):
        assert [cause.code for cause in errors_of(machine)] == ["torch-failure-unexplained"]
        both = diagnosed(failure("wrong result", "numerics"), machine, errors_of(machine))
        assert [cause.code for cause in both] == ["torch-failure-unexplained"] and len(both) <= MOST


@pytest.mark.parametrize("name", near_misses())
def test_a_sound_machine_is_no_cause(name: str) -> None:
    assert errors_of(near_misses()[name]) == ()
