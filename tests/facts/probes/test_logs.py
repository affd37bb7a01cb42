"""What the kernel's log says of the driver, and only what it says of this boot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import logs
from tests.sysroot import Sysroot

FELL_OFF = "NVRM: Xid (PCI:0000:65:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def test_an_xid_is_read_with_its_number_and_its_card(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/dev/kmsg", f"4,900,123456789,-;{FELL_OFF}\n6,901,123456999,-;usb 1-1: new device\n")
    found = logs.probe(s.machine())
    assert found.readable is True
    (line,) = found.lines
    assert (line.xid, line.pci, line.source) == (79, "0000:65:00.0", "/dev/kmsg")
    assert line.text == f"[  123.456789] {FELL_OFF}"


@pytest.mark.parametrize(
    ("text", "xid", "pci"),
    [
        ("NVRM: Xid (0000:01:00): 31, Ch 00000008, engmask 00000101", 31, "0000:01:00.0"),
        ("NVRM: Xid (PCI:0002:C1:00): 119, Timeout waiting for RPC from GSP!", 119, "0002:c1:00.0"),
        ("NVRM: Xid (PCI:0000:3b:00): 94, Contained: SM (0x1). RST: No, D-RST: No", 94, "0000:3b:00.0"),
        ("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 32", None, "0000:c1:00.0"),
        ("NVRM: GPU 0000:65:00.0: RmInitAdapter failed! (0x26:0x56:1474)", None, "0000:65:00.0"),
        ("nvidia: module verification failed: signature and/or required key missing - tainting kernel", None, None),
        ("NVRM: API mismatch: the client has the version 535.1, but", None, None),
        ("nouveau 0000:01:00.0: fifo: fault 00 [READ]", None, "0000:01:00.0"),
        ("Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7", None, None),
        ("PKCS#7 signature not signed with a trusted key", None, None),
    ],
)
def test_lines_about_the_driver(tmp_path: Path, text: str, xid: int | None, pci: str | None) -> None:
    (line,) = logs.probe(Sysroot(tmp_path).file("/dev/kmsg", f"4,1,2,-;{text}\n").machine()).lines
    assert (line.xid, line.pci) == (xid, pci)


@pytest.mark.parametrize(
    "text",
    [
        "input: HDA NVidia HDMI/DP,pcm=3 as /devices/pci0000:00/sound/card1/input15",
        'audit: type=1400 apparmor="STATUS" operation="profile_load" name="nvidia_modprobe"',
        "Modules linked in: nvidia_uvm(OE) nvidia(OE) ext4",
        "EXT4-fs (sda1): mounted filesystem",
        "pcieport 0000:00:1c.0: AER: Corrected error received: 0000:02:00.0",
    ],
)
def test_lines_that_say_nothing_of_the_driver(tmp_path: Path, text: str) -> None:
    s = Sysroot(tmp_path).file("/dev/kmsg", f"4,1,2,-;{text}\n").pci("0000:65:00.0", "10de:2330", "030200")
    found = logs.probe(s.machine())
    assert (found.readable, found.lines) == (True, ())


def test_bus_errors_of_nvidias_addresses_are_kept(tmp_path: Path) -> None:
    text = "pcieport 0000:64:00.0: AER: Uncorrected (Fatal) error received: 0000:65:00.0"
    s = Sysroot(tmp_path).file("/dev/kmsg", f"4,1,2,-;{text}\n").pci("0000:65:00.0", "10de:2330", "030200")
    assert len(logs.probe(s.machine()).lines) == 1


def test_the_newest_lines_are_kept_when_there_are_too_many(tmp_path: Path) -> None:
    text = "".join(f"4,{n},{n},-;NVRM: line {n}\n" for n in range(1000))
    lines = logs.probe(Sysroot(tmp_path).file("/dev/kmsg", text).machine()).lines
    assert len(lines) == 200
    assert lines[-1].text.endswith("NVRM: line 999")


def test_no_log_at_all_is_not_an_empty_one(tmp_path: Path) -> None:
    assert logs.probe(Sysroot(tmp_path).machine()).readable is None


# --- files -------------------------------------------------------------------------------------------------------------

OLD_BOOT = "Nov 20 08:00:01 box kernel: [    0.000000] Linux version 6.8.0-87-generic\n"
OLD_FAULT = f"Nov 20 09:00:01 box kernel: [ 3601.000000] {FELL_OFF}\n"
NEW_BOOT = "Nov 23 08:00:01 box kernel: [    0.000000] Linux version 6.8.0-87-generic\n"
NEW_LINE = "Nov 23 08:00:11 box kernel: [   10.500000] NVRM: loading NVIDIA UNIX Open Kernel Module  580.159.04\n"
OTHER = "Nov 23 08:00:12 box nvidia-persistenced[812]: Started (812)\n"


def test_a_fault_before_the_last_boot_is_history(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/var/log/kern.log", OLD_BOOT + OLD_FAULT + NEW_BOOT + NEW_LINE + OTHER)
    (line,) = logs.probe(s.machine()).lines
    assert line.text == "[   10.500000] NVRM: loading NVIDIA UNIX Open Kernel Module  580.159.04"  # no host name
    assert (line.source, line.xid) == ("/var/log/kern.log", None)


def test_a_boot_shows_in_the_kernels_clock_when_its_first_message_is_gone(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/var/log/syslog", OLD_FAULT + NEW_LINE)
    assert [line.xid for line in logs.probe(s.machine()).lines] == [None]


def test_a_file_that_nobody_writes_to_any_more_is_history(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file(
        "/var/log/kern.log", "2024-01-05T10:00:00.123456+00:00 box kernel: [ 90.000000] " + FELL_OFF
    )
    assert len(logs.probe(s.machine()).lines) == 1
    s.file("/proc/stat", "cpu 1\nbtime 1795464441\n")  # 2026-11-23
    found = logs.probe(s.machine())
    assert (found.readable, found.lines) == (True, ())


@pytest.mark.parametrize(
    "stamp",
    ["2026-11-23T21:00:00.123456+00:00", "2026-11-23T21:00:00Z", "2026-11-23T23:00:00.1+02:00", "Nov 23 21:00:00"],
)
def test_stamps_of_every_daemon_are_read(tmp_path: Path, stamp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    s = Sysroot(tmp_path).file("/proc/stat", "btime 1795464441\n")  # 2026-11-23 19:27 UTC
    s.file(
        "/var/log/messages", f"{stamp} box kernel: {FELL_OFF}\n{stamp.replace('23', '21', 1)} box kernel: NVRM: old\n"
    )
    assert [line.xid for line in logs.probe(s.machine()).lines] == [79]


def test_a_stamp_without_a_year_after_new_years_eve(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/proc/stat", "btime 1798700000\n")  # 2026-12-31
    s.file("/var/log/messages", f"Jan  2 10:00:00 box kernel: {FELL_OFF}\n")
    assert [line.xid for line in logs.probe(s.machine()).lines] == [79]


def test_a_plain_dump_of_the_ring_buffer(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/var/log/dmesg", f"[    0.000000] Linux version 6.1\n[   12.000000] {FELL_OFF}\n")
    assert [line.xid for line in logs.probe(s.machine()).lines] == [79]


def test_garbage_in_a_log_is_no_accident(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/var/log/syslog", b"\xff\xfe\0Nov 99 99:99:99 box kernel: NVRM: x\n\n[ 1.0] NVRM: y\n")
    s.file("/proc/stat", "btime 1795464441\n")
    assert logs.probe(s.machine()).readable is True


# --- the machine under test --------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own log")
def test_this_machines_log_is_read_or_known_to_be_closed() -> None:
    found = logs.probe(Machine.here())
    assert found.readable is not None
    assert all(line.source for line in found.lines)


@pytest.mark.skipif(sys.platform != "linux", reason="commands of Linux")
def test_commands_that_refuse_leave_the_log_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_kmsg", lambda: None)
    monkeypatch.setattr(logs, "_FILES", ())
    for command, script in (("dmesg", "echo 'Operation not permitted' >&2; exit 1"), ("journalctl", "exit 0")):
        Sysroot(tmp_path).command(f"/{command}", script)
    assert logs.probe(Machine(environment={"PATH": str(tmp_path)})).readable is False
    journal = f"[   12.345678] box kernel: {FELL_OFF}"
    Sysroot(tmp_path).command("/journalctl", f"cat <<'END'\n{journal}\nEND")
    (line,) = logs.probe(Machine(environment={"PATH": f"{tmp_path}:/usr/bin:/bin"})).lines
    assert (line.text, line.source) == (f"[   12.345678] {FELL_OFF}", "journalctl")
