"""This container was given no GPU, or only part of the driver.

What it is
    A container uses the host's kernel driver; the NVIDIA Container Toolkit passes in the device nodes and the driver's
    libraries, when it is asked to (`docker run --gpus all`, a pod that requests nvidia.com/gpu, `apptainer --nv`).
    Without it torch says 'Found no NVIDIA driver on your system'. With NVIDIA_DRIVER_CAPABILITIES that lack `compute`,
    nvidia-smi works and CUDA does not.

Told apart by
    Inside a container on a machine whose PCI bus shows an NVIDIA GPU (or whose kernel runs the NVIDIA module), the
    device nodes or libcuda are missing and CUDA does not start. A container without GPUs on a machine without GPUs is
    healthy, and so is one with a CPU build of torch. Nodes that are there and do not open are `container-gpu-detached`
    or `device-permission`.

Repair
    Start the container with its GPUs; install and configure the toolkit on the host where that fails ('could not select
    device driver'); never install a driver inside.

Sources
    docs.nvidia.com/datacenter/cloud-native/container-toolkit; docs.docker.com, 'Run containers with GPU access'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.container import all_capabilities, gpu_fixes, install_toolkit, run_with_gpus
from envdoctor.diagnosis.repairs.driver import install_driver
from envdoctor.diagnosis.reported_errors import cuda_starts
from envdoctor.diagnosis.snapshot_queries import bus_gpus, in_container
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.shared import no_device_type

# Docker's own words (moby/daemon/devices.go) where no toolkit serves the request.
NO_TOOLKIT = "could not select device driver"


MESSAGES = (
    Message(
        'could not select device driver "{driver}" with capabilities: [[{capabilities}]]', "moby, daemon/devices.go"
    ),
    Message("could not select device driver {driver} with capabilities", "moby, daemon/devices.go"),
    Message("unknown or invalid runtime name: nvidia", "moby, daemon/runtime_unix.go"),
    Message("Unknown runtime specified nvidia", "moby before 23"),
    Message('exec: "nvidia-container-runtime-hook": executable file not found in $PATH', "runc hooks"),
    Message("nvidia-container-runtime: executable file not found", "moby"),
    Message("nvidia-container-runtime-hook: no such file or directory", "runc"),
    Message('exec: "nvidia-container-cli": executable file not found', "nvidia-container-toolkit"),
    Message(
        'exec: "nvidia-smi": executable file not found in $PATH', "runc: the driver's programs were not passed in", 0.95
    ),
    Message(
        'OCI runtime create failed: unable to retrieve OCI runtime error {x}: exec: "nvidia-container-runtime"',
        "containerd",
    ),
    Message("failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu", "cdi, containerd, podman"),
    Message("unresolvable CDI devices", "container-device-interface"),
    Message("stat nvidia.com/gpu=all: no such file or directory", "podman without CDI"),
    Message("Error: setting up CDI devices", "podman", 0.9),
    Message("CDI device injection failed", "moby, docker 25 and later", 0.95),
    Message("cdi: no such device nvidia.com/gpu", "buildkit", 0.9),
    Message(
        "failed to fulfil mount request: open {library}libnvidia-{name}: no such file or directory",
        "runc: a CDI specification older than the driver",
        0.95,
    ),
    Message("failed to fulfil mount request: open {library}libcuda{name}: no such file or directory", "runc", 0.95),
    Message(
        "nvidia-container-cli: container error: cgroup subsystem devices not found",
        "libnvidia-container before 1.8 on cgroup v2",
        0.95,
    ),
    Message(
        "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing "
        "device filters attached to the cgroup",
        "libnvidia-container, cgroup v2",
        0.95,
    ),
    Message("nvidia-container-cli: mount error: {why}", "libnvidia-container", 0.8),
    Message("nvidia-container-cli: ldcache error: {why}", "libnvidia-container", 0.85),
    Message("nvidia-container-cli: detection error: {why}", "libnvidia-container", 0.7),
    Message(
        "nvidia-container-cli: device error: {device}: unknown device",
        "libnvidia-container, NVIDIA_VISIBLE_DEVICES",
        0.7,
    ),
    Message("nvidia-container-cli: permission error: capability change failed", "libnvidia-container, rootless", 0.8),
    Message(
        "WARNING: The NVIDIA Driver was not detected. GPU functionality will not be available",
        "NVIDIA NGC images, entrypoint.d",
        0.95,
    ),
    Message(
        "Use the NVIDIA Container Toolkit to start this container with GPU support", "NVIDIA NGC images, entrypoint.d"
    ),
    Message("Insufficient nvidia.com/gpu", "Kubernetes scheduler", 0.9),
    Message("0/{nodes} nodes are available: {n} Insufficient nvidia.com/gpu", "Kubernetes scheduler", 0.95),
    Message('RuntimeHandler "nvidia" not supported', "containerd, CRI", 0.95),
    Message('no runtime for "nvidia" is configured', "containerd, CRI", 0.95),
    Message("Incompatible platform detected", "nvidia-device-plugin", 0.9),
    Message("Failed to initialize NVML: could not load NVML library", "nvidia-device-plugin", 0.9),
    Message("If this is a GPU node, did you configure the NVIDIA Container Toolkit?", "nvidia-device-plugin"),
    Message("Auto-detected mode as 'legacy' nvidia-container-cli: {why}", "nvidia-container-runtime", 0.6),
    Message(
        "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported",
        "nvidia-container-toolkit",
        0.9,
    ),
    Message("Could not find any nv files on this host", "singularity, apptainer --nv", 0.95),
    Message("/usr/bin/nvidia-container-cli: not found", "singularity --nvccli", 0.8),
    *no_device_type(0.45),
    Message("No CUDA GPUs are available", "torch", 0.4),
    Message("Found no NVIDIA driver on your system", "torch", 0.45),
    Message("libcuda.so.1: cannot open shared object file", "glibc", 0.55),
    Message("Failed to initialize NVML: GPU access blocked by the operating system", "WSL, containers", 0.4),
    Message("no CUDA-capable device is detected", "cuda", 0.4),
    Message(
        "allocate failed due to rpc error: code = Unknown desc = no containers to allocate",
        "Kubernetes device plugin",
        0.6,
    ),
    Message("Failed to start nvml with error: could not load NVML library", "k8s-device-plugin", 0.85),
    Message("unable to get device link information: error calling nvml.Init", "k8s-device-plugin", 0.5),
    Message("error stat'ing file '/dev/nvidia{node}': No such file or directory", "crun, podman", 0.85),
    Message("/dev/nvidia{node}: no such file or directory: unknown", "runc, docker --device", 0.8),
    Message("failed to construct CDI modifier for mode", "nvidia-container-toolkit, internal/modifier", 0.7),
    Message("failed to create NVIDIA Container Runtime", "nvidia-container-toolkit, cmd/nvidia-container-runtime", 0.8),
    Message(
        "NvRmMemInitNvmap failed with No such file or directory",
        "Tegra: a container without the nvidia runtime; jetson-containers#384",
        0.85,
    ),
    Message("cannot access '/dev/nvidia*'", "ls: no device nodes", 0.55),
    Message("libcuda.so.1 => not found", "ldd: the driver's libraries were not passed in", 0.5),
    Message("ls: cannot access '/dev/nvidia0'", "ls: no device nodes", 0.55),
    Message(
        "If this is a GPU node, did you set the docker default runtime to `nvidia`?",
        "k8s-device-plugin, factory.go",
        0.95,
    ),
    Message("failed to discover GPU vendor from CDI", "moby, daemon: Docker 29 and later"),
    Message("no known GPU vendor found", "moby, daemon: Docker 29 and later", 0.9),
    Message(
        "cannot stat `{path}nvidia{library}`: No such file or directory", "crun: a CDI file of another driver", 0.8
    ),
    Message('error mounting "{path}nvidia{library}" to rootfs', "runc: a CDI file, or a mount, of another driver", 0.8),
    Message(
        'error gathering device information while adding custom device "/dev/nvidia{node}": no such file or directory',
        "moby, docker --device",
        0.85,
    ),
)


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Words of a missing GPU or driver, in a container that shows neither."""
    return True if in_container(machine) and not machine.gpus and cuda_starts(machine) is not True else None


@diagnosis(
    "container-no-gpu",
    layer=Layer.CONTAINER,
    severity=Severity.ERROR,
    follows_from=("visible-devices-hidden",),
    messages=MESSAGES,
    remedy=lambda machine, _: gpu_fixes(machine),
    fits=_fits,
)
def container_no_gpu(machine: Snapshot, world: Knowledge) -> Finding | None:
    refused = next(
        (line for line in machine.messages if NO_TOOLKIT in line and "[[gpu]]" in line.replace(" ", "")), None
    )
    if refused is not None:
        return Finding(
            summary="Docker has nothing that passes GPUs in: the NVIDIA Container Toolkit is missing or not configured.",
            evidence=(fact("messages", refused),),
            fixes=(install_toolkit(machine),),
        )
    if not in_container(machine) or cuda_starts(machine) is not False or machine.gpus:
        return _part_of_the_driver(machine)
    module = machine.driver.module if machine.driver else None
    if _cuda_image_alone(machine):
        return _without_the_host(machine)
    if not bus_gpus(machine) and not (module is not None and module.loaded and machine.pci is None):
        return None
    if machine.torch is not None and machine.torch.build == "cpu":
        return None  # somebody wants none here
    missing = _missing(machine)
    if not missing:
        return None
    if module is not None and module.loaded is False:
        return Finding(
            summary="This container sees no GPU because the host's NVIDIA driver is not running.",
            evidence=(fact("driver.module.loaded", False), *missing),
            fixes=(install_driver(machine, world), run_with_gpus(machine)),
        )
    count = bus_gpus(machine)
    has = f"{count} NVIDIA GPU{'s' if count and count > 1 else ''}" if count else "a running NVIDIA driver"
    return Finding(
        summary=f"The machine has {has}, and this container was started without "
        + ("them." if count and count > 1 else "it."),
        evidence=(fact("container.kind", machine.container.kind if machine.container else None), *missing),
        fixes=(run_with_gpus(machine), install_toolkit(machine)),
    )


def _cuda_image_alone(machine: Snapshot) -> bool:
    """A CUDA image, with its toolkit and a GPU build of torch, in which nothing of a driver is to be seen, and whose host is not
    to be seen either (a dump)."""
    torch, toolkit, nvml = machine.torch, machine.toolkit, machine.nvml
    return (
        machine.pci is None
        and machine.driver is None
        and nvml is not None
        and nvml.message is not None
        and nvml.status is None
        and toolkit is not None
        and bool(toolkit.nvcc)
        and torch is not None
        and torch.build == "cuda"
    )


def _without_the_host(machine: Snapshot) -> Finding:
    torch = machine.torch
    return Finding(
        summary=f"This container has CUDA and a GPU build of torch ({torch.version if torch else None}), and no driver: it was "
        "started without GPUs.",
        evidence=(
            fact("container.kind", machine.container.kind if machine.container else None),
            fact("nvml.message", machine.nvml.message if machine.nvml else None),
        ),
        fixes=(run_with_gpus(machine), install_toolkit(machine)),
        confidence=0.8,
    )


def _missing(machine: Snapshot) -> list[Evidence]:
    """What of the driver is known not to have been passed in."""
    driver, cuda = machine.driver, machine.cuda_driver
    nodes = (driver.device_nodes or ()) if driver else ()
    found = [fact(n.path, "missing") for n in nodes if n.exists is False and n.path == "/dev/nvidiactl"]
    if cuda is not None and cuda.library_missing:
        found.append(fact("cuda_driver.library_missing", True))
    return found


def _part_of_the_driver(machine: Snapshot) -> Finding | None:
    """NVML lists GPUs in a container that has no libcuda."""
    missing = machine.cuda_driver is not None and machine.cuda_driver.library_missing
    if not in_container(machine) or not machine.gpus or not missing or cuda_starts(machine):
        return None
    capabilities = machine.variable("NVIDIA_DRIVER_CAPABILITIES")
    return Finding(
        summary="This container has its GPUs but not libcuda: the compute part of the driver was not passed in"
        + (f" (NVIDIA_DRIVER_CAPABILITIES is {capabilities!r})." if capabilities is not None else "."),
        evidence=(
            fact("nvml.gpus", len(machine.gpus)),
            fact("cuda_driver.library_missing", True),
            *((fact("environment.NVIDIA_DRIVER_CAPABILITIES", capabilities),) if capabilities is not None else ()),
        ),
        fixes=(
            all_capabilities(),
            Fix(
                title="Say it in the image",
                commands=("ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility   # a line for the Dockerfile",),
            ),
        ),
    )
