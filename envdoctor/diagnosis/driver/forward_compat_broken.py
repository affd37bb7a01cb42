"""A forward-compatibility libcuda is in use where it may not be.

What it is
    The cuda-compat package holds a newer libcuda for use on an older driver. It works on data-centre GPUs only, and
    only while it is newer than the driver. On a GeForce card CUDA fails with error 804, and beside a driver that it
    does not fit with 803. CUDA images carry it in /usr/local/cuda/compat, so it often comes unasked.

Told apart by
    Error 804 says it by itself. For 803 the libcuda that the loader picked decides: one in a `compat` folder is this;
    one of the driver's own name and another version is `driver-library-mismatch`. Where NVML works, module and
    libraries agree, and only libcuda can be the odd one. A compat libcuda with which cuInit succeeds is in its right
    place.

Repair
    Take the compat folder out of LD_LIBRARY_PATH, or the package out of the system or the image; or a newer driver,
    which makes it superfluous; or a torch for the CUDA of the driver that is there.

Sources
    docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html; cuda.h:
    CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.repairs.python_environment import fitting_torch
from envdoctor.diagnosis.repairs.torch_install import install_torch
from envdoctor.diagnosis.reported_errors import COMPAT_NOT_SUPPORTED, DRIVER_MISMATCH, cuda_errors, cuda_starts
from envdoctor.diagnosis.snapshot_queries import compat_libcuda, in_container
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.distributions import family
from envdoctor.reading.messages.message_files import beside

WHICH = "ldconfig -p | grep libcuda.so.1; echo $LD_LIBRARY_PATH; cat /proc/driver/nvidia/version"


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Error 803 and its like are not of a compat package where the loader is known to pick another libcuda."""
    loaded = machine.cuda_driver.library if machine.cuda_driver else None
    return False if loaded is not None and compat_libcuda(machine) is None else None


MESSAGES = beside(__file__)


@diagnosis(
    "forward-compat-broken",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    follows_from=("driver-not-loaded", "driver-library-mismatch"),
    messages=MESSAGES,
    remedy=lambda machine, world: (
        *_without_compat(machine, None),
        *_torch(machine, world),
        install_driver(machine, world, update=True),
    ),
    fits=_fits,
)
def forward_compat_broken(machine: Snapshot, world: Knowledge) -> Finding | None:
    errors = cuda_errors(
        machine, {COMPAT_NOT_SUPPORTED: MESSAGES.group("not_supported"), DRIVER_MISMATCH: MESSAGES.group("mismatched")}
    )
    compat = compat_libcuda(machine)
    if cuda_starts(machine):
        return None
    driver = machine.driver_version
    has = f" (driver {driver})" if driver else ""
    if COMPAT_NOT_SUPPORTED in errors:
        said, confidence = errors[COMPAT_NOT_SUPPORTED], 1.0
        where = f" {compat}" if compat else ""
        summary = f"CUDA was started through a forward-compatibility libcuda{where}, which works on data-centre GPUs only{has}."
    elif DRIVER_MISMATCH in errors and compat:
        said, confidence = errors[DRIVER_MISMATCH], 1.0 if machine.nvml and machine.nvml.working else 0.8
        summary = (
            f"The libcuda in use, {compat}, is a forward-compatibility one that does not go with this driver{has}."
        )
    elif DRIVER_MISMATCH in errors and _only_libcuda_differs(machine):
        said, confidence = errors[DRIVER_MISMATCH], 0.5
        summary = (
            "CUDA error 803: libcuda does not go with the driver that runs, while NVML does. Either a cuda-compat libcuda is on "
            f"the loader's path{has}, or libcuda comes from another driver; `{WHICH}` shows which."
        )
    else:
        return None
    return Finding(
        summary=summary,
        evidence=(
            said,
            *((fact("cuda_driver.library", compat),) if compat else ()),
            *((fact("driver.version", driver),) if driver else ()),
        ),
        fixes=(*_without_compat(machine, compat), *_torch(machine, world), install_driver(machine, world, update=True)),
        confidence=confidence,
    )


def _only_libcuda_differs(machine: Snapshot) -> bool:
    """NVML works, and nothing is known of the libcuda that was loaded (a pasted error)."""
    libcuda = machine.cuda_driver.library if machine.cuda_driver else None
    known = machine.driver.library_versions("libcuda.so.1") if machine.driver else ()
    return bool(machine.nvml and machine.nvml.working) and libcuda is None and not known


def _without_compat(machine: Snapshot, compat: str | None) -> tuple[Fix, ...]:
    verify = "python3 -c \"import ctypes; print(ctypes.CDLL('libcuda.so.1').cuInit(0))\"   # 0 is success"
    folder = compat.rpartition("/")[0] if compat else "/usr/local/cuda/compat"
    path = machine.variable("LD_LIBRARY_PATH") or ""
    unset = Fix(
        title="Take the compat folder out of LD_LIBRARY_PATH",
        commands=(
            "export LD_LIBRARY_PATH=$(printf %s \"$LD_LIBRARY_PATH\" | tr ':' '\\n' | grep -v /compat | paste -sd:)",
        ),
        verify=verify,
    )
    if in_container(machine):
        remove = Fix(
            title="Take the compat libraries out of the image (a line for the Dockerfile)",
            commands=(f"RUN rm -rf {folder} && ldconfig",),
            verify=verify,
        )
    else:
        command = {
            "ubuntu": "sudo apt-get remove -y 'cuda-compat-*'",
            "debian": "sudo apt-get remove -y 'cuda-compat-*'",
            "rhel": "sudo dnf remove -y 'cuda-compat-*'",
            "fedora": "sudo dnf remove -y 'cuda-compat-*'",
            "suse": "sudo zypper remove -y 'cuda-compat-*'",
        }.get(family(machine) or "", f"sudo mv {folder} {folder}.unused")
        remove = Fix(title="Remove the package", commands=(command, "sudo ldconfig"), needs_root=True, verify=verify)
    return (unset, remove) if "compat" in path or compat is None else (remove, unset)


def _torch(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    build = fitting_torch(machine, world, device="cuda")
    torch = machine.torch
    if build is None or build.cuda is None or torch is None or torch.cuda is None or build.cuda == torch.cuda:
        return ()
    return (install_torch(machine, world, build, why="the newest that runs on this driver without cuda-compat"),)
