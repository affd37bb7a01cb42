"""What is on the PCI bus."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import pci
from tests import simulated
from tests.sysroot import Sysroot


def test_a_card_with_its_link_and_its_other_function(tmp_path: Path) -> None:
    found = pci.probe(simulated.ubuntu_2404(tmp_path).machine())
    assert found is not None
    gpu, audio = found  # the host bridge of another vendor is not listed
    assert (gpu.address, gpu.vendor, gpu.device, gpu.class_code) == ("0000:01:00.0", "10de", "2684", "030000")
    assert (gpu.subsystem_vendor, gpu.subsystem_device) == ("1043", "889f")
    assert (gpu.driver, gpu.is_nvidia_gpu) == ("nvidia", True)
    assert (gpu.link_speed_gts, gpu.link_speed_max_gts, gpu.link_width, gpu.link_width_max) == (2.5, 16.0, 16, 16)
    assert gpu.numa_node is None  # -1: the firmware does not say
    assert (audio.driver, audio.is_nvidia_gpu) == ("snd_hda_intel", False)


def test_an_nvswitch_is_a_bridge_of_nvidia(tmp_path: Path) -> None:
    found = pci.probe(simulated.ubuntu_2204_hgx(tmp_path).machine())
    assert found is not None
    assert [device.address for device in found if device.is_nvswitch] == ["0000:07:00.0"]
    assert [device.numa_node for device in found if device.is_nvidia_gpu] == [0, 1]


def test_gpus_of_other_vendors_are_listed(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .pci("0000:03:00.0", "1002:744c", "030000", "amdgpu")
        .pci("0000:04:00.0", "1da3:1020", "120000")
    )
    s.pci("0000:05:00.0", "8086:1533", "020000", "igb")
    found = pci.probe(s.machine())
    assert found is not None
    assert [(device.vendor, device.is_gpu, device.is_nvidia_gpu) for device in found] == [
        ("1002", True, False),
        ("1da3", True, False),
    ]


def test_a_device_without_a_driver_is_not_one_with_an_unknown_driver(tmp_path: Path) -> None:
    (device,) = pci.probe(Sysroot(tmp_path).pci("0000:01:00.0", "10de:2330", "030200").machine()) or ()
    assert device.driver == ""


@pytest.mark.parametrize(("speed", "width"), [("Unknown", 0), ("0.0 GT/s PCIe", 0), ("Unknown", 255), ("", 63)])
def test_a_link_that_tells_nothing_is_unknown(tmp_path: Path, speed: str, width: int) -> None:
    s = Sysroot(tmp_path).pci("0000:01:00.0", "10de:2330", "030200", current_link_speed=speed, current_link_width=width)
    (device,) = pci.probe(s.machine()) or ()
    assert (device.link_speed_gts, device.link_width) == (None, None)


def test_an_empty_bus_is_not_an_unreadable_one(tmp_path: Path) -> None:
    assert pci.probe(Sysroot(tmp_path / "empty").folder("/sys/bus/pci/devices").machine()) == ()
    assert pci.probe(Sysroot(tmp_path / "arm").folder("/sys/bus/platform").machine()) == ()
    assert pci.probe(Sysroot(tmp_path / "nothing").machine()) is None


def test_a_half_written_device_is_left_out(tmp_path: Path) -> None:
    s = (
        Sysroot(tmp_path)
        .pci("0000:01:00.0", "10de:2330", "030200")
        .file("/sys/bus/pci/devices/0000:02:00.0/vendor", "0x10de")
    )
    found = pci.probe(s.machine())
    assert found is not None
    assert [device.address for device in found] == ["0000:01:00.0"]


def test_this_machine() -> None:
    found = pci.probe(Machine.here())
    assert found is None or all(len(device.vendor) == 4 and device.address.count(":") == 2 for device in found)
