"""Repairs as the system that they are for takes them: most are written for Linux and a Unix shell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from envdoctor.diagnosis.model import Fix
from envdoctor.facts.model import Snapshot

_LINUX_ONLY = re.compile(
    r"\b(?:modprobe|rmmod|dmesg|ldconfig|ldd|systemctl|mokutil|dkms|apt-get|apt|dnf|zypper|pacman|usermod|nvidia-ctk"
    r"|nvidia-modprobe|poweroff|lspci|ubuntu-drivers|srun|nvidia-smi mig)\b|/etc/|/proc/|/sys/|/dev/|/usr/local/cuda"
    r"|LD_LIBRARY_PATH|LD_PRELOAD"
)
_UNIX_SHELL = re.compile(r"\$[({A-Z]|`|\b(?:grep|awk|sed|printf|paste|chmod|chown)\b|~/|^[A-Z_]+=")
_REMARK = re.compile(r"\s{2,}(# .*)$")
_EXPORT = re.compile(r"export((?:\s+[A-Za-z_]\w*=\S*)+)$")
_UNSET = re.compile(r"unset((?:\s+[A-Za-z_]\w*)+)$")
_IN_CMD = {
    "env | grep -i visible_devices": "set | findstr /i visible_devices",
    "sudo reboot": "shutdown /r /t 0",
}


def for_system(fixes: Iterable[Fix], snapshot: Snapshot) -> tuple[Fix, ...]:
    """The fixes that exist on this machine's system, their commands in the words of its shell; all of them where the system is
    not known or is Linux."""
    system = snapshot.host.system if snapshot.host else None
    if system not in ("Windows", "Darwin"):
        return tuple(fixes)
    return tuple(there for fix in fixes if (there := _there(fix, windows=system == "Windows")) is not None)


def _there(fix: Fix, *, windows: bool) -> Fix | None:
    if any(_LINUX_ONLY.search(command) for command in fix.commands):
        return None
    if not windows:
        return fix
    commands = tuple(line for command in fix.commands for line in _in_cmd(command))
    if any(_UNIX_SHELL.search(command) for command in commands if not command.startswith("# ")):
        return None
    verify = fix.verify if fix.verify and not _UNIX_SHELL.search(fix.verify) and "sudo" not in fix.verify else None
    return replace(fix, commands=commands, verify=verify)


def _in_cmd(command: str) -> Iterator[str]:
    """One line for a Unix shell as lines for cmd.exe, which takes no remark behind a command."""
    if command.startswith("#"):
        yield command
        return
    remark = _REMARK.search(command)
    if remark is not None:
        yield remark[1]
        command = command[: remark.start()]
    command = _IN_CMD.get(command, command)
    if (exported := _EXPORT.match(command)) is not None:
        # cmd.exe takes quotes for a part of the value.
        yield from (f"set {assignment}".replace('"', "") for assignment in exported[1].split())
    elif (unset := _UNSET.match(command)) is not None:
        yield from (f"set {name}=" for name in unset[1].split())
    else:
        yield command.removeprefix("sudo ")
