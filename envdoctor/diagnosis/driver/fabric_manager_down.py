"""NVSwitch is not set up: NVIDIA Fabric Manager does not run, or is of another version than the driver.

What it is
    On machines whose GPUs are joined by NVSwitch (HGX, DGX), the Fabric Manager service sets the switches up and
    registers each GPU with the fabric. Until it has, cuInit fails with error 802, 'system not yet initialized', though
    nvidia-smi works. It must be of exactly the driver's version.

Told apart by
    Error 802; or a GPU whose fabric registration NVML calls not started or in progress, or an NVSwitch on the bus
    without a running service, while CUDA does not start. Machines without NVSwitch, and single GPUs of an HGX board in
    a virtual machine whose registration is completed or not supported, do not need it; where CUDA starts, nothing is
    wrong.

Repair
    Install the Fabric Manager of the driver's version, enable and start it. In a virtual machine or container it is the
    host's.

Sources
    NVIDIA Fabric Manager user guide; cuda.h: CUDA_ERROR_SYSTEM_NOT_READY (802); nvml.h: nvmlGpuFabricState_t
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.reported_errors import SYSTEM_NOT_READY, cuda_errors, cuda_starts, driver_on_disk
from envdoctor.diagnosis.snapshot_queries import in_container
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import FabricManager
from envdoctor.knowledge import Knowledge
from envdoctor.planning.distributions import family
from envdoctor.planning.machine_gpus import machine_gpus
from envdoctor.reading.messages.message_files import beside

VERIFY = "systemctl is-active nvidia-fabricmanager && nvidia-smi -q | grep -A 2 'Fabric'"
UNREGISTERED = ("not_started", "in_progress")


SAME_REPOSITORY = "It is where the driver is from; where that has lost this version, update both to one that it has."


MESSAGES = beside(__file__)


@diagnosis(
    "fabric-manager-down",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    follows_from=("driver-not-loaded", "driver-library-mismatch", "gpu-lost"),
    messages=MESSAGES,
    remedy=lambda machine, world: _fixes(machine, FabricManager(), _driver(machine), world),
)
def fabric_manager_down(machine: Snapshot, world: Knowledge) -> Finding | None:
    starts = cuda_starts(machine)
    if starts:
        return None
    manager = (machine.driver.fabric_manager if machine.driver else None) or FabricManager()
    errors = cuda_errors(machine, {SYSTEM_NOT_READY: MESSAGES.group("named")})
    waiting = [gpu for gpu in machine.gpus or () if gpu.fabric_state in UNREGISTERED]
    down = manager.running is False and manager.needed is True and not in_container(machine)
    if SYSTEM_NOT_READY not in errors and not (waiting and (down or starts is False)) and not down:
        return None
    version = driver_on_disk(machine)
    differs = manager.version is not None and version is not None and manager.version != version
    evidence: list[Evidence] = [errors[SYSTEM_NOT_READY]] if SYSTEM_NOT_READY in errors else []
    evidence += [fact(f"gpu {gpu.index}.fabric_state", gpu.fabric_state) for gpu in waiting[:2]]
    if manager.running is not None and (manager.needed or manager.installed):
        evidence.append(fact("driver.fabric_manager.running", manager.running))
    if differs:
        evidence += [fact("driver.fabric_manager.version", manager.version), fact("driver.version", version)]
    if differs:
        reason = f"Fabric Manager is {manager.version} and the driver {version}: they must be equal."
    elif manager.installed is False and not in_container(machine):
        reason = "NVIDIA Fabric Manager is not installed."
    elif down:
        reason = "NVIDIA Fabric Manager does not run."
    else:
        reason = (
            "on machines with NVSwitch this is a Fabric Manager that does not run, or is not of the driver's version."
        )
    sure = SYSTEM_NOT_READY in errors and (down or differs or bool(waiting))
    return Finding(
        summary=f"CUDA cannot start because the NVSwitch fabric is not set up: {reason}"
        if sure or down or waiting
        else f"CUDA says that the system is not ready (error 802): {reason}",
        evidence=tuple(evidence),
        fixes=_fixes(machine, manager, version, world),
        confidence=1.0 if sure else 0.8,
    )


def _driver(machine: Snapshot) -> str | None:
    """The driver's version, by Fabric Manager's own words where nothing else says it."""
    said = (re.search(r"match with driver version (\d{3}\.[\d.]*\d)", line) for line in machine.messages)
    return next((found[1] for found in said if found), None) or machine.driver_version


def _fixes(machine: Snapshot, manager: FabricManager, version: str | None, world: Knowledge) -> tuple[Fix, ...]:
    host = machine.host
    virtual = host is not None and host.virtualization not in (None, "none") and not manager.needed
    if in_container(machine) or virtual:
        where = (
            "the host"
            if in_container(machine)
            else "the machine that holds the NVSwitches (the provider's, for a cloud)"
        )
        return (
            Fix(
                title=f"Start Fabric Manager on {where}",
                commands=("sudo systemctl enable --now nvidia-fabricmanager",),
                needs_root=True,
                verify=VERIFY,
            ),
        )
    start = ("sudo systemctl enable nvidia-fabricmanager", "sudo systemctl restart nvidia-fabricmanager")
    install = _install(machine, version, world)
    look = Fix(title="When it does not start: read its log", commands=("journalctl -u nvidia-fabricmanager -n 50",))
    if manager.installed and (manager.version is None or manager.version == version):
        return (Fix(title="Start Fabric Manager", commands=start, needs_root=True, verify=VERIFY), look)
    return (
        Fix(
            title=f"Install Fabric Manager{f' {version}' if version else ''}, exactly the driver's version, and start it",
            commands=(*(install or _by_hand(version)), *start),
            needs_root=True,
            note=SAME_REPOSITORY
            if install or version is None
            else f"Version {version}, "
            f"of the package nvidia-fabricmanager-{version.partition('.')[0]}. {SAME_REPOSITORY}",
            verify=VERIFY,
        ),
        look,
    )


def _by_hand(version: str | None) -> tuple[str, ...]:
    return (
        (f"# first install nvidia-fabricmanager-{version.partition('.')[0]} in version {version}",) if version else ()
    )


def _install(machine: Snapshot, version: str | None, world: Knowledge) -> tuple[str, ...]:
    """Packages carry the branch in their name up to 580 or so, later ones the version alone; B200 and later have a set of
    their own (knowledge: fabricmanager)."""
    if version is None:
        return ()
    branch = version.partition(".")[0]
    blackwell = any((gpu.capability or "").startswith("10.") for gpu in machine_gpus(machine, world) or ())
    package = f"nvlink5-{branch}" if blackwell else f"nvidia-fabricmanager-{branch}"
    kind = family(machine)
    if kind in ("ubuntu", "debian"):
        # Above 580 the plain name is the only one in NVIDIA's repository; apt takes whichever exists.
        plain = f" || sudo apt-get install -y 'nvidia-fabricmanager={version}*'" if int(branch) > 580 else ""
        return ("sudo apt-get update", f"sudo apt-get install -y '{package}={version}*'{plain}")
    if kind in ("rhel", "fedora"):
        return (f"sudo dnf install -y 'nvidia-fabric*manager-{version}' || sudo dnf install -y '{package}-{version}'",)
    if kind == "suse":
        return (f"sudo zypper install -y {package} || sudo zypper install -y 'nvidia-fabricmanager={version}'",)
    return ()
