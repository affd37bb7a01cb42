"""Probe: what the kernel's log of this boot says of the NVIDIA driver."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator

from envdoctor.facts.host import Machine
from envdoctor.facts.probes.log_files import this_boot
from envdoctor.facts.sections.host import LogLine, Logs

_KEPT = 200
_TIMEOUT = 3.0
_RECORD = 8192  # the kernel's limit for one record of /dev/kmsg (CONSOLE_EXT_LOG_MAX)
# The files that syslog daemons of Debian, Ubuntu, RHEL, SUSE and Arch write kernel messages to. Debian's /var/log/dmesg
# is a copy made at boot.
_FILES = ("/var/log/kern.log", "/var/log/syslog", "/var/log/messages", "/var/log/kernel.log", "/var/log/dmesg")

_ABOUT = re.compile(
    r"NVRM|\bXid\b|SXid|nvidia|nouveau|nvlink|nvswitch|nvgpu"
    # Why a module was refused, in messages that do not name it.
    r"|Lockdown: .*unsigned module|PKCS#7 signature|Loading of (?:unsigned )?module",
    re.IGNORECASE,
)
# Lines that name NVIDIA and say nothing of the driver: its sound device, AppArmor's list of profiles.
_NOISE = re.compile(
    r"HDA NVidia|snd_hda|apparmor=\"STATUS\"|Modules linked in|input: .*HDMI|systemd\[1\]", re.IGNORECASE
)
_XID = re.compile(r"\bXid \((?:PCI:)?[0-9a-f:.]+\): (\d+)", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:(?<=PCI:)|(?<![0-9a-f:]))([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.([0-7]))?(?![0-9a-f:])", re.IGNORECASE
)


def probe(machine: Machine) -> Logs:
    """The newest lines about NVIDIA of the first source that answers: all of them hold the same messages."""
    if machine.windows:
        return Logs()
    refused = False
    for source, lines in _sources(machine):
        if lines is None:
            refused = True
            continue
        return Logs(readable=True, lines=tuple(_about(lines, source, _nvidia_addresses(machine))))
    return Logs(readable=False if refused or not machine.simulated else None)


def _sources(machine: Machine) -> Iterator[tuple[str, list[str] | None]]:
    if machine.simulated:
        text = machine.read("/dev/kmsg")
        if text is not None:
            yield "/dev/kmsg", [_message(line) for line in text.splitlines()]
    else:
        yield "/dev/kmsg", _kmsg()
        yield "dmesg", _command(machine, "dmesg")
        yield "journalctl", _command(machine, "journalctl", "-k", "-b", "-q", "--no-pager", "-o", "short-monotonic")
    for name in _FILES:
        if machine.exists(name):
            yield name, this_boot(machine, name)


def _kmsg() -> list[str] | None:
    """The kernel's ring buffer, a record a read; None where it refuses. https://docs.kernel.org/admin-guide/abi-testing.html"""
    try:
        handle = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    lines = []
    try:
        while True:
            try:
                record = os.read(handle, _RECORD)
            except OSError as error:
                if error.errno == errno.EPIPE:  # overwritten while we read; the next read goes on behind the gap
                    continue
                if error.errno != errno.EAGAIN:  # anything but the end
                    return None
                break
            if not record:
                break
            lines.append(_message(record.decode("utf-8", "replace").partition("\n")[0]))
    finally:
        os.close(handle)
    return lines


def _message(record: str) -> str:
    """'6,1234,98765432,-;NVRM: ...' -> '[   98.765432] NVRM: ...'; another line is kept as it is."""
    head, found, message = record.partition(";")
    fields = head.split(",")
    if not found or len(fields) < 4 or not fields[2].isdecimal():
        return record
    return f"[{int(fields[2]) / 1e6:12.6f}] {message}"


def _command(machine: Machine, command: str, *arguments: str) -> list[str] | None:
    path = machine.which(command)
    if path is None:
        return None
    done = machine.run([path, *arguments], timeout=_TIMEOUT)
    # journalctl answers an ordinary user with nothing and success: that is a refusal.
    if not done.ok or not done.stdout.strip():
        return None
    return [re.sub(r"^(\[[ \d.]+\]) \S+ kernel: ", r"\1 ", line) for line in done.stdout.splitlines()]


def _about(lines: Iterable[str], source: str, addresses: frozenset[str]) -> list[LogLine]:
    kept = []
    for text in lines:
        ours = bool(_ABOUT.search(text)) and not _NOISE.search(text)
        if not ours and not ("AER" in text and any(address in text for address in addresses)):
            continue
        xid = _XID.search(text)
        address = _ADDRESS.search(text)
        kept.append(
            LogLine(
                text=text.strip(),
                source=source,
                xid=int(xid[1]) if xid else None,
                pci=_address(address) if address else None,
            )
        )
    return kept[-_KEPT:]


def _address(match: re.Match[str]) -> str:
    """As PciDevice.address: the driver leaves the function out, and writes capital letters at times."""
    domain, bus, device, function = match.groups()
    return f"{int(domain, 16):04x}:{bus}:{device}.{function or 0}".lower()


def _nvidia_addresses(machine: Machine) -> frozenset[str]:
    folder = "/sys/bus/pci/devices"
    devices = machine.list(folder) or ()
    return frozenset(name for name in devices if machine.read(f"{folder}/{name}/vendor", 16) == "0x10de")
