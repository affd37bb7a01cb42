"""One subject alone: what there is to know about a GPU, a torch release, a driver, a CUDA version or a Python."""

from __future__ import annotations

from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.compat.answer import Answer, Fact
from envdoctor.knowledge.compat.nearest import newest_cuda_for
from envdoctor.knowledge.compat.question import Question
from envdoctor.knowledge.compat.subject import Gpu
from envdoctor.knowledge.gpus import GpuRecord
from envdoctor.knowledge.versions import cuda_key, python_tag, specifier, version
from envdoctor.knowledge.world import Knowledge

# A GPU of each architecture still met, to show what a driver or a release serves.
_GENERATIONS = ("3.7", "5.2", "6.1", "7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0")


def sheet(world: Knowledge, question: Question, gpus: tuple[Gpu, ...], platform: str, newer: tuple[str, ...]) -> Answer:
    """The sheet of the one subject asked about."""
    if gpus:
        summary, facts, build = _gpu(world, gpus[0], platform)
    elif question.torch is not None:
        summary, facts, build = _torch(world, question.torch, platform, newer)
    elif question.driver is not None:
        summary, facts, build = _driver(world, question.driver, platform)
    elif question.cuda is not None:
        summary, facts, build = _cuda(world, question.cuda, platform)
    elif question.python is not None:
        summary, facts, build = _python(world, question.python, platform)
    else:
        summary, facts, build = _glibc(world, question.glibc or "", platform)
    return Answer(
        question=question,
        answer=None,
        summary=summary,
        facts=tuple(facts),
        build=build,
        newer_than_table=newer,
        as_of=world.as_of,
    )


_Sheet = tuple[str, list[Fact], TorchBuild | None]


def _gpu(world: Knowledge, gpu: Gpu, platform: str) -> _Sheet:
    record, architecture = gpu.record, gpu.architecture
    facts = [Fact(label="Compute capability", value=gpu.capability, sources=gpu.sources)]
    if architecture is not None:
        facts.append(Fact(label="Architecture", value=architecture.name, sources=architecture.source))
    if record is not None:
        if record.models:
            facts.append(Fact(label="Models", value=", ".join(name.removeprefix("NVIDIA ") for name in record.models)))
        facts += _figures(record)
    if architecture is not None:
        until = f" to {architecture.last_cuda}" if architecture.last_cuda else " on"
        first = architecture.first_cuda or "unknown"
        facts.append(Fact(label="CUDA toolkits", value=f"{first}{until}", sources=architecture.source))
    facts.append(Fact(label="Drivers", value=_drivers(gpu), sources=gpu.sources))
    kernel = record.open_kernel_modules if record is not None else None
    kernel = kernel or (architecture.open_kernel_modules if architecture is not None else None)
    if kernel is not None and not gpu.jetson:
        facts.append(Fact(label="Open kernel modules", value=kernel, sources=gpu.sources))
    build = world.last_torch_for(gpu.capability, platform)
    newest = world.torch_releases()[0].version
    if build is None:
        code_only = world.last_torch_for(gpu.capability, platform, cudnn=False)
        facts.append(Fact(label="torch", value=f"no published build since 1.13 for {platform} has code for it"))
        summary = f"No published torch from 1.13 on runs on {gpu.name} ({platform})."
        return summary, facts, code_only
    facts.append(Fact(label="Newest torch", value=_with_driver(world, build, gpu.capability), sources=build.source))
    bare = world.last_torch_for(gpu.capability, platform, cudnn=False)
    if bare is not None and bare.name != build.name:
        text = f"{bare.name} has code for it too, but its cuDNN {bare.cudnn} has none: convolutions fail there"
        facts.append(Fact(label="", value=text, sources=bare.source))
    facts += _by_driver(world, gpu, platform, build)
    if version(build.torch) < version(newest):
        return f"{gpu.name}: torch {build.name} is the last that runs on it; {newest} has no code for it.", facts, build
    return f"{gpu.name} runs the newest torch, {build.name}.", facts, build


def _figures(record: GpuRecord) -> list[Fact]:
    facts = []
    sizes = (record.memory_gb,) if record.memory_gb is not None else record.memory_gb_options
    if sizes:
        text = f"{' or '.join(f'{size:g}' for size in sizes)} GB"
        if record.bandwidth_gb_s is not None:
            text += f", {record.bandwidth_gb_s:g} GB/s"
        facts.append(Fact(label="Memory", value=text, sources=record.source))
    peaks = [f"fp32 {record.fp32_tflops:g}"] if record.fp32_tflops is not None else []
    peaks += [f"{name} {peak:g}" for name, peak in (record.tensor_tflops or {}).items()]
    if peaks:
        sources = tuple(dict.fromkeys((*record.source, *record.tensor_source)))
        facts.append(Fact(label="Peak (dense)", value=f"{', '.join(peaks)} TFLOPS", sources=sources))
    board = [f"{record.sm_count} SMs"] if record.sm_count is not None else []
    board += [f"{record.tdp_w:g} W"] if record.tdp_w is not None else []
    if board:
        facts.append(Fact(label="Board", value=", ".join(board), sources=record.source))
    return facts


def _drivers(gpu: Gpu) -> str:
    if gpu.jetson:
        return "with JetPack; desktop driver branches do not apply"
    architecture, record = gpu.architecture, gpu.record
    listed = record.first_driver if record is not None else None
    first = architecture.first_driver_branch if architecture is not None else None
    last = architecture.last_driver_branch if architecture is not None else None
    start = f"{listed} (first to list it)" if listed is not None else f"branch {first}" if first else ""
    if last:
        return f"{start} to branch {last}, the last" if start else f"up to branch {last}, the last"
    return f"{start} or newer" if start else "unknown"


def _with_driver(world: Knowledge, build: TorchBuild, capability: str | None) -> str:
    needed = world.driver_needed(build, capability)
    architecture = world.architecture(capability) if capability is not None else None
    first = architecture.first_driver_branch if architecture is not None else None
    if needed is not None and first is not None and version(first) > version(needed):
        needed = first
    return f"{build.name}" + (f", driver {needed} or newer" if needed is not None else "")


def _by_driver(world: Knowledge, gpu: Gpu, platform: str, best: TorchBuild) -> list[Fact]:
    """What older drivers get, oldest useful driver first."""
    if gpu.jetson:
        return []
    steps = world.driver_unlocks(capabilities=(gpu.capability,), driver="400", platform=platform)
    if len(steps) < 2:
        return []
    return [
        Fact(label=f"Driver {step.min_driver}+", value=f"up to {step.build.name}", sources=step.build.source)
        for step in steps
        if step.build.name != best.name
    ]


def _torch(world: Knowledge, wanted: str, platform: str, newer: tuple[str, ...]) -> _Sheet:
    accepts = specifier(wanted)
    matching = [release for release in world.torch_releases() if accepts.contains(release.version)]
    newest = world.torch_releases()[0]
    if not matching:
        build = world.newest_torch(platform=platform)
        if newer:
            text = f"torch {wanted} is newer than the table. Expect at least what torch {newest.version} needs."
        else:
            text = f"No release {wanted} of torch is in the table ({world.torch_releases()[-1].version} to {newest.version})."
        facts = [Fact(label="Newest known", value=f"{newest.version}, {newest.date}", sources=newest.source)]
        if build is not None and newer:
            facts.append(Fact(label="It needs", value=f"driver {build.min_driver} or newer, Python {_span(build)}"))
            facts.append(Fact(label="It serves", value=_served(world, build), sources=build.source))
        return text, facts, build
    release = matching[0]
    facts = [
        Fact(label="Released", value=release.date, sources=release.source),
        Fact(
            label="Goes with",
            value=f"torchvision {release.torchvision}, torchaudio {release.torchaudio}",
            sources=release.source,
        ),
    ]
    tags = release.python.get(platform)
    if tags:
        facts.append(Fact(label="Python", value=", ".join(tags), sources=release.source))
    builds = [build for build in world.torch_builds(release.version) if build.platform == platform]
    for build in builds:
        if build.variant.startswith("rocm"):
            continue
        facts.append(Fact(label=_channel(build), value=_build_line(world, build), sources=build.source))
    rocm = [build.variant.removeprefix("rocm") for build in builds if build.variant.startswith("rocm")]
    if rocm:
        facts.append(Fact(label="ROCm", value=", ".join(rocm)))
    for title, rows in (("Not published", release.not_published), ("Unconfirmed", release.unconfirmed)):
        facts += [
            Fact(label=title, value=f"{row.variant}: {row.reason}", sources=row.source)
            for row in rows
            if not row.platforms or platform in row.platforms
        ]
    best = world.newest_torch(torch=f"=={release.version}", platform=platform)
    best = best or world.cpu_torch(torch=f"=={release.version}", platform=platform)
    others = f" (newest of {len(matching)} releases that match {wanted})" if len(matching) > 1 else ""
    return f"torch {release.version}{others}, {platform}.", facts, best


def _channel(build: TorchBuild) -> str:
    return f"{build.variant} (PyPI)" if build.index_url is None else build.variant


def _build_line(world: Knowledge, build: TorchBuild) -> str:
    if build.cuda is None:
        return "no CUDA code" + (" (Apple GPUs by MPS)" if build.platform.startswith("macos") else "")
    parts = [f"driver {build.min_driver}+", _served(world, build) if build.arch_flags else "architectures not read"]
    if build.cudnn:
        parts.append(f"cuDNN {build.cudnn}")
    known = "" if build.confidence in ("measured", "observed", "unknown") else f" ({build.confidence})"
    return "; ".join(parts) + known


def _served(world: Knowledge, build: TorchBuild) -> str:
    """The architectures that the build serves: "Turing to Blackwell", or one by one where there is a gap between."""
    desktop = [record for record in world.architectures() if not record.jetson and record.capability in _GENERATIONS]
    coded = [record for record in desktop if world.has_code(build, record.capability)]
    full = [record for record in coded if world.has_cudnn_kernels(build, record.capability)]
    if not full:
        return "no known GPU"
    names = list(dict.fromkeys(record.name for record in full))
    order = list(dict.fromkeys(record.name for record in desktop))
    whole = order[order.index(names[0]) : order.index(names[-1]) + 1] == names
    text = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}" if whole else ", ".join(names)
    bare = list(dict.fromkeys(record.name for record in coded if record not in full))
    return f"{text} ({', '.join(bare)} without cuDNN)" if bare else text


def _driver(world: Knowledge, driver: str, platform: str) -> _Sheet:
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
    best = world.newest_torch(driver=driver, platform=platform)
    groups: dict[str, list[str]] = {}
    for capability in _GENERATIONS:
        build = world.newest_torch(capabilities=(capability,), driver=driver, platform=platform)
        record = world.architecture(capability)
        if record is not None and world.drives(driver, capability):
            groups.setdefault(build.name if build else "none", []).append(f"{record.name} ({capability})")
    for name, served in groups.items():
        facts.append(Fact(label=f"torch {name}" if name != "none" else "no torch", value=", ".join(served)))
    facts += [
        Fact(
            label=f"Driver {unlock.min_driver}+",
            value=f"unlocks torch {unlock.build.name}",
            sources=unlock.build.source,
        )
        for unlock in world.driver_unlocks(capabilities=(), driver=driver, platform=platform)
    ]
    return summary, facts, best


def _cuda(world: Knowledge, cuda: str, platform: str) -> _Sheet:
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


def _python(world: Knowledge, python: str, platform: str) -> _Sheet:
    tag = python_tag(python)
    with_wheels = [release for release in world.torch_releases() if tag in release.python.get(platform, ())]
    best = world.newest_torch(python=tag, platform=platform) or world.cpu_torch(python=tag, platform=platform)
    if not with_wheels:
        newest = world.torch_releases()[0]
        have = ", ".join(newest.python.get(platform, ()))
        facts = [Fact(label=f"torch {newest.version}", value=f"has wheels for {have}", sources=newest.source)]
        return f"No torch has wheels for Python {tag} on {platform} (table of {world.as_of}).", facts, None
    facts = [
        Fact(
            label="torch",
            value=f"{with_wheels[-1].version} to {with_wheels[0].version}"
            if len(with_wheels) > 1
            else with_wheels[0].version,
            sources=with_wheels[0].source,
        )
    ]
    if best is not None:
        facts.append(Fact(label="Newest", value=_with_driver(world, best, None), sources=best.source))
    return f"Python {tag}: torch {with_wheels[0].version} is the newest with wheels for it ({platform}).", facts, best


def _glibc(world: Knowledge, glibc: str, platform: str) -> _Sheet:
    best = world.newest_torch(glibc=glibc, platform=platform)
    if best is None:
        return f"No torch in the table runs on glibc {glibc}.", [], None
    facts = [Fact(label="Newest torch", value=_with_driver(world, best, None), sources=best.source)]
    return f"glibc {glibc}: torch {best.name} is the newest ({platform}).", facts, best


def _span(build: TorchBuild) -> str:
    plain = [tag for tag in build.python_tags if not tag.endswith("t")]
    return f"{plain[0]} to {plain[-1]}" if len(plain) > 1 else "".join(plain)
