"""The Target of a machine whose facts were gathered: a snapshot, or text that somebody pasted."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import Driver, KernelModule
from envdoctor.facts.sections.gpu import Gpu, Nvml
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution, PciDevice
from envdoctor.facts.sections.interpreter import Interpreter
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.planner import plan
from envdoctor.planning.target import from_snapshot
from envdoctor.reading.dumps import read
from tests.as_of import then
from tests.diagnosis import population
from tests.diagnosis.test_properties import mutate

WORLD = then()
UBUNTU = Host(
    system="Linux",
    architecture="x86_64",
    glibc="2.35",
    wsl=0,
    distribution=LinuxDistribution(id="ubuntu", version_id="22.04"),
    os_name="Ubuntu 22.04.5 LTS",
)


def target(**sections: object) -> Target:
    return from_snapshot(Snapshot(**sections), WORLD)  # type: ignore[arg-type]


def loaded(version: str) -> Driver:
    return Driver(module=KernelModule(version=version))


def test_a_machine_is_what_its_facts_say() -> None:
    found = target(
        host=UBUNTU,
        driver=loaded("535.183.01"),
        nvml=Nvml(gpus=(Gpu(index=0, name="NVIDIA H100 80GB HBM3", compute_capability="9.0"),) * 2),
        interpreter=Interpreter(version="3.10.12"),
    )
    assert (found.os, found.glibc, found.python, found.driver) == ("ubuntu22.04", "2.35", "3.10", "535.183.01")
    assert [(gpu.capability, gpu.kind) for gpu in found.gpus or ()] == [("9.0", "data-center")] * 2


def test_what_is_unknown_stays_open_and_what_is_absent_is_none() -> None:
    assert target().gpus is None
    assert target(host=UBUNTU, pci=()).gpus == ()
    assert (
        target(pci=(PciDevice(address="0000:00:02.0", vendor="8086", device="4680", class_code="030000"),)).gpus == ()
    )


def test_cards_are_known_by_their_pci_ids_where_no_driver_is_there() -> None:
    card = PciDevice(address="0000:01:00.0", vendor="10de", device="2684", class_code="030000", driver="nouveau")
    found = target(host=UBUNTU, pci=(card,))
    assert [gpu.capability for gpu in found.gpus or ()] == ["8.9"]
    planned = plan(found, Wishes(), WORLD)
    assert planned.stack is not None
    assert planned.stack.driver_branch == "580"
    assert any("No driver is given" in reason.text for reason in planned.reasons)


def test_a_card_that_a_hypervisor_keeps_is_not_planned_for() -> None:
    card = PciDevice(address="0000:01:00.0", vendor="10de", device="2684", class_code="030000", driver="vfio-pci")
    assert target(pci=(card,)).gpus == ()


def test_a_card_that_nothing_knows_leaves_the_question_open() -> None:
    card = PciDevice(address="0000:01:00.0", vendor="10de", device="ffff", class_code="030000", driver="nvidia")
    assert target(pci=(card,)).gpus is None


def test_the_python_there_is_a_starting_point_and_no_constraint() -> None:
    found = target(host=UBUNTU, interpreter=Interpreter(version="3.10.12"))
    planned = plan(found, Wishes(), WORLD)
    assert planned.stack is not None
    assert planned.stack.torch == "2.15.0"
    assert any("ubuntu22.04 has Python 3.10" in note for note in planned.stack.notes)


def test_a_free_threaded_python_stays_one() -> None:
    assert target(interpreter=Interpreter(version="3.14.0", free_threaded=True)).python == "3.14t"


def test_wsl_containers_and_jetson_are_seen() -> None:
    wsl = Host(system="Linux", architecture="x86_64", wsl=2, glibc="2.39")
    assert target(host=wsl).wsl
    assert target(container=Container(kind="docker")).container
    orin = Gpu(index=0, name="Orin (nvgpu)", compute_capability="8.7")
    assert target(nvml=Nvml(gpus=(orin,))).jetson


def test_musl_is_a_c_library_of_its_own() -> None:
    alpine = Host(
        system="Linux",
        architecture="x86_64",
        glibc="",
        distribution=LinuxDistribution(id="alpine", version_id="3.20.3"),
    )
    found = target(host=alpine)
    assert (found.os, found.glibc) == ("alpine", "")
    assert not plan(found, Wishes(), WORLD).feasible


def test_a_system_that_no_table_knows_is_left_open() -> None:
    nixos = Host(
        system="Linux",
        architecture="x86_64",
        glibc="2.40",
        distribution=LinuxDistribution(id="nixos", version_id="25.05"),
    )
    assert (target(host=nixos).os, target(host=nixos).glibc) == (None, "2.40")


def test_a_processor_without_wheels_has_no_plan_and_says_so() -> None:
    power = Host(system="Linux", architecture="ppc64le", glibc="2.34")
    planned = plan(target(host=power), Wishes(), WORLD)
    assert not planned.feasible
    assert "linux_ppc64le" in planned.reasons[0].text


DUMP = """\
Collecting environment information...
PyTorch version: 2.1.0+cu118
Is debug build: False
CUDA used to build PyTorch: 11.8
OS: Ubuntu 20.04.6 LTS (x86_64)
GCC version: (Ubuntu 9.4.0-1ubuntu1~20.04.2) 9.4.0
Libc version: glibc-2.31
Python version: 3.8.10 (default, Nov 22 2023, 10:22:35)  [GCC 9.4.0] (64-bit runtime)
Is CUDA available: True
GPU models and configuration:
GPU 0: Tesla V100-SXM2-16GB
GPU 1: Tesla V100-SXM2-16GB
Nvidia driver version: 470.199.02
"""


def test_a_pasted_dump_is_a_machine_to_plan_for() -> None:
    found = from_snapshot(read(DUMP), WORLD)
    assert (found.os, found.glibc, found.python, found.driver) == ("ubuntu20.04", "2.31", "3.8", "470.199.02")
    assert [gpu.capability for gpu in found.gpus or ()] == ["7.0", "7.0"]
    planned = plan(found, Wishes(), WORLD)
    assert planned.stack is not None
    assert (planned.stack.torch, planned.stack.channel) == ("2.7.1", "cu118")
    assert [one.stack.torch for one in planned.alternatives if one.stack] == ["2.14.1"]


@pytest.mark.parametrize("name", population.healthy())
def test_a_healthy_machine_can_be_planned_for(name: str) -> None:
    machine = population.healthy()[name]
    planned = plan(from_snapshot(machine, WORLD), Wishes(), WORLD)
    assert planned.feasible, planned.reasons
    assert planned.stack is not None
    torch = machine.torch
    if torch is not None and torch.release is not None and torch.cuda is not None:
        assert Version(planned.stack.torch) >= Version(torch.release), "it works with that one already"


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(list(population.machines().values())), st.randoms(use_true_random=False), st.integers(1, 6))
def test_whatever_the_facts_are_there_is_a_plan_or_a_reason(
    machine: Snapshot, draw: random.Random, changes: int
) -> None:
    facts = msgspec.to_builtins(machine)
    for _ in range(changes):
        mutate(facts, draw)
    try:
        snapshot = msgspec.convert(facts, Snapshot)
    except msgspec.ValidationError:
        return
    planned = plan(from_snapshot(snapshot, WORLD), Wishes(), WORLD)
    assert planned.reasons
    assert planned.feasible is (planned.stack is not None)
