"""Probe: the container, orchestrator or batch system around us, and the NVIDIA Container Toolkit of a host."""

from __future__ import annotations

import json
import re

from envdoctor.facts import cgroup, packages
from envdoctor.facts.host import Machine
from envdoctor.facts.sections.host import Container

# The words by which /proc/PID/cgroup and the bind mounts of /proc/self/mountinfo give the engine away; the order
# matters, for a pod's groups name its engine too.
_CGROUP_WORDS = (
    (r"kubepods|/kubelet/pods/", "kubernetes"),
    (r"/docker[/-]|/docker/containers/", "docker"),
    (r"libpod|/overlay-containers/", "podman"),
    (r"/lxc[./]|lxc\.payload", "lxc"),
    (r"containerd", "containerd"),
    (r"machine\.slice/systemd-nspawn|/payload$", "systemd-nspawn"),
)
# What systemd(1) asks of container managers, https://systemd.io/CONTAINER_INTERFACE: the variable `container`.
_MANAGERS = {
    "docker": "docker",
    "podman": "podman",
    "lxc": "lxc",
    "lxc-libvirt": "lxc",
    "systemd-nspawn": "systemd-nspawn",
    "oci": "other",
    "crio": "other",
    "rkt": "other",
}
_TOOLKIT_COMMANDS = ("nvidia-ctk", "nvidia-container-runtime", "nvidia-container-cli")
_TIMEOUT = 2.0


def probe(machine: Machine) -> Container:
    return Container(
        kind=kind(machine),
        kubernetes=_kubernetes(machine),
        slurm=machine.variable("SLURM_JOB_ID") is not None,
        toolkit_version=_toolkit(machine),
        docker_runtimes=_docker_runtimes(machine),
        cdi_specs=_cdi_specs(machine),
        memory_limit=cgroup.memory_limit(machine),
    )


def _kubernetes(machine: Machine) -> bool:
    if machine.variable("KUBERNETES_SERVICE_HOST"):
        return True
    return any(machine.exists(f"{run}/secrets/kubernetes.io") for run in ("/run", "/var/run"))


def kind(machine: Machine) -> str | None:
    """The container's kind as Container.kind has it."""
    variable = machine.variable
    if variable("APPTAINER_CONTAINER") or variable("SINGULARITY_CONTAINER") or machine.exists("/.singularity.d"):
        return "apptainer"
    if _kubernetes(machine):
        return "kubernetes"
    groups = "\n".join(machine.read(f"/proc/{process}/cgroup") or "" for process in ("self", "1"))
    mounts = machine.read("/proc/self/mountinfo") or ""
    by_group = _by_words(f"{groups}\n{_bind_sources(mounts)}")
    # The kernel's own thread is process 2 of a whole machine, and of no container with a process namespace of its own.
    whole_machine = machine.read("/proc/2/comm") == "kthreadd"
    overlay = " / " in mounts and bool(re.search(r" / / .* - overlay ", mounts))
    if machine.exists("/run/.containerenv"):
        return "podman"
    # A virtual machine made from an image keeps that image's /.dockerenv; there nothing else speaks of a container.
    if machine.exists("/.dockerenv") and not (whole_machine and by_group is None and not overlay):
        return by_group or "docker"
    manager = _manager(machine)
    if manager is not None:
        return manager
    if by_group is not None:
        return by_group
    init = machine.read("/proc/1/comm") or ""
    known_init = init in ("systemd", "runit", "openrc-init", "dinit") or init.startswith("init")
    if whole_machine or known_init or machine.exists("/run/systemd/system"):
        return "none"
    return None


def _by_words(text: str) -> str | None:
    return next((kind for words, kind in _CGROUP_WORDS if re.search(words, text, re.MULTILINE)), None)


def _bind_sources(mounts: str) -> str:
    """The source folders of the files that engines mount over /etc/hostname and /etc/resolv.conf."""
    fields = (line.split(" ") for line in mounts.splitlines())
    wanted = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
    return "\n".join(f[3] for f in fields if len(f) > 4 and f[4] in wanted)


def _manager(machine: Machine) -> str | None:
    name = machine.read("/run/systemd/container") or ("" if machine.simulated else machine.variable("container")) or ""
    if not name:
        pairs = (machine.read("/proc/1/environ") or "").split("\0")
        name = next((pair.partition("=")[2] for pair in pairs if pair.startswith("container=")), "")
    if name in ("", "wsl"):  # systemd counts WSL as a container; here it is a host of its own kind
        return None
    return _MANAGERS.get(name, "other")


def _toolkit(machine: Machine) -> str | None:
    """The toolkit's version from its package, else from `nvidia-ctk --version`; None where it is there and silent."""
    for package in packages.installed(machine, packages.CONTAINER_TOOLKIT) or ():
        return re.split(r"[-~+]", package.version.partition(":")[2] or package.version)[0]
    command = machine.which("nvidia-ctk")
    if command is None:
        if not (machine.installed or machine.exists("/usr")):
            return None
        return None if any(machine.exists(f"/usr/bin/{name}") for name in _TOOLKIT_COMMANDS) else ""
    done = machine.run([command, "--version"], timeout=_TIMEOUT)
    found = re.search(r"version\s+v?([0-9]+(?:\.[0-9]+)+)", done.stdout)
    return found[1] if found else None


def _docker_runtimes(machine: Machine) -> tuple[str, ...] | None:
    text = machine.read("/etc/docker/daemon.json")
    if text is None:
        return () if machine.exists("/etc") and machine.exists("/etc/docker/daemon.json") is False else None
    try:
        runtimes = json.loads(text)["runtimes"]
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(sorted(str(name) for name in runtimes)) if isinstance(runtimes, dict) else ()


def _cdi_specs(machine: Machine) -> tuple[str, ...] | None:
    if not machine.exists("/etc"):
        return None
    found = []
    for folder in ("/etc/cdi", "/var/run/cdi"):
        for pattern in ("*.yaml", "*.yml", "*.json"):
            # A file belongs to NVIDIA by its `kind: nvidia.com/gpu`, whatever its name.
            found += [
                name for name in machine.glob(folder, pattern) if "nvidia.com/" in (machine.read(name, 1 << 16) or "")
            ]
    return tuple(found)
