"""Which driver branch to install on a machine or for a build, with which kernel modules; or what stands in the way of any."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge import DriverBranch, Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, version
from envdoctor.planning.driver_limits import branch_range, lowest_driver, needed_by
from envdoctor.planning.kernel_modules import ModuleClash, flavour_of, flavour_to_install, module_clash
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build
from envdoctor.planning.words import gpu_words


class DriverChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`branch`: "580"; None where no driver is needed, where JetPack brings it, or where none that is known will do.
    `flavour`: of the kernel modules, "open", "proprietary" or "either"; None where there are none to choose (Windows, WSL).
    `minimum`: the oldest version that will do. `last`: the last branch that drives all the GPUs, None where none has ended.
    `row`: what is known of the branch. `clash`, `apart`: no driver serves these GPUs together, for the modules that they need, or
    for their branches: one begins with `apart[0]`, another ends with `apart[1]`. `too_old`: `minimum` is beyond `last`."""

    branch: str | None = None
    flavour: str | None = None
    minimum: str | None = None
    last: str | None = None
    row: DriverBranch | None = None
    supported: bool = False
    clash: ModuleClash | None = None
    apart: tuple[str, str] | None = None
    too_old: bool = False
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def impossible(self) -> bool:
        return self.clash is not None or self.apart is not None or self.too_old

    @property
    def modules(self) -> str:
        """The flavour to install: "open" or "proprietary"."""
        return flavour_to_install(self.flavour, self.branch)


def choose_driver(build: TorchBuild, target: Target, world: Knowledge, *, toolkit: str | None) -> DriverChoice:
    """The oldest long-term branch in support that will do, which distributions have had time to package; else a production
    one; for a toolkit, whose PTX asks for a driver as new, one of its age. GPUs that none in support drives get their last."""
    if build.cuda is None or target.gpus == () or target.jetson:
        return DriverChoice()
    needs = [need for c in target.capabilities or (None,) if (need := needed_by(build, c, target, world))]
    choice = _choose(needs, target, world)
    if choice.row is None:
        return choice
    notes = list(choice.notes)
    if toolkit and choice.supported:
        own = [
            row
            for row in _fitting(needs, target, world)
            if _supported(row, world.as_of[:7]) and row.max_cuda and cuda_key(row.max_cuda) >= cuda_key(toolkit)
        ]
        if own:
            choice = msgspec.structs.replace(choice, branch=_preferred(own).branch, row=_preferred(own))
        else:
            notes.append(
                f"No supported driver branch is as new as CUDA {toolkit}: PTX of that toolkit will not run, so compile for the "
                "GPUs themselves (TORCH_CUDA_ARCH_LIST)."
            )
    minimum = lowest_driver(build, target, world)
    sources = choice.row.source if choice.row else ()
    return msgspec.structs.replace(choice, minimum=minimum, notes=tuple(notes), sources=sources)


def driver_to_install(
    target: Target,
    world: Knowledge,
    *,
    minimum: str | None = None,
    branch: str | None = None,
    flavour: str | None = None,
) -> DriverChoice:
    """The driver for a machine whose own is missing or will not do: for `minimum`, else for the build planned without one.
    `branch`: to be kept where it drives the GPUs; `flavour`: what the GPUs' own words ask for, before any table."""
    open_target = msgspec.structs.replace(target, driver=None)
    build = best_build(open_target, Wishes(), world) if minimum is None and target.gpus else None
    if build is not None:
        choice = choose_driver(build, open_target, world, toolkit=None)
    else:
        choice = _choose([minimum] if minimum else [], open_target, world)
    if minimum is None and target.gpus is None:
        # Of a GPU that nobody has named, the newest driver is the one most likely to know it.
        choice = msgspec.structs.replace(choice, branch=None, row=None, supported=False)
    if branch is not None and not choice.impossible:
        fitting = next((row for row in _fitting([], open_target, world) if row.branch == branch), None)
        if fitting is not None or not target.gpus:
            choice = msgspec.structs.replace(choice, branch=branch, row=None, supported=False)
    return choice if flavour is None else msgspec.structs.replace(choice, flavour=flavour)


def _choose(needs: list[str], target: Target, world: Knowledge) -> DriverChoice:
    """The branch for all of `needs` on these GPUs."""
    gpus = target.gpus or ()
    first, last = branch_range(gpus, world)
    linux = target.platform.startswith("linux") and not target.wsl
    begun = [str(first)] if first is not None else []
    choice = DriverChoice(
        flavour=flavour_of(gpus, world) if linux and gpus else None,
        minimum=max((*needs, *begun), key=version, default=None),
        last=str(last) if last is not None else None,
        clash=module_clash(gpus, world) if linux else None,
        apart=(str(first), str(last)) if first is not None and last is not None and first > last else None,
        too_old=last is not None and any(not _within(need, last) for need in needs),
    )
    fitting = _fitting(needs, target, world)
    if choice.impossible or not fitting:
        return choice
    maintained = [row for row in fitting if _supported(row, world.as_of[:7])]
    row = _preferred(maintained) if maintained else fitting[-1]
    notes: tuple[str, ...] = ()
    if not maintained:
        names = gpu_words(dict.fromkeys(gpus))
        notes = (f"Driver branch {row.branch} is past its end of life, and is the last that drives {names}.",)
    return msgspec.structs.replace(choice, branch=row.branch, row=row, supported=bool(maintained), notes=notes)


def _within(need: str, last: int) -> bool:
    """Whether a driver of that branch can be as new as this; a Windows driver counts on inside its branch (572.83 is of 570)."""
    return version(need).major <= last + 4


def _preferred(rows: list[DriverBranch]) -> DriverBranch:
    return min(rows, key=lambda row: (not _long_term(row), version(row.branch)))


def _fitting(needs: list[str], target: Target, world: Knowledge) -> list[DriverBranch]:
    """The branches, oldest first, that drive all the GPUs and have a driver as new as all that is needed."""
    first, last = branch_range(target.gpus or (), world)
    return [
        row
        for row in world.driver_branches()
        if (first is None or int(row.branch) >= first)
        and (last is None or int(row.branch) <= last)
        and all(at_least(row.latest_seen or row.branch, need) for need in needs)
    ]


def _long_term(row: DriverBranch) -> bool:
    return (row.designation or "").startswith("LTS")


def _supported(row: DriverBranch, month: str) -> bool:
    """In support, and long-term or production by NVIDIA's page; a branch whose end is not known is not."""
    designation = row.designation or ""
    named = designation.startswith(("LTS", "Production")) and "ended" not in designation
    return named and row.eol is not None and row.eol != "passed" and row.eol >= month
