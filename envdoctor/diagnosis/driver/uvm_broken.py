"""The nvidia-uvm module is missing or wedged.

What it is
    CUDA manages memory through a second kernel module, nvidia-uvm, and its node /dev/nvidia-uvm. nvidia-smi does not
    need it, so nvidia-smi works while cuInit fails, mostly with error 999, 'unknown error'. The node is made on demand
    by nvidia-modprobe and can be missing on servers without a desktop; after suspend the module can be left in a state
    that refuses all work.

Told apart by
    /dev/nvidia-uvm does not exist or does not open, or the module is not loaded, while CUDA does not start; where CUDA
    starts, a missing node means nothing. Error 999 alone, with the module and its node in place, is likely this after a
    suspend, but a GPU in trouble says the same: the kernel log decides.

Repair
    Load the module and make its node; after suspend, reload it once no program uses the GPU, else reboot. To prevent
    it, let the driver save the GPU's memory over suspend.

Sources
    nvidia-modprobe(1); NVIDIA driver README, 'Configuring Power Management Support'; cuda.h: CUDA_ERROR_UNKNOWN (999)
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.driver import REBOOT, on_the_host
from envdoctor.diagnosis.reported_errors import NOT_INITIALIZED, UNKNOWN, cuda_errors, cuda_starts
from envdoctor.diagnosis.snapshot_queries import in_container, is_wsl
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

VERIFY = "ls -l /dev/nvidia-uvm && python3 -c \"import ctypes; print(ctypes.CDLL('libcuda.so.1').cuInit(0))\"   # 0 is success"
UNDECIDED = (
    "CUDA fails with error 999, 'unknown error': mostly nvidia-uvm was left in a bad state by suspend, or was never loaded; "
    "a GPU in trouble says the same. `sudo dmesg | grep -iE 'nvrm|xid|uvm'` decides."
)
# What open(2) answers for a node whose module is gone or stuck. EACCES and EPERM are somebody's will: device-permission.
BROKEN = ("ENXIO", "ENODEV", "EIO", "ETIMEDOUT")


MESSAGES = beside(__file__)


@diagnosis(
    "uvm-broken",
    layer=Layer.DRIVER,
    severity=Severity.ERROR,
    follows_from=(
        "gpu-lost",
        "driver-not-loaded",
        "driver-library-mismatch",
        "driver-flavour-mismatch",
        "driver-too-old-for-gpu",
        "gpu-legacy-driver-dropped",
        "forward-compat-broken",
        "container-no-gpu",
        "container-gpu-detached",
        "device-permission",
        "mig-misconfigured",
        # cuInit with every GPU hidden loads nothing.
        "visible-devices-hidden",
    ),
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine),
)
def uvm_broken(machine: Snapshot, world: Knowledge) -> Finding | None:
    if is_wsl(machine) or cuda_starts(machine) is not False or (machine.host and machine.host.system == "Windows"):
        return None
    module = machine.driver.module if machine.driver else None
    if module is not None and module.loaded is False:
        return None
    nodes = {node.path: node for node in (machine.driver.device_nodes or () if machine.driver else ())}
    uvm, control = nodes.get("/dev/nvidia-uvm"), nodes.get("/dev/nvidiactl")
    errors = cuda_errors(machine, {UNKNOWN: MESSAGES.group("named")})
    missing = [path for path in ("/dev/nvidiactl", "/dev/nvidia-uvm") if (n := nodes.get(path)) and n.exists is False]
    if in_container(machine) and control is not None and control.exists is False:
        return None  # no GPU was given to this container
    evidence: list[Evidence] = [errors[code] for code in (UNKNOWN, NOT_INITIALIZED) if code in errors]
    # 'Loaded' is known for the kernel, so that a container sees it too.
    if missing and module is not None and module.loaded:
        summary, confidence = f"CUDA does not start, and {' and '.join(missing)} is missing.", 1.0
        evidence += [fact(path, "missing") for path in missing]
    elif uvm is not None and uvm.error in BROKEN:
        summary, confidence = f"CUDA does not start: /dev/nvidia-uvm does not open ({uvm.error}).", 1.0
        evidence.append(fact("/dev/nvidia-uvm", uvm.error))
    elif module is not None and module.loaded and module.uvm_loaded is False:
        summary, confidence = "CUDA does not start, and the module nvidia-uvm is not loaded.", 1.0
        evidence.append(fact("driver.module.uvm_loaded", False))
    elif UNKNOWN in errors and machine.gpus != ():
        summary, confidence = UNDECIDED, 0.5
    else:
        return None
    return Finding(summary=summary, evidence=tuple(evidence), fixes=_fixes(machine), confidence=confidence)


def _fixes(machine: Snapshot) -> tuple[Fix, ...]:
    if in_container(machine):
        return (
            Fix(
                title="Make the node on the host, then start the container anew",
                commands=("sudo nvidia-modprobe -u -c=0   # on the host", "docker restart CONTAINER   # on the host"),
                note="Devices named one by one need --device /dev/nvidia-uvm --device /dev/nvidia-uvm-tools as well.",
                needs_root=True,
                verify=VERIFY,
            ),
        )
    return on_the_host(
        machine,
        Fix(
            title="Load the module and make its device nodes",
            commands=("sudo modprobe nvidia-uvm", "sudo nvidia-modprobe -u -c=0"),
            needs_root=True,
            verify=VERIFY,
        ),
        Fix(
            title="Reload it, when no program uses the GPU (after suspend)",
            commands=("sudo rmmod nvidia_uvm", "sudo modprobe nvidia-uvm"),
            needs_root=True,
            verify=VERIFY,
        ),
        Fix(
            title="When suspend brings it back: let the driver save the GPU's memory",
            commands=(
                "echo 'options nvidia NVreg_PreserveVideoMemoryAllocations=1' | sudo tee /etc/modprobe.d/nvidia-suspend.conf",
                "sudo systemctl enable nvidia-suspend nvidia-hibernate nvidia-resume",
                "sudo reboot",
            ),
            needs_root=True,
            needs_reboot=True,
        ),
        REBOOT,
    )
