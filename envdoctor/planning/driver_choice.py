"""Which driver branch to install for a build, and in which flavour."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge import DriverBranch, Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, version
from envdoctor.planning.driver_limits import branch_range, module_flavour, needed_by
from envdoctor.planning.model import Target
from envdoctor.planning.words import gpu_words


class DriverChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`branch`: "580"; None where no driver is needed, or where JetPack brings it. `flavour`: of the kernel modules."""

    branch: str | None = None
    flavour: str | None = None
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def choose_driver(build: TorchBuild, target: Target, world: Knowledge, *, toolkit: str | None) -> DriverChoice:
    """The oldest long-term branch in support that will do, which distributions have had time to package; else a production
    one; for a toolkit, whose PTX asks for a driver as new, one of its age. GPUs that none in support drives get their last."""
    if build.cuda is None or target.gpus == () or target.jetson:
        return DriverChoice()
    fitting = _fitting(build, target, world)
    if not fitting:
        return DriverChoice()
    maintained = [row for row in fitting if _supported(row, world.as_of[:7])]
    own = [row for row in maintained if toolkit and row.max_cuda and cuda_key(row.max_cuda) >= cuda_key(toolkit)]
    usable = own or maintained
    chosen = min(usable, key=lambda row: (not _long_term(row), version(row.branch))) if usable else fitting[-1]
    notes = []
    if not usable:
        names = gpu_words(dict.fromkeys(target.gpus or ()))
        notes.append(f"Driver branch {chosen.branch} is past its end of life, and is the last that drives {names}.")
    if toolkit and usable and not own:
        notes.append(
            f"No supported driver branch is as new as CUDA {toolkit}: PTX of that toolkit will not run, so compile for the "
            "GPUs themselves (TORCH_CUDA_ARCH_LIST)."
        )
    return DriverChoice(
        branch=chosen.branch, flavour=_flavour(target, world), notes=tuple(notes), sources=chosen.source
    )


def _fitting(build: TorchBuild, target: Target, world: Knowledge) -> list[DriverBranch]:
    """The branches, oldest first, that drive all the GPUs and run the build."""
    first, last = branch_range(target.gpus or (), world)
    needs = [need for c in target.capabilities or (None,) if (need := needed_by(build, c, target, world))]
    return [
        row
        for row in world.driver_branches()
        if (first is None or int(row.branch) >= first)
        and (last is None or int(row.branch) <= last)
        and all(at_least(row.branch, need) for need in needs)
    ]


def _long_term(row: DriverBranch) -> bool:
    return (row.designation or "").startswith("LTS")


def _supported(row: DriverBranch, month: str) -> bool:
    """In support, and long-term or production by NVIDIA's page; a branch whose end is not known is not."""
    designation = row.designation or ""
    named = designation.startswith(("LTS", "Production")) and "ended" not in designation
    return named and row.eol is not None and row.eol != "passed" and row.eol >= month


def _flavour(target: Target, world: Knowledge) -> str | None:
    if not target.platform.startswith("linux") or target.wsl or not target.gpus:
        return None
    flavours = {module_flavour(gpu, world) for gpu in dict.fromkeys(target.gpus)}
    if "required" in flavours:
        return "open"
    return "proprietary" if "unsupported" in flavours else "either"
