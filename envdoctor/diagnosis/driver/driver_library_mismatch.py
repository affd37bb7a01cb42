"""The loaded kernel module and the driver's libraries are of different versions.

What it is
    NVML and libcuda only talk to a kernel module of exactly their own version. After a driver update the new libraries are
    on disk while the old module still runs: 'Driver/library version mismatch', and CUDA error 803.

Told apart by
    The version of the loaded module (/sys/module/nvidia/version) against that in the name of the library the loader picks.
    The module on disk tells the two cases apart: when it is of the libraries' version, an update waits for a reboot; when it
    is of the loaded version, the libraries come from a second install (a .run file over packages, a copy in an image).
    libcuda alone can be the odd one (error 803 while NVML works). A newer libcuda from cuda-compat is allowed to differ: see
    `forward-compat-broken`.

Repair
    Reboot, or reload the module when nothing uses the GPU; after two installs, remove one.

Sources
    nvml.h: NVML_ERROR_LIB_RM_VERSION_MISMATCH (18); cuda.h: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import REBOOT, on_the_host
from envdoctor.diagnosis.reported_errors import DRIVER_MISMATCH, cuda_errors, cuda_starts
from envdoctor.diagnosis.snapshot_queries import compat_libcuda, in_container, is_wsl
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

RELOAD = Fix(
    title="Reload the module, when nothing uses the GPU (no desktop, no job)",
    commands=(
        "sudo systemctl stop nvidia-persistenced nvidia-fabricmanager 2>/dev/null",
        "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia",
        "sudo modprobe nvidia",
    ),
    needs_root=True,
    verify="nvidia-smi -L",
)

OF_IMAGE = Fix(
    title="Remove the driver's packages from the image, and start the container anew: the host's libraries are mounted into it",
    commands=(
        "dpkg -l 2>/dev/null | grep -E 'libnvidia-(compute|ml)|nvidia-utils|cuda-drivers'   # in the container",
        "rpm -qa 2>/dev/null | grep -E 'nvidia-driver|cuda-drivers'   # in the container",
    ),
    note="What they show was installed into the image, by a Dockerfile's `apt-get install` of cuda or nvidia-driver: take it out "
    "there. Where they show nothing, the host's driver was updated while the container ran. The host itself needs no change.",
    verify="nvidia-smi -L",
)


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Words that may mean this cause mean another where the module and every library are known to be of one version."""
    driver = machine.driver
    if driver is None or driver.module is None or machine.nvml is None or not machine.nvml.working:
        return None
    found = {*driver.library_versions("libcuda.so.1"), *driver.library_versions("libnvidia-ml.so.1")} - {None}
    return False if driver.module.version is not None and found == {driver.module.version} else None


MESSAGES = beside(__file__)


@diagnosis(
    "driver-library-mismatch",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, _: (OF_IMAGE,) if in_container(machine) else on_the_host(machine, REBOOT, RELOAD),
    fits=_fits,
)
def driver_library_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    nvml, driver = machine.nvml, machine.driver
    if is_wsl(machine):
        return None
    loaded = driver.module.version if driver and driver.module else None
    if nvml is not None and nvml.working:
        return _odd_libcuda(machine, loaded)
    library = next(iter(driver.library_versions("libnvidia-ml.so.1")), None) if driver else None
    said = nvml is not None and nvml.status == "LIB_RM_VERSION_MISMATCH"
    if not said and (nvml is None or nvml.status is None) and library is None:
        return _bare_803(machine)
    differs = loaded is not None and library is not None and loaded != library
    if not said and not differs:
        return None
    evidence = [
        *((fact("nvml.status", "LIB_RM_VERSION_MISMATCH"),) if said else ()),
        *((fact("driver.module.version", loaded),) if loaded else ()),
        *((fact("driver.libraries", library),) if library else ()),
    ]
    versions = (
        f"the kernel runs module {loaded}, the libraries are {library}" if differs else "NVML refuses the loaded module"
    )
    if in_container(machine):
        return Finding(
            summary=f"Driver and libraries do not match in this container: {versions}.",
            evidence=tuple(evidence),
            fixes=(OF_IMAGE,),
        )
    kernel = machine.host.kernel if machine.host else None
    on_disk = [f.version for f in (driver.module_files or () if driver else ()) if f.kernel == kernel and f.version]
    if differs and on_disk and library not in on_disk:
        evidence.append(fact("driver.module_files", on_disk))
        return Finding(
            summary=f"Two driver installs are mixed: {versions}, and the module on disk is {on_disk[0]}. A reboot will not help.",
            evidence=tuple(evidence),
            fixes=(
                Fix(
                    title=f"Keep one install: remove the {library} libraries, or install the driver {library} as a whole",
                    commands=(
                        "ls -l /usr/lib/*/libnvidia-ml.so* /usr/lib64/libnvidia-ml.so* /usr/lib/libnvidia-ml.so* 2>/dev/null",
                        "sudo nvidia-uninstall   # only if a .run installer put them there",
                    ),
                    needs_root=True,
                    needs_reboot=True,
                    verify="nvidia-smi -L",
                ),
            ),
        )
    return Finding(
        summary=f"The driver was updated and the old kernel module still runs: {versions}.",
        evidence=tuple(evidence),
        fixes=(REBOOT, RELOAD),
        confidence=1.0 if on_disk else 0.8,
    )


def _odd_libcuda(machine: Snapshot, loaded: str | None) -> Finding | None:
    """NVML agrees with the module, and the libcuda that the loader picks is another driver's."""
    errors = cuda_errors(machine, {DRIVER_MISMATCH: MESSAGES.group("named")})
    found = next(iter(machine.driver.library_versions("libcuda.so.1") if machine.driver else ()), None)
    if DRIVER_MISMATCH not in errors or compat_libcuda(machine) or found is None or loaded in (None, found):
        return None
    path = machine.cuda_driver.library if machine.cuda_driver else None
    return Finding(
        summary=f"Two driver installs are mixed: the kernel runs module {loaded}, and libcuda is {found}.",
        evidence=(errors[DRIVER_MISMATCH], fact("driver.module.version", loaded), fact("driver.libraries", found)),
        fixes=(
            Fix(
                title=f"Remove the libcuda {found} that does not belong to the driver",
                commands=(
                    f"ls -l {path or '/usr/lib/*/libcuda.so* /usr/lib64/libcuda.so*'}",
                    "sudo nvidia-uninstall   # only if a .run installer put it there",
                    "sudo ldconfig",
                ),
                note="In an image, remove the driver packages (libnvidia-compute, cuda-drivers): the host's are mounted in."
                if in_container(machine)
                else None,
                needs_root=True,
                verify="nvidia-smi -L",
            ),
        ),
    )


def _bare_803(machine: Snapshot) -> Finding | None:
    """CUDA's error alone, with nothing known of NVML and the libraries: two causes are possible."""
    errors = cuda_errors(machine, {DRIVER_MISMATCH: MESSAGES.group("named")})
    if DRIVER_MISMATCH not in errors or compat_libcuda(machine) or cuda_starts(machine):
        return None
    return Finding(
        summary="CUDA error 803: libcuda and the loaded kernel module do not go together. Either the driver was updated and not "
        "rebooted since (then `nvidia-smi` says 'Driver/library version mismatch'), or a cuda-compat libcuda is in "
        "the way (then `nvidia-smi` works).",
        evidence=(errors[DRIVER_MISMATCH],),
        fixes=(
            Fix(title="Find out which of the two it is", commands=("nvidia-smi",)),
            # A container's driver is the host's, which nobody restarts for one container.
            *(() if in_container(machine) else (REBOOT,)),
            Fix(
                title="Take cuda-compat out of the way",
                commands=("echo $LD_LIBRARY_PATH; ldconfig -p | grep libcuda",),
            ),
        ),
        confidence=0.5,
    )
