"""Part of the logs probe: the kernel's lines of a syslog file, of this boot only."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from envdoctor.facts.host import Machine

_TAIL = 4 << 20  # bytes; a boot's kernel messages are some hundred kB
_PREFIX = re.compile(
    r"^(?P<time>[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) (?:\S+ )?kernel: ?(?P<message>.*)$",
)
# The kernel's first message; its clock starts with it.
_BOOT = re.compile(r"\[ *0\.000000\] (?:Linux version|Booting Linux)")
_UPTIME = re.compile(r"\[ *(\d+)\.\d{6}\]")
_CLOCK_STEP = timedelta(minutes=2)  # the boot's time is reckoned back from now and moves when the clock is set


def this_boot(machine: Machine, name: str) -> list[str] | None:
    """The kernel's messages since the last boot, without time and host name; None where the file cannot be read.

    What may be of an earlier boot is left out: lines before the kernel's first message, or before its clock started again,
    and lines older than the boot (which a file shows whose daemon no longer writes).
    """
    data = _tail(machine, name)
    if data is None:
        return None
    lines = data.decode("utf-8", "replace").splitlines()
    start = _last_boot(lines)
    booted = None if name.endswith("/dmesg") else _boot_time(machine)
    kept = []
    for line in lines[start:]:
        if booted is not None:
            when = _time(line, booted)
            if when is not None and when < booted - _CLOCK_STEP:
                continue
        if _is_kernel(line):
            kept.append(_bare(line))
    return kept


def _last_boot(lines: list[str]) -> int:
    """The number of the first line of the newest boot in a file."""
    start, before = 0, 0
    for number, line in enumerate(lines):
        if _BOOT.search(line):
            start, before = number, 0
        elif stamp := _UPTIME.search(line):
            # Messages of several processors come out of order by some milliseconds; a boot sets the clock back for good.
            if int(stamp[1]) < before - 60:
                start = number
            before = int(stamp[1])
    return start


def _tail(machine: Machine, name: str) -> bytes | None:
    try:
        with machine.real(name).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            return file.read(_TAIL)
    except OSError:
        return None


def _is_kernel(line: str) -> bool:
    """A kernel's line of a syslog file, or any line of a plain dump of the ring buffer."""
    return line.startswith("[") or _PREFIX.match(line) is not None


def _bare(line: str) -> str:
    match = _PREFIX.match(line)
    return match["message"] if match else line


def _boot_time(machine: Machine) -> datetime | None:
    found = re.search(r"^btime (\d+)$", machine.read("/proc/stat") or "", re.MULTILINE)
    return datetime.fromtimestamp(int(found[1]), timezone.utc) if found else None


def _time(line: str, booted: datetime) -> datetime | None:
    """When a kernel's line was written; the traditional stamp has no year and no zone, so it is read as local time and
    as of the boot's year, or of the next when that puts it half a year before the boot."""
    match = _PREFIX.match(line)
    if match is None:
        return None
    text = match["time"]
    try:
        if text[0].isdecimal():
            # Python 3.10 knows neither Z nor fractions of other lengths than 3 and 6.
            return datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).astimezone(timezone.utc)
        local = datetime.strptime(f"{booted.year} {text}", "%Y %b %d %H:%M:%S").astimezone()
        if (booted - local).days > 180:
            local = local.replace(year=booted.year + 1)
    except ValueError:
        return None
    return local.astimezone(timezone.utc)
