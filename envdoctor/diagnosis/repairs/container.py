"""Repairs of containers: how each engine is told to pass the GPUs in, and how the NVIDIA Container Toolkit is installed.

Source: docs.nvidia.com/datacenter/cloud-native/container-toolkit (install guide, CDI support, troubleshooting).
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Fix
from envdoctor.facts.model import Snapshot
from envdoctor.planning.distributions import family
from envdoctor.reading.dumps.prose import HOSTED_NOTEBOOK

VERIFY = "nvidia-smi -L"
_LIST = "https://nvidia.github.io/libnvidia-container/stable"


def run_with_gpus(snapshot: Snapshot) -> Fix:
    """Starts this kind of container with its GPUs."""
    kind = _kind(snapshot)
    title = "Start the container with its GPUs"
    if kind == "kubernetes" or (snapshot.container and snapshot.container.kubernetes):
        return Fix(
            title="Request a GPU in the pod's container",
            commands=(
                "# in the container's specification:  resources: {limits: {nvidia.com/gpu: 1}}",
                "kubectl get nodes -o custom-columns=NAME:.metadata.name,GPUS:.status.allocatable.'nvidia\\.com/gpu'",
            ),
            note="Nodes without that resource lack the NVIDIA device plugin or GPU Operator.",
            verify=VERIFY,
        )
    commands = {
        "podman": "podman run --rm --device nvidia.com/gpu=all --security-opt=label=disable IMAGE nvidia-smi -L",
        "apptainer": "apptainer exec --nv IMAGE.sif nvidia-smi -L",
        "containerd": "nerdctl run --rm --gpus all IMAGE nvidia-smi -L",
        "lxc": "lxc config device add CONTAINER gpu gpu && lxc config set CONTAINER nvidia.runtime true && lxc restart CONTAINER",
        "systemd-nspawn": "sudo systemd-nspawn -D ROOT --bind=/dev/nvidiactl --bind=/dev/nvidia-uvm --bind=/dev/nvidia0",
    }
    docker = "docker run --rm --gpus all IMAGE nvidia-smi -L"
    return Fix(
        title=title,
        commands=(f"{commands.get(kind or '', docker)}   # on the host",),
        note="Compose: deploy.resources.reservations.devices with driver nvidia, count all, capabilities [gpu]."
        if kind in ("docker", None)
        else None,
        verify=VERIFY,
    )


_ENGINES = (
    ("kubernetes", re.compile(r"\bkubectl\b|\bk8s\b|\bkubernetes\b|nvidia-device-plugin|\bkubelet\b|gpu-operator", re.I)),
    ("podman", re.compile(r"\bpodman\b", re.I)),
    ("apptainer", re.compile(r"\bapptainer\b|\bsingularity\b|\.sif\b", re.I)),
    ("containerd", re.compile(r"\bnerdctl\b")),
    ("systemd-nspawn", re.compile(r"\bsystemd-nspawn\b")),
)  # fmt: skip


def _kind(snapshot: Snapshot) -> str | None:
    """The engine: as it was seen from inside, else by the words of the text."""
    seen = snapshot.container.kind if snapshot.container else None
    if snapshot.source == "live" or seen not in (None, "none", "docker"):
        return seen
    text = "\n".join(snapshot.messages)[:100_000]
    return next((engine for engine, pattern in _ENGINES if pattern.search(text)), seen)


_NOTEBOOK = re.compile(HOSTED_NOTEBOOK, re.IGNORECASE)
_DEVICE_RULES = re.compile(
    r"devices\.allow: (?:operation not permitted|permission denied)"
    r"|nvidia-container-cli: mount error: .{0,120}(?:bpf_prog_query|failed to add device rules).{0,160}(?:not permitted|denied)"
)


def gpu_fixes(snapshot: Snapshot) -> tuple[Fix, ...]:
    """What a message that a container has no GPU calls for; where CDI is what refuses, its specification comes first."""
    if any(_DEVICE_RULES.search(line) for line in snapshot.messages):
        return (without_cgroups(), run_with_gpus(snapshot))
    if any(_NOTEBOOK.search(line) for line in snapshot.messages):
        return (_notebook(),)
    fixes = (run_with_gpus(snapshot), install_toolkit(snapshot), describe_anew())
    of_cdi = any("CDI device" in line or "nvidia.com/gpu" in line for line in snapshot.messages)
    return (fixes[2], fixes[0], fixes[1]) if of_cdi and _kind(snapshot) != "kubernetes" else fixes


def _notebook() -> Fix:
    return Fix(
        title="Choose a GPU for this notebook",
        note="Colab: Runtime, Change runtime type. Kaggle: Settings, Accelerator. Its driver is the host's, and is there then.",
        verify="nvidia-smi -L",
    )


def without_cgroups() -> Fix:
    """In an unprivileged container, and without root, the toolkit may not write device rules; whoever made the outer container
    has let its devices in already."""
    return Fix(
        title="Tell the NVIDIA Container Toolkit to leave the cgroups alone (where Docker or Podman runs)",
        commands=(
            "sudo nvidia-ctk config --in-place --set nvidia-container-cli.no-cgroups=true",
            "sudo systemctl restart docker",
        ),
        needs_root=True,
        verify="docker run --rm --gpus all ubuntu nvidia-smi -L",
        note="It is `no-cgroups = true` in /etc/nvidia-container-runtime/config.toml: for rootless Docker and Podman, and "
        "for Docker in an unprivileged LXC container. With CDI it is not needed.",
    )


def all_capabilities() -> Fix:
    """Passes the compute part of the driver in, not only some of its libraries."""
    return Fix(
        title="Pass the compute part of the driver in",
        commands=(
            "docker run --rm --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility IMAGE nvidia-smi -L   # on the host",
        ),
        verify=VERIFY,
    )


def describe_anew() -> Fix:
    """A CDI specification names the driver's files with their version: an update of the driver leaves it behind."""
    return Fix(
        title="Where the engine is given GPUs by CDI (Podman does): describe the driver's files anew (on the host)",
        commands=("sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",),
        verify="nvidia-ctk cdi list",
        needs_root=True,
        note="After every update of the driver.",
    )


def install_toolkit(snapshot: Snapshot) -> Fix:
    """Installs the NVIDIA Container Toolkit on the host and tells Docker. In a container the host's distribution is not known, so
    that the packages of the commonest ones are shown."""
    inside = bool(snapshot.container and snapshot.container.inside)
    kind = None if inside else family(snapshot)
    apt = (
        f"curl -fsSL https://nvidia.github.io/libnvidia-container/gpgkey | sudo gpg --dearmor -o {_KEYRING}",
        f"curl -fsSLO {_LIST}/deb/{_FILE}",
        f"sed -i 's#deb https://#deb [signed-by={_KEYRING}] https://#g' {_FILE}",
        f"sudo install -m 644 {_FILE} /etc/apt/sources.list.d/",
        "sudo apt-get update && sudo apt-get install -y nvidia-container-toolkit",
    )
    repo = f"{_LIST}/rpm/nvidia-container-toolkit.repo"
    dnf = (
        f"curl -fsSL {repo} | sudo tee /etc/yum.repos.d/nvidia-container-toolkit.repo",
        "sudo dnf install -y nvidia-container-toolkit",
    )
    install = {
        "ubuntu": apt,
        "debian": apt,
        "rhel": dnf,
        "fedora": dnf,
        "suse": (
            f"sudo zypper addrepo {repo}",
            "sudo zypper --gpg-auto-import-keys install -y nvidia-container-toolkit",
        ),
        "arch": ("sudo pacman -S nvidia-container-toolkit",),
    }.get(kind or "", ("# Debian and Ubuntu:", *apt, "# Red Hat and Fedora:", *dnf))
    return Fix(
        title="Install the NVIDIA Container Toolkit" + (" on the host" if inside else ""),
        commands=(*install, "sudo nvidia-ctk runtime configure --runtime=docker", "sudo systemctl restart docker"),
        needs_root=True,
        verify="docker run --rm --gpus all ubuntu nvidia-smi -L",
    )


_FILE = "nvidia-container-toolkit.list"
_KEYRING = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"
