"""Which container this is, if any, and what a host has to make one with a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import container
from tests import simulated
from tests.sysroot import Sysroot

DOCKER_ID = "4f1c9a"


def test_a_docker_container_with_its_limit(tmp_path: Path) -> None:
    found = container.probe(simulated.docker(tmp_path).machine())
    assert (found.kind, found.inside, found.kubernetes, found.slurm) == ("docker", True, False, False)
    assert found.memory_limit == 16 << 30
    assert found.toolkit_version == ""


def test_a_workstation_is_none_and_has_the_toolkit(tmp_path: Path) -> None:
    s = simulated.ubuntu_2404(tmp_path)
    s.file("/etc/docker/daemon.json", json.dumps({"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}))
    s.file("/etc/cdi/gpus.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n").file(
        "/etc/cdi/other.yaml", "kind: x.com/y\n"
    )
    found = container.probe(s.machine())
    assert (found.kind, found.inside, found.memory_limit) == ("none", False, None)
    assert (found.toolkit_version, found.docker_runtimes, found.cdi_specs) == (
        "1.17.8",
        ("nvidia",),
        ("/etc/cdi/gpus.yaml",),
    )


def test_what_is_outside_a_container_is_not_concluded_from_missing_traces(tmp_path: Path) -> None:
    found = container.probe(Sysroot(tmp_path).machine())
    assert (found.kind, found.inside, found.toolkit_version, found.docker_runtimes, found.cdi_specs) == (None,) * 5


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"/run/.containerenv": ""}, "podman"),
        ({"/.dockerenv": ""}, "docker"),
        ({"/proc/self/cgroup": f"5:devices:/docker/{DOCKER_ID}\n"}, "docker"),
        ({"/proc/1/cgroup": f"0::/system.slice/docker-{DOCKER_ID}.scope\n"}, "docker"),
        ({"/proc/self/cgroup": f"0::/kubepods.slice/pod1/cri-containerd-{DOCKER_ID}.scope\n"}, "kubernetes"),
        ({"/proc/self/cgroup": "0::/machine.slice/libpod-1.scope/container\n"}, "podman"),
        ({"/proc/1/environ": "PATH=/bin\0container=lxc\0HOME=/\0"}, "lxc"),
        ({"/run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"/.singularity.d/runscript": ""}, "apptainer"),
        ({"/proc/self/mountinfo": "1 0 0:1 /var/lib/docker/containers/x/hosts /etc/hosts rw - ext4 a rw\n"}, "docker"),
        ({"/run/secrets/kubernetes.io/serviceaccount/token": "t"}, "kubernetes"),
        ({"/proc/1/comm": "systemd\n"}, "none"),
        ({"/proc/2/comm": "kthreadd\n", "/proc/1/comm": "own-init\n"}, "none"),
        ({"/proc/1/comm": "bash\n"}, None),
    ],
)
def test_each_engine_leaves_its_own_trace(tmp_path: Path, files: dict[str, str], kind: str | None) -> None:
    assert container.probe(Sysroot(tmp_path).files(files).machine()).kind == kind


def test_wsl_with_systemd_is_a_host_of_its_own_kind(tmp_path: Path) -> None:
    assert container.probe(simulated.wsl2(tmp_path).machine()).kind == "none"


def test_a_virtual_machine_made_from_an_image_is_no_container(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/.dockerenv").file("/proc/2/comm", "kthreadd\n").file("/proc/1/comm", "init\n")
    s.file("/proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/root rw\n")
    assert container.probe(s.machine()).kind == "none"
    # A container that shares the host's processes sees the kernel's threads too; its root gives it away.
    s.file("/proc/self/mountinfo", "27 1 0:44 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/x\n")
    assert container.probe(s.machine()).kind == "docker"


def test_orchestrator_and_batch_system_by_their_variables(tmp_path: Path) -> None:
    s = Sysroot(tmp_path)
    assert container.probe(s.machine({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})).kind == "kubernetes"
    assert container.probe(s.machine({"SLURM_JOB_ID": "7"})).slurm is True
    assert container.probe(s.machine({"APPTAINER_CONTAINER": "/images/a.sif"})).kind == "apptainer"


def test_the_smallest_memory_limit_of_version_1_and_no_limit(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).file("/proc/self/cgroup", "9:memory:/slurm/job_1\n")
    s.file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert container.probe(s.machine()).memory_limit is None
    s.file("/sys/fs/cgroup/memory/slurm/job_1/memory.limit_in_bytes", "8589934592\n")
    assert container.probe(s.machine()).memory_limit == 8 << 30


def test_a_toolkit_without_a_package_is_asked(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).command(
        "/usr/bin/nvidia-ctk", "echo 'NVIDIA Container Toolkit CLI version 1.18.0'; echo commit: abc"
    )
    assert container.probe(s.machine()).toolkit_version == "1.18.0"


def test_a_toolkit_that_does_not_answer_is_there_with_an_unknown_version(tmp_path: Path) -> None:
    s = Sysroot(tmp_path).command("/usr/bin/nvidia-ctk", "exit 1")
    assert container.probe(s.machine()).toolkit_version is None


@pytest.mark.parametrize("text", ["{", "[]", '{"runtimes": 3}', '{"runtimes": {}}', "{}"])
def test_a_docker_configuration_without_runtimes(tmp_path: Path, text: str) -> None:
    assert container.probe(Sysroot(tmp_path).file("/etc/docker/daemon.json", text).machine()).docker_runtimes == ()


def test_this_machine() -> None:
    found = container.probe(Machine.here())
    assert found.kubernetes is not None
    assert found.slurm is not None
