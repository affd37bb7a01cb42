"""One view of a machine's GPUs: what one source does not say, another does, whichever is missing."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import CudaDevice, CudaDriver, Gpu, Nvml
from envdoctor.facts.sections.host import Container, Host, PciDevice
from envdoctor.facts.sections.interpreter import Interpreter, Torch, TorchDevice, TorchRun
from envdoctor.knowledge import GpuRecord, load
from envdoctor.planning.machine_gpus import MachineGpu, machine_gpus, visible_gpus
from envdoctor.planning.target import from_snapshot
from tests.diagnosis.snapshots import found, torch

WORLD = load()
BOARDS = [row for row in WORLD.gpus() if row.pci_ids and row.kind != "jetson" and WORLD.gpu_by_pci_id(row.pci_ids[0])]
SOURCES = ("pci", "nvml", "cuda_driver", "torch")
V100, H100 = (WORLD.gpu_by_pci_id(identifier) for identifier in ("1DB5", "2330"))


def address(place: int) -> str:
    return f"0000:{place + 16:02x}:00.0"


def shown(boards: list[GpuRecord], order: list[int] | None = None, **more: Any) -> Snapshot:
    """These GPUs, in the order of the bus, as all four sources show them. `order`: what CUDA numbers, in its order."""
    order = list(range(len(boards))) if order is None else order
    run = TorchRun(
        outcome="ok",
        devices=tuple(
            TorchDevice(index=index, name=boards[place].name, compute_capability=boards[place].capability)
            for index, place in enumerate(order)
        ),
    )
    return Snapshot(
        host=Host(system="Linux", architecture="x86_64", wsl=0),
        container=Container(kind="none"),
        environment={} if order == list(range(len(boards))) else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, order))},
        pci=tuple(
            PciDevice(
                address=address(place),
                vendor="10de",
                device=board.pci_ids[0].lower(),
                class_code="030200",
                driver="nvidia",
            )
            for place, board in enumerate(boards)
        ),
        nvml=Nvml(
            status="SUCCESS",
            gpus=tuple(
                Gpu(
                    index=place,
                    name=board.name,
                    uuid=f"GPU-{place:032x}",
                    compute_capability=board.capability,
                    pci_address=address(place),
                    pci_device=board.pci_ids[0].lower(),
                    memory_total=(place + 1) << 30,
                )
                for place, board in enumerate(boards)
            ),
        ),
        cuda_driver=CudaDriver(
            outcome="ok",
            init_code=0,
            devices=tuple(
                CudaDevice(
                    index=index,
                    name=boards[place].name,
                    uuid=f"{place:032x}",
                    compute_capability=boards[place].capability,
                )
                for index, place in enumerate(order)
            ),
        ),
        interpreter=Interpreter(torch=Torch(version="2.9.1", run=run)),
        **more,
    )


def without(snapshot: Snapshot, source: str) -> Snapshot:
    if source == "torch":
        return msgspec.structs.replace(snapshot, interpreter=None)
    return msgspec.structs.replace(snapshot, **{source: None})


def refusing(snapshot: Snapshot, source: str, random: Random) -> Snapshot:
    """The same, where that source lists each GPU and keeps back a part of what it knows."""

    def worn(entry: Any, *fields: str) -> Any:
        return msgspec.structs.replace(entry, **{name: None for name in fields if random.random() < 0.6})

    replace = msgspec.structs.replace
    if source == "nvml" and snapshot.nvml is not None:
        gpus = tuple(
            worn(gpu, "name", "uuid", "compute_capability", "pci_address", "pci_device", "memory_total")
            for gpu in snapshot.nvml.gpus or ()
        )
        return replace(snapshot, nvml=replace(snapshot.nvml, gpus=gpus))
    if source == "cuda_driver" and snapshot.cuda_driver is not None:
        devices = tuple(worn(device, "name", "compute_capability") for device in snapshot.cuda_driver.devices or ())
        return replace(snapshot, cuda_driver=replace(snapshot.cuda_driver, devices=devices))
    return snapshot


def view(gpus: tuple[MachineGpu, ...] | None) -> list[tuple[str, str | None]]:
    return sorted((gpu.name, gpu.capability) for gpu in gpus or ())


def test_no_source_is_missed_as_long_as_another_knows() -> None:
    """Each source away in turn, and each left out of what it may refuse: the same GPUs, the same target."""
    random = Random(4)
    for _ in range(400):
        boards = random.choices(BOARDS, k=random.randint(1, 4))
        whole = shown(boards)
        expected = sorted((board.name, board.capability) for board in boards)
        assert view(machine_gpus(whole, WORLD)) == expected
        target = from_snapshot(whole, WORLD)
        for source in SOURCES:
            for partly in (without(whole, source), refusing(whole, source, random)):
                merged = machine_gpus(partly, WORLD)
                assert view(merged) == expected, (source, partly)
                assert sorted(from_snapshot(partly, WORLD).capabilities) == sorted(target.capabilities)
                assert not any(gpu.disagreements for gpu in merged or ())


@pytest.mark.parametrize("away", SOURCES)
def test_what_is_visible_keeps_cuda_s_order_and_each_gpu_its_own_values(away: str) -> None:
    random = Random(5)
    for _ in range(100):
        boards = random.sample(BOARDS, k=4)
        order = random.sample(range(4), k=2)
        snapshot = without(shown(boards, order), away)
        seen = visible_gpus(snapshot, WORLD)
        assert seen is not None
        assert [gpu.name for gpu in seen] == [boards[place].name for place in order]
        if away != "nvml":
            assert [gpu.index for gpu in seen] == order
            assert [gpu.memory for gpu in seen] == [(place + 1) << 30 for place in order]


def test_twins_are_told_apart_by_uuid() -> None:
    assert H100 is not None
    seen = visible_gpus(shown([H100] * 4, [3, 1]), WORLD)
    assert seen is not None
    assert [gpu.index for gpu in seen] == [3, 1]


def test_a_capability_that_only_nvml_knows_accuses_a_torch_without_code_for_it() -> None:
    assert V100 is not None
    snapshot = shown([V100])
    cuda = CudaDriver(outcome="ok", init_code=0, devices=(CudaDevice(index=0, name=V100.name),))
    old = torch("2.15.0+cu132", "13.2", flags="sm_75 sm_80 sm_90")
    broken = msgspec.structs.replace(
        snapshot, pci=None, cuda_driver=cuda, interpreter=Interpreter(torch=old, torch_installed=True)
    )
    assert "V100" in found("gpu-arch-too-old-for-torch", broken).summary


def test_a_gpu_that_nvml_refuses_to_describe_is_known_from_the_bus() -> None:
    assert V100 is not None
    assert H100 is not None
    snapshot = msgspec.structs.replace(without(without(shown([H100, V100]), "cuda_driver"), "torch"))
    assert snapshot.nvml is not None
    first, _ = snapshot.nvml.gpus or ()
    refused = Gpu(index=1, unavailable={"name": "UNKNOWN"})
    snapshot = msgspec.structs.replace(snapshot, nvml=msgspec.structs.replace(snapshot.nvml, gpus=(first, refused)))
    assert from_snapshot(snapshot, WORLD).capabilities == ("9.0", "7.0")


def test_sources_that_differ_are_a_fact_of_its_own() -> None:
    assert V100 is not None
    snapshot = shown([V100])
    assert snapshot.cuda_driver is not None
    other = CudaDevice(index=0, name=V100.name, compute_capability="9.9")
    cuda = msgspec.structs.replace(snapshot.cuda_driver, devices=(other,))
    (gpu,) = machine_gpus(msgspec.structs.replace(snapshot, cuda_driver=cuda), WORLD) or ()
    (apart,) = gpu.disagreements
    assert apart.field == "capability"
    assert ("cuda_driver", "9.9") in apart.said
    assert gpu.capability == "7.0"


def test_a_card_that_the_driver_does_not_list_is_no_gpu_of_the_plan() -> None:
    assert V100 is not None
    assert H100 is not None
    snapshot = shown([H100, V100])
    assert snapshot.nvml is not None
    listed = msgspec.structs.replace(snapshot.nvml, gpus=(snapshot.nvml.gpus or ())[:1])
    alone = msgspec.structs.replace(without(without(snapshot, "cuda_driver"), "torch"), nvml=listed)
    assert from_snapshot(alone, WORLD).capabilities == ("9.0",)
