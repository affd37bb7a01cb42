"""The sheet of a torch release."""

from __future__ import annotations

from envdoctor.compat.answer import Fact
from envdoctor.compat.overviews.common import Sheet, served, span
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.versions import specifier
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build


def of_torch(world: Knowledge, wanted: str, platform: str, newer: tuple[str, ...]) -> Sheet:
    accepts = specifier(wanted)
    matching = [release for release in world.torch_releases() if accepts.contains(release.version)]
    newest = world.torch_releases()[0]
    if not matching:
        build = best_build(Target(platform=platform), Wishes(), world)
        if newer:
            text = f"torch {wanted} is newer than the table. Expect at least what torch {newest.version} needs."
        else:
            text = f"No release {wanted} of torch is in the table ({world.torch_releases()[-1].version} to {newest.version})."
        facts = [Fact(label="Newest known", value=f"{newest.version}, {newest.date}", sources=newest.source)]
        if build is not None and newer:
            facts.append(Fact(label="It needs", value=f"driver {build.min_driver} or newer, Python {span(build)}"))
            facts.append(Fact(label="It serves", value=served(world, build), sources=build.source))
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
    own = Wishes(torch=f"=={release.version}")
    best = best_build(Target(platform=platform), own, world) or best_build(
        Target(gpus=(), platform=platform), own, world
    )
    others = f" (newest of {len(matching)} releases that match {wanted})" if len(matching) > 1 else ""
    return f"torch {release.version}{others}, {platform}.", facts, best


def _channel(build: TorchBuild) -> str:
    return f"{build.variant} (PyPI)" if build.index_url is None else build.variant


def _build_line(world: Knowledge, build: TorchBuild) -> str:
    if build.cuda is None:
        return "no CUDA code" + (" (Apple GPUs by MPS)" if build.platform.startswith("macos") else "")
    parts = [f"driver {build.min_driver}+", served(world, build) if build.arch_flags else "architectures not read"]
    if build.cudnn:
        parts.append(f"cuDNN {build.cudnn}")
    known = "" if build.confidence in ("measured", "observed", "unknown") else f" ({build.confidence})"
    return "; ".join(parts) + known
