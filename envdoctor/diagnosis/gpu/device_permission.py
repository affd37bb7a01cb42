"""The device nodes are there, and this user may not open them.

What it is
    CUDA opens /dev/nvidiactl, /dev/nvidia-uvm and /dev/nvidia0... for reading and writing. Most distributions allow
    everybody; some keep them to a group (video, render), and batch systems and containers allow a job its own GPUs
    only, by control groups.

Told apart by
    Opening the nodes that CUDA cannot do without fails with EACCES (rights of the file) or EPERM (a control group), and
    CUDA does not start. Where CUDA starts, closed nodes belong to other jobs. Nodes that are missing are `uvm-broken`
    or `container-no-gpu`; a container that has lost its GPUs is `container-gpu-detached`.

Repair
    Join the group that owns the nodes and log in again; or ask the batch system or container engine for a GPU.

Sources
    NVIDIA driver README, 'NVreg_DeviceFileMode'; nvml.h: NVML_ERROR_NO_PERMISSION; slurm.conf, cgroup.conf:
    ConstrainDevices
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.container import run_with_gpus
from envdoctor.diagnosis.reported_errors import cuda_starts
from envdoctor.diagnosis.snapshot_queries import in_container
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import DeviceNode
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

NEEDED = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dxg")
VERIFY = "test -r /dev/nvidiactl && test -w /dev/nvidiactl && nvidia-smi -L"


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Words that may mean this cause mean another where every node is known to be open to this user."""
    nodes = [node for node in (machine.driver.device_nodes or () if machine.driver else ()) if node.exists]
    opened = all(node.readable and node.writable and node.error is None for node in nodes)
    return False if nodes and opened and machine.nvml is not None and machine.nvml.working else None


MESSAGES = beside(__file__)


@diagnosis(
    "device-permission",
    layer=Layer.GPU,
    severity=Severity.ERROR,
    follows_from=("container-gpu-detached", "container-no-gpu"),
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine, [], by_cgroup=False),
    fits=_fits,
)
def device_permission(machine: Snapshot, world: Knowledge) -> Finding | None:
    if cuda_starts(machine):
        return None
    nodes = (machine.driver.device_nodes or ()) if machine.driver else ()
    closed = [node for node in nodes if node.exists and node.error in ("EACCES", "EPERM") and "caps" not in node.path]
    needed = [node for node in closed if node.path in NEEDED]
    gpus = [node for node in nodes if node.exists and re.fullmatch(r"/dev/nvidia\d+", node.path)]
    shut_gpus = [node for node in gpus if node in closed]
    # Some GPUs closed and others open is a batch system's way to share a machine.
    denied = needed or (shut_gpus if gpus and len(shut_gpus) == len(gpus) else [])
    refused = machine.nvml is not None and machine.nvml.status == "NO_PERMISSION"
    if not denied and not refused:
        return None
    evidence: list[Evidence] = [fact(node.path, _described(node)) for node in denied[:4]]
    evidence += [fact("nvml.status", "NO_PERMISSION")] if refused else []
    by_cgroup = bool(denied) and all(node.error == "EPERM" for node in denied)
    if denied:
        why = "a control group forbids it" if by_cgroup else _described(denied[0])
        summary = f"This user may not open {denied[0].path}: {why}."
    else:
        summary = "The driver refuses this user (NVML: insufficient permissions)."
    return Finding(
        summary=summary,
        evidence=tuple(evidence),
        fixes=_fixes(machine, denied, by_cgroup),
        confidence=1.0 if denied else 0.8,
    )


def _described(node: DeviceNode) -> str:
    owner = f"{node.owner}:{node.group} " if node.owner and node.group else ""
    return f"{owner}{node.mode or ''} ({node.error})".strip()


def _fixes(machine: Snapshot, denied: list[DeviceNode], by_cgroup: bool) -> tuple[Fix, ...]:
    if machine.container is not None and machine.container.slurm and by_cgroup:
        return (
            Fix(
                title="Ask Slurm for a GPU: a job may open only those that it was given",
                commands=("srun --gres=gpu:1 --pty bash",),
                verify="nvidia-smi -L",
            ),
        )
    if in_container(machine):
        return (
            run_with_gpus(machine),
            Fix(
                title="Rootless Docker or Podman: let the toolkit leave control groups alone (on the host)",
                commands=("sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place",),
                needs_root=True,
                verify="nvidia-smi -L",
            ),
        )
    group = next((n.group for n in denied if n.group not in (None, "root") and _group_may(n)), None) or _listed(machine)
    if group is None and not denied:
        return (_see_the_group(), *_open_to_all(denied))
    join = Fix(
        title=f"Join the group {group} that owns the nodes; then log out and in again",
        commands=(f'sudo usermod -aG {group} "$USER"',),
        needs_root=True,
        verify=VERIFY,
    )
    return (join, *_open_to_all(denied)) if group else _open_to_all(denied)


def _listed(machine: Snapshot) -> str | None:
    """The group that `ls -l` shows for a node: 'crw-rw---- 1 root video 195, 0'."""
    found = (
        re.search(r"\bcrw-rw-[-r][-w]. +\d+ +\S+ +([a-z_][a-z0-9_-]{0,31}) +195,", line) for line in machine.messages
    )
    return next((match[1] for match in found if match and match[1] != "root"), None)


def _see_the_group() -> Fix:
    return Fix(
        title="Join the group that owns the nodes (video or render on most systems); then log out and in again",
        commands=(
            "ls -l /dev/nvidiactl /dev/nvidia-uvm /dev/nvidia0; id -nG   # the fourth column is the group",
            'sudo usermod -aG "$(stat -c %G /dev/nvidiactl)" "$USER"   # where that group is not root',
        ),
        note='A Jetson\'s nodes belong to both: sudo usermod -aG video,render "$USER".',
        needs_root=True,
        verify=VERIFY,
    )


def _open_to_all(denied: list[DeviceNode]) -> tuple[Fix, ...]:
    open_to_all = Fix(
        title="Open the nodes to everybody, as the driver does by default",
        commands=(
            "sudo chmod 0666 " + (" ".join(node.path for node in denied) or "/dev/nvidia*"),
            "grep -i DeviceFile /proc/driver/nvidia/params   # what the driver was told",
            "grep -rn 'NVreg_DeviceFile' /etc/modprobe.d; grep -rn nvidia /etc/udev/rules.d",
        ),
        note="The last command shows what closes them again at the next start.",
        needs_root=True,
        verify=VERIFY,
    )
    return (open_to_all,)


def _group_may(node: DeviceNode) -> bool:
    mode = int(node.mode, 8) if node.mode and re.fullmatch(r"[0-7]+", node.mode) else 0
    return mode & 0o060 == 0o060
