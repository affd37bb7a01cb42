"""CUDA does not work under WSL: a Linux driver inside, libcuda from the wrong place, or Windows' side.

What it is
    In WSL 2 the GPU belongs to Windows. Its driver shows up as /dev/dxg and as libraries in /usr/lib/wsl/lib, and no
    NVIDIA driver may be installed in the Linux distribution: its libcuda would be found first and has no kernel module
    to talk to. WSL 1 has no GPU at all.

Told apart by
    CUDA does not start under WSL, and: the distribution is WSL 1; or libcuda comes from elsewhere than /usr/lib/wsl (or
    a Linux driver package is installed); or the loader does not look into /usr/lib/wsl/lib, which has one; or /dev/dxg
    is missing. What is left with GPUs in nvidia-smi's list is the Windows driver or WSL's kernel. A WSL without any
    sign of an NVIDIA driver in Windows is a machine without one.

Repair
    Remove the Linux driver inside; let the loader find /usr/lib/wsl/lib; update WSL and the Windows driver, restart
    WSL.

Sources
    docs.nvidia.com/cuda/wsl-user-guide; learn.microsoft.com/windows/wsl, 'GPU accelerated machine learning'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.reported_errors import cuda_starts
from envdoctor.diagnosis.snapshot_queries import compat_libcuda, in_container, is_wsl
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.distributions import family
from envdoctor.planning.visible_devices import select_devices
from envdoctor.reading.messages.message_files import beside

HOME = "/usr/lib/wsl"
VERIFY = "/usr/lib/wsl/lib/nvidia-smi -L && ldconfig -p | grep libcuda.so.1"


UPDATE_WSL = Fix(
    title="Update WSL and start it anew (in PowerShell)", commands=("wsl --update", "wsl --shutdown"), verify=VERIFY
)
UPDATE_WINDOWS = Fix(
    title="Update the NVIDIA driver in Windows, then start WSL anew",
    commands=("wsl.exe --shutdown",),
    note="Download: https://www.nvidia.com/drivers",
    needs_root=True,
    needs_reboot=True,
    verify=VERIFY,
)


MESSAGES = beside(__file__)


@diagnosis(
    "wsl-driver-problem",
    layer=Layer.CONTAINER,
    severity=Severity.ERROR,
    follows_from=("visible-devices-hidden", "forward-compat-broken", "container-no-gpu"),
    messages=MESSAGES,
    remedy=lambda _machine, _world: (UPDATE_WSL, UPDATE_WINDOWS),
    fits=lambda machine, _: (
        True if is_wsl(machine) and not in_container(machine) and not cuda_starts(machine) else None
    ),
)
def wsl_driver_problem(machine: Snapshot, world: Knowledge) -> Finding | None:
    host = machine.host
    if host is None or not is_wsl(machine) or cuda_starts(machine) is not False:
        return None
    if host.wsl == 1:
        return _first_wsl(machine)
    if in_container(machine):
        return None
    return _linux_driver(machine) or _not_found(machine) or _windows_side(machine)


def _first_wsl(machine: Snapshot) -> Finding | None:
    # Whether Windows has a GPU cannot be seen from here, so this is said only to somebody who installed a CUDA build.
    if machine.torch is None or machine.torch.build != "cuda":
        return None
    return Finding(
        summary="This is WSL 1, which has no access to the GPU; a CUDA build of torch needs WSL 2.",
        severity=Severity.WARNING,
        evidence=(fact("host.wsl", 1), fact("torch.build", "cuda")),
        fixes=(
            Fix(
                title="Convert the distribution to WSL 2 (in PowerShell)",
                commands=("wsl --list --verbose", "wsl --update", "wsl --set-version DISTRIBUTION 2"),
                verify=VERIFY,
            ),
        ),
        confidence=0.8,
    )


def _linux_driver(machine: Snapshot) -> Finding | None:
    driver, cuda = machine.driver, machine.cuda_driver
    loaded = cuda.library if cuda else None
    first = next((lib for lib in (driver.libraries or ()) if lib.name == "libcuda.so.1"), None) if driver else None
    path = loaded or (first.path if first else None)
    packages = [p.name for p in (driver.packages or ())] if driver else []
    packages = [
        name
        for name in packages
        if name.startswith(("nvidia-driver", "libnvidia-compute", "nvidia-dkms", "cuda-drivers"))
    ]
    foreign = path is not None and not path.startswith(HOME) and compat_libcuda(machine) is None
    if not foreign and not packages:
        return None
    evidence: list[Evidence] = [fact("cuda_driver.library", path)] if foreign else []
    evidence += [fact("driver.packages", packages)] if packages else []
    what = f"libcuda is {path}, not Windows' own in {HOME}/lib" if foreign else f"{packages[0]} is installed"
    remove = {
        "ubuntu": "sudo apt-get remove -y --purge --autoremove 'nvidia-driver*' 'libnvidia-compute*' 'nvidia-dkms*'",
        "debian": "sudo apt-get remove -y --purge --autoremove 'nvidia-driver*' libcuda1 'cuda-drivers*'",
        "rhel": "sudo dnf remove -y 'nvidia-driver*' 'cuda-drivers*'",
        "fedora": "sudo dnf remove -y 'nvidia-driver*' 'cuda-drivers*'",
        "suse": "sudo zypper remove -y 'nvidia-*' 'cuda-drivers*'",
        "arch": "sudo pacman -R nvidia-utils",
    }.get(family(machine) or "", "sudo nvidia-uninstall")
    return Finding(
        summary=f"A Linux NVIDIA driver inside WSL is in the way of Windows' own: {what}.",
        evidence=tuple(evidence),
        fixes=(
            Fix(
                title="Remove the Linux driver from the distribution, then restart WSL",
                commands=(remove, "sudo ldconfig", "wsl.exe --shutdown   # ends every WSL program"),
                note="Of the CUDA toolkit install `cuda-toolkit` only, never `cuda` or `cuda-drivers`, which bring a driver.",
                needs_root=True,
                verify=VERIFY,
            ),
        ),
        confidence=1.0 if foreign else 0.8,
    )


def _not_found(machine: Snapshot) -> Finding | None:
    """NVML was found in WSL's folder, so that Windows has a driver; the loader finds no libcuda."""
    cuda, nvml = machine.cuda_driver, machine.nvml
    there = bool(machine.gpus) or (nvml is not None and (nvml.library or "").startswith(HOME))
    if cuda is None or not cuda.library_missing or not there:
        return None
    return Finding(
        summary=f"Windows' driver is there, and the loader does not look into {HOME}/lib, where its libcuda is.",
        evidence=(fact("cuda_driver.library_missing", True), fact("nvml.library", nvml.library if nvml else None)),
        fixes=(
            Fix(
                title="Tell the loader",
                commands=(f"echo {HOME}/lib | sudo tee /etc/ld.so.conf.d/ld.wsl.conf", "sudo ldconfig"),
                needs_root=True,
                verify=VERIFY,
            ),
            Fix(
                title="Tell it for this shell, without root",
                commands=(f"export LD_LIBRARY_PATH={HOME}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}",),
            ),
        ),
    )


def _windows_side(machine: Snapshot) -> Finding | None:
    cuda = machine.cuda_driver
    nodes = (machine.driver.device_nodes or ()) if machine.driver else ()
    dxg = next((node for node in nodes if node.path == "/dev/dxg"), None)
    no_dxg = dxg is not None and dxg.exists is False
    library = (cuda.library or "") if cuda else ""
    windows_driver = bool(machine.gpus) or library.startswith(HOME)
    hidden = machine.variable("CUDA_VISIBLE_DEVICES")
    if not windows_driver or (hidden is not None and not select_devices(hidden, machine.gpus or ())[0]):
        return None
    if dxg is not None and dxg.error in ("EACCES", "EPERM"):
        return None
    code = cuda.init_code if cuda else None
    if not machine.gpus and not no_dxg and code in (None, 100):
        return None  # libraries of a driver whose GPU is not there (an undocked or disabled one)
    version = machine.driver_version
    return Finding(
        summary="CUDA does not start under WSL, though Windows' NVIDIA driver is there"
        + (": /dev/dxg is missing." if no_dxg else f" ({version})." if version else "."),
        evidence=(
            *((fact("/dev/dxg", "missing"),) if no_dxg else ()),
            *((fact("cuda_driver.init_code", code),) if code is not None else ()),
            *((fact("driver.version", version),) if version else ()),
            *((fact("host.kernel", machine.host.kernel),) if machine.host and machine.host.kernel else ()),
        ),
        fixes=(
            UPDATE_WSL,
            UPDATE_WINDOWS,
        ),
        confidence=0.8,
    )
