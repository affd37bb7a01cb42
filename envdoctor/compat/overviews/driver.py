"""The sheets of a driver and of a CUDA version."""

from __future__ import annotations

import msgspec

from envdoctor.compat.answer import Fact
from envdoctor.compat.nearest import newest_cuda_for
from envdoctor.compat.overviews.common import GENERATIONS, Sheet
from envdoctor.knowledge.versions import at_least, cuda_key
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.gpu_list import gpu_of_capability
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build
from envdoctor.planning.unlock import driver_ladder


def of_driver(world: Knowledge, driver: str, platform: str) -> Sheet:
    branch = world.driver_branch(driver)
    assert branch is not None
    facts = []
    if branch.newer_than_table:
        newest = world.driver_branches()[-1].branch
        summary = f"Driver {driver} is newer than the table (newest known branch {newest}); drivers run all older CUDA."
    else:
        summary = f"Driver {driver} is of branch R{branch.branch}" + (
            f", made for CUDA {branch.max_cuda}." if branch.max_cuda else "."
        )
        facts.append(
            Fact(
                label="Branch",
                value=branch.branch + (f", {branch.designation}" if branch.designation else ""),
                sources=branch.source,
            )
        )
        value = branch.max_cuda or "not read"
        facts.append(
            Fact(label="Newest CUDA", value=value if branch.known else f"{value} or newer", sources=branch.source)
        )
        if branch.eol is not None:
            facts.append(Fact(label="End of life", value=branch.eol, sources=branch.source))
        if branch.latest_seen is not None:
            facts.append(
                Fact(
                    label="Newest seen", value=f"{branch.latest_seen} ({branch.latest_seen_on})", sources=branch.source
                )
            )
        if branch.note is not None:
            facts.append(Fact(label="Note", value=branch.note, sources=branch.source))
    runtime = newest_cuda_for(world, driver, platform)
    facts.append(
        Fact(
            label="Runs CUDA up to",
            value=f"{runtime}, compiled code (minor-version compatibility)" if runtime else "no CUDA in the table",
            sources=("docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html",),
        )
    )
    driven = [
        record for record in world.architectures() if not record.jetson and world.drives(driver, record.capability)
    ]
    if driven:
        names = list(dict.fromkeys(record.name for record in driven))
        facts.append(Fact(label="Drives", value=", ".join(names), sources=driven[-1].source))
    target = Target(driver=driver, platform=platform)
    best = best_build(target, Wishes(), world)
    groups: dict[str, list[str]] = {}
    for capability in GENERATIONS:
        on_gpu = msgspec.structs.replace(target, gpus=(gpu_of_capability(capability, world),))
        build = best_build(on_gpu, Wishes(), world)
        record = world.architecture(capability)
        if record is not None and world.drives(driver, capability):
            groups.setdefault(build.name if build else "none", []).append(f"{record.name} ({capability})")
    for name, served in groups.items():
        facts.append(Fact(label=f"torch {name}" if name != "none" else "no torch", value=", ".join(served)))
    facts += [
        Fact(
            label=f"Driver {newer}+",
            value=f"unlocks torch {build.name}",
            sources=build.source,
        )
        for newer, build in driver_ladder(target, Wishes(), world)
        if not at_least(driver, newer)
    ]
    return summary, facts, best


def of_cuda(world: Knowledge, cuda: str, platform: str) -> Sheet:
    minimum, own = world.minimum_driver(cuda, platform), world.toolkit_driver(cuda, platform)
    toolkit = world.toolkit(cuda)
    sources = world.driver_sources(toolkit) if toolkit is not None else ()
    facts = [
        Fact(
            label="Driver, to run",
            value=f"{minimum} or newer" if minimum else "not known",
            sources=("docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html",),
        ),
        Fact(label="Driver, its own", value=f"{own} (PTX, new features)" if own else "not known", sources=sources),
    ]
    targeted = [
        record
        for record in world.architectures()
        if record.first_cuda is not None
        and cuda_key(record.first_cuda) <= cuda_key(cuda)
        and (record.last_cuda is None or cuda_key(cuda) <= cuda_key(record.last_cuda))
    ]
    if targeted and world.cuda_major_known(cuda):
        names = list(dict.fromkeys(record.name for record in targeted))
        facts.append(
            Fact(
                label="GPUs",
                value=f"{', '.join(names)} ({targeted[0].capability} to {targeted[-1].capability})",
                sources=targeted[-1].source,
            )
        )
    compilers = world.host_compilers(cuda)
    if compilers is not None and compilers.gcc_max is not None:
        value = f"gcc up to {compilers.gcc_max}, clang below {compilers.clang_below}"
        facts.append(Fact(label="Host compilers", value=value, sources=compilers.source))
    builds = [
        build
        for build in world.torch_builds()
        if build.cuda is not None and cuda_key(build.cuda) == cuda_key(cuda) and build.platform == platform
    ]
    best = builds[0] if builds else None
    if builds:
        releases = list(dict.fromkeys(build.torch for build in builds))
        value = f"{releases[-1]} to {releases[0]}" if len(releases) > 1 else releases[0]
        facts.append(Fact(label="torch with it", value=value, sources=builds[0].source))
    else:
        facts.append(Fact(label="torch with it", value=f"none published for {platform}"))
    images = world.cuda_images(cuda, flavour="devel") or world.cuda_images(cuda)
    if images:
        facts.append(Fact(label="Image", value=images[0].reference, sources=images[0].source))
    if cuda_key(cuda) > cuda_key(world.newest_cuda()):
        summary = f"CUDA {cuda} is newer than the table ({world.newest_cuda()}); what follows is by rule."
    else:
        summary = f"CUDA {cuda}" + (
            f" (toolkit {toolkit.version})." if toolkit is not None else " is not in the table of toolkits."
        )
    return summary, facts, best
