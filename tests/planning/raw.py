"""The rules once more, straight from the data files and written apart from the planner: what holds of any Stack.

Nothing here imports envdoctor.planning's reasoning or the knowledge base's queries.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import Version

import envdoctor.knowledge

DATA = Path(envdoctor.knowledge.__file__).parent / "data"


@cache
def table(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def release(torch: str) -> dict[str, Any]:
    (row,) = [row for row in table("torch_pypi")["releases"] if row["version"] == torch]
    return dict(row)


def python_tags(torch: str, platform: str) -> list[str]:
    """The Pythons that a release has wheels for on a platform, on PyPI or, where that has none, on the CPU index."""
    on_pypi = release(torch)["python"].get(platform)
    return list(on_pypi or channels(torch).get("cpu_python", {}).get(platform, ()))


def channels(torch: str) -> dict[str, Any]:
    return dict(next((row for row in table("torch_channels")["releases"] if row["version"] == torch), {}))


def published(torch: str, channel: str, platform: str) -> str | None:
    """Why this wheel is believed to exist: the file on PyPI, or the channel's sources. None where nothing says so."""
    wheel = release(torch)["wheels"].get(platform)
    if platform.startswith("macos"):
        return "PyPI" if channel == "cpu" and platform in release(torch)["python"] else None
    if wheel is not None and channel == _local(wheel):
        return str(wheel["file"])
    known = channels(torch)
    for row in known.get("variants", ()):
        if row["variant"] == channel and platform in row["platforms"]:
            return ", ".join(row["source"]) or None
    return "cpu channel" if channel == "cpu" and platform in known.get("cpu", ()) else None


def doubted(torch: str, channel: str, platform: str) -> bool:
    """Whether the tables say that this wheel was never published, or not seen to be."""
    known = channels(torch)
    rows = [*known.get("unconfirmed", ()), *known.get("not_published", ())]
    return any(row["variant"] == channel and (not row.get("platforms") or platform in row["platforms"]) for row in rows)


def _local(wheel: dict[str, Any]) -> str:
    cuda = wheel.get("cuda")
    return f"cu{cuda.replace('.', '')}" if cuda else "cpu"


def flags(torch: str, channel: str, platform: str) -> list[str]:
    wheel = release(torch)["wheels"].get(platform)
    if wheel is not None and channel == _local(wheel):
        return str(wheel.get("flags") or "").split()
    for row in channels(torch).get("variants", ()):
        if row["variant"] == channel:
            return [
                flag
                for arch in row["builds"]
                if arch["platform"] == platform
                for flag in (arch.get("flags") or "").split()
            ]
    return []


def runs(architectures: list[str], capability: str, cuda: str) -> bool:
    """Whether compiled code, or PTX of a toolkit that knows the GPU, runs there."""
    device = int(capability.replace(".", ""))
    rules = {row["sm"]: row for row in table("architectures")["device_code"]}
    unified = Version(cuda) >= Version("13.2")
    for flag in architectures:
        kind, _, digits = flag.rpartition("_")
        code = int(digits)
        if kind == "compute":
            first = next(
                (r.get("first_cuda") for r in table("architectures")["architectures"] if r["capability"] == capability),
                None,
            )
            if device >= code and first is not None and Version(cuda) >= Version(first):
                return True
            continue
        rule = rules.get(code, {})
        if "only" in rule:
            if capability in rule["only"]:
                return True
            continue
        excluded = capability in rule.get("exclude", ()) and not (unified and code in (70, 80, 86))
        if device // 10 == code // 10 and device >= code and not excluded:
            return True
    return False


def cudnn_serves(cudnn: str, cuda: str, capability: str) -> bool:
    """By the newest cuDNN of that CUDA major that was read and is not newer."""
    rows = [row for row in table("cudnn")["kernels"] if row["cuda_major"] == Version(cuda).major]
    older = [row for row in rows if Version(row["version"]) <= Version(cudnn)]
    if not rows:
        return True
    row = (
        max(older, key=lambda row: Version(row["version"]))
        if older
        else min(rows, key=lambda row: Version(row["version"]))
    )
    return Version(capability) >= Version(row["min_capability"])


def driver_for(cuda: str, *, windows: bool) -> str:
    (row,) = [row for row in table("drivers")["families"] if row["major"] == Version(cuda).major]
    return str(row["windows_driver" if windows else "linux_driver"])


def drives(driver: str, capability: str) -> bool:
    """By the architecture's first and last branch; branches are multiples of five."""
    (row,) = [row for row in table("architectures")["architectures"] if row["capability"] == capability]
    if row.get("jetson"):
        return True
    major = Version(driver).major
    first, last = row.get("first_driver_branch"), row.get("last_driver_branch")
    branch = major if major == 418 else major - major % 5
    return (first is None or branch >= int(first)) and (last is None or branch <= int(last))


def modules(capability: str) -> str | None:
    """What an architecture asks of NVIDIA's kernel modules."""
    (row,) = [row for row in table("architectures")["architectures"] if row["capability"] == capability]
    flavour: str | None = row.get("open_kernel_modules")
    return flavour


def enough(driver: str, needed: str) -> bool:
    """Whether a driver, given in full or in part, is that one or newer."""
    have = Version(driver).release
    return have >= Version(needed).release[: len(have)]


def glibc_of(torch: str, channel: str, platform: str) -> str | None:
    wheel = release(torch)["wheels"].get(platform) or {}
    for row in channels(torch).get("variants", ()):
        for arch in row["builds"]:
            if (
                row["variant"] == channel
                and arch["platform"] == platform
                and arch.get("glibc")
                and channel != _local(wheel)
            ):
                return str(arch["glibc"])
    return wheel.get("glibc")
