"""A running container has lost its GPUs.

What it is
    Docker hands a container's devices to systemd's control groups. When systemd reloads its units on the host
    (`systemctl daemon-reload`, a package update), it sets the rules up anew from what it knows, and devices that the
    NVIDIA runtime had added on its own are closed. nvidia-smi, which worked an hour ago, says 'Failed to initialize
    NVML: Unknown Error'.

Told apart by
    Inside a container NVML answers UNKNOWN, and the device nodes are there and refuse to open with EPERM (a control
    group). Nodes that are missing are `container-no-gpu`; refused by their own rights, `device-permission`. On a host,
    NVML's UNKNOWN is the GPU's own trouble.

Repair
    Start the container anew. For good: pass the GPUs by CDI, or name the nodes with --device, or use Docker's cgroupfs
    driver.

Sources
    NVIDIA/nvidia-container-toolkit issue 48; docs.nvidia.com/datacenter/cloud-native/container-toolkit,
    'Troubleshooting'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.reported_errors import cuda_starts
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

WORDS = "failed to initialize nvml: unknown error"


MESSAGES = beside(__file__)


@diagnosis(
    "container-gpu-detached",
    layer=Layer.CONTAINER,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine.container.kind if machine.container else None),
)
def container_gpu_detached(machine: Snapshot, world: Knowledge) -> Finding | None:
    nvml, container = machine.nvml, machine.container
    unknown = (
        nvml is not None and nvml.status == "UNKNOWN" and not machine.gpus and "handle" not in (nvml.message or "")
    )
    if cuda_starts(machine) or is_wsl(machine) or not unknown or (container is not None and container.inside is False):
        return None
    nodes = (machine.driver.device_nodes or ()) if machine.driver else ()
    closed = [node for node in nodes if node.exists and node.error == "EPERM"]
    said = WORDS in (nvml.message or "").lower() if nvml else False
    # In a pasted dump the container is not known: nvidia-smi's sentence has hardly another cause.
    if not closed and not (said and machine.source != "live") and not in_container(machine):
        return None
    if any(node.exists is False and node.path == "/dev/nvidiactl" for node in nodes):
        return None
    evidence: list[Evidence] = [fact("nvml.status", "UNKNOWN"), *(fact(n.path, "EPERM") for n in closed[:3])]
    return Finding(
        summary="This container has lost its GPUs: the nodes are there and a control group closes them, mostly after "
        "`systemctl daemon-reload` on the host."
        if closed
        else "NVML says 'Unknown Error': in a container that is the loss of its GPUs, mostly after `systemctl daemon-reload` on "
        "the host; outside one, the GPU is in trouble (`sudo dmesg | grep -i xid`).",
        evidence=tuple(evidence),
        fixes=_fixes(container.kind if container else None),
        confidence=0.8 if closed else 0.5,
    )


def _fixes(kind: str | None) -> tuple[Fix, ...]:
    if kind == "kubernetes":
        again = "kubectl delete pod POD   # its controller makes it anew"
    else:
        again = "podman restart CONTAINER" if kind == "podman" else "docker restart CONTAINER"
    return (
        Fix(
            title="Start the container anew (on the host); with `docker run --rm`, run it again",
            commands=(again,),
            verify="nvidia-smi -L",
        ),
        Fix(
            title="For good: pass the GPUs by CDI, which the engine itself knows of (on the host)",
            commands=(
                "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
                "docker run --rm --device nvidia.com/gpu=all IMAGE nvidia-smi -L",
            ),
            needs_root=True,
            note="On an older Docker: --device /dev/nvidiactl --device /dev/nvidia-uvm --device /dev/nvidia0 ... beside --gpus.",
        ),
        Fix(
            title="For good: let Docker manage control groups itself (on the host)",
            commands=(
                '# in /etc/docker/daemon.json:  "exec-opts": ["native.cgroupdriver=cgroupfs"]',
                "sudo systemctl restart docker",
            ),
            needs_root=True,
        ),
    )
