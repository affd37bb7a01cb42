"""What the driver allows: which GPUs it drives, which CUDA it runs; and where none is there, whether one exists at all."""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.knowledge import JetPack, Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, version
from envdoctor.planning.kernel_modules import module_clash
from envdoctor.planning.model import Target, TargetGpu
from envdoctor.planning.search import Limit, Pool
from envdoctor.planning.words import clash_words, gpu_words, listed, span


def driver_limits(target: Target, world: Knowledge, pool: Pool) -> Iterator[Limit]:
    """Those of one target; none where it has no GPU or nothing is known of GPU and driver."""
    if target.gpus == ():
        return
    gpus = target.gpus or ()
    yield from _one_kernel_module(target, gpus, world, pool)
    if (jetpack := jetpack_of(target, world)) is not None:
        yield _jetpack(jetpack, target, pool)
    if target.driver is None:
        yield from _some_driver(target, gpus, world, pool)
        return
    driver = target.driver
    for gpu in dict.fromkeys(gpus):
        if not world.drives(driver, gpu.capability):
            yield _not_driven(driver, gpu, world, pool)
    asked = target.capabilities or (None,)

    def runs(build: TorchBuild) -> bool:
        needed = [needed_by(build, capability, target, world) for capability in asked]
        return build.cuda is None or all(need is not None and at_least(driver, need) for need in needed)

    meets = pool.meeting(("runs", driver, asked, target.wsl), runs)
    if meets == pool.all:
        return
    fitting = [build for build in pool.chosen(meets) if build.cuda]
    text = f"Driver {driver} runs {span(fitting)}" if fitting else f"Driver {driver} runs no published CUDA build"
    unmet = {
        cuda_key(build.cuda)[0]: need
        for build, need in zip(pool.builds, needs(None, target, world, pool), strict=True)
        if build.cuda and need and not at_least(driver, need)
    }
    if unmet:
        text += "; " + listed([f"CUDA {major} needs {unmet[major]}" for major in sorted(unmet)])
    yield Limit(constraint="driver", key=("driver", driver), text=f"{text}.", short=f"driver {driver}", meets=meets)


def needed_by(build: TorchBuild, capability: str | None, target: Target, world: Knowledge) -> str | None:
    """The lowest driver for a build on a GPU there; under WSL by the numbers of Windows' driver. None: none is known to do."""
    if build.cuda is None:
        return None
    need = world.driver_needed(build, capability)
    if target.wsl and need == build.min_driver:
        return world.minimum_driver(build.cuda, "windows_amd64") or need
    return need


def needs(capability: str | None, target: Target, world: Knowledge, pool: Pool) -> tuple[str | None, ...]:
    """`needed_by` for every build of the pool."""
    return pool.told(("driver", capability, target.wsl), lambda build: needed_by(build, capability, target, world))


def branch_range(gpus: tuple[TargetGpu, ...], world: Knowledge) -> tuple[int | None, int | None]:
    """The first and the last driver branch that drive all the GPUs; None where open. Jetson boards have none."""
    records = [record for gpu in gpus if (record := world.architecture(gpu.capability)) and not record.jetson]
    firsts = [int(record.first_driver_branch) for record in records if record.first_driver_branch]
    lasts = [int(record.last_driver_branch) for record in records if record.last_driver_branch]
    return max(firsts, default=None), min(lasts, default=None)


def lowest_driver(build: TorchBuild, target: Target, world: Knowledge) -> str | None:
    """What the wheel needs on these GPUs: of its CUDA, and of the GPUs themselves. None for CPU builds, or without a GPU."""
    if build.cuda is None or target.gpus == ():
        return None
    needs = [need for c in target.capabilities or (None,) if (need := needed_by(build, c, target, world))]
    first, _ = branch_range(target.gpus or (), world)
    return max((*needs, *([str(first)] if first is not None else [])), key=version, default=None)


def branch_number(driver: str, world: Knowledge) -> int:
    """580 of 580.159.04: NVIDIA's branch, also for a Windows driver that counts on inside it."""
    branch = world.driver_branch(driver)
    return int(branch.branch) if branch is not None else version(driver).major


def jetpack_of(target: Target, world: Knowledge) -> JetPack | None:
    """The JetPack that the system of a Jetson means: the newest on that Ubuntu for that board."""
    if not target.jetson or target.os is None:
        return None
    wanted = set(target.capabilities)
    return next((row for row in world.jetpacks() if row.os == target.os and wanted <= set(row.capabilities)), None)


def _cpu(pool: Pool) -> int:
    return pool.meeting("cpu", lambda build: build.cuda is None)


def _one_kernel_module(target: Target, gpus: tuple[TargetGpu, ...], world: Knowledge, pool: Pool) -> Iterator[Limit]:
    if not target.platform.startswith("linux") or target.wsl:
        return
    clash = module_clash(gpus, world)
    if clash is not None:
        short = f"one kernel driver for {gpu_words(clash.needing)} and {gpu_words(clash.refusing)}"
        text = f"{clash_words(clash)}: no driver serves both in one Linux machine."
        yield Limit(constraint="driver", key="kernel modules", text=text, short=short, meets=_cpu(pool))


def _jetpack(jetpack: JetPack, target: Target, pool: Pool) -> Limit:
    major = cuda_key(jetpack.cuda)[0]
    meets = pool.meeting(("jetpack", jetpack.version), lambda build: not build.cuda or cuda_key(build.cuda)[0] <= major)
    text = (
        f"JetPack {jetpack.version} ({jetpack.os}) has CUDA {jetpack.cuda}: its driver runs builds up to CUDA {major}."
    )
    short = f"JetPack {jetpack.version}"
    return Limit(constraint="driver", key=("jetpack", jetpack.version), text=text, short=short, meets=meets)


def _not_driven(driver: str, gpu: TargetGpu, world: Knowledge, pool: Pool) -> Limit:
    first, last = branch_range((gpu,), world)
    branch = world.driver_branch(driver)
    late = last is not None and branch is not None and int(branch.branch) > last
    said = f"driver branch {last} is the last that drives it" if late else f"it needs driver branch {first} or newer"
    return Limit(
        constraint="driver",
        key=("drives", driver, gpu.capability),
        text=f"Driver {driver} does not drive {gpu.name} ({gpu.capability}): {said}.",
        short=f"driver {driver}",
        meets=_cpu(pool),
    )


def _some_driver(target: Target, gpus: tuple[TargetGpu, ...], world: Knowledge, pool: Pool) -> Iterator[Limit]:
    """With no driver given: one must exist that drives all the GPUs and runs the build."""
    first, last = branch_range(gpus, world)
    if last is None:
        return
    names = gpu_words(dict.fromkeys(gpus))
    if first is not None and first > last:
        text = f"No driver drives {names} together: one needs branch {first} or newer, another ends with branch {last}."
        yield Limit(
            constraint="driver", key="no common driver", text=text, short="a driver for all of them", meets=_cpu(pool)
        )
        return

    def runs(build: TorchBuild) -> bool:
        need = needed_by(build, None, target, world)
        return build.cuda is None or (need is not None and version(need).major <= last + 4)

    meets = pool.meeting(("last driver", last, target.wsl), runs)
    if meets != pool.all:
        text = (
            f"Driver branch {last} is the last that drives {names}: it runs {span(pool.chosen(meets & ~_cpu(pool)))}."
        )
        short = f"driver branch {last}"
        yield Limit(constraint="driver", key=("last driver", last), text=text, short=short, meets=meets)
