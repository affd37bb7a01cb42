"""The sheet of a GPU."""

from __future__ import annotations

from envdoctor.compat.answer import Fact
from envdoctor.compat.overviews.common import Sheet, named
from envdoctor.compat.subject import GpuSubject
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.gpus import GpuRecord
from envdoctor.knowledge.versions import version
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.kernel_modules import open_modules
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build, newest_with_code
from envdoctor.planning.unlock import driver_ladder


def of_gpu(world: Knowledge, gpu: GpuSubject, platform: str) -> Sheet:
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
    if gpu.jetson:
        facts += _jetpacks(world, gpu)
    kernel = open_modules(gpu.target, world)
    if kernel is not None and not gpu.jetson:
        facts.append(Fact(label="Open kernel modules", value=kernel, sources=gpu.sources))
    target = Target(gpus=(gpu.target,), platform=platform, jetson=gpu.jetson)
    build, bare = best_build(target, Wishes(), world), newest_with_code(gpu.capability, platform, world)
    newest = world.torch_releases()[0].version
    if build is None:
        facts.append(Fact(label="torch", value=f"no published build since 1.13 for {platform} has code for it"))
        summary = f"No published torch from 1.13 on runs on {gpu.name} ({platform})."
        return summary, facts, bare
    facts.append(Fact(label="Newest torch", value=named(world, build, target), sources=build.source))
    if bare is not None and bare.name != build.name:
        text = f"{bare.name} has code for it too, but its cuDNN {bare.cudnn} has none: convolutions fail there"
        facts.append(Fact(label="", value=text, sources=bare.source))
    if build.triton is not None and world.triton_supports(build.triton, gpu.capability) is False:
        row = world.triton_release(build.triton)
        value = f"not with triton {row.version if row else build.triton}, which does not compile for {gpu.capability}"
        facts.append(Fact(label="torch.compile", value=value, sources=(f"PyPI: {row.file}",) if row else ()))
    facts += _by_driver(world, target, build)
    if version(build.torch) < version(newest):
        return f"{gpu.name}: torch {build.name} is the last that runs on it; {newest} has no code for it.", facts, build
    return f"{gpu.name} runs the newest torch, {build.name}.", facts, build


def _jetpacks(world: Knowledge, gpu: GpuSubject) -> list[Fact]:
    """Which JetPack lines are for the board, and where torch for each comes from."""
    facts = []
    for row in world.jetpacks():
        if gpu.capability not in row.capabilities:
            continue
        channel = world.jetson_channel(row.version)
        where = f"; torch: {channel.index}" if channel is not None else ""
        sources = (*row.source, *(channel.source if channel is not None else ()))
        facts.append(Fact(label=f"JetPack {row.version}", value=f"CUDA {row.cuda}, {row.os}{where}", sources=sources))
    return facts


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


def _drivers(gpu: GpuSubject) -> str:
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


def _by_driver(world: Knowledge, target: Target, best: TorchBuild) -> list[Fact]:
    """What older drivers get, oldest useful driver first."""
    steps = driver_ladder(target, Wishes(), world)
    if len(steps) < 2:
        return []
    return [
        Fact(label=f"Driver {driver}+", value=f"up to {build.name}", sources=build.source)
        for driver, build in steps
        if build.name != best.name
    ]
