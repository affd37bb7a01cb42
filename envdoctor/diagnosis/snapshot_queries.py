"""Questions that several diagnoses ask of a Snapshot, answered from the best of its sections. None means unknown."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.facts.model import Snapshot
from envdoctor.planning.machine_gpus import own_devices
from envdoctor.planning.target import wheel_platform


def bus_gpus(snapshot: Snapshot) -> int | None:
    """How many NVIDIA GPUs the PCI bus shows that are this system's own; None where the bus was not read."""
    devices = own_devices(snapshot)
    return None if devices is None else len(devices)


def in_container(snapshot: Snapshot) -> bool:
    """Whether this is known to be a container, where the driver is the host's business."""
    return bool(snapshot.container and snapshot.container.inside)


def is_wsl(snapshot: Snapshot) -> bool:
    return bool(snapshot.host and snapshot.host.wsl)


def is_tegra(snapshot: Snapshot) -> bool:
    """Whether the kernel is that of a Jetson, whose GPU is on no PCI bus ('5.15.148-tegra')."""
    return bool(snapshot.host and "tegra" in (snapshot.host.kernel or ""))


def driver_platform(snapshot: Snapshot) -> str | None:
    """The platform whose driver numbers count: under WSL it is Windows' driver."""
    if is_wsl(snapshot):
        return "windows_amd64"
    return wheel_platform(snapshot)


def compat_libcuda(snapshot: Snapshot) -> str | None:
    """The forward-compatibility libcuda (cuda-compat) that the loader picks before the driver's own; None where it does not."""
    loaded = snapshot.cuda_driver.library if snapshot.cuda_driver else None
    if loaded is not None:
        return loaded if "/compat/" in loaded else None
    files = (snapshot.libraries.files or ()) if snapshot.libraries else ()
    first = next((file for file in files if file.name == "libcuda" and not file.stub), None)
    return first.path if first is not None and first.compat else None


def plain_list(items: Sequence[object], limit: int = 4) -> str:
    """'a, b and c', each once, with how often it occurs; at most `limit` kinds."""
    counts: dict[str, int] = {}
    for item in items:
        counts[str(item)] = counts.get(str(item), 0) + 1
    words = [text if n == 1 else f"{n}x {text}" for text, n in counts.items()]
    if len(words) > limit:
        words = [*words[:limit], f"{len(words) - limit} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else "none"
