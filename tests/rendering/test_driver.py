"""The driver script: what it installs on which machine, where it refuses, and what it says after the reboot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack, TargetGpu
from envdoctor.rendering.catalogue import render
from tests.rendering.machines import NVIDIA_GPU, NVSWITCH, ScriptMachine, apt_cache
from tests.rendering.plans import plans
from tests.rendering.tools import check_with

SYSTEMS = (
    "ubuntu18.04",
    "ubuntu22.04",
    "ubuntu24.04",
    "ubuntu26.04",
    "debian12",
    "debian13",
    "rhel8",
    "rhel9",
    "rocky10",
    "oraclelinux9",
    "amzn2023",
    "fedora44",
    "sles15",
    "sles16",
    "opensuse-leap15.6",
)
B200 = TargetGpu(name="NVIDIA B200", capability="10.0", kind="data-center")
CHANGES = ("apt-get", "dpkg", "dnf", "zypper", "curl", "systemctl", "mokutil", "update-initramfs", "nvidia-ctk")
UBUNTU_24 = {
    "nvidia-driver-615-open": "615.71.09-0ubuntu0.24.04.2",
    "nvidia-driver-580": "580.173.02-0ubuntu0.24.04.1",
    "nvidia-driver-580-open": "580.173.02-0ubuntu0.24.04.1",
    "nvidia-driver-580-server-open": "580.173.02-0ubuntu0.24.04.1",
    "nvidia-headless-no-dkms-580-server-open": "580.173.02-0ubuntu0.24.04.1",
    "nvidia-dkms-580-open": "580.173.02-0ubuntu0.24.04.1",
    "linux-modules-nvidia-580-open-6.8.0-45-generic": "6.8.0-45.45",
    "linux-modules-nvidia-580-open-generic-hwe-24.04": "6.8.0-45.45",
    "linux-modules-nvidia-580-server-open-6.8.0-45-generic": "6.8.0-45.45",
    "linux-modules-nvidia-580-6.8.0-45-generic": "6.8.0-45.45",
    "nvidia-fabricmanager-580": "580.173.02-0ubuntu0.24.04.1",
    "linux-headers-generic-hwe-24.04": "6.8.0.45",
}


def stack(name: str, **changes: Any) -> Stack:
    return msgspec.structs.replace(plans()[name], **changes)


def script(plan: Stack) -> str:
    (file,) = render("driver", plan)
    assert file.executable
    return file.text


@pytest.fixture
def machine(tmp_path: Path) -> ScriptMachine:
    return ScriptMachine(tmp_path, commands=CHANGES)


def ubuntu(
    machine: ScriptMachine, *devices: tuple[str, str], version: str = "24.04", packages: dict[str, str] | None = None
) -> None:
    machine.linux("ubuntu", version, *(devices or (NVIDIA_GPU,)))
    machine.answers["apt-cache"] = apt_cache(UBUNTU_24 if packages is None else packages)
    machine.answers["dpkg-query"] = (
        "printf 'ii  linux-image-generic-hwe-24.04\\nii  linux-image-6.8.0-45-generic\\nun  linux-image\\n'"
    )


def installed(machine: ScriptMachine) -> list[str]:
    """What apt was asked for."""
    return [word for line in machine.calls("apt-get") if " install " in line for word in line.split()[3:]]


def test_every_form_of_the_script_passes_shellcheck(tmp_path: Path) -> None:
    texts = {script(stack("rtx5090", os=os)) for os in SYSTEMS}
    for os in ("ubuntu24.04", "debian12", "rhel9", "fedora44", "sles15"):
        texts |= {script(stack("gtx1080", os=os)), script(stack("h100x8", os=os, gpus=(B200,) * 8))}
    files = []
    for number, text in enumerate(sorted(texts)):
        files.append(tmp_path / f"{number}.sh")
        files[-1].write_text(text)
    check_with("shellcheck", "--severity=style", files=files)


def test_ubuntu_gets_the_branch_with_modules_that_canonical_signed(machine: ScriptMachine) -> None:
    ubuntu(machine)
    machine.secure_boot()
    done = machine.run(script(stack("rtx5090")), "--yes")
    assert done.returncode == 0, done.stderr
    assert installed(machine) == [
        "nvidia-driver-580-open",
        "linux-modules-nvidia-580-open-6.8.0-45-generic",
        "linux-modules-nvidia-580-open-generic-hwe-24.04",
    ]
    assert not machine.calls("mokutil")
    assert "Now reboot" in done.stdout
    assert "Secure Boot: on" in done.stdout


def test_without_prebuilt_modules_ubuntu_builds_them_and_secure_boot_needs_a_key(machine: ScriptMachine) -> None:
    ubuntu(machine, packages={name: v for name, v in UBUNTU_24.items() if not name.startswith("linux-modules")})
    machine.secure_boot()
    machine.file("/var/lib/shim-signed/mok/MOK.der", "key")
    done = machine.run(script(stack("rtx5090")), "--yes")
    assert done.returncode == 0, done.stderr
    assert {"nvidia-dkms-580-open", "linux-headers-6.8.0-45-generic", "linux-headers-generic-hwe-24.04"} <= set(
        installed(machine)
    )
    assert "STILL TO DO: Secure Boot is on. Before the reboot: sudo mokutil --import" in done.stdout


def test_a_key_that_is_enrolled_already_is_not_asked_for_again(machine: ScriptMachine) -> None:
    ubuntu(machine, packages={name: v for name, v in UBUNTU_24.items() if not name.startswith("linux-modules")})
    machine.secure_boot()
    machine.file("/var/lib/shim-signed/mok/MOK.der", "key")
    machine.answers["mokutil"] = 'echo "$2 is already enrolled"; exit 1'
    done = machine.run(script(stack("rtx5090")), "--yes")
    assert done.returncode == 0, done.stderr
    assert "STILL TO DO" not in done.stdout


def test_an_old_card_never_gets_a_branch_that_dropped_it(machine: ScriptMachine) -> None:
    newer_only = {"nvidia-driver-615-open": "615.71.09-0ubuntu1", "nvidia-driver-615": "615.71.09-0ubuntu1"}
    ubuntu(machine, packages=newer_only)
    done = machine.run(script(stack("gtx1080")), "--yes")
    assert done.returncode == 1
    assert "has no driver of at least" in done.stdout
    assert not installed(machine)
    ubuntu(machine)
    assert machine.run(script(stack("gtx1080")), "--yes").returncode == 0
    assert installed(machine)[0] == "nvidia-driver-580"


def test_ubuntu_18_04_takes_the_newest_branch_that_its_archive_has(machine: ScriptMachine) -> None:
    packages = {
        "nvidia-driver-390": "390.157-0ubuntu0.18.04.2",
        "nvidia-driver-470": "470.199.02-0ubuntu0.18.04.1",
        "nvidia-driver-525": "525.116.04-0ubuntu0.18.04.1",
        "nvidia-driver-525-open": "525.116.04-0ubuntu0.18.04.1",
        "nvidia-dkms-525": "525.116.04-0ubuntu0.18.04.1",
    }
    ubuntu(machine, version="18.04", packages=packages)
    done = machine.run(script(stack("old-system")), "--yes")
    assert done.returncode == 0, done.stderr
    assert installed(machine)[0] == "nvidia-driver-525", "open modules were not ready for GeForce before 560"


def test_nvswitches_get_a_fabric_manager_of_exactly_the_drivers_version(machine: ScriptMachine) -> None:
    ubuntu(machine, *[NVIDIA_GPU] * 8, *[NVSWITCH] * 4)
    machine.answers["systemctl"] = '[ "$1" != is-enabled ] || { echo disabled; exit 1; }'
    done = machine.run(script(stack("h100x8")), "--yes")
    assert done.returncode == 0, done.stderr
    assert "nvidia-headless-no-dkms-580-server-open" in installed(machine)
    assert "nvidia-utils-580-server" in installed(machine)
    assert "nvidia-fabricmanager-580=580.173.02-0ubuntu0.24.04.1" in installed(machine)
    assert "systemctl enable nvidia-fabricmanager" in machine.calls("systemctl")
    assert "systemctl enable nvidia-persistenced" in machine.calls("systemctl")


def test_a_fabric_manager_of_another_version_is_refused(machine: ScriptMachine) -> None:
    ubuntu(
        machine, *[NVIDIA_GPU] * 8, NVSWITCH, packages={**UBUNTU_24, "nvidia-fabricmanager-580": "580.95.05-0ubuntu1"}
    )
    done = machine.run(script(stack("h100x8")), "--yes")
    assert done.returncode == 1
    assert "no nvidia-fabricmanager of version 580.173.02" in done.stderr


def test_container_engines_are_set_up_where_they_are(machine: ScriptMachine) -> None:
    ubuntu(machine)
    machine.commands = (*CHANGES, "docker", "gpg")
    (machine.root / "etc/apt/sources.list.d").mkdir(parents=True)
    done = machine.run(script(stack("rtx5090")), "--yes")
    assert done.returncode == 0, done.stderr
    assert "nvidia-container-toolkit" in installed(machine)
    assert "nvidia-ctk runtime configure --runtime=docker" in machine.calls()
    source = (machine.root / "etc/apt/sources.list.d/nvidia-container-toolkit.list").read_text()
    assert source.endswith("https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n")


def test_a_dry_run_changes_nothing_and_needs_no_root(machine: ScriptMachine) -> None:
    ubuntu(machine, *[NVIDIA_GPU] * 8, NVSWITCH)
    machine.answers["id"] = "echo 1000"
    machine.commands = (*CHANGES, "docker", "gpg")
    done = machine.run(script(stack("h100x8")), "--yes", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not [call for call in machine.calls(*CHANGES) if not call.startswith("systemctl is-")]
    assert "+ apt-get install -y nvidia-headless-no-dkms-580-server-open" in done.stdout
    assert "nothing was changed" in done.stdout
    assert "Now reboot" not in done.stdout


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_dry_run_gets_to_its_end_on_every_system(machine: ScriptMachine, system: str) -> None:
    plan = stack("h100x8", os=system)
    name = system.rstrip("0123456789.")
    identifier = {"oraclelinux": "ol"}.get(name, name)
    machine.linux(identifier, system.removeprefix(name), *[NVIDIA_GPU] * 8, NVSWITCH)
    machine.secure_boot()
    machine.answers["apt-cache"] = apt_cache(UBUNTU_24)
    machine.answers |= {"dpkg-query": "exit 1", "dpkg": "echo amd64", "rpm": "exit 1"}
    machine.commands = (*CHANGES, "podman", "docker", "rpm")
    done = machine.run(script(plan), "--yes", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not [
        c
        for c in machine.calls(*CHANGES)
        if not c.startswith(("systemctl is-", "dpkg --print", "zypper --quiet", "dnf -q"))
    ]


def test_nobody_to_ask_means_no_change(machine: ScriptMachine) -> None:
    ubuntu(machine)
    done = machine.run(script(stack("rtx5090")))
    assert done.returncode == 1
    assert "give --yes" in done.stderr
    assert not machine.calls(*CHANGES)


def test_it_refuses_where_a_driver_must_not_go(machine: ScriptMachine) -> None:
    text = script(stack("rtx5090"))

    def refused() -> str:
        done = machine.run(text, "--yes")
        assert done.returncode == 1
        assert not machine.calls(*CHANGES)
        return done.stderr

    ubuntu(machine)
    machine.answers["id"] = "echo 1000"
    assert "needs root" in refused()
    machine.file("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
    assert "this is WSL" in refused()
    ubuntu(machine)
    machine.file("/.dockerenv")
    assert "this is a container" in refused()
    (machine.root / ".dockerenv").unlink()
    machine.file("/proc/1/environ", "container=lxc\0HOME=/\0")
    assert "this is a container" in refused()
    ubuntu(machine)
    machine.file("/etc/nv_tegra_release", "# R36")
    assert "Jetson" in refused()
    (machine.root / "etc/nv_tegra_release").unlink()
    machine.file("/usr/bin/nvidia-uninstall").chmod(0o755)
    assert ".run file" in refused()
    (machine.root / "usr/bin/nvidia-uninstall").unlink()
    machine.file("/sys/bus/pci/devices/0000:00:00.0/vendor", "0x1002\n")
    assert "no NVIDIA GPU is on the PCI bus" in refused()
    machine.linux("ubuntu", "22.04", NVIDIA_GPU)
    assert "made for Ubuntu 24.04, and this is ubuntu 22.04" in refused()
    machine.linux("debian", "12", NVIDIA_GPU)
    assert "made for Ubuntu 24.04, and this is debian 12" in refused()


def loaded(machine: ScriptMachine, version: str, flavour: str = "Open Kernel Module") -> None:
    machine.file("/sys/module/nvidia/version", f"{version}\n")
    machine.file("/proc/driver/nvidia/version", f"NVRM version: NVIDIA UNIX {flavour} for x86_64  {version}\n")
    machine.answers["nvidia-smi"] = 'case "$1" in --list-gpus) echo "GPU 0: x" ;; *) echo "x, y" ;; esac'


def test_a_driver_that_is_new_enough_stays(machine: ScriptMachine) -> None:
    ubuntu(machine)
    loaded(machine, "580.95.05")
    done = machine.run(script(stack("rtx5090")), "--yes")
    assert done.returncode == 0, done.stderr
    assert "runs already" in done.stdout
    assert not installed(machine)


def test_verification_says_what_is_wrong_after_the_reboot(machine: ScriptMachine) -> None:
    text = script(stack("rtx5090"))
    ubuntu(machine)
    assert "no NVIDIA kernel module is loaded" in machine.run(text, "--verify").stderr
    loaded(machine, "570.195.03")
    assert "driver 570.195.03 runs, and 580 is needed" in machine.run(text, "--verify").stderr
    loaded(machine, "580.95.05", "Module")
    assert (
        "the proprietary kernel modules are loaded, and these GPUs need the open ones"
        in machine.run(text, "--verify").stderr
    )
    loaded(machine, "580.95.05")
    machine.answers["nvidia-smi"] = "exit 9"
    assert "nvidia-smi fails" in machine.run(text, "--verify").stderr
    loaded(machine, "580.95.05")
    machine.answers["envdoctor"] = "echo checked"
    done = machine.run(text, "--verify")
    assert done.returncode == 0, done.stderr
    assert "checked" in done.stdout
    ubuntu(machine, NVIDIA_GPU, NVIDIA_GPU)
    assert "fewer GPUs answer than are on the PCI bus" in machine.run(text, "--verify").stderr


def test_a_stopped_fabric_manager_fails_the_verification(machine: ScriptMachine) -> None:
    ubuntu(machine, NVIDIA_GPU, NVSWITCH)
    loaded(machine, "580.95.05")
    machine.answers["systemctl"] = "exit 3"
    assert "error 802" in machine.run(script(stack("h100x8")), "--verify").stderr


def test_debian_pins_the_branch_before_it_installs(machine: ScriptMachine) -> None:
    machine.linux("debian", "12", NVIDIA_GPU, kernel="6.1.0-30-amd64")
    machine.answers |= {
        "apt-cache": apt_cache({}),
        "dpkg-query": "exit 1",
        "dpkg": '[ "$1" != --print-architecture ] || echo amd64',
    }
    done = machine.run(script(stack("rtx5090", os="debian12")), "--yes")
    assert done.returncode == 0, done.stderr
    calls = machine.calls("apt-get", "curl", "dpkg")
    assert any("repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb" in call for call in calls)
    assert calls[-2:] == [
        "apt-get install -y nvidia-driver-pinning-580",
        "apt-get install -y --autoremove --purge nvidia-open",
    ]
    assert "linux-headers-6.1.0-30-amd64" in installed(machine)
    assert "linux-headers-amd64" in installed(machine)


def dnf_calls(machine: ScriptMachine, plan: Stack, identifier: str, version: str) -> list[str]:
    machine.linux(identifier, version, NVIDIA_GPU, kernel="5.14.0-503.el9.x86_64")
    (machine.root / "etc/yum.repos.d").mkdir(parents=True, exist_ok=True)
    machine.answers["rpm"] = "exit 1"
    done = machine.run(script(plan), "--yes")
    assert done.returncode == 0, done.stderr
    return machine.calls("dnf", "curl")


def test_red_hat_8_and_9_take_a_module_stream(machine: ScriptMachine) -> None:
    calls = dnf_calls(machine, stack("rtx5090", os="rhel9"), "rocky", "9.4")
    assert "dnf install -y kernel-devel-5.14.0-503.el9.x86_64 kernel-headers gcc make mokutil" in calls
    assert "dnf config-manager --set-enabled crb" in calls
    assert "dnf module enable -y nvidia-driver:580-open" in calls
    assert calls[-1] == "dnf install -y --allowerasing nvidia-open"


def test_oracle_linux_has_names_of_its_own(machine: ScriptMachine) -> None:
    calls = dnf_calls(machine, stack("rtx5090", os="oraclelinux9"), "ol", "9.5")
    assert "dnf config-manager --set-enabled ol9_codeready_builder" in calls
    assert "dnf install -y oracle-epel-release-el9" in calls


def test_a_red_hat_that_is_not_registered_is_told_what_may_be_missing(machine: ScriptMachine) -> None:
    calls = dnf_calls(machine, stack("rtx5090", os="rhel9"), "rhel", "9.6")
    assert "dnf install -y https://dl.fedoraproject.org/pub/epel/epel-release-latest-9.noarch.rpm" in calls
    assert not any("crb" in call for call in calls)


def test_red_hat_drives_an_old_card_with_the_proprietary_stream(machine: ScriptMachine) -> None:
    calls = dnf_calls(machine, stack("gtx1080", os="rhel8", driver_branch="615"), "almalinux", "8.10")
    assert "dnf config-manager --set-enabled powertools" in calls
    assert "dnf module enable -y nvidia-driver:580-dkms" in calls, "580 is the last branch for Pascal"
    assert calls[-1] == "dnf install -y --allowerasing cuda-drivers"


@pytest.mark.parametrize(
    ("system", "identifier", "version"), [("rhel10", "rhel", "10.1"), ("fedora44", "fedora", "44")]
)
def test_newer_red_hats_lock_the_version(machine: ScriptMachine, system: str, identifier: str, version: str) -> None:
    calls = dnf_calls(machine, stack("rtx5090", os=system), identifier, version)
    assert "dnf versionlock add *nvidia*580*" in calls
    assert not any("module enable" in call for call in calls)


def test_suse_with_secure_boot_takes_the_modules_that_suse_signed(machine: ScriptMachine) -> None:
    machine.linux("sles", "15.6", NVIDIA_GPU, kernel="6.4.0-150600.23.25-default")
    machine.secure_boot()
    (machine.root / "etc/zypp/repos.d").mkdir(parents=True)
    machine.answers["rpm"] = "echo 580.173.02_k6.4.0_150600.21"
    done = machine.run(script(stack("rtx5090", os="sles15")), "--yes")
    assert done.returncode == 0, done.stderr
    calls = machine.calls("zypper")
    assert "zypper --non-interactive install nvidia-open-driver-G06-signed-cuda-kmp-default" in calls
    assert "zypper --non-interactive install nvidia-compute-utils-G06 == 580.173.02" in calls
    assert not machine.calls("mokutil")


def test_suse_without_it_builds_them(machine: ScriptMachine) -> None:
    machine.linux("sles", "15.6", NVIDIA_GPU, kernel="6.4.0-150600.23.25-default")
    (machine.root / "etc/zypp/repos.d").mkdir(parents=True)
    done = machine.run(script(stack("gtx1080", os="sles15")), "--yes")
    assert done.returncode == 0, done.stderr
    assert (
        "zypper --non-interactive install kernel-default-devel == 6.4.0-150600.23.25 gcc make mokutil"
        in machine.calls()
    )
    assert machine.calls("zypper")[-1] == "zypper --non-interactive install --auto-agree-with-licenses cuda-drivers-580"


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (stack("no-gpu"), "the plan has none"),
        (stack("windows"), "the driver is installed in Windows"),
        (stack("rtx5090", os=None), "--os ubuntu24.04"),
        (stack("rtx5090", os="gentoo1"), "has no packages for 'gentoo1'"),
        (stack("rtx5090", os="ubuntu"), "cannot read the distribution"),
        (stack("rtx5090", os="arch"), "has no packages for 'arch'"),
        (stack("rtx5090", os="centos7"), "it needs a newer release"),
        (stack("rtx5090", os="sles12"), "NVIDIA has no package repository for it"),
        (stack("rtx5090", gpus=(TargetGpu(name="Jetson AGX Orin", capability="8.7"),)), "JetPack"),
    ],
)
def test_where_no_driver_can_be_installed_the_recipe_says_what_to_do(plan: Stack, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        script(plan)
