"""Part of the driver probe: the nodes under /dev, and whether they can be opened."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys

from envdoctor.facts.host import Machine
from envdoctor.facts.probes.host import kernel_release
from envdoctor.facts.probes.virtualization import wsl_version
from envdoctor.facts.sections.driver import DeviceNode

GPUS = "/proc/driver/nvidia/gpus"
# Opening a GPU's node wakes it up when no persistence daemon holds it, which takes seconds; all are opened at once.
_TIMEOUT = 10.0
# In a child, for an open that hangs in the driver cannot be interrupted. Each answer is written as it comes.
_OPENER = """
import errno, os, sys, threading
def attempt(path):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        answer = "OK"
    except OSError as error:
        answer = errno.errorcode.get(error.errno, str(error.errno))
    os.write(1, (answer + " " + path + "\\n").encode())
threads = [threading.Thread(target=attempt, args=(path,)) for path in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
_WANTED = re.compile(r"nvidia\d+|nvidiactl|nvidia-uvm|nvidia-uvm-tools|nvidia-modeset|dxg")


def device_nodes(machine: Machine) -> tuple[DeviceNode, ...] | None:
    """Those that exist, and those that CUDA needs and that are missing; None where /dev cannot be read."""
    entries = machine.list("/dev")
    if not entries:
        return None
    existing = [f"/dev/{name}" for name in entries if _WANTED.fullmatch(name)]
    for folder, pattern in (("nvidia-caps", r"nvidia-cap\d+"), ("nvidia-caps-imex-channels", r"channel\d+")):
        inside = machine.list(f"/dev/{folder}") or ()
        existing += [f"/dev/{folder}/{name}" for name in inside if re.fullmatch(pattern, name)]
    required = ["/dev/nvidiactl", "/dev/nvidia-uvm", *_of_gpus(machine)]
    if wsl_version(machine, kernel_release(machine)):
        required = ["/dev/dxg"]  # one node for all GPUs of the Windows machine
    elif any(name.startswith(("nvhost-", "nvmap", "nvgpu")) for name in entries):
        required = []  # Jetson's GPU is no PCI device and has nodes of its own
    missing = [path for path in dict.fromkeys(required) if path not in existing]
    answers = {} if machine.simulated else _open(machine, existing)
    nodes = [_node(machine, path, answers) for path in existing]
    return tuple(
        sorted([*nodes, *(DeviceNode(path=path, exists=False) for path in missing)], key=lambda n: _order(n.path))
    )


def _order(path: str) -> tuple[str, int]:
    number = re.search(r"\d+$", path)
    return (path[: number.start()] if number else path), int(number[0]) if number else -1


def _of_gpus(machine: Machine) -> list[str]:
    """The node of each GPU that the driver holds, by its minor number."""
    found = []
    for address in machine.list(GPUS) or ():
        minor = re.search(r"^Device Minor:\s*(\d+)", machine.read(f"{GPUS}/{address}/information") or "", re.MULTILINE)
        if minor:
            found.append(f"/dev/nvidia{minor[1]}")
    return found


def _open(machine: Machine, paths: list[str]) -> dict[str, str]:
    """errno's name for each node, 'OK' where opening it for reading and writing succeeds, ETIMEDOUT where it hangs."""
    # nvidia-caps are opened for reading only, by those who use MIG; nvidia-modeset is the display's.
    wanted = [path for path in paths if "caps" not in path and not path.endswith("modeset")]
    if not wanted:
        return {}
    done = machine.run([sys.executable, "-I", "-S", "-c", _OPENER, *wanted], timeout=_TIMEOUT)
    answers = {path: answer for answer, _, path in (line.partition(" ") for line in done.stdout.splitlines())}
    if done.timed_out:
        return dict.fromkeys(wanted, "ETIMEDOUT") | answers
    return answers


def _node(machine: Machine, path: str, answers: dict[str, str]) -> DeviceNode:
    real = machine.real(path)
    try:
        status = real.stat()
    except PermissionError:
        return DeviceNode(path=path, exists=None)
    except OSError:
        return DeviceNode(path=path, exists=False)
    readable, writable, error = _rights(machine, path, status, answers)
    return DeviceNode(
        path=path,
        exists=True,
        readable=readable,
        writable=writable,
        mode=f"{stat.S_IMODE(status.st_mode):04o}",
        owner=_user(machine, status.st_uid),
        group=_group(machine, status.st_gid),
        error=error,
    )


def _rights(
    machine: Machine, path: str, status: os.stat_result, answers: dict[str, str]
) -> tuple[bool | None, bool | None, str | None]:
    if machine.simulated:
        # What any user of that machine may do. A plain file stands for a device with the mode that the umask gave it, so
        # that readable to all is open to all.
        readable = bool(status.st_mode & stat.S_IROTH)
        writable = bool(status.st_mode & stat.S_IWOTH) or (readable and stat.S_ISREG(status.st_mode))
        return readable, writable, None if readable and writable else "EACCES"
    answer = answers.get(path)
    if answer == "OK":
        return True, True, None
    # os.access asks for the user's rights alone; a control group or a dead GPU refuses only the opening itself.
    real = machine.real(path)
    readable, writable = os.access(real, os.R_OK), os.access(real, os.W_OK)
    if answer in (errno.errorcode[errno.EPERM], errno.errorcode[errno.EACCES]):
        return readable and answer == "EACCES", False, answer
    return readable, writable, answer


def _user(machine: Machine, number: int) -> str:
    return _by_number(machine, "/etc/passwd", number)


def _group(machine: Machine, number: int) -> str:
    return _by_number(machine, "/etc/group", number)


def _by_number(machine: Machine, file: str, number: int) -> str:
    """The name of a user or group in the machine's own file; the number where it has none."""
    if number == 0:
        return "root"
    for line in (machine.read(file) or "").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(number):
            return fields[0]
    return str(number)
