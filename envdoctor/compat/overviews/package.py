"""The sheets of what stands beside torch: its companions, cuDNN, triton, and its nightly builds."""

from __future__ import annotations

from envdoctor.compat.answer import Fact
from envdoctor.compat.overviews.common import Sheet
from envdoctor.knowledge.companion_wheels import CompanionWheel
from envdoctor.knowledge.errors import KnowledgeError
from envdoctor.knowledge.versions import version
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build


def of_package(world: Knowledge, package: str, release: str | None, platform: str) -> Sheet:
    """The sheet of a package, of one of its releases where that is named. KnowledgeError where it has no such release."""
    if package == "nightly":
        return _nightly(world, platform)
    if package == "cudnn":
        return _cudnn(world, release)
    if package == "triton":
        return _triton(world, release)
    return _companion(world, package, release, platform)


def _newest_of(names: list[str], release: str | None, package: str) -> str:
    """The newest of the versions that begin with what was asked for."""
    wanted = version(release).release if release is not None else ()
    fitting = [name for name in names if version(name).release[: len(wanted)] == wanted]
    if not fitting:
        known = sorted(names, key=version)
        text = f" (known: {known[0]} to {known[-1]})" if known else ""
        raise KnowledgeError(f"{package} {release or ''} is not in the table{text}")
    return max(fitting, key=version)


def _companion(world: Knowledge, package: str, release: str | None, platform: str) -> Sheet:
    rows = {row.version: row for row in world.companions(package)}
    wheels = {row.version: row for row in world.companion_wheels(package, platform)}
    chosen = _newest_of([*rows, *(name for name in wheels if name not in rows)], release, package)
    row, wheel = rows.get(chosen), wheels.get(chosen)
    facts = [Fact(label="Released", value=row.date if row else wheel.date if wheel else "")]
    torches = [
        one.version for one in world.torch_releases() if world.companion_accepts(package, chosen, one.version) is True
    ]
    source = (f"PyPI: {row.file}",) if row else ()
    if row is not None:
        facts.append(Fact(label="Needs", value=f"torch{row.torch}" if row.torch else "no torch named", sources=source))
    if torches:
        value = f"torch {torches[-1]} to {torches[0]}" if len(torches) > 1 else f"torch {torches[0]}"
        facts.append(Fact(label="Goes with", value=value, sources=source))
    if wheel is not None:
        facts.append(Fact(label=f"PyPI's wheel, {platform}", value=_built_for(wheel), sources=(f"PyPI: {wheel.file}",)))
        libraries = [
            name for name in (*wheel.needs, *wheel.loads) if "cu" in name and "torch" not in name and "c10" not in name
        ]
        if libraries:
            facts.append(Fact(label="Loads", value=", ".join(libraries), sources=(f"PyPI: {wheel.file}",)))
    # No command: which torch and which index are right depends on the machine, of which nothing was said.
    return f"{package} {chosen}.", facts, None


def _built_for(wheel: CompanionWheel) -> str:
    majors = wheel.cuda_majors
    if majors is None:
        return "CUDA not read"
    if not majors:
        return "built without CUDA"
    return "built with CUDA " + (", ".join(wheel.cuda) if wheel.cuda else ", ".join(f"{major}.x" for major in majors))


def _cudnn(world: Knowledge, release: str | None) -> Sheet:
    days: dict[str, str] = {}
    for major in ("11", "12", "13"):
        days |= world.published(f"nvidia-cudnn-cu{major}")
    chosen = _newest_of(list(days), release, "cuDNN")
    facts = [Fact(label="Released", value=days[chosen])]
    for major, cuda in (("13", "13.0"), ("12", "12.6"), ("11", "11.8")):
        if chosen not in world.published(f"nvidia-cudnn-cu{major}"):
            continue
        code = world.cudnn_release(chosen, cuda)
        value = f"kernels from capability {code.min_capability} on" if code is not None else "kernels not read"
        facts.append(
            Fact(label=f"nvidia-cudnn-cu{major}", value=value, sources=code.source if code is not None else ())
        )
    users = [build for build in world.torch_builds() if build.cudnn is not None and build.cudnn.startswith(chosen)]
    names = list(dict.fromkeys(build.name for build in users))
    facts.append(Fact(label="Pinned by", value=", ".join(names[:6]) if names else "no torch in the table"))
    return f"cuDNN {chosen}.", facts, None


def _triton(world: Knowledge, release: str | None) -> Sheet:
    chosen = _newest_of(list(world.published("triton")), release, "triton")
    row = world.triton_release(chosen)
    facts = [Fact(label="Released", value=world.published("triton")[chosen])]
    if row is not None:
        known = [one for one in world.architectures() if world.triton_supports(chosen, one.capability)]
        lacking = [one for one in world.architectures() if world.triton_supports(chosen, one.capability) is False]
        source = (f"PyPI: {row.file}",)
        facts.append(Fact(label="ptxas", value=", ".join(row.ptxas), sources=source))
        facts.append(Fact(label="Compiles for", value=", ".join(one.capability for one in known), sources=source))
        newer = [one.capability for one in lacking if version(one.capability) >= version("7.0")]
        if newer:
            facts.append(Fact(label="Not for", value=", ".join(newer), sources=source))
    else:
        facts.append(Fact(label="GPUs", value="its ptxas was not read"))
    users = [build.torch for build in world.torch_builds() if build.triton == chosen]
    if users:
        facts.append(Fact(label="Pinned by", value="torch " + ", ".join(dict.fromkeys(users))))
    return f"triton {chosen}.", facts, None


def _nightly(world: Knowledge, platform: str) -> Sheet:
    newest = world.torch_releases()[0]
    build = best_build(Target(platform=platform), Wishes(), world)
    variant = build.variant if build is not None else "cpu"
    channel = world.channel(f"nightly/{variant}")
    facts = []
    if channel is not None:
        facts.append(Fact(label="Index", value=channel.index, sources=channel.source))
        facts.append(
            Fact(label="Install", value=f"pip install --pre torch --index-url {channel.index}", sources=channel.source)
        )
        facts.append(Fact(label="Platforms", value=", ".join(channel.platforms), sources=channel.source))
    facts.append(Fact(label="Judged as", value=f"the release that it leads to, built like torch {newest.version}"))
    return (
        f"Nightly builds of torch come after {newest.version}; none is in the table, for they are replaced every day.",
        facts,
        None,
    )
